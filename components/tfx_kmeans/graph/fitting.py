"""`fit`: k-means as TensorFlow operations, eagerly or inside a tf.function."""

import dataclasses
import functools
import typing
from collections.abc import Callable

import tensorflow as tf

from tfx_kmeans.graph import arguments, blocks, bounds, changes, lloyd, nearest, seeding
from tfx_kmeans.graph import missing as missing_lib
from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph import summary as summary_lib
from tfx_kmeans.graph.partial import lloyd as partial_lloyd
from tfx_kmeans.graph.partial import rows as partial_rows
from tfx_kmeans.graph.partial import seeding as partial_seeding
from tfx_kmeans.graph.partial import summary as partial_summary


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
        init=None if initial is not None else init,
        init_steps=int(init_steps),
        oversampling_factor=float(oversampling_factor),
        n_init=n_init,
        distance=distance,
        n_rows=None,
        partial=False,
        on_iteration=on_iteration,
    )
    limits = (
        tf.constant(min(max_iter, tf.int32.max), tf.int32),  # a larger one would wrap round
        tf.constant(tol, tf.float64),
        tf.constant(seed, tf.int64),
    )
    if missing == 'error':
        return _check_and_fit(settings, points, weights, initial, *limits)
    survey = missing_lib.survey(points)
    keep = survey.complete if missing == 'drop' else tf.logical_not(survey.empty)
    points = _after(missing_lib.check(survey, keep), points)
    points, weights = missing_lib.leave_out(points, weights, keep)
    left_out = tf.math.count_nonzero(tf.logical_not(keep))

    def run(partial):
        chosen = dataclasses.replace(settings, partial=partial)
        found = _check_and_fit(chosen, points, weights, initial, *limits)
        return found._replace(rows_left_out=left_out)

    if missing == 'drop':
        return run(partial=False)
    whole = tf.reduce_all(tf.logical_or(survey.complete, survey.empty))
    return tf.cond(whole, lambda: run(partial=False), lambda: run(partial=True))


def _after(assertions, points):
    """Returns `points` that wait for assertions, since a function that is inlined does not."""
    if not assertions:
        return points
    with tf.control_dependencies(assertions):
        return tf.identity(points)


@dataclasses.dataclass(frozen=True)
class _Settings:
    """What a traced fit has fixed.

    `init` is None where the initial centroids are an input, `n_rows` where there are too few rows
    to leave some alone, or nobody knows how many; `partial` says that values are missing.
    """

    n_clusters: int
    width: int
    init: str | None
    init_steps: int
    oversampling_factor: float
    n_init: int
    distance: str
    n_rows: int | None
    partial: bool
    on_iteration: Callable | None


def _check_and_fit(settings, points, weights, initial, max_iter, tol, seed):
    """Checks the data and fits; points, weights and initial centroids are tensors or None."""
    if not settings.partial and nearest.worth_compiling(points.shape[0], settings.n_clusters):
        settings = dataclasses.replace(settings, n_rows=points.shape[0])
    summary, assertions = _summarise(settings, points, weights)
    if initial is not None:
        assertions += summary_lib.check_initial(initial, settings.distance)
    points = _after(assertions, points)
    fit_compiled = (_compiled if settings.on_iteration is None else _compile)(settings)
    return fit_compiled(points, weights, initial, summary, max_iter, tol, seed)


def _summarise(settings, points, weights):
    """Returns the Summary of the data, and assertions that it can be clustered."""
    if not settings.partial:
        summary = summary_lib.summarise(points, weights, settings.n_clusters)
        return summary, summary_lib.check(summary, settings.n_clusters, weights, settings.distance)
    summary, observed = partial_summary.summarise(points, weights, settings.n_clusters)
    assertions = summary_lib.check(summary, settings.n_clusters, weights, settings.distance)
    return summary, assertions + partial_summary.check(observed)


def _compile(settings):
    return tf.function(functools.partial(_fit, settings), autograph=False, reduce_retracing=True)


# One traced function per settings, so that fits that differ in data alone share it. Not with a
# callback: it need not be hashable, and a cache would keep alive whatever it holds.
_compiled = functools.lru_cache(maxsize=32)(_compile)


def _fit(settings, points, weights, initial, summary, max_iter, tol, seed):
    # retracing may have forgotten it
    points = tf.ensure_shape(points, [settings.n_rows, settings.width])
    rows, tolerance = prepare(points, weights, summary, tol, settings.distance)
    placing, seed_rows = lloyd.EveryRow(rows), seeding.seed
    if settings.partial:
        rows = partial_rows.Rows(**vars(rows))
        placing, seed_rows = partial_lloyd.EveryRow(rows), partial_seeding.seed
    elif settings.n_rows is not None:
        few = nearest.cheaper_than_bounds(settings.width, settings.n_clusters)
        placing = changes.RowsThatMove(rows) if few else bounds.RowsInDoubt(rows)

    def run(index):
        seeds = tf.random.experimental.stateless_fold_in(tf.stack([seed, 0]), index)
        if initial is None:
            centroids = seed_rows(
                settings.init,
                rows,
                settings.n_clusters,
                seeds,
                settings.init_steps,
                settings.oversampling_factor,
            )
        else:
            shape = [settings.n_clusters, settings.width]
            centroids = rows.prepare(tf.ensure_shape(initial, shape))
        report = _reporter(settings.on_iteration, index, rows.distance_unit())
        return lloyd.solve(placing, centroids, max_iter, tolerance, report)

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
    return finish(rows, best, keep_numbering=initial is not None)


def prepare(points, weights, summary, tol, distance):
    """Returns the Rows to solve on and the tolerance in their squared unit."""
    if distance == 'cosine':
        rows = rows_lib.Rows(points, weights, None, None, distance)
        return rows, tol * _mean_variance_of_unit_vectors(rows, summary.total_weight)
    scale = rows_lib.power_of_two_scale(summary.largest, points.dtype)
    rows = rows_lib.Rows(
        points,
        weights,
        shift=tf.cast(summary.mean, points.dtype),
        scale=scale,
        distance=distance,
    )
    return rows, tol * summary.variance * tf.square(summary.largest * tf.cast(scale, tf.float64))


def _mean_variance_of_unit_vectors(rows, total_weight):
    """Variance averaged over the columns: a unit vector's squares add up to 1, less the mean's."""

    def step(start, stop, sums):
        block = tf.cast(rows.block(start, stop), tf.float64)
        weights = tf.cast(rows.block_weights(start, stop), tf.float64)
        return [sums + tf.linalg.matvec(block, weights, transpose_a=True)]

    width = rows.points.shape[1]
    initial = [tf.zeros([width], tf.float64)]
    (sums,) = blocks.reduce_blocks(step, rows.count, blocks.block_rows(width), initial)
    return tf.maximum(1.0 - tf.reduce_sum(tf.square(sums / total_weight)), 0.0) / width


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


def finish(rows, solution, keep_numbering):
    """Returns the FitResult of a lloyd.Solution: in the unit of the data, numbered by weight."""
    centroids = rows.restore(tf.cast(solution.centroids, tf.float64))
    if keep_numbering:
        order = tf.range(tf.shape(centroids)[0])
    else:
        order = canonical_order(centroids, solution.weights)
    unit = rows.distance_unit()
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
