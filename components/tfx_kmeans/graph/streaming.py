"""`fit_dataset`: k-means over a stream of rows that need not fit into memory."""

import functools
import typing

import numpy as np
import tensorflow as tf

from tfx_kmeans import moments
from tfx_kmeans.graph import arguments, fitting, lloyd, tracing
from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph import summary as summary_lib


@tf.autograph.experimental.do_not_convert
def fit_dataset(
    dataset,
    n_clusters,
    *,
    init='k-means++',
    search='breathing',
    n_init=1,
    max_iter=100,
    tol=1e-4,
    seed=0,
    distance='squared_euclidean',
    batch_size=8192,
    init_size=None,
    on_iteration=None,
):
    """Fits k-means with Lloyd's algorithm to a data set that is larger than memory.

    The first pass over `dataset` checks the rows and draws a sample, to which `graph.fit` is
    fitted. Each pass after it is an exact iteration of Lloyd's algorithm over all rows. Since the
    centroids of the sample are near an optimum already, few of them are needed.

    Memory holds the sample, `init_size` rows, and some batches, however many rows there are; beside
    them `[batch_size, n_clusters]` distances in blocks. For a seed and an order of the rows the
    outcome is always the same, however they are batched. This is a loop in Python around traced
    steps: it cannot be called inside a tf.function.

    With a seeding by name the clusters are numbered by falling weight, ties by coordinates; with an
    array as `init` cluster i is the one that began at row i of it.

    >>> import tensorflow as tf
    >>> from tfx_kmeans import graph
    >>> points = tf.constant([[0.0], [1.0], [2.0], [8.0], [10.0]])
    >>> fitted = graph.fit_dataset(tf.data.Dataset.from_tensors(points), n_clusters=2)
    >>> fitted.centroids.numpy().tolist(), float(fitted.inertia)
    ([[1.0], [9.0]], 4.0)

    Args:
        dataset: tf.data.Dataset of points `[b, d]`, or of pairs of points and weights `[b]`;
            numeric, batches of any sizes. float64 stays float64, all else is read as float32. Its
            rows must come in the same order in each pass.
        n_clusters: int, at least 1 and at most the number of distinct rows.
        init: as in `graph.fit`; a seeding by name is drawn from the sample.
        search: as in `graph.fit`.
        n_init: int, fits to the sample from different seedings, of which the one of least inertia
            is kept; 1 with an array as `init`.
        max_iter: int >= 1, the most passes over the data after the first.
        tol: float >= 0; the fit has converged when the squared movement of all centroids together
            in a pass is at most `tol` times the mean variance of the columns.
        seed: int, seeds the draws.
        distance: 'squared_euclidean' or 'cosine'.
        batch_size: int >= 1, rows of a batch.
        init_size: int, rows of the sample; None takes 20,000, or 30 a cluster if that is
            more. Not below n_clusters.
        on_iteration: callable `(run, iteration, inertia)` with numbers, called once with iteration
            0 and the inertia that the sample makes us expect, and after each pass with the inertia
            of the centroids that the pass began with; `run` is always 0.

    Returns:
        FitResult: `n_iter` counts the updates of centroids; `inertia`, `inertia_history` and
        `cluster_weights` are those of all the data.

    Raises:
        TypeError: `dataset` is none, or an argument is of the wrong type.
        ValueError: an argument is out of range, or the data cannot be clustered: no rows, NaN or
            infinite values, bad weights, fewer distinct rows in the sample than clusters.
        RuntimeError: called inside a tf.function.
    """
    if not tf.executing_eagerly():
        raise RuntimeError('fit_dataset cannot be called inside a tf.function; graph.fit can')
    arguments.check_fit(n_clusters, init, n_init, max_iter, tol, seed, distance, on_iteration)
    arguments.check_search('search', search)
    arguments.check_integer('batch_size', batch_size, at_least=1)
    init_size = arguments.sample_size('init_size', init_size, n_clusters)
    stream = Stream(dataset, batch_size)
    scan = _scan(stream, init_size, seed)
    options = {
        'init_size': init_size,
        'n_init': n_init,
        'seed': seed,
        'distance': distance,
        'search': search,
    }
    centroids = _start(scan, n_clusters, init, tol, options)
    prepared = summary_lib.prepare(scan.points, scan.weights, n_clusters, distance)
    passes = _Passes(stream, prepared.coordinates, distance == 'cosine')
    variance = prepared.summary.variance  # of the sample: of directions, or where rows lie far out
    if distance != 'cosine':
        variance = tf.minimum(variance, scan.variance / prepared.coordinates.distance_unit())
    centroids = prepared.coordinates.prepare(centroids)
    solution = _solve(passes, centroids, max_iter, tol * variance, on_iteration)
    return fitting.finish(
        prepared.coordinates, solution, stream.dtype, keep_numbering=not isinstance(init, str)
    )


