"""K-means inside a preprocessing_fn: fitted on all data, cached by span, applied to each row."""

import typing

import apache_beam as beam
import numpy as np
import tensorflow as tf
from tensorflow_transform import experimental as tft_experimental

from tfx_kmeans.beam import arguments as fit_arguments
from tfx_kmeans.beam import fitting, refining, sampling
from tfx_kmeans.graph import arguments
from tfx_kmeans.transform import domains, origins, placing
from tfx_kmeans.transform import points as points_lib

# of what is cached and how it is made: another one, and no cache of an earlier release is read
_CACHE_VERSION = 3


class Placed(typing.NamedTuple):
    """Where `apply_kmeans` has placed rows.

    Attributes:
        ids: int64 `[n]`, number of the nearest centroid; n_clusters for a row that cannot be placed
            because a value is NaN (with missing='partial', all are) or infinite (or, under the
            cosine distance, all are 0).
        distances: float32 `[n]`, Euclidean distance (not squared) to that centroid, 1 - cos under
            the cosine distance; -1 for a row that cannot be placed.
        all_distances: float32 `[n, n_clusters]`, the same to each centroid; None unless asked for.
        similarity: float32 `[n, n_clusters]`, soft assignment that adds up to 1 in each row, 0 for
            a row that cannot be placed; None unless asked for.
    """

    ids: tf.Tensor
    distances: tf.Tensor
    all_distances: tf.Tensor | None = None
    similarity: tf.Tensor | None = None


