"""`fit`: k-means as TensorFlow operations, eagerly or inside a tf.function."""

import dataclasses
import typing
from collections.abc import Callable

import tensorflow as tf

from tfx_kmeans.graph import arguments, lloyd, sampling, seeding
from tfx_kmeans.graph import missing as missing_lib
from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph import search as search_lib
from tfx_kmeans.graph import summary as summary_lib


class FitResult(typing.NamedTuple):
    """A fitted k-means.

    Attributes:
        centroids: `[n_clusters, d]`, float64 for float64 points and else float32; unit vectors
            under the cosine distance.
        inertia: float64 scalar, the weighted sum over the rows of the squared Euclidean distance
            (of 1 - cos under the cosine distance) to the nearest centroid; of a row with gaps that
            over its observed values, rescaled.
        n_iter: int32 scalar, the updates made by the best run.
        cluster_weights: float64 `[n_clusters]`, the weight of the rows nearest to each centroid.
        converged: bool scalar, False where the best run was ended by `max_iter`.
        inertia_history: float64 `[n_iter + 1]`, inertia of the best run's initial centroids and
            after each of its updates.
        rows_left_out: int64 scalar, rows that took no part because values were missing: with
            missing='drop' those with a NaN, with 'partial' those of nothing but NaN.
    """

    centroids: tf.Tensor
    inertia: tf.Tensor
    n_iter: tf.Tensor
    cluster_weights: tf.Tensor
    converged: tf.Tensor
    inertia_history: tf.Tensor
    rows_left_out: tf.Tensor


