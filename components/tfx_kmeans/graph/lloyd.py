"""Lloyd's algorithm (S. Lloyd, "Least squares quantization in PCM", 1982) over blocks of rows."""

import typing

import tensorflow as tf

from tfx_kmeans.graph import blocks
from tfx_kmeans.graph import rows as rows_lib


class Statistics(typing.NamedTuple):
    """What one pass over the rows says of a set of centroids.

    Attributes:
        sums: float64 `[k, d]`, weighted sums of the prepared rows of each cluster.
        weights: float64 `[k]`, weight of each cluster.
        inertia: float64 scalar, weighted sum of the squared distances of the prepared rows.
    """

    sums: tf.Tensor
    weights: tf.Tensor
    inertia: tf.Tensor


class Solution(typing.NamedTuple):
    """Where one run of Lloyd's algorithm ended, in the space of the prepared rows.

    Attributes:
        centroids: float32 `[k, d]`.
        weights: float64 `[k]`, weight of the rows nearest to each centroid.
        inertia: float64 scalar.
        n_iter: int32 scalar, updates made.
        converged: bool scalar, whether the centroids moved by no more than the tolerance.
        history: float64 `[n_iter + 1]`, inertia of the initial and of each updated centroids.
    """

    centroids: tf.Tensor
    weights: tf.Tensor
    inertia: tf.Tensor
    n_iter: tf.Tensor
    converged: tf.Tensor
    history: tf.Tensor


def solve(placing, centroids, max_iter, tolerance, on_iteration):
    """Runs Lloyd's algorithm until the centroids stand still.

    Args:
        placing: how rows find their clusters and clusters their centroids: EveryRow,
            changes.RowsThatMove, bounds.RowsInDoubt or partial.lloyd.EveryRow.
        centroids: float32 `[k, d]`, initial centroids in the space of the prepared rows.
        max_iter: int32 scalar tensor, the most updates to make.
        tolerance: float64 scalar tensor; stop when the squared movement of all centroids together
            is not above it.
        on_iteration: callable `(iteration, inertia)` that returns a tensor to evaluate, or None.

    Returns:
        Solution, whose weights and inertia belong to its centroids.
    """

    def record(history, iteration, statistics):
        reports = [on_iteration(iteration, statistics.inertia)] if on_iteration else []
        with tf.control_dependencies(reports):
            return history.write(iteration, tf.identity(statistics.inertia))

    def body(iteration, centroids, state, statistics, _, history):
        updated = placing.update(centroids, state, statistics)
        updated = tf.ensure_shape(updated, centroids.shape)
        movement = tf.reduce_sum(tf.square(tf.cast(updated - centroids, tf.float64)))
        state, statistics = placing.follow(centroids, updated, state)
        history = record(history, iteration + 1, statistics)
        return iteration + 1, updated, state, statistics, movement <= tolerance, history

    def unfinished(iteration, _, __, ___, converged, ____):
        return tf.logical_and(iteration < max_iter, tf.logical_not(converged))

    centroids = tf.ensure_shape(centroids, centroids.shape)
    state, statistics = placing.first(centroids)
    history = tf.TensorArray(tf.float64, size=1, dynamic_size=True, element_shape=[])
    loop = (
        tf.zeros([], tf.int32),
        centroids,
        state,
        statistics,
        tf.constant(False),
        record(history, 0, statistics),
    )
    n_iter, centroids, _, statistics, converged, history = tf.while_loop(unfinished, body, loop)
    return Solution(
        centroids, statistics.weights, statistics.inertia, n_iter, converged, history.stack()
    )