def _start(scan, n_clusters, init, tol, options):
    """Returns the centroids to start from, in the unit of the data."""
    if not isinstance(init, str):
        initial = arguments.as_centroids(init, n_clusters, scan.points, 'init')
        summary_lib.check_initial(initial, options['distance'])
        return initial
    try:
        return fitting.fit(
            scan.points, n_clusters, weights=scan.weights, init=init, tol=tol, **options
        ).centroids
    except ValueError as error:
        if len(scan.points) == scan.n_rows:
            raise
        raise ValueError(
            f'in a sample of {len(scan.points)} of {scan.n_rows} rows (init_size sets how many): '
            f'{error}'
        ) from error


def _solve(passes, centroids, max_iter, tolerance, on_iteration):
    """Lloyd's algorithm with a pass over the stream for each iteration: lloyd.Solution."""
    history, converged = [], False
    while True:
        totals, inertia = passes.add_up(centroids)
        history.append(inertia)
        if on_iteration:
            on_iteration(0, len(history) - 1, float(inertia * passes.unit))
        if converged or len(history) > max_iter:
            break
        updated = passes.update(totals, centroids)
        moved = tf.reduce_sum(tf.square(tf.cast(updated - centroids, tf.float64)))
        converged, centroids = bool(moved <= tolerance), updated
    return lloyd.Solution(
        centroids=centroids,
        weights=totals[:, -3],
        inertia=inertia,
        n_iter=tf.constant(len(history) - 1),
        converged=tf.constant(converged),
        history=tf.stack(history),
    )


class _Passes:
    """Exact passes over a stream, in the space of prepared rows."""

    def __init__(self, stream, coordinates, cosine):
        self._stream, self._coordinates, self._cosine = stream, coordinates, cosine
        self.unit = coordinates.distance_unit()

    def add_up(self, centroids):
        """Returns lloyd.State.totals of all rows, and the inertia of the centroids."""
        everywhere = tf.fill([len(centroids)], True)
        totals = None
        for rows in self._rows():
            part = lloyd.begin(rows, centroids, everywhere, self._cosine).state.totals
            totals = part if totals is None else totals + part
        return totals, tf.reduce_sum(lloyd.cluster_inertias(rows, centroids, totals))

    def update(self, totals, centroids):
        """Returns the next centroids; empty clusters are given the farthest rows, one each."""
        n_empty = int(tf.math.count_nonzero(totals[:, -1] < 0.5))
        if n_empty:
            everywhere = tf.fill([len(centroids)], True)
            farthest = None
            for rows in self._rows():
                state = lloyd.begin(rows, centroids, everywhere, self._cosine).state
                part = lloyd.farthest_rows(rows, centroids, state, n_empty)
                farthest = part if farthest is None else farthest.merge(part, n_empty)
            totals = lloyd.reassign_to_empty(totals, farthest)
        return lloyd.means(totals, centroids, partial=False, cosine=self._cosine)

    def _rows(self):
        for points, weights in self._stream.counting():
            yield rows_lib.Rows(self._coordinates.prepare(points), weights)


