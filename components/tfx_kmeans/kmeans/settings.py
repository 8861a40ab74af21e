"""The parameters of KMeans: declared, checked, and carried to the executor as exec properties."""

import dataclasses
import json
import reprlib
from collections.abc import Sequence

from tfx.orchestration.data_types import RuntimeParameter
from tfx.utils import json_utils

from tfx_kmeans.graph import arguments
from tfx_kmeans.kmeans import choosing, engines, solving


@dataclasses.dataclass(frozen=True)
class Settings:
    """Parameters of a fit; see `KMeans` for what they mean.

    Any of them but `features` may be a RuntimeParameter while the pipeline is built; such a one is
    checked in the executor, when its value is known.
    """

    n_clusters: int | tuple[int, ...]
    features: tuple[str, ...] | None = None
    output_prefix: str = 'cluster'
    init: str = 'k-means++'
    search: str = 'breathing'
    n_init: int = 1
    max_iter: int = 300
    tol: float = 1e-4
    seed: int = 0
    distance: str = 'squared_euclidean'
    weight_feature: str | None = None
    missing: str = 'error'
    standardize: bool = False
    solver: str = 'auto'
    engine: str = 'auto'
    max_passes: int = 10
    memory_budget: int = 4_000_000_000
    train_split: str = 'train'
    eval_split: str | None = 'eval'
    selection: str = 'silhouette'

    def check(self):
        """Checks every parameter whose value is known.

        Raises:
            TypeError: one is of the wrong type.
            ValueError: one is out of range.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == 'features' or not isinstance(value, RuntimeParameter):
                _CHECKS[field.name](field.name, value)
        if not isinstance(self.selection, RuntimeParameter):
            choosing.check_candidates('n_clusters', self.n_clusters, self.selection)
        if self.features is not None and self.weight_feature in self.features:
            raise ValueError(
                f'weight_feature {self.weight_feature!r} is also one of features {self.features}; '
                'a weight cannot be clustered on'
            )
        if not isinstance(self.missing, RuntimeParameter):
            arguments.check_missing('missing', self.missing, self.distance)
        if not isinstance(self.solver, RuntimeParameter):
            solving.check_solver('solver', self.solver, self.weight_feature is not None)
        solver_is_known = not isinstance(self.solver, RuntimeParameter)
        if solver_is_known and not isinstance(self.engine, RuntimeParameter):
            engines.check(self.engine, self.solver)
        whole_rows = solver_is_known and self.solver not in ('auto', 'lloyd')
        if self.missing == 'partial' and whole_rows:
            raise ValueError(
                f"missing='partial' goes with solver='auto' or 'lloyd', not {self.solver!r}: "
                'others take whole rows'
            )
        if self.missing == 'partial' and self.init == 'k-means||':
            raise ValueError(
                "missing='partial' goes with init='k-means++' or 'random', not 'k-means||', which "
                'takes whole rows'
            )

    def to_exec_properties(self):
        """Returns the parameters as exec properties; those that are None are left out."""
        properties = {k: v for k, v in vars(self).items() if v is not None}
        if self.features is not None:
            properties['features'] = json_utils.dumps(list(self.features))
        # a number stays one, and what is none has a property of its own
        if isinstance(self.n_clusters, tuple):
            properties['candidates'] = json.dumps([int(k) for k in properties.pop('n_clusters')])
        elif getattr(self.n_clusters, 'ptype', None) is str:
            properties['candidates'] = properties.pop('n_clusters')
        if isinstance(self.standardize, bool):
            properties['standardize'] = int(self.standardize)
        if isinstance(self.tol, int):
            properties['tol'] = float(self.tol)
        return properties

    @classmethod
    def from_exec_properties(cls, properties):
        """Reads back and checks what `to_exec_properties` gave."""
        names = {field.name for field in dataclasses.fields(cls)}
        values = {k: v for k, v in properties.items() if k in names and v is not None}
        if properties.get('candidates') is not None:
            values['n_clusters'] = _read_json(
                'n_clusters', properties['candidates'], 'a number or a list of numbers'
            )
        if 'features' in values:
            values['features'] = _read_json('features', values['features'], 'a list of names')
        # an exec property that is None is not stored, so its absence says None
        values.setdefault('eval_split', None)
        standardize = values.get('standardize', False)
        # TFX and Kubeflow have numbers where Python has bools
        values['standardize'] = bool(standardize) if standardize in (0, 1) else standardize
        settings = cls(**values)
        settings.check()
        return settings


def candidates(n_clusters):
    """Returns a sequence of numbers of clusters as a tuple, and all else as it is."""
    is_sequence = isinstance(n_clusters, Sequence) and not isinstance(n_clusters, str)
    return tuple(n_clusters) if is_sequence else n_clusters


def _read_json(name, text, wanted):
    """Returns what a parameter holds as JSON; a list as a tuple."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f'{name} must be {wanted} in JSON, not {reprlib.repr(text)}') from error
    return candidates(value)