def fit(
    points,
    n_clusters,
    *,
    weights=None,
    init='k-means++',
    init_steps=seeding.INIT_STEPS,
    oversampling_factor=seeding.OVERSAMPLING_FACTOR,
    search='breathing',
    init_size=None,
    n_init=1,
    max_iter=300,
    tol=1e-4,
    seed=0,
    distance='squared_euclidean',
    missing='error',
    on_iteration=None,
):
    """Fits k-means with Lloyd's algorithm.

    Everything is TensorFlow operations, so this also works inside a tf.function. Rows are visited
    in blocks: beside `points` it needs O(n) memory and never a `[n, n_clusters]` tensor. Distances
    are computed in float32 on centred data and summed in float64. Empty clusters are given the
    rows farthest from their centroids. Under the cosine distance rows and centroids are projected
    to the unit sphere (spherical k-means, Dhillon & Modha 2001).

    With a seeding by name the clusters are numbered by falling weight, ties by coordinates; with
    an array as `init` cluster i is the one that began at row i of it.

    Values may be missing, which NaN says. With missing='partial' the distance of a row is that over
    its observed values, times d and divided by their number (Dixon 1979), and centroids are means
    over observed values, column by column; where a cluster has none its centroid stays as it is in
    that column. Each update lowers the sum of squares over observed values, the objective of k-POD
    (Chi, Chi & Baraniuk 2016); the inertia, which is rescaled, may rise a little now and then.
    Without a NaN the result is that without `missing`, to the bit.

    >>> from tfx_kmeans import graph
    >>> fitted = graph.fit([[0.0], [1.0], [2.0], [8.0], [10.0]], n_clusters=2)
    >>> fitted.centroids.numpy().tolist(), float(fitted.inertia)
    ([[1.0], [9.0]], 4.0)

    Args:
        points: `[n, d]`, floating or integer; float64 stays float64, all else is read as float32.
        n_clusters: int, at least 1 and at most the number of distinct rows.
        weights: `[n]`, how much each row counts, finite and >= 0; None counts each row once.
        init: 'k-means++' (greedy, as in scikit-learn), 'k-means||' (the same from candidates that
            few passes over the rows draw: for many clusters), 'random' (rows drawn by weight), or
            the initial centroids `[n_clusters, d]`.
        init_steps: int >= 1, passes of 'k-means||' that draw candidates.
        oversampling_factor: float > 0, candidates of a pass, as a multiple of n_clusters.
        search: 'breathing' draws the seeding from a sample and improves it there (breathing
            k-means, Fritzke 2020) before all rows are gone over, 'none' seeds from all rows and
            goes on at once, as scikit-learn does. It does not count for an array as `init`.
        init_size: int, rows of that sample, at least n_clusters; None takes 20,000, or 30 a cluster
            if that is more.
        n_init: int, runs from different seedings, of which the one of least inertia is kept; 1
            with an array as `init`, whose runs would all be the same.
        max_iter: int >= 1, the most updates in a run.
        tol: float >= 0; a run has converged when the squared movement of all centroids together is
            at most `tol` times the mean variance of the columns.
        seed: int, seeds the draws.
        distance: 'squared_euclidean' or 'cosine'.
        missing: what to do about rows with NaN: 'error' refuses them, 'drop' leaves them out, and
            'partial' (not under the cosine distance) takes the values that they have; all but
            'error' copy the points if rows have to be left out.
        on_iteration: callable `(run, iteration, inertia)` with numpy scalars, called after each
            update while the fit runs, and once with iteration 0 for each seeding. It runs as a
            tf.py_function, so a graph that holds it cannot be exported.

    Returns:
        FitResult.

    Raises:
        TypeError: `points` or `weights` are not numeric, or an argument is of the wrong type.
        ValueError: an argument is out of range, or (eagerly) the data cannot be clustered: no
            rows, infinite values, NaN with missing='error', a column without an observed value,
            bad weights, fewer distinct rows than clusters.
        tf.errors.InvalidArgumentError: the same about the data, from inside a tf.function.
    """
    arguments.check_fit(
        n_clusters, init, n_init, max_iter, tol, seed, distance, on_iteration, missing
    )
    arguments.check_search('search', search)
    init_size = arguments.sample_size('init_size', init_size, n_clusters)
    arguments.check_integer('init_steps', init_steps, at_least=1)
    arguments.check_positive('oversampling_factor', oversampling_factor)
    points = arguments.as_matrix(points, 'points')
    weights = arguments.as_weights(weights, points)
    initial = None
    if not isinstance(init, str):
        initial = arguments.as_centroids(init, n_clusters, points, 'init')
    settings = _Settings(
        n_clusters=n_clusters,
        width=points.shape[1],
        dtype=points.dtype,
        init=None if initial is not None else init,
        init_steps=int(init_steps),
        oversampling_factor=float(oversampling_factor),
        search=search,
        init_size=init_size,
        n_init=n_init,
        cosine=distance == 'cosine',
        partial=missing == 'partial',
        on_iteration=on_iteration,
    )
    limits = (
        tf.constant(min(max_iter, tf.int32.max), tf.int32),  # a larger one would wrap round
        tf.constant(tol, tf.float64),
        tf.constant(seed, tf.int64),
    )
    kept = missing_lib.keep(points, weights, missing)
    points = _after(kept.assertions, kept.points)

    def run(partial):
        chosen = dataclasses.replace(settings, partial=partial)
        prepared = summary_lib.prepare(points, kept.weights, n_clusters, distance, partial)
        assertions = summary_lib.check(
            prepared.summary, n_clusters, weights, distance, kept.indices
        )
        if initial is not None:
            assertions += summary_lib.check_initial(initial, distance)
        prepared = prepared._replace(values=_after(assertions, prepared.values))
        found = _fit(chosen, prepared, kept.weights, initial, *limits)
        return found._replace(rows_left_out=kept.left_out)

    if missing != 'partial':
        return run(partial=False)
    return tf.cond(kept.whole, lambda: run(partial=False), lambda: run(partial=True))


def _after(assertions, tensor):
    """Returns `tensor` that waits for assertions, since a function that is inlined does not."""
    if not assertions:
        return tensor
    with tf.control_dependencies(assertions):
        return tf.identity(tensor)


@dataclasses.dataclass(frozen=True)
class _Settings:
    """What a traced fit has fixed.

    `init` is None where the initial centroids are an input; `partial` says that values are missing.
    """

    n_clusters: int
    width: int
    dtype: tf.DType
    init: str | None
    init_steps: int
    oversampling_factor: float
    search: str
    init_size: int
    n_init: int
    cosine: bool
    partial: bool
    on_iteration: Callable | None


