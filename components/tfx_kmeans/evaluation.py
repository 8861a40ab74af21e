"""The `ClusterEvaluation` artifact type and `Evaluation`, its payload."""

import dataclasses
import io

import numpy as np
from tfx.types import artifact

from tfx_kmeans import errors, payloads

FORMAT_VERSION = 1
EVALUATION_FILE = 'evaluation.json'
ARRAYS_FILE = 'evaluation.npz'
REPORT_FILE = 'report.html'

_PAYLOAD = payloads.Payload(
    EVALUATION_FILE,
    ARRAYS_FILE,
    schema='evaluation.schema.json',
    format_version=FORMAT_VERSION,
    error=errors.EvaluationError,
)
_MOST_BYTES = 2**31  # of all arrays: an archive of 2 MB may announce 2 GB


class ClusterEvaluation(artifact.Artifact):
    """A clustering judged on examples; `Evaluation.read(artifact.uri)` reads it.

    Beside the payload lies `report.html`, which shows it. Custom properties: `span` of the
    examples, `blessed`, `n_clusters`, and the `Evaluation.figures` that are known.
    """

    TYPE_NAME = 'tfx_kmeans.ClusterEvaluation'


@dataclasses.dataclass(frozen=True)
class SplitMetrics:
    """The rows of a split among the centroids.

    Attributes:
        split: name of the split.
        n_rows: all its rows.
        n_unplaced: those that cannot be placed, for missing values or (under the cosine distance)
            a length of 0.
        cluster_weights: weight of the rows of each cluster, n_clusters floats; their number where
            there are no weights.
        cluster_inertias: weighted sum of the distances of the rows of each cluster to its centroid,
            squared Euclidean or 1 - cos; n_clusters floats.
        cluster_silhouettes: mean simplified silhouette of the rows of each cluster, n_clusters
            floats; None for a cluster without rows, and where it is not defined.
        silhouette: that of all rows, in [-1, 1], the higher the better; see graph.score_clusters,
            as for the next two, which are None where they are not defined or infinite, too.
        davies_bouldin: Davies-Bouldin index, at least 0, the lower the better, or None.
        calinski_harabasz: Calinski-Harabasz index, at least 0, the higher the better, or None.
    """

    split: str
    n_rows: int
    n_unplaced: int
    cluster_weights: tuple[float, ...]
    cluster_inertias: tuple[float, ...]
    cluster_silhouettes: tuple[float | None, ...]
    silhouette: float | None
    davies_bouldin: float | None
    calinski_harabasz: float | None

    @property
    def total_weight(self):
        """Weight of the rows that can be placed."""
        return sum(self.cluster_weights)

    @property
    def inertia_per_row(self):
        """Mean distance to the own centroid, squared Euclidean or 1 - cos; None without rows."""
        return sum(self.cluster_inertias) / self.total_weight if self.total_weight else None

    @property
    def cluster_shares(self):
        """Share of the placed rows, by weight, that each cluster has; None without rows."""
        total = self.total_weight
        return tuple(weight / total for weight in self.cluster_weights) if total else None

    @property
    def smallest_cluster(self):
        """Id of the cluster of least weight, the first of them."""
        return self.cluster_weights.index(min(self.cluster_weights))

    @property
    def smallest_cluster_share(self):
        """Share of that cluster; None without rows."""
        return min(self.cluster_shares) if self.total_weight else None

    @property
    def unplaced_share(self):
        """Share of the rows that cannot be placed, each counted once; None without rows."""
        return self.n_unplaced / self.n_rows if self.n_rows else None