def _check_n_clusters(name, value):
    if not isinstance(value, tuple):
        arguments.check_n_clusters(name, value)
        return
    if not value:
        raise ValueError(f'{name} must name at least one number of clusters')
    for n_clusters in value:
        arguments.check_n_clusters(name, n_clusters)
    if len(set(value)) != len(value):
        raise ValueError(f'{name} must name each number of clusters once, not {list(value)}')


def _check_name(name, value):
    if not isinstance(value, str):
        raise TypeError(f'{name} must be a string, not {value!r}')
    if not value:
        raise ValueError(f'{name} must not be empty')


def _check_optional_name(name, value):
    if value is not None:
        _check_name(name, value)


def _check_features(name, value):
    if value is None:
        return
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f'{name} must be a list of feature names, not {value!r}')
    if not all(isinstance(feature, str) for feature in value):
        raise TypeError(f'{name} must be a list of feature names, not {list(value)}')
    if not value:
        raise ValueError(f'{name} must name at least one feature; None takes all float ones')
    if len(set(value)) != len(value):
        raise ValueError(f'{name} must name each feature once, not {list(value)}')


def _check_bool(name, value):
    if not isinstance(value, bool):
        raise TypeError(f'{name} must be True or False, not {value!r}')


def _check_init(name, value):
    if not isinstance(value, str):
        raise TypeError(
            f'{name} must be the name of a seeding, not {value!r}; previous_centroids starts from '
            'centroids that there are, and graph.fit and FitKMeans from an array'
        )
    arguments.check_seeding(name, value)


def _named(check):
    """Returns a check of a name that tells what is no string, such as an array, from names."""

    def check_named(name, value):
        if value is not None and not isinstance(value, str):
            raise TypeError(f'{name} must be a string, not {value!r}')
        check(name, value)

    return check_named


def _check_positive(name, value):
    arguments.check_integer(name, value, at_least=1)


def _check_engine(name, value):
    if value not in engines.ENGINES:
        raise ValueError(f'{name} must be one of {engines.ENGINES}, not {value!r}')


def _check_passes(name, value):
    arguments.check_integer(name, value, at_least=0)


def _check_memory(name, value):
    arguments.check_integer(name, value, at_least=_LEAST_MEMORY)


_LEAST_MEMORY = 10**8  # bytes; less would make many small files of rows that are put on disk
_CHECKS = {
    'n_clusters': _check_n_clusters,
    'features': _check_features,
    'output_prefix': _check_name,
    'init': _check_init,
    'search': _named(arguments.check_search),
    'n_init': _check_positive,
    'max_iter': _check_positive,
    'tol': arguments.check_tolerance,
    'seed': arguments.check_seed,
    'distance': _named(arguments.check_distance),
    'weight_feature': _check_optional_name,
    'missing': _named(arguments.check_missing),
    'standardize': _check_bool,
    'solver': _check_name,
    'engine': _named(_check_engine),
    'max_passes': _check_passes,
    'memory_budget': _check_memory,
    'train_split': _check_name,
    'eval_split': _check_optional_name,
    'selection': _named(choosing.check_criterion),
}
# of what is read, where a fit is judged
CHECKS_OF_READING = {
    'weight_feature': _check_optional_name,
    'train_split': _check_optional_name,
    'eval_split': _check_name,
    'memory_budget': _check_memory,
}
