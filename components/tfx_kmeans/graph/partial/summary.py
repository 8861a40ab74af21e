"""What must be known of rows with gaps before a fit; see graph.summary."""

import tensorflow as tf

from tfx_kmeans.graph import blocks, checks, tracing
from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph import summary as summary_lib

_ROWS_PER_BLOCK = 4096


def summarise(points, weights, n_clusters):
    """Goes over the rows as summary.summarise does, with moments over the observed values.

    Args:
        points: `[n, d]`, floating, NaN where a value is missing, else finite.
        weights: float32 `[n]`, or None.
        n_clusters: int, k.

    Returns:
        The Summary, in which two rows are distinct where a value or a gap of theirs differs, and
        the weight of the observed values of each column, float64 `[d]`.
    """
    return tracing.traced(_summarise, points.shape[1])(
        points, weights, tf.constant(n_clusters, tf.int32)
    )


def check(observed_weights):
    """Refuses columns without a value: nothing can be said of a centroid there.

    Returns:
        List of assertions to depend on; empty eagerly.
    """
    unseen = observed_weights <= 0
    condition = checks.require(
        tf.logical_not(tf.reduce_any(unseen)),
        'points: {} columns have no observed value (of positive weight), the first is column {}; '
        'leave them out',
        tf.math.count_nonzero(unseen),
        tf.argmax(unseen),
    )
    return [] if condition is None else [condition]


def _summarise(width, points, weights, n_clusters):
    points = tf.ensure_shape(points, [None, width])
    rows = rows_lib.Rows(points, weights, None, None, 'squared_euclidean')
    bad_weights, total_weight, observed_weights, sums = _count(rows)
    mean = tf.math.divide_no_nan(sums, observed_weights)
    largest, variance = _spread(rows, mean, observed_weights)
    none = tf.zeros([], tf.int64)
    summary = summary_lib.Summary(
        n_rows=rows.count,
        bad_rows=none,
        first_bad_row=none,
        zero_rows=none,
        bad_weights=bad_weights,
        total_weight=total_weight,
        distinct_rows=summary_lib.count_distinct(rows, n_clusters),
        mean=mean,
        largest=largest,
        variance=variance,
    )
    return summary, observed_weights


def _count(rows):
    def step(start, stop, bad_weights, total_weight, observed_weights, sums):
        values, observed = _split(rows.points[start:stop])
        weights = tf.cast(rows.block_weights(start, stop), tf.float64)
        bad = tf.logical_not(tf.logical_and(tf.math.is_finite(weights), weights >= 0))
        return [
            bad_weights + tf.math.count_nonzero(bad),
            total_weight + tf.reduce_sum(weights),
            observed_weights + tf.linalg.matvec(observed, weights, transpose_a=True),
            sums + tf.linalg.matvec(values, weights, transpose_a=True),
        ]

    none = tf.zeros([rows.points.shape[1]], tf.float64)
    initial = [tf.zeros([], tf.int64), tf.zeros([], tf.float64), none, none]
    return blocks.reduce_blocks(step, rows.count, _ROWS_PER_BLOCK, initial)


def _spread(rows, mean, observed_weights):
    """Largest absolute difference from the mean, and the variance averaged over the columns."""
    shift = tf.cast(mean, rows.points.dtype)

    def widest(start, stop, largest):
        block = rows.points[start:stop]
        differences = tf.abs(tf.where(tf.math.is_nan(block), shift, block) - shift)
        return [tf.maximum(largest, tf.cast(tf.reduce_max(differences), tf.float64))]

    zero = tf.zeros([], tf.float64)
    (largest,) = blocks.reduce_blocks(widest, rows.count, _ROWS_PER_BLOCK, [zero])

    def squares(start, stop, totals):
        values, observed = _split(rows.points[start:stop])
        weights = tf.cast(rows.block_weights(start, stop), tf.float64)
        differences = tf.math.divide_no_nan((values - mean) * observed, largest)
        return [totals + tf.linalg.matvec(tf.square(differences), weights, transpose_a=True)]

    (totals,) = blocks.reduce_blocks(squares, rows.count, _ROWS_PER_BLOCK, [tf.zeros_like(mean)])
    return largest, tf.reduce_mean(tf.math.divide_no_nan(totals, observed_weights))


def _split(block):
    """Values float64 `[b, d]`, 0 where they are missing, and 1 and 0 for observed and missing."""
    observed = tf.logical_not(tf.math.is_nan(block))
    values = tf.cast(tf.where(observed, block, tf.zeros([], block.dtype)), tf.float64)
    return values, tf.cast(observed, tf.float64)