class EveryRow:
    """Compares every row with every centroid in each iteration, and keeps nothing of it."""

    def __init__(self, rows):
        """Places `rows`, rows_lib.Rows."""
        self.rows = rows

    def first(self, centroids):
        """Places the rows for the first time: a state for `follow`, and Statistics."""
        return (), self.look_at_all(centroids)

    def follow(self, _, updated, state):
        """Places the rows after the centroids moved: the next state, and Statistics."""
        return state, self.look_at_all(updated)

    def look_at_all(self, centroids):
        """Places every row: Statistics of `centroids`."""
        return _pass(self.rows, centroids)

    def update(self, centroids, state, statistics):
        """The next centroids, float32 `[k, d]`."""
        return update(self, centroids, state, statistics)

    def own_centroids(self, centroids, _):
        """Where the rows are: ids int32 `[n]`, and squared distances float32 `[n]`."""

        def step(start, stop):
            return rows_lib.nearest(self.rows.block(start, stop), centroids)

        rows_per_block = blocks.block_rows(centroids.shape[0])
        return blocks.map_blocks(step, self.rows.count, rows_per_block, [tf.int32, tf.float32])


def _pass(rows, centroids):
    """Assigns every row and sums up the clusters: Statistics of `centroids`."""
    n_clusters, width = centroids.shape

    def step(start, stop, sums, weights, inertia):
        block = rows.block(start, stop)
        ids, distances = rows_lib.nearest(block, centroids)
        block = tf.cast(block, tf.float64)
        distances = tf.cast(distances, tf.float64)
        block_weights = tf.cast(rows.block_weights(start, stop), tf.float64)
        if rows.weights is not None:
            block *= block_weights[:, tf.newaxis]
            distances *= block_weights
        return (
            sums + tf.math.unsorted_segment_sum(block, ids, n_clusters),
            weights + tf.math.unsorted_segment_sum(block_weights, ids, n_clusters),
            inertia + tf.reduce_sum(distances),
        )

    # float64 sums: ten million rows of float32 would otherwise stop adding up
    initial = [
        tf.zeros([n_clusters, width], tf.float64),
        tf.zeros([n_clusters], tf.float64),
        tf.zeros([], tf.float64),
    ]
    return Statistics(
        *blocks.reduce_blocks(step, rows.count, blocks.block_rows(n_clusters), initial)
    )


def update(placing, centroids, state, statistics):
    """The next centroids: cluster means, after the empty clusters have been given a row each."""
    sums, weights = tf.cond(
        tf.reduce_any(statistics.weights <= 0),
        lambda: _relocate_empty(placing, centroids, state, statistics),
        lambda: (statistics.sums, statistics.weights),
    )
    means = tf.math.divide_no_nan(sums, weights[:, tf.newaxis])
    usable = weights[:, tf.newaxis] > 0
    if placing.rows.distance == 'cosine':
        usable = tf.logical_and(usable, tf.norm(means, axis=1, keepdims=True) > 0)
        means = rows_lib.normalise(means)
    return tf.where(usable, tf.cast(means, tf.float32), centroids)


def _relocate_empty(placing, centroids, state, statistics):
    """Moves the rows farthest from their centroids into the empty clusters, one each.

    The rule of scikit-learn: the row leaves its old cluster's sum, so the weights stay whole.

    Returns:
        sums and weights, as in Statistics.
    """
    rows, n_clusters = placing.rows, centroids.shape[0]
    ids, distances = placing.own_centroids(centroids, state)
    if rows.weights is not None:
        distances = tf.where(rows.weights > 0, distances, -1.0)
    empty = tf.cast(tf.where(statistics.weights <= 0)[:, 0], tf.int32)
    farthest = tf.math.top_k(distances, tf.shape(empty)[0]).indices
    moved_weights = tf.ones(tf.shape(empty), tf.float64)
    if rows.weights is not None:
        moved_weights = tf.cast(tf.gather(rows.weights, farthest), tf.float64)
    moved = tf.cast(rows.gather(farthest), tf.float64) * moved_weights[:, tf.newaxis]
    left = tf.gather(ids, farthest)

    def carry(totals, parts):
        totals -= tf.math.unsorted_segment_sum(parts, left, n_clusters)
        return totals + tf.math.unsorted_segment_sum(parts, empty, n_clusters)

    return carry(statistics.sums, moved), carry(statistics.weights, moved_weights)