def kmeans_centroids(
    x,
    n_clusters,
    *,
    weights=None,
    init='k-means++',
    search='breathing',
    n_init=1,
    max_iter=300,
    tol=1e-4,
    seed=0,
    distance='squared_euclidean',
    standardize=False,
    missing='error',
    sample_size=None,
    refinement_passes=0,
    name=None,
):
    """Finds k-means centroids of the whole data set: a tf.Transform analyzer.

    One pass over the data, on whatever Beam runner the pipeline has, draws a weighted sample that
    depends on the rows and the seed alone, not on their order or on the number of workers
    (`tfx_kmeans.beam.coreset` says how). The sample is clustered with `tfx_kmeans.graph.fit`. If
    there are at most `sample_size` distinct rows, that is k-means on all the data.

    With tf.Transform's analyzer cache each span is sampled once: a new one costs only itself. That
    holds for analyzers whose input does not depend on another analyzer. So standardise with
    `standardize=True` rather than with tft.scale_to_z_score before; `refinement_passes` read all
    the data every time.

    >>> import tempfile
    >>> import tensorflow as tf
    >>> import tensorflow_transform as tft
    >>> import tensorflow_transform.beam as tft_beam
    >>> import tfx_kmeans
    >>> def preprocessing_fn(inputs):
    ...     centroids = tfx_kmeans.kmeans_centroids(inputs['x'], n_clusters=2)
    ...     placed = tfx_kmeans.apply_kmeans(inputs['x'], centroids)
    ...     return {'cluster': placed.ids, 'cluster_distance': placed.distances}
    >>> spec = {'x': tf.io.FixedLenFeature([2], tf.float32)}
    >>> metadata = tft.DatasetMetadata.from_feature_spec(spec)
    >>> rows = [{'x': [0, 0]}, {'x': [0, 1]}, {'x': [1, 0]}, {'x': [9, 9]}, {'x': [9, 8]}]
    >>> with tft_beam.Context(temp_dir=tempfile.mkdtemp()):
    ...     (transformed, _), _ = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
    ...         preprocessing_fn
    ...     )
    >>> [int(row['cluster']) for row in transformed]
    [0, 0, 0, 1, 1]

    Args:
        x: float tensor `[batch]` or `[batch, d]`, or a dict (taken in the order of its sorted keys)
            or list of such tensors. NaN says that a value is missing.
        n_clusters: int >= 1, at most the number of distinct rows.
        weights: float tensor `[batch]`, how much each row counts, finite and >= 0; None counts each
            row once.
        init: 'k-means++', 'random', or the initial centroids as an array `[n_clusters, d]`, in the
            units of `x`, which cluster i keeps the number of.
        search: 'breathing' improves the seeding on the sample, 'none' does not; see `graph.fit`.
        n_init: int >= 1, fits of the sample from different seedings, of which the best is kept; 1
            with an array as `init`.
        max_iter: int >= 1, the most updates in a fit.
        tol: float >= 0; a fit has converged when the squared movement of all centroids together is
            at most `tol` times the mean variance of the columns.
        seed: int in [0, 2^63).
        distance: 'squared_euclidean' or 'cosine'.
        standardize: bool, whether to bring each column to mean 0 and variance 1 for the fit.
            `apply_kmeans` does so with the rows.
        missing: 'error', or 'drop', which leaves rows with NaN out of the fit.
        sample_size: int >= n_clusters, rows to sample; up to half as many again come from
            sparsely populated regions. None for 20,000 or 100 * n_clusters, whichever is more.
        refinement_passes: int >= 0, iterations of Lloyd's algorithm over all the data after the fit
            of the sample, fewer if it converges.
        name: str, what messages and Beam's stages call this analyzer; optional.

    Returns:
        float32 tensor `[n_clusters, d]` in the units of `x` (unit vectors under the cosine distance
        without `standardize`), numbered by falling weight, ties by coordinates. Give it to
        `apply_kmeans`.

    Raises:
        TypeError: `x` or `weights` are not dense tensors of numbers, or an argument is of the wrong
            type.
        ValueError: an argument is out of range, or (when the pipeline runs) the data cannot be
            clustered: no rows, NaN or infinite values, bad weights, fewer distinct rows than
            clusters.
    """
    if missing == 'partial':
        raise ValueError(
            "missing='partial' is for the component KMeans, FitKMeans and graph.fit: the sample "
            'that is clustered here is of whole rows; fit on these with '
            "missing='drop' and place the others with apply_kmeans(..., missing='partial')"
        )
    points, columns = points_lib.to_points(x)
    inputs = [points] if weights is None else [points, points_lib.to_weights(weights)]
    settings = fit_arguments.settings(
        _describe(name, n_clusters),
        columns,
        n_clusters,
        init=init,
        search=search,
        n_init=n_init,
        max_iter=max_iter,
        tol=tol,
        seed=seed,
        distance=distance,
        standardize=standardize,
        missing=missing,
        sample_size=sample_size,
        passes=refinement_passes,
        passes_name='refinement_passes',
    )
    if tf.executing_eagerly():
        raise ValueError(
            'kmeans_centroids can be called inside a preprocessing_fn of tf.Transform alone; '
            'tfx_kmeans.graph.fit clusters tensors that are at hand'
        )
    with tf.name_scope(name or 'kmeans_centroids'):
        (packed,) = tft_experimental.ptransform_analyzer(
            inputs=inputs,
            ptransform=_analyzer(settings),
            output_dtypes=[tf.float32],
            output_shapes=[[settings.n_clusters + 3, len(columns)]],
            name=name,
        )
        return _unpack(packed, settings)


