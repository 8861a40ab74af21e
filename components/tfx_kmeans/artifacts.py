"""The `Centroids` artifact type and `Clustering`, its payload."""

import dataclasses
import io
import math

import numpy as np
from tfx.types import artifact

from tfx_kmeans import errors, foreign, payloads

FORMAT_VERSION = 1
CENTROIDS_FILE = 'centroids.npy'
CLUSTERING_FILE = 'clustering.json'

_PAYLOAD = payloads.Payload(
    CLUSTERING_FILE,
    CENTROIDS_FILE,
    schema='clustering.schema.json',
    format_version=FORMAT_VERSION,
    error=errors.CentroidsError,
)
_FARTHEST = 1e30  # coordinates of centroids: differences and means beyond it overflow float32
_FLOAT32 = np.finfo(np.float32)


class Centroids(artifact.Artifact):
    """Fitted cluster centroids; `Clustering.read(artifact.uri)` reads them.

    Custom properties: `span` of the examples, `n_clusters`, `n_features`, `inertia`,
    `inertia_per_row`, `eval_inertia_per_row` (where there was an eval split), `n_iter`, `converged`
    and `smallest_cluster_share`; `silhouette`, `davies_bouldin` and `calinski_harabasz` where
    n_clusters was chosen; `changed_share`, `new_clusters` and `largest_movement` where the clusters
    continue others.
    """

    TYPE_NAME = 'tfx_kmeans.Centroids'


@dataclasses.dataclass(frozen=True)
class Standardization:
    """Applied to the concatenated features before distances: (x - mean) / scale.

    Attributes:
        mean: d floats.
        scale: d floats, all above 0.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A number of clusters that was tried, and how its fit scored; see graph.score_clusters.

    Attributes:
        n_clusters: int.
        inertia: as in Clustering.
        n_iter: as in Clustering.
        converged: as in Clustering.
        silhouette: float, or None where it is not defined (for one cluster), as are the next two.
        davies_bouldin: float, or None.
        calinski_harabasz: float, or None, also where it is infinite.
    """

    n_clusters: int
    inertia: float
    n_iter: int
    converged: bool
    silhouette: float | None
    davies_bouldin: float | None
    calinski_harabasz: float | None


@dataclasses.dataclass(frozen=True)
class Selection:
    """How the number of clusters was chosen.

    Attributes:
        criterion: 'silhouette', 'davies_bouldin', 'calinski_harabasz' or 'elbow'.
        table: the candidates, by rising n_clusters.
    """

    criterion: str
    table: tuple[Candidate, ...]


@dataclasses.dataclass(frozen=True)
class Continuation:
    """What became of the clusters of a predecessor; see matching.match.

    Attributes:
        n_clusters: int, clusters of the predecessor.
        old_numbers: for each cluster the number of the old one that it continues, None of a new
            one.
        movements: for each cluster the Euclidean distance, not squared (1 - cos under the cosine
            distance) of its centroid from that of the old one, None of a new one.
        changed_shares: for each cluster the share of its training rows, by weight, that the
            predecessor gives another id or none; 0 where it has no rows.
        changed_share: float, that share of all training rows.
    """

    n_clusters: int
    old_numbers: tuple[int | None, ...]
    movements: tuple[float | None, ...]
    changed_shares: tuple[float, ...]
    changed_share: float