def _fit(settings, prepared, weights, initial, max_iter, tol, seed):
    rows = rows_lib.Rows(prepared.values, weights, settings.partial)
    tolerance = tol * prepared.summary.variance
    coordinates = prepared.coordinates

    def run(index):
        if initial is None:
            seeds = tf.random.experimental.stateless_fold_in(tf.stack([seed, 0]), index)
            centroids = _begin(settings, rows, seeds)
        else:
            given = tf.ensure_shape(initial, [settings.n_clusters, settings.width])
            centroids = coordinates.prepare(given)
        report = _reporter(settings.on_iteration, index, coordinates.distance_unit())
        return lloyd.solve(rows, centroids, max_iter, tolerance, settings.cosine, report)

    def body(index, best):
        solution = run(index)
        better = solution.inertia < best.inertia
        return index + 1, tf.cond(better, lambda: solution, lambda: best)

    best = run(tf.constant(0))
    if settings.n_init > 1:
        shapes = lloyd.Solution(*(tensor.shape for tensor in best))
        shapes = shapes._replace(history=tf.TensorShape([None]))
        loop = (tf.constant(1), best)
        shapes = (tf.TensorShape([]), shapes)
        _, best = tf.while_loop(lambda index, _: index < settings.n_init, body, loop, shapes)
    return finish(coordinates, best, settings.dtype, keep_numbering=initial is not None)


def _begin(settings, rows, seeds):
    """Initial centroids for all rows: seeded, and if there is a search, improved on a sample."""
    searched = settings.search != 'none'
    if searched:
        rows = sampling.draw(rows, settings.init_size, seeds)
    centroids = seeding.seed(
        settings.init,
        rows,
        settings.n_clusters,
        seeds,
        settings.init_steps,
        settings.oversampling_factor,
    )
    if not searched:
        return centroids
    return search_lib.improve(rows, centroids, seeds, settings.cosine)


def _reporter(on_iteration, run, unit):
    """Wraps the caller's `on_iteration` as what lloyd.solve calls, None where there is none."""
    if on_iteration is None:
        return None

    def call(run, iteration, inertia):
        on_iteration(run.numpy(), iteration.numpy(), inertia.numpy())
        return inertia

    return lambda iteration, inertia: tf.py_function(
        call, [run, iteration, inertia * unit], tf.float64
    )


def finish(coordinates, solution, dtype, keep_numbering):
    """Returns the FitResult of a lloyd.Solution: in the unit of the data, numbered by weight."""
    centroids = coordinates.restore(tf.cast(solution.centroids, tf.float64), dtype)
    if keep_numbering:
        order = tf.range(tf.shape(centroids)[0])
    else:
        order = canonical_order(centroids, solution.weights)
    unit = coordinates.distance_unit()
    return FitResult(
        centroids=tf.gather(centroids, order),
        inertia=solution.inertia * unit,
        n_iter=solution.n_iter,
        cluster_weights=tf.gather(solution.weights, order),
        converged=solution.converged,
        inertia_history=solution.history * unit,
        rows_left_out=tf.zeros([], tf.int64),
    )


def canonical_order(centroids, weights):
    """Numbering of clusters: by falling weight, ties by coordinates.

    >>> from tfx_kmeans import graph
    >>> graph.canonical_order([[5.0], [3.0], [1.0]], [10.0, 20.0, 10.0]).numpy().tolist()
    [1, 2, 0]

    Args:
        centroids: `[k, d]`.
        weights: `[k]`.

    Returns:
        int32 `[k]`, the cluster that takes each number.
    """

    def by_column(column, order):
        keys = tf.gather(centroids[:, width - 1 - column], order)
        return column + 1, tf.gather(order, tf.argsort(keys, stable=True))

    centroids = tf.convert_to_tensor(centroids)
    width = tf.shape(centroids)[1]
    order = tf.range(tf.shape(centroids)[0])
    _, order = tf.while_loop(lambda column, _: column < width, by_column, [0, order])
    falling = tf.argsort(-tf.gather(weights, order), stable=True)
    return tf.gather(order, falling)