def apply_kmeans(
    x,
    centroids,
    *,
    distance=None,
    all_distances=False,
    similarity=False,
    temperature=None,
    missing='drop',
    name=None,
):
    """Places rows among centroids: a tf.Transform mapper.

    Of centroids that `kmeans_centroids` has returned, distances are measured as in the fit: in
    standard deviations where it standardised, 1 - cos under the cosine distance. One set of
    centroids can be applied to any number of feature groups of the same width. The ids are marked
    in the schema as categories in [0, n_clusters].

    >>> import tensorflow as tf
    >>> import tfx_kmeans
    >>> placed = tfx_kmeans.apply_kmeans(tf.constant([[0.0, 3.0], [9.0, 9.0]]), [[0, 0], [9, 8]])
    >>> placed.ids.numpy().tolist(), placed.distances.numpy().tolist()
    ([0, 1], [3.0, 1.0])

    Args:
        x: float tensor `[n]` or `[n, d]`, or a dict (taken in the order of its sorted keys) or list
            of such tensors, of d columns altogether.
        centroids: tensor `[n_clusters, d]` as `kmeans_centroids` returned it, tf.identity of it
            included; any other tensor or array of this shape is taken as it stands, unless it is
            computed from centroids of a fit that measured distances in another way.
        distance: 'squared_euclidean' or 'cosine' with centroids from elsewhere, None for the
            former; with those of `kmeans_centroids` it must be None or the one they were fitted to.
        all_distances: bool, whether to return distances to all centroids.
        similarity: bool, whether to return the soft assignment: softmax of the negated squared
            distance (1 - cos) divided by the temperature.
        temperature: float > 0, in the unit of the squared distance; None for its mean over the rows
            of the fit, which centroids from elsewhere do not have.
        missing: 'drop', which gives a row with NaN no place, or 'partial' (not under the cosine
            distance), which places it by the values that it has; its distances are those over the
            observed values, rescaled, see `tfx_kmeans.graph.assign`.
        name: str, optional.

    Returns:
        Placed.

    Raises:
        TypeError: `x` or `centroids` are not dense tensors of numbers.
        ValueError: the widths of `x` and `centroids` differ, another argument is out of range, or
            `centroids` are computed from standardised ones, or those of another distance.
    """
    with tf.name_scope(name or 'apply_kmeans'):
        points, columns = points_lib.to_points(x)
        space = _space_of(centroids, distance)._replace(missing=missing)
        if missing == 'error':
            raise ValueError("missing must be 'drop' or 'partial', not 'error': each row is placed")
        arguments.check_missing('missing', missing, space.distance)
        n_clusters, width = space.centroids.shape
        if width != len(columns):
            raise ValueError(
                f'x has {len(columns)} columns ({", ".join(columns)}) and centroids have {width}'
            )
        if temperature is not None:
            arguments.check_positive('temperature', temperature)
            space = space._replace(temperature=tf.constant(temperature, tf.float32))
        if similarity and space.temperature is None:
            raise ValueError(
                'temperature must be given for the similarity to centroids that kmeans_centroids '
                'did not return'
            )
        emit = ['id', 'distance']
        emit += ['distances'] * bool(all_distances) + ['similarity'] * bool(similarity)
        found = placing.place(points, space, emit)
        domains.set_domain(found['id'], 0, n_clusters)
        return Placed(
            found['id'], found['distance'], found.get('distances'), found.get('similarity')
        )


def compute_and_apply_kmeans(x, n_clusters, **options):
    """Finds centroids and returns each row's cluster: `kmeans_centroids`, then `apply_kmeans`.

    >>> import tempfile
    >>> import tensorflow as tf
    >>> import tensorflow_transform as tft
    >>> import tensorflow_transform.beam as tft_beam
    >>> import tfx_kmeans
    >>> def preprocessing_fn(inputs):
    ...     return {'size': tfx_kmeans.compute_and_apply_kmeans(inputs, n_clusters=2)}
    >>> spec = {key: tf.io.FixedLenFeature([], tf.float32) for key in ('height', 'width')}
    >>> metadata = tft.DatasetMetadata.from_feature_spec(spec)
    >>> rows = [{'height': h, 'width': h + 1} for h in (1, 2, 3, 50, 60)]
    >>> with tft_beam.Context(temp_dir=tempfile.mkdtemp()):
    ...     (transformed, _), _ = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
    ...         preprocessing_fn
    ...     )
    >>> [int(row['size']) for row in transformed]
    [0, 0, 0, 1, 1]

    Args:
        x: see `kmeans_centroids`.
        n_clusters: int >= 1.
        **options: further arguments of `kmeans_centroids`.

    Returns:
        int64 tensor `[batch]` in [0, n_clusters]; n_clusters says that a row cannot be placed.

    Raises:
        TypeError, ValueError: see `kmeans_centroids`.
    """
    return apply_kmeans(x, kmeans_centroids(x, n_clusters, **options)).ids


def _describe(name, n_clusters):
    """What messages call an analyzer: as it stands in the preprocessing_fn."""
    given = '' if name is None else f', name={name!r}'
    return f'kmeans_centroids(x, n_clusters={n_clusters}{given})'


def _analyzer(settings):
    if settings.refinement_passes:
        return _FitAndRefine(settings)
    return tft_experimental.CacheablePTransformAnalyzer(
        make_accumulators_ptransform=_MakeSample(settings),
        merge_accumulators_ptransform=_MergeSamples(settings),
        extract_output_ptransform=_Fit(settings),
        cache_coder=_SampleCoder(),
    )