@dataclasses.dataclass(frozen=True)
class Shift:
    """How the rows are spread over clusters, against how they were.

    Attributes:
        expected_shares: share of each cluster before, floats that add up to 1.
        actual_shares: share of each cluster now.
        psi_terms: what each cluster adds to the population stability index, floats >= 0.
        jensen_shannon_terms: what each cluster adds to the Jensen-Shannon divergence in bits.
    """

    expected_shares: tuple[float, ...]
    actual_shares: tuple[float, ...]
    psi_terms: tuple[float, ...]
    jensen_shannon_terms: tuple[float, ...]

    @property
    def psi(self):
        """Population stability index: 0 for equal shares; above 0.25 is called a large shift."""
        return sum(self.psi_terms)

    @property
    def jensen_shannon(self):
        """Jensen-Shannon divergence in bits, in [0, 1]; its square root is a metric."""
        return sum(self.jensen_shannon_terms)


@dataclasses.dataclass(frozen=True)
class Stability:
    """Whether cluster ids mean what they meant in the baseline, on the rows of the eval split.

    Attributes:
        n_rows: rows that both clusterings place, which are those that count.
        kept_share: share of them, by weight, that have the same id in both; None without rows.
        adjusted_rand: adjusted Rand index (rows counted once), at most 1, around 0 for clusterings
            that have nothing to do with each other, and blind to how clusters are numbered; None
            without rows.
        kept_shares: by id in the baseline, the share of the rows of that cluster which keep the id;
            None for a cluster without rows.
        moves: by id, how far the centroid is from that of the same id in the baseline, in the space
            in which distances are measured: Euclidean (not squared), or 1 - cos. As many as both
            clusterings have ids in common; None where they differ in features or distance.
    """

    n_rows: int
    kept_share: float | None
    adjusted_rand: float | None
    kept_shares: tuple[float | None, ...]
    moves: tuple[float, ...] | None


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A bound that was asked for, and what was measured.

    Attributes:
        name: the argument of ClusterEvaluator, 'min_...' or 'max_...'.
        bound: float, which may be reached and not be passed.
        value: float, or None where there is none.
        passed: bool.
        note: why there is no value; empty where there is one.
    """

    name: str
    bound: float
    value: float | None
    passed: bool
    note: str = ''

    @property
    def missed_by(self):
        """By how much the bound was missed, a float above 0; None where it was not, or no value."""
        return None if self.passed or self.value is None else abs(self.value - self.bound)

    def __str__(self):
        """Returns a sentence of what came out."""
        head = f'{self.name}={self.bound:.6g}: {"passed" if self.passed else "FAILED"}'
        if self.value is None:
            return f'{head}, {self.note}'
        if self.passed:
            return f'{head} with {self.value:.6g}'
        side = 'below' if self.name.startswith('min_') else 'above'
        return f'{head} with {self.value:.6g}, {self.missed_by:.3g} {side} the bound'


# name of each array: its type and shape; equal letters are equal lengths. k and d are those of the
# clustering, which has them as n_clusters and n_features.
_ARRAYS = {
    'column_means': (np.float64, 'd'),
    'column_stds': (np.float64, 'd'),
    'column_quantiles': (np.float64, 'qd'),
    'cluster_means': (np.float64, 'kd'),
    'cluster_stds': (np.float64, 'kd'),
    'distance_edges': (np.float64, 'e'),
    'train_distances': (np.float64, 'b'),
    'eval_distances': (np.float64, 'b'),
    'sample_points': (np.float32, 'sd'),
    'sample_ids': (np.int64, 's'),
    'sample_is_eval': (np.bool_, 's'),
    'example_points': (np.float32, 'kxd'),
    'example_distances': (np.float32, 'kx'),
    'baseline_points': (np.float32, 'jd'),
    'transitions': (np.float64, 'ik'),
}
_OPTIONAL_ARRAYS = ('train_distances', 'baseline_points', 'transitions')


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """What there is to know of how a clustering does on examples, and to show in a report.

    Points and statistics of columns are in the unit of the transformed features, before any
    standardisation of the clustering and without its normalisation under the cosine distance. k is
    the number of clusters, d that of columns.

    Attributes:
        train: SplitMetrics of the split that the fit was made on, or None if it was not read.
        eval: SplitMetrics of the split that is judged.
        baseline: SplitMetrics of the same rows among the centroids of the baseline, by its ids and
            in its own space, or None without one.
        training_shift: Shift of the eval split against the rows of the fit; None where their
            weights by cluster are not known, or the eval split has no rows.
        baseline_shift: Shift of the eval split, among the centroids of the baseline, against the
            rows that the baseline was fitted to; None without a baseline that knows them.
        stability: Stability against the baseline, or None without one.
        thresholds: Thresholds that were asked for.
        baseline_uri: where the baseline lies, or None.
        span: of the examples, or None.
        quantile_levels: the q levels of `column_quantiles`, rising, from 0 to 1.
        column_means: float64 `[d]`, weighted mean of each column over the rows of the profile: the
            train split, or the eval split if that was not read. Missing values do not count.
        column_stds: float64 `[d]`, standard deviations.
        column_quantiles: float64 `[q, d]`, from a sample of the rows, without weights; NaN for a
            column of nothing but NaN.
        cluster_means: float64 `[k, d]`, as `column_means`, of the rows of each cluster; NaN for a
            cluster without rows.
        cluster_stds: float64 `[k, d]`.
        distance_edges: float64 `[b + 1]`, rising edges of the bins of the distance to the own
            centroid: Euclidean (not squared), or 1 - cos. The last bin also has all beyond it.
        train_distances: float64 `[b]`, weight of the rows of the train split in each bin, or None.
        eval_distances: float64 `[b]`, the same of the eval split.
        sample_points: float32 `[s, d]`, some rows of each split, 1,000 of it at most; NaN for
            missing values.
        sample_ids: int64 `[s]`, their clusters, k for one that cannot be placed.
        sample_is_eval: bool `[s]`, whether they are of the eval split.
        example_points: float32 `[k, x, d]`, the x different rows of the profile that are nearest to
            each centroid, nearest first; then NaN, where a cluster has fewer.
        example_distances: float32 `[k, x]`, their distance: Euclidean (not squared) or 1 - cos; NaN
            where there is none.
        baseline_points: float32 `[j, d]`, centroids of the baseline by id, in the unit of the
            features (under the cosine distance directions, of length 1 before the unit), or None
            without a baseline of the same features and distance.
        transitions: float64 `[i, k]`, weight of the rows of the eval split by id in the baseline,
            which has i clusters, and id now; None without a baseline.
        clustering_fingerprint: `Clustering.fingerprint` of the clustering that is judged, or None
            where it is not known.
    """

    train: SplitMetrics | None
    eval: SplitMetrics
    baseline: SplitMetrics | None
    training_shift: Shift | None
    baseline_shift: Shift | None
    stability: Stability | None
    thresholds: tuple[Threshold, ...]
    baseline_uri: str | None
    span: int | None
    quantile_levels: tuple[float, ...]
    column_means: np.ndarray
    column_stds: np.ndarray
    column_quantiles: np.ndarray
    cluster_means: np.ndarray
    cluster_stds: np.ndarray
    distance_edges: np.ndarray
    train_distances: np.ndarray | None
    eval_distances: np.ndarray
    sample_points: np.ndarray
    sample_ids: np.ndarray
    sample_is_eval: np.ndarray
    example_points: np.ndarray
    example_distances: np.ndarray
    baseline_points: np.ndarray | None = None
    transitions: np.ndarray | None = None
    clustering_fingerprint: str | None = None

    def __post_init__(self):
        """Checks the parts and that they fit together.

        Raises:
            EvaluationError: they do not; the message names the part.
        """
        _PAYLOAD.check(self._fields())
        _check_arrays(self._arrays())
        _check_lengths(self)

    @property
    def blessed(self):
        """Whether every threshold was passed."""
        return all(threshold.passed for threshold in self.thresholds)

    @property
    def n_clusters(self):
        """Number of clusters, k."""
        return self.cluster_means.shape[0]

    @property
    def n_features(self):
        """Number of columns, d."""
        return self.cluster_means.shape[1]

    @property
    def figures(self):
        """The key figures that are known, floats by name.

        `inertia_per_row`, `silhouette`, `davies_bouldin`, `calinski_harabasz`,
        `smallest_cluster_share` and `unplaced_share` are of the eval split; `training_psi`,
        `training_jensen_shannon`, `baseline_psi` and `baseline_jensen_shannon` of the shifts;
        `kept_share` and `adjusted_rand` of the stability. `inertia_ratio` and
        `baseline_inertia_ratio` are the inertia per row by that of the train split and that of the
        baseline, and `silhouette_drop` is how much lower the silhouette is than the baseline's.
        """
        figures = {
            name: getattr(self.eval, name)
            for name in (
                'inertia_per_row', 'silhouette', 'davies_bouldin', 'calinski_harabasz',
                'smallest_cluster_share', 'unplaced_share',
            )
        }  # fmt: skip
        for name in ('training', 'baseline'):
            shift = getattr(self, f'{name}_shift')
            if shift:
                figures[f'{name}_psi'] = shift.psi
                figures[f'{name}_jensen_shannon'] = shift.jensen_shannon
        if self.stability:
            figures['kept_share'] = self.stability.kept_share
            figures['adjusted_rand'] = self.stability.adjusted_rand
        figures['inertia_ratio'] = _ratio(self.eval, self.train)
        # inertia in other features or by another distance is another quantity
        if self.baseline_points is not None:
            figures['baseline_inertia_ratio'] = _ratio(self.eval, self.baseline)
        if self.baseline and None not in (self.eval.silhouette, self.baseline.silhouette):
            figures['silhouette_drop'] = self.baseline.silhouette - self.eval.silhouette
        return {name: figure for name, figure in figures.items() if figure is not None}

    def write(self, uri):
        """Writes the payload into the directory `uri`, which is made if need be."""
        arrays, buffer = self._arrays(), io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        _PAYLOAD.write(uri, self._fields(), arrays, buffer.getvalue())

    @classmethod
    def read(cls, uri):
        """Reads and checks the payload in the directory `uri`.

        Raises:
            EvaluationError: it is missing, damaged, put together from others, or of an unknown
                format.
        """
        try:
            fields = _PAYLOAD.read_fields(uri)
            arrays = _PAYLOAD.read_arrays(uri, _check_arrays)
            fields = _with_objects(_PAYLOAD.parts(fields, arrays))
            return cls(**fields, **dict.fromkeys(_OPTIONAL_ARRAYS) | arrays)
        except errors.EvaluationError as error:
            raise errors.EvaluationError(f'ClusterEvaluation at {uri}: {error}') from error

    def check_is_of(self, clustering):
        """Checks that it is `clustering` that was judged.

        Args:
            clustering: Clustering.

        Raises:
            ValueError: the two differ in their number of clusters or columns, or rows get other ids
                than those that were judged.
        """
        judged = self.n_clusters, self.n_features
        given = clustering.n_clusters, clustering.n_features
        if judged != given:
            raise ValueError(
                f'evaluation is of {judged[0]} clusters of {judged[1]} columns, and clustering has '
                f'{given[0]} of {given[1]}: they do not belong together'
            )
        if self.clustering_fingerprint not in (None, clustering.fingerprint):
            raise ValueError(
                'evaluation and clustering do not belong together: the evaluation is of '
                f'{self.clustering_fingerprint}, and clustering is {clustering.fingerprint} '
                '(Clustering.fingerprint); evaluate this one anew'
            )

    def _fields(self):
        """What goes into evaluation.json: every field that is no array, as JSON types."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _ARRAYS
        }
        return payloads.as_json(fields)

    def _arrays(self):
        """What goes into evaluation.npz: the arrays by name."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {name: array for name, array in arrays.items() if array is not None}


def _ratio(metrics, other):
    """Inertia per row of one by that of the other SplitMetrics; None where it is not defined."""
    known = other and other.inertia_per_row and metrics.inertia_per_row is not None
    return metrics.inertia_per_row / other.inertia_per_row if known else None


def _with_objects(fields):
    """Turns the dicts in `fields` into the objects that they are in Evaluation."""
    parts = {
        'train': SplitMetrics, 'eval': SplitMetrics, 'baseline': SplitMetrics,
        'training_shift': Shift, 'baseline_shift': Shift, 'stability': Stability,
    }  # fmt: skip
    for name, kind in parts.items():
        fields[name] = fields[name] and kind(**fields[name])
    fields['thresholds'] = tuple(Threshold(**part) for part in fields['thresholds'])
    return fields


def _check_arrays(arrays):
    unknown = sorted(set(arrays) - set(_ARRAYS))
    lacking = sorted(set(_ARRAYS) - set(_OPTIONAL_ARRAYS) - set(arrays))
    if unknown or lacking:
        raise errors.EvaluationError(f'{ARRAYS_FILE}: lacks {lacking}, and {unknown} is unknown')
    size = sum(array.nbytes for array in arrays.values() if isinstance(array, np.ndarray))
    if size > _MOST_BYTES:
        raise errors.EvaluationError(
            f'{ARRAYS_FILE}: the arrays take {size} bytes, and may take {_MOST_BYTES}'
        )
    lengths = {}
    for name, array in arrays.items():
        dtype, letters = _ARRAYS[name]
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != len(letters):
            raise errors.EvaluationError(
                f'{name} must be a {np.dtype(dtype).name} array of {len(letters)} dimensions, not '
                f'{getattr(array, "dtype", type(array).__name__)} {np.shape(array)}'
            )
        for letter, length in zip(letters, array.shape, strict=True):
            if lengths.setdefault(letter, length) != length:
                raise errors.EvaluationError(
                    f'{name} has shape {array.shape}, where {length} should be {lengths[letter]}'
                )


def _check_lengths(evaluation):
    """Checks the lengths of what is in evaluation.json against those of the arrays."""
    n_clusters = evaluation.n_clusters
    lengths = {
        'quantile_levels': (len(evaluation.quantile_levels), len(evaluation.column_quantiles)),
        'distance_edges': (len(evaluation.distance_edges), len(evaluation.eval_distances) + 1),
        **_cluster_lengths('eval', evaluation.eval, n_clusters),
    }
    if evaluation.train:
        lengths |= _cluster_lengths('train', evaluation.train, n_clusters)
    if evaluation.training_shift:
        lengths |= _cluster_lengths('training_shift', evaluation.training_shift, n_clusters)
    n_before = 0 if evaluation.transitions is None else len(evaluation.transitions)
    if evaluation.baseline:
        lengths |= _cluster_lengths('baseline', evaluation.baseline, n_before)
    if evaluation.baseline_shift:
        lengths |= _cluster_lengths('baseline_shift', evaluation.baseline_shift, n_before)
    if evaluation.stability:
        lengths['kept_shares'] = (len(evaluation.stability.kept_shares), n_before)
        if evaluation.stability.moves is not None:
            lengths['moves'] = (len(evaluation.stability.moves), min(n_before, n_clusters))
    for name, (length, wanted) in lengths.items():
        if length != wanted:
            raise errors.EvaluationError(
                f'{name} has length {length} and should have {wanted}: {EVALUATION_FILE} and '
                f'{ARRAYS_FILE} do not belong together'
            )


def _cluster_lengths(name, part, n_clusters):
    """The lengths of all tuples of `part`, which have one value a cluster."""
    return {
        f'{name}.{field}': (len(value), n_clusters)
        for field, value in vars(part).items()
        if isinstance(value, tuple)
    }
