"""Lloyd's algorithm over the observed values of rows with gaps."""

import typing

import tensorflow as tf

from tfx_kmeans.graph import blocks, lloyd
from tfx_kmeans.graph.partial import rows as rows_lib


class _Statistics(typing.NamedTuple):
    """What one pass over the rows says of a set of centroids.

    Attributes:
        totals: float64 `[k, 2 d]`, weighted sums of the observed values of each cluster, column by
            column, and after them the weights of those values.
        weights: float64 `[k]`, weight of each cluster.
        inertia: float64 scalar, weighted sum of the rescaled squared distances.
    """

    totals: tf.Tensor
    weights: tf.Tensor
    inertia: tf.Tensor


class EveryRow(lloyd.EveryRow):
    """How rows with gaps, partial.rows.Rows with an observed value each, find their clusters."""

    def look_at_all(self, centroids):
        """Places every row: _Statistics of `centroids`."""
        return _pass(self.rows, centroids)

    def update(self, centroids, _, statistics):
        """The next centroids, float32 `[k, d]`."""
        return _update(self.rows, centroids, statistics)


def _pass(rows, centroids):
    """Assigns every row and sums up the clusters: _Statistics of `centroids`."""
    n_clusters, width = centroids.shape

    def step(start, stop, totals, weights, inertia):
        values, observed = rows.split(rows.points[start:stop])
        ids, distances = rows_lib.nearest(values, observed, centroids)
        block_weights = tf.cast(rows.block_weights(start, stop), tf.float64)
        parts = tf.cast(tf.concat([values, observed], axis=1), tf.float64)
        parts *= block_weights[:, tf.newaxis]
        return (
            totals + tf.math.unsorted_segment_sum(parts, ids, n_clusters),
            weights + tf.math.unsorted_segment_sum(block_weights, ids, n_clusters),
            inertia + tf.tensordot(tf.cast(distances, tf.float64), block_weights, 1),
        )

    initial = [
        tf.zeros([n_clusters, 2 * width], tf.float64),
        tf.zeros([n_clusters], tf.float64),
        tf.zeros([], tf.float64),
    ]
    rows_per_block = blocks.block_rows(max(n_clusters, 2 * width))
    return _Statistics(*blocks.reduce_blocks(step, rows.count, rows_per_block, initial))


def _update(rows, centroids, statistics):
    """The next centroids: means of observed values, after empty clusters have been given a row.

    Where no row of a cluster has a value, its centroid stays as it is in that column.
    """
    totals = tf.cond(
        tf.reduce_any(statistics.weights <= 0),
        lambda: _relocate_empty(rows, centroids, statistics),
        lambda: statistics.totals,
    )
    sums, observed = tf.split(totals, 2, axis=1)
    means = tf.math.divide_no_nan(sums, observed)
    return tf.where(observed > 0, tf.cast(means, tf.float32), centroids)


def _relocate_empty(rows, centroids, statistics):
    """Moves the farthest rows into the empty clusters, as lloyd does; returns the new totals."""
    n_clusters, width = centroids.shape

    def step(start, stop):
        values, observed = rows.split(rows.points[start:stop])
        ids, distances = rows_lib.nearest(values, observed, centroids)
        return [ids, tf.where(rows.block_weights(start, stop) > 0, distances, -1.0)]

    rows_per_block = blocks.block_rows(max(n_clusters, 2 * width))
    ids, distances = blocks.map_blocks(step, rows.count, rows_per_block, [tf.int32, tf.float32])
    empty = tf.cast(tf.where(statistics.weights <= 0)[:, 0], tf.int32)
    farthest = tf.math.top_k(distances, tf.shape(empty)[0]).indices
    values, observed = rows.split(tf.gather(rows.points, farthest))
    moved = tf.cast(tf.concat([values, observed], axis=1), tf.float64)
    if rows.weights is not None:
        moved *= tf.cast(tf.gather(rows.weights, farthest), tf.float64)[:, tf.newaxis]
    left = tf.gather(ids, farthest)
    totals = statistics.totals - tf.math.unsorted_segment_sum(moved, left, n_clusters)
    return totals + tf.math.unsorted_segment_sum(moved, empty, n_clusters)