class _Stage(beam.PTransform):
    """A PTransform that its settings say all of: tf.Transform's cache goes by its `repr`."""

    def __init__(self, settings):
        super().__init__()
        self._settings = settings

    def __repr__(self):
        return f'{type(self).__name__}(version={_CACHE_VERSION}, {self._settings!r})'


class _MakeSample(_Stage):
    """From batches to a Sample."""

    def expand(self, batches):
        return batches | beam.CombineGlobally(sampling.SampleFn(self._settings.sampling()))


class _MergeSamples(_Stage):
    """From Samples to one Sample."""

    def expand(self, samples):
        return samples | beam.CombineGlobally(sampling.MergeFn(self._settings.sampling()))


class _Fit(_Stage):
    """From a Sample to packed centroids."""

    def expand(self, samples):
        return (
            samples
            | 'Fit' >> beam.Map(fitting.fit_sample, self._settings)
            | 'Pack' >> beam.Map(_pack)
        )


class _FitAndRefine(_Stage):
    """From batches to packed centroids, with Lloyd passes over the batches."""

    def expand(self, batches):
        fitted = (
            batches
            | 'Sample' >> _MakeSample(self._settings)
            | 'Fit' >> beam.Map(fitting.fit_sample, self._settings)
        )
        for number in range(self._settings.refinement_passes):
            fitted = batches | f'Pass{number}' >> refining.LloydPass(
                fitted, self._settings.distance
            )
        return (
            fitted
            | 'Number' >> beam.Map(fitting.number, self._settings)
            | 'Pack' >> beam.Map(_pack)
        )


class _SampleCoder(tft_experimental.PTransformAnalyzerCacheCoder):
    """How a Sample is kept in the analyzer cache."""

    def encode_cache(self, sample):
        return sample.to_bytes()

    def decode_cache(self, encoded):
        return sampling.Sample.from_bytes(encoded)


def _pack(fitted):
    """All that the graph needs of a fit in the one tensor that an analyzer may return."""
    rest = np.zeros_like(fitted.mean)
    rest[0] = fitted.inertia / fitted.total_weight
    return np.concatenate([fitted.centroids, [fitted.mean, fitted.scale, rest]]).astype(np.float32)


def _unpack(packed, settings):
    """Returns centroids in the units of the data, and on them the space they were fitted in."""
    packed = tf.ensure_shape(packed, [settings.n_clusters + 3, len(settings.columns)])
    centroids, mean, scale = packed[:-3], packed[-3], packed[-2]
    space = placing.Space(
        centroids=centroids,
        mean=mean if settings.standardize else None,
        scale=scale if settings.standardize else None,
        distance=settings.distance,
        temperature=packed[-1, 0],
    )
    returned = centroids * scale + mean if settings.standardize else tf.identity(centroids)
    origins.tell(returned, space)
    return returned


def _space_of(centroids, distance):
    """Returns the Space that centroids carry, or that of those from elsewhere."""
    if distance is not None:
        arguments.check_distance('distance', distance)
    space = origins.of_value(centroids)
    if space is None:
        matrix, _ = points_lib.to_points(tf.convert_to_tensor(centroids), 'centroids')
        if not matrix.shape[0]:
            raise ValueError(
                f'centroids must have a known number of rows, not shape {matrix.shape}'
            )
        for fitted in origins.of_parts(centroids):
            _check_measured_alike(fitted, distance or 'squared_euclidean')
        return placing.Space(matrix, None, None, distance or 'squared_euclidean', None)
    if distance not in (None, space.distance):
        raise ValueError(
            f'distance must be None or {space.distance!r}, to which the centroids were fitted, '
            f'not {distance!r}'
        )
    return space


def _check_measured_alike(fitted, distance):
    """Refuses centroids computed from those of a fit that measured in another way.

    Args:
        fitted: placing.Space of the fit.
        distance: str, by which the computed ones are to be measured.

    Raises:
        ValueError: rows would get ids that have nothing to do with the fit.
    """
    how = f"distance='{fitted.distance}'" if fitted.distance != distance else None
    if fitted.mean is not None:
        how = 'standardize=True'
    if how:
        raise ValueError(
            f'centroids are computed from those that kmeans_centroids(..., {how}) returned, and '
            'how these measure distances is not known of the outcome: give apply_kmeans what '
            'kmeans_centroids returned, or fit with standardize=False and give distance='
        )