@dataclasses.dataclass(frozen=True, eq=False)
class Clustering:
    """A fitted clustering of the rows made of some features.

    Attributes:
        centroids: float32 `[n_clusters, d]`, in the space in which distances are measured: that of
            the concatenated features, standardised where `standardization` is given, and unit
            vectors under the cosine distance.
        feature_names: the features, in the order in which they are concatenated.
        feature_widths: how many columns each of them has; they add up to d.
        cluster_weights: weight of the training rows of each cluster, n_clusters floats; None where
            it is not known, as are the next four of centroids from elsewhere.
        inertia: weighted sum over the training rows of the squared Euclidean distance (1 - cos
            under the cosine distance) to the nearest centroid, or None.
        n_iter: updates made by the fit, or None.
        seed: seed of the fit, or None.
        converged: whether the fit stood still before it had used up its updates, or None.
        distance: 'squared_euclidean' or 'cosine'.
        missing: how a row with missing values (NaN) is placed: 'drop', not at all, or 'partial',
            by its observed values; see graph.assign.
        fit_missing: what the fit was told of such rows: 'error', 'drop' or 'partial'; None where it
            is not known. After 'error' and 'drop' they are not placed.
        output_prefix: what the names of downstream features begin with.
        standardization: Standardization, or None.
        eval_weight: weight of the rows of the eval split that can be placed; 0 without one.
        eval_inertia: as `inertia`, of the rows of the eval split.
        inertia_history: the inertia of the seeding and after each update, floats, or None.
        selection: Selection, or None where n_clusters was given.
        continuation: Continuation, or None of clusters without a predecessor.
    """

    centroids: np.ndarray
    feature_names: tuple[str, ...]
    feature_widths: tuple[int, ...]
    cluster_weights: tuple[float, ...] | None
    inertia: float | None
    n_iter: int | None
    seed: int | None
    converged: bool | None = True
    distance: str = 'squared_euclidean'
    missing: str = 'drop'
    output_prefix: str = 'cluster'
    standardization: Standardization | None = None
    eval_weight: float = 0.0
    eval_inertia: float = 0.0
    inertia_history: tuple[float, ...] | None = None
    selection: Selection | None = None
    continuation: Continuation | None = None
    fit_missing: str | None = None

    def __post_init__(self):
        """Checks the parts and that they fit together.

        Raises:
            CentroidsError: they do not; the message names the part.
        """
        _PAYLOAD.check(self._fields())
        _check_array(self.centroids)
        _check_lengths(self)
        _check_ranges(self)
        _check_selection(self)
        if self.missing == 'partial' and self.distance == 'cosine':
            raise errors.CentroidsError("missing: 'partial' is not for the cosine distance")

    @property
    def n_clusters(self):
        """Number of clusters; also the id of the bucket of rows that cannot be placed."""
        return self.centroids.shape[0]

    @property
    def n_features(self):
        """Number of columns of a centroid, d."""
        return self.centroids.shape[1]

    @property
    def fingerprint(self):
        """Digest (str) of what says which row gets which id: equal where all rows get the same.

        Of this list alone, whatever else a later version may keep: an Evaluation is checked by it.
        """
        decisive = (
            'feature_names', 'feature_widths', 'distance', 'missing', 'standardization',
        )  # fmt: skip
        fields = {name: payloads.as_json(getattr(self, name)) for name in decisive}
        return payloads.digest(fields, {'centroids': self.centroids})

    @property
    def points(self):
        """The centroids in the unit of the features, float64 `[n_clusters, d]`."""
        points = self.centroids.astype(np.float64)
        if self.standardization:
            points = points * self.standardization.scale + self.standardization.mean
        return points

    @property
    def column_names(self):
        """Names of the d columns: of their feature, with a number where it has several: 'a[0]'."""
        return tuple(
            name if width == 1 else f'{name}[{column}]'
            for name, width in zip(self.feature_names, self.feature_widths, strict=True)
            for column in range(width)
        )

    @property
    def total_weight(self):
        """Weight of all training rows; None where it is not known."""
        return None if self.cluster_weights is None else sum(self.cluster_weights)

    @property
    def inertia_per_row(self):
        """Inertia divided by the weight of the training rows: their mean squared distance.

        None where one of the two is not known.
        """
        known = self.inertia is not None and self.total_weight
        return self.inertia / self.total_weight if known else None

    @property
    def eval_inertia_per_row(self):
        """The same of the eval split; None without one."""
        return self.eval_inertia / self.eval_weight if self.eval_weight else None

    @classmethod
    def from_array(
        cls,
        centroids,
        feature_names,
        feature_widths=None,
        *,
        distance='squared_euclidean',
        output_prefix='cluster',
        standardization=None,
        missing='drop',
        cluster_weights=None,
        inertia=None,
    ):
        """Makes a clustering of centroids that were computed elsewhere.

        >>> from tfx_kmeans import Clustering
        >>> clustering = Clustering.from_array([[41.9, -87.6], [41.8, -87.7]], ['lat', 'lon'])
        >>> clustering.n_clusters, clustering.feature_widths
        (2, (1, 1))

        Cluster i is row i of the array. What is not given is not known, and None in the result.
        With `cluster_weights` and `inertia` the similarity of rows to clusters can be emitted, for
        which it has no scale otherwise.

        Args:
            centroids: numeric array `[n_clusters, d]`, in the space in which distances are
                measured; read as float32, and divided by their lengths under the cosine distance.
            feature_names: the transformed features that the columns are, in their order.
            feature_widths: how many columns each of them has; None where there are d features of
                one column, or a single feature of d.
            distance: 'squared_euclidean' or 'cosine'.
            output_prefix: what the names of downstream features begin with.
            standardization: Standardization that the features went through before, or None; for
                scikit-learn's StandardScaler that is `Standardization(s.mean_, s.scale_)`.
            missing: 'drop' or 'partial', how a row with missing values (NaN) is placed.
            cluster_weights: n_clusters numbers >= 0, the weight of the training rows of each
                cluster, or None.
            inertia: number >= 0, weighted sum over the training rows of the squared Euclidean
                distance (1 - cos under the cosine distance) to the nearest centroid, or None.

        Returns:
            Clustering.

        Raises:
            CentroidsError: an argument cannot be read, or they do not fit together.
        """
        array = foreign.centroids(centroids, distance)
        n_clusters, n_features = array.shape
        names, widths = foreign.features(feature_names, feature_widths, n_features)
        if standardization is not None:
            standardization = Standardization(
                foreign.numbers('standardization.mean', standardization.mean, n_features),
                foreign.numbers('standardization.scale', standardization.scale, n_features),
            )
        if cluster_weights is not None:
            cluster_weights = foreign.numbers('cluster_weights', cluster_weights, n_clusters)
        if inertia is not None:
            (inertia,) = foreign.numbers('inertia', np.reshape(inertia, -1), 1)
        return cls(
            centroids=array,
            feature_names=names,
            feature_widths=widths,
            cluster_weights=cluster_weights,
            inertia=inertia,
            n_iter=None,
            seed=None,
            converged=None,
            distance=distance,
            missing=missing,
            output_prefix=output_prefix,
            standardization=standardization,
        )

    def write(self, uri):
        """Writes the payload into the directory `uri`, which is made if need be."""
        buffer = io.BytesIO()
        np.save(buffer, self.centroids, allow_pickle=False)
        _PAYLOAD.write(uri, self._fields(), {'centroids': self.centroids}, buffer.getvalue())

    @classmethod
    def read(cls, uri):
        """Reads and checks the payload in the directory `uri`.

        Raises:
            CentroidsError: it is missing, damaged, put together from others, or of an unknown
                format.
        """
        try:
            fields = _PAYLOAD.read_fields(uri)
            centroids = _PAYLOAD.read_array(uri)
            fields = _PAYLOAD.parts(fields, {'centroids': centroids})
            return cls(centroids=centroids, **_with_objects(fields))
        except errors.CentroidsError as error:
            raise errors.CentroidsError(f'Centroids at {uri}: {error}') from error

    def _fields(self):
        """What goes into clustering.json: every field but the centroids, as JSON types."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != 'centroids'
        }
        return payloads.as_json(fields)


def missing_when_placed(missing):
    """`Clustering.missing` after a fit with `missing`: what it refused is not placed later."""
    return 'partial' if missing == 'partial' else 'drop'


def _with_objects(fields):
    """Turns the dicts in `fields` into the objects that they are in Clustering."""
    for name, kind in _PARTS.items():
        if fields.get(name):
            fields[name] = kind(**fields[name])
    return fields


def _selection(criterion, table):
    return Selection(criterion, tuple(Candidate(**row) for row in table))


# the fields of clustering.json that are objects
_PARTS = {
    'standardization': Standardization,
    'selection': _selection,
    'continuation': Continuation,
}


def _check_array(centroids):
    if not isinstance(centroids, np.ndarray) or centroids.dtype != np.float32:
        kind = getattr(centroids, 'dtype', type(centroids).__name__)
        raise errors.CentroidsError(f'centroids must be a float32 array, not {kind}')
    if centroids.ndim != 2 or 0 in centroids.shape:
        raise errors.CentroidsError(
            f'centroids must have shape [n_clusters, n_features], not {centroids.shape}'
        )
    if not np.isfinite(centroids).all():
        raise errors.CentroidsError('centroids hold NaN or infinite values')
    largest = np.abs(centroids).max()
    if largest > _FARTHEST:
        raise errors.CentroidsError(
            f'centroids hold values up to {largest:.6g}, and distances are right up to '
            f'{_FARTHEST:.0e}: rescale the features'
        )


def _check_lengths(clustering):
    n_clusters, n_features = clustering.centroids.shape
    lengths = {
        'feature_widths': (len(clustering.feature_widths), len(clustering.feature_names)),
        'the sum of feature_widths': (sum(clustering.feature_widths), n_features),
    }
    if clustering.cluster_weights is not None:
        lengths['cluster_weights'] = (len(clustering.cluster_weights), n_clusters)
    if clustering.standardization:
        lengths['standardization.mean'] = (len(clustering.standardization.mean), n_features)
        lengths['standardization.scale'] = (len(clustering.standardization.scale), n_features)
    if clustering.continuation:
        for name in ('old_numbers', 'movements', 'changed_shares'):
            length = len(getattr(clustering.continuation, name))
            lengths[f'continuation.{name}'] = (length, n_clusters)
    for name, (length, wanted) in lengths.items():
        if length != wanted:
            raise errors.CentroidsError(
                f'{name} is {length} and should be {wanted}: '
                f'{CENTROIDS_FILE} and {CLUSTERING_FILE} do not belong together'
            )


def _check_ranges(clustering):
    """Checks what a graph, which computes in float32, would turn into NaN or infinity."""
    if not math.isfinite(clustering.total_weight or 0.0):
        raise errors.CentroidsError('cluster_weights add up to infinity')
    if not clustering.standardization:
        return
    for name, least in (('mean', 0.0), ('scale', _FLOAT32.tiny)):
        for column, value in zip(
            clustering.column_names, getattr(clustering.standardization, name), strict=True
        ):
            if not least <= abs(value) <= _FLOAT32.max:
                raise errors.CentroidsError(
                    f'standardization.{name} of column {column!r} is {value:.6g}, which is beyond '
                    f'the range of float32, [{least:.6g}, {_FLOAT32.max:.6g}]: rescale the feature'
                )


def _check_selection(clustering):
    tried = clustering.selection and [row.n_clusters for row in clustering.selection.table]
    if tried and clustering.n_clusters not in tried:
        raise errors.CentroidsError(
            f'selection.table has {tried} clusters, and centroids are {clustering.n_clusters}: '
            f'{CENTROIDS_FILE} and {CLUSTERING_FILE} do not belong together'
        )
