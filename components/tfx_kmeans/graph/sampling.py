"""A sample of rows that a search can go over many times."""

import tensorflow as tf

from tfx_kmeans.graph import rows as rows_lib

_LEAST_SIZE = 20_000
_ROWS_PER_CLUSTER = 30  # the mean of 30 rows costs 1/30 more inertia than the true one


def size_for(n_clusters):
    """How many rows a sample for so many clusters has, an int."""
    return max(_LEAST_SIZE, _ROWS_PER_CLUSTER * n_clusters)


def draw(rows, size, seeds):
    """Draws a sample in proportion to the weights; all rows where there are not more.

    Systematic sampling (Madow & Madow 1944) with an offset of its own in each stratum: one row is
    drawn from each of `size` runs of rows of equal weight, so that what lies together in the data
    is there in proportion. A heavy row may be drawn more than once.

    Args:
        rows: rows_lib.Rows.
        size: int.
        seeds: int32 `[2]`, seed of the stateless draws.

    Returns:
        rows_lib.Rows, each of which counts once where not all are taken.
    """

    def some():
        offsets = tf.random.stateless_uniform([size], seeds, dtype=tf.float64)
        shares = (tf.range(size, dtype=tf.float64) + offsets) / size
        if rows.weights is None:
            indices = tf.cast(shares * tf.cast(rows.count, tf.float64), tf.int32)
        else:
            ends = tf.cumsum(tf.cast(rows.weights, tf.float64))
            indices = tf.searchsorted(ends, shares * ends[-1], side='right')
        # rounding may carry the last one past the end
        indices = tf.minimum(indices, rows.count - 1)
        taken = tf.gather(rows.values, indices)
        return [taken] if rows.weights is None else [taken, tf.ones([size])]

    def every():
        return [rows.values] if rows.weights is None else [rows.values, rows.weights]

    values, *weights = tf.cond(rows.count > size, some, every)
    values = tf.ensure_shape(values, [None, rows.values.shape[1]])
    return rows_lib.Rows(values, weights[0] if weights else None, rows.partial)