class Stream:
    """A data set of rows as batches of one size, however it was batched before.

    Attributes:
        width: int, columns of a row.
        dtype: tf.float32 or tf.float64, in which the points come.
        weighted: bool, whether weights come with them.
    """

    def __init__(self, dataset, batch_size):
        """Checks what the elements of `dataset` are.

        Args:
            dataset: tf.data.Dataset of `[b, d]` or of pairs (`[b, d]`, `[b]`), points and weights.
            batch_size: int, rows of a batch; the last one may have fewer.

        Raises:
            TypeError: it is no data set, or its elements are no such tensors.
            ValueError: the points have no known width, or the data set never ends.
        """
        if not isinstance(dataset, tf.data.Dataset):
            raise TypeError(f'dataset must be a tf.data.Dataset, not {type(dataset).__name__}')
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError('dataset never ends; leave out repeat(), the passes are made here')
        points, self.weighted = _check_elements(dataset.element_spec)
        self.width = points.shape[1]
        self.dtype = points.dtype if points.dtype == tf.float64 else tf.float32
        self._dataset = dataset.rebatch(batch_size).prefetch(2)

    def batches(self):
        """Yields points `[b, width]` in `dtype`, and weights float32 `[b]` or None."""
        for batch in self._dataset:
            points, weights = batch if self.weighted else (batch, None)
            points = tf.ensure_shape(tf.cast(points, self.dtype), [None, self.width])
            yield points, None if weights is None else tf.cast(weights, tf.float32)

    def counting(self):
        """Yields the same without rows of weight 0."""
        for points, weights in self.batches():
            if weights is None:
                yield points, None
            else:
                counts = tf.not_equal(weights, 0)
                yield tf.boolean_mask(points, counts), tf.boolean_mask(weights, counts)


def _check_elements(spec):
    """Returns the TensorSpec of the points and whether there are weights."""
    parts = spec if isinstance(spec, tuple) else (spec,)
    if not 1 <= len(parts) <= 2 or not all(isinstance(part, tf.TensorSpec) for part in parts):
        raise TypeError(
            'elements of dataset must be points [b, d] or pairs (points [b, d], weights [b]), '
            f'not {spec}'
        )
    for part, name, rank in zip(parts, ('points', 'weights'), (2, 1)):  # noqa: B905 - may be one
        if not (part.dtype.is_floating or part.dtype.is_integer):
            raise TypeError(f'dataset: {name} must be numeric, not {part.dtype.name}')
        if part.shape.rank != rank:
            raise ValueError(f'dataset: {name} must have rank {rank}, not shape {part.shape}')
    if not parts[0].shape[1]:
        raise ValueError(
            f'dataset: points must have a known number of features, not shape {parts[0].shape}'
        )
    return parts[0], len(parts) == 2


class _Scan(typing.NamedTuple):
    """What the first pass over a stream gathers.

    Attributes:
        n_rows: int, rows that count.
        points: `[s, d]`, a sample of them, in the order of the stream.
        weights: float32 `[s]`, what each of them stands for.
        variance: float, mean variance of the columns.
    """

    n_rows: int
    points: tf.Tensor
    weights: tf.Tensor
    variance: float


