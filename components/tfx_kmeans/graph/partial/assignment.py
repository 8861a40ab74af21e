"""Placing rows with gaps among given centroids; see graph.assignment, whose parts these are."""

import tensorflow as tf

from tfx_kmeans.graph import blocks
from tfx_kmeans.graph.partial import rows as rows_lib


def assign(rows, centroids):
    """Finds the nearest centroid of every row, in blocks of rows.

    Args:
        rows: rows.Rows; NaN says that a value is missing.
        centroids: float32 `[k, d]` in the space of the prepared rows.

    Returns:
        ids int64 `[n]` and rescaled squared distances float32 `[n]` in the solvers' space: k and
        NaN for a row with an infinite value or without an observed one.
    """
    rows = rows_lib.Rows(**vars(rows))
    n_clusters = tf.cast(blocks.row_count(centroids), tf.int64)

    def step(start, stop):
        block = rows.points[start:stop]
        ids, distances = rows_lib.nearest(*rows.split(block), centroids)
        found = placeable(block)
        ids = tf.where(found, tf.cast(ids, tf.int64), n_clusters)
        return [ids, tf.where(found, distances, float('nan'))]

    widest = tf.maximum(blocks.row_count(centroids), 2 * rows.points.shape[1])
    dtypes = [tf.int64, tf.float32]
    return blocks.map_blocks(step, rows.count, blocks.block_rows(widest), dtypes)


def all_distances(rows, centroids):
    """Rescaled squared distances of every row to every centroid, differentiable in both.

    Args:
        rows: rows.Rows; NaN says that a value is missing.
        centroids: float32 `[k, d]` in the space of the prepared rows.

    Returns:
        float32 `[n, k]` in the solvers' space; 0 for a row that cannot be placed.
    """
    rows = rows_lib.Rows(**vars(rows))
    missing = tf.constant(float('nan'), rows.points.dtype)
    # rows that cannot be placed must stay out of the arithmetic, as in graph.assignment
    points = tf.where(placeable(rows.points)[:, tf.newaxis], rows.points, missing)
    return rows_lib.squared_distances(*rows.split(points), centroids)


def placeable(points):
    """Rows of `points` `[n, d]` with an observed value and without an infinite one, bool `[n]`."""
    infinite = tf.reduce_any(tf.math.is_inf(points), axis=1)
    return tf.logical_not(tf.logical_or(infinite, tf.reduce_all(tf.math.is_nan(points), axis=1)))