def _scan(stream, sample_size, seed):
    """Goes over a stream once: checks it, and draws a sample.

    The `sample_size` rows of highest priority, weight / uniform number, stand for all of them, each
    for its weight or the reciprocal of the next priority, whichever is more (priority sampling:
    Duffield, Lund & Thorup 2007).

    Args:
        stream: Stream.
        sample_size: int, rows to sample; all are taken where there are not more.
        seed: int in [0, 2^63).

    Returns:
        _Scan.

    Raises:
        ValueError: there are no rows, bad rows or bad weights.
    """
    step = _gather(stream.width, stream.dtype, sample_size + 1)
    sample = _Sample(tf.zeros([0, stream.width], stream.dtype), *(tf.zeros([0], tf.float32),) * 2)
    found, checks = moments.Moments(stream.width), _Checks()
    seeds = tf.constant([seed, 0], tf.int64)
    for index, (points, weights) in enumerate(stream.counting()):
        checks.add(points, weights)
        if checks.failed:
            continue
        weights = tf.ones([len(points)]) if weights is None else weights
        found.add(points.numpy(), weights.numpy())
        draws = tf.random.experimental.stateless_fold_in(seeds, index)
        sample = step(sample, points, weights, draws)
    checks.finish(stream)
    points, weights = _weigh(sample, sample_size)
    return _Scan(checks.n_rows, points, weights, float(np.mean(found.variance())))


class _Checks:
    """Counts of rows that cannot be clustered, told all at once."""

    def __init__(self):
        self.n_rows = self._bad_rows = self._bad_weights = 0

    @property
    def failed(self):
        return self._bad_rows > 0 or self._bad_weights > 0

    def add(self, points, weights):
        """Counts rows."""
        self.n_rows += len(points)
        self._bad_rows += int(np.sum(~np.isfinite(points).all(axis=1)))
        if weights is not None:
            self._bad_weights += int(np.sum(~(np.isfinite(weights) & (np.asarray(weights) >= 0))))

    def finish(self, stream):
        """Raises ValueError about what was counted; see summary.check for the words."""
        if self._bad_rows:
            raise ValueError(
                f'points: {self._bad_rows} rows hold NaN or infinite values, the first is row '
                f'{_first_bad_row(stream)}; drop or fill them first'
            )
        if self._bad_weights:
            raise ValueError(
                f'weights: {self._bad_weights} of them are negative, NaN or infinite (as '
                'float32); weights must be finite and >= 0'
            )
        if not self.n_rows and stream.weighted:
            raise ValueError('weights: none is above 0 (as float32), so no row counts for anything')
        if not self.n_rows:
            raise ValueError('points: there are no rows, nothing to cluster')


def _first_bad_row(stream):
    """Index of the first row of the stream that is bad and counts."""
    start = 0
    for points, weights in stream.batches():
        bad = ~np.isfinite(points).all(axis=1)
        if weights is not None:
            bad &= np.asarray(weights) != 0
        if bad.any():
            return start + int(np.argmax(bad))
        start += len(points)
    return start


class _Sample(typing.NamedTuple):
    """Rows, their weights, and the reciprocals of their priorities: the lowest are kept."""

    points: tf.Tensor
    weights: tf.Tensor
    ranks: tf.Tensor


@functools.lru_cache(maxsize=32)
def _gather(width, dtype, size):
    def step(sample, points, weights, seeds):
        # 1 - u lies in (0, 1]
        uniform = 1.0 - tf.random.stateless_uniform([tf.size(weights)], seeds)
        ranks = uniform / weights
        merged = [
            tf.concat(parts, 0) for parts in zip(sample, (points, weights, ranks), strict=True)
        ]
        kept = tf.math.top_k(-merged[-1], tf.minimum(size, tf.size(merged[-1]))).indices
        kept = tf.sort(kept)
        return _Sample(*(tf.gather(part, kept) for part in merged))

    rows, vector = tracing.matrix(dtype, width), tracing.vector(tf.float32)
    signature = [_Sample(rows, vector, vector), rows, vector, tf.TensorSpec([2], tf.int32)]
    return tf.function(step, input_signature=signature, autograph=False)


def _weigh(sample, sample_size):
    """Returns the points of a sample, without the one more that it has, and their weights."""
    if tf.size(sample.weights) <= sample_size:
        return sample.points, sample.weights
    threshold = tf.reduce_max(sample.ranks)
    weights = tf.maximum(sample.weights, 1.0 / threshold)
    counts = sample.ranks < threshold
    return tf.boolean_mask(sample.points, counts), tf.boolean_mask(weights, counts)
