"""What must be known of the data before a fit: is it fit for one, where it lies, how wide it is."""

import typing

import tensorflow as tf

from tfx_kmeans.graph import blocks, checks, tracing
from tfx_kmeans.graph import rows as rows_lib

_ROWS_PER_BLOCK = 4096
_FARTHEST = 1e150  # the square is still a float64; a float32 difference that overflowed is infinite


class Summary(typing.NamedTuple):
    """Facts about a matrix `[n, d]`, its weights `[n]` and a wanted number of clusters k.

    Attributes:
        n_rows: int32 scalar, n.
        bad_rows: int64 scalar, rows with a NaN or an infinite value.
        first_bad_row: int64 scalar, index of the first of them, n where there is none.
        zero_rows: int64 scalar, rows of length 0 (no direction; only the cosine distance minds).
        bad_weights: int64 scalar, weights that are negative, NaN or infinite.
        total_weight: float64 scalar.
        distinct_rows: int32 scalar, distinct rows of positive weight, counted no further than k.
        mean: float64 `[d]`, weighted.
        largest: float64 scalar, largest absolute difference from the mean.
        variance: float64 scalar, weighted variance averaged over the columns, in units of
            `largest` squared, so that it neither overflows nor vanishes.
    """

    n_rows: tf.Tensor
    bad_rows: tf.Tensor
    first_bad_row: tf.Tensor
    zero_rows: tf.Tensor
    bad_weights: tf.Tensor
    total_weight: tf.Tensor
    distinct_rows: tf.Tensor
    mean: tf.Tensor
    largest: tf.Tensor
    variance: tf.Tensor


def summarise(points, weights, n_clusters):
    """Goes over the rows twice (moments, spread) and counts distinct ones until there are k.

    Args:
        points: `[n, d]`, floating.
        weights: float32 `[n]`, or None.
        n_clusters: int, k.

    Returns:
        Summary. Where there are bad rows or weights, only the counts mean anything.
    """
    return tracing.traced(_summarise, points.shape[1])(
        points, weights, tf.constant(n_clusters, tf.int32)
    )


def _summarise(width, points, weights, n_clusters):
    points = tf.ensure_shape(points, [None, width])
    rows = rows_lib.Rows(points, weights, None, None, 'squared_euclidean')
    bad_rows, first_bad_row, zero_rows, bad_weights, total_weight, sums = _count(rows)
    mean = tf.math.divide_no_nan(sums, total_weight)
    largest, variance = _spread(rows, mean, total_weight)
    distinct_rows = count_distinct(rows, n_clusters)
    return Summary(
        n_rows=rows.count,
        bad_rows=bad_rows,
        first_bad_row=first_bad_row,
        zero_rows=zero_rows,
        bad_weights=bad_weights,
        total_weight=total_weight,
        distinct_rows=distinct_rows,
        mean=mean,
        largest=largest,
        variance=variance,
    )


def check(summary, n_clusters, weights, distance):
    """Refuses data that cannot be clustered.

    Returns:
        List of assertions to depend on; empty eagerly.

    Raises:
        ValueError: eagerly; see checks.require.
    """
    conditions = [
        checks.require(summary.n_rows > 0, 'points: there are no rows, nothing to cluster'),
        checks.require(
            summary.bad_rows == 0,
            'points: {} rows hold NaN or infinite values, the first is row {}; '
            'drop or fill them first',
            summary.bad_rows,
            summary.first_bad_row,
        ),
        checks.require(
            summary.bad_weights == 0,
            'weights: {} of them are negative, NaN or infinite (as float32); '
            'weights must be finite and >= 0',
            summary.bad_weights,
        ),
    ]
    if weights is not None:
        conditions.append(
            checks.require(
                summary.total_weight > 0,
                'weights: none is above 0 (as float32), so no row counts for anything',
            )
        )
    if distance == 'cosine':
        conditions.append(
            checks.require(
                summary.zero_rows == 0,
                'points: {} rows are all zeros and have no direction, which the cosine distance '
                'needs',
                summary.zero_rows,
            )
        )
    else:
        conditions.append(
            checks.require(
                summary.largest <= _FARTHEST,
                'points: values lie as far as {} from their mean, too far for the squares of '
                'distances; scale them down first',
                summary.largest,
            )
        )
    conditions.append(
        checks.require(
            summary.distinct_rows >= n_clusters,
            'n_clusters={} is more than the {} distinct rows (of positive weight) in points; '
            'ask for at most that many clusters',
            n_clusters,
            summary.distinct_rows,
        )
    )
    return [condition for condition in conditions if condition is not None]


def check_initial(initial, distance):
    """Refuses initial centroids `[k, d]` that no row can be compared with; see `check`."""
    bad = tf.math.count_nonzero(tf.logical_not(tf.reduce_all(tf.math.is_finite(initial), axis=1)))
    conditions = [checks.require(bad == 0, 'init: {} rows hold NaN or infinite values', bad)]
    if distance == 'cosine':
        zero = tf.math.count_nonzero(tf.reduce_all(tf.equal(initial, 0), axis=1))
        conditions.append(
            checks.require(
                zero == 0,
                'init: {} rows are all zeros and have no direction, which the cosine distance '
                'needs',
                zero,
            )
        )
    return [condition for condition in conditions if condition is not None]


def _count(rows):
    def step(start, stop, bad_rows, first_bad_row, zero_rows, bad_weights, total_weight, sums):
        block = rows.points[start:stop]
        weights = tf.cast(rows.block_weights(start, stop), tf.float64)
        finite = tf.reduce_all(tf.math.is_finite(block), axis=1)
        where_bad = tf.cast(start, tf.int64) + tf.where(tf.logical_not(finite))[:, 0]
        zero = tf.reduce_all(tf.equal(block, 0), axis=1)
        bad_weight = tf.logical_not(tf.logical_and(tf.math.is_finite(weights), weights >= 0))
        weighted = tf.cast(block, tf.float64) * weights[:, tf.newaxis]
        return [
            bad_rows + tf.size(where_bad, tf.int64),
            tf.minimum(first_bad_row, tf.reduce_min(where_bad)),  # of none: the largest int64
            zero_rows + tf.math.count_nonzero(zero),
            bad_weights + tf.math.count_nonzero(bad_weight),
            total_weight + tf.reduce_sum(weights),
            sums + tf.reduce_sum(weighted, axis=0),
        ]

    none = tf.zeros([], tf.int64)
    first_bad_row = tf.cast(rows.count, tf.int64)
    sums = tf.zeros([rows.points.shape[1]], tf.float64)
    initial = [none, first_bad_row, none, none, tf.zeros([], tf.float64), sums]
    return blocks.reduce_blocks(step, rows.count, _ROWS_PER_BLOCK, initial)


def _spread(rows, mean, total_weight):
    shift = tf.cast(mean, rows.points.dtype)

    def widest(start, stop, largest):
        differences = tf.abs(rows.points[start:stop] - shift)
        return [tf.maximum(largest, tf.cast(tf.reduce_max(differences), tf.float64))]

    zero = tf.zeros([], tf.float64)
    (largest,) = blocks.reduce_blocks(widest, rows.count, _ROWS_PER_BLOCK, [zero])

    def squares(start, stop, total):
        weights = tf.cast(rows.block_weights(start, stop), tf.float64)
        differences = tf.cast(rows.points[start:stop], tf.float64) - mean
        differences = tf.math.divide_no_nan(differences, largest)
        return [total + tf.reduce_sum(tf.square(differences) * weights[:, tf.newaxis])]

    (total,) = blocks.reduce_blocks(squares, rows.count, _ROWS_PER_BLOCK, [zero])
    width = tf.cast(tf.shape(rows.points)[1], tf.float64)
    return largest, tf.math.divide_no_nan(total, total_weight * width)


def count_distinct(rows, at_most):
    """Counts distinct rows of positive weight, stopping where there are `at_most` of them.

    One NaN is like another here, and unlike any finite value.
    """
    at_most = tf.cast(at_most, tf.int32)

    def body(start, seen):
        stop = tf.minimum(start + _ROWS_PER_BLOCK, rows.count)
        block = rows.points[start:stop]
        block = tf.where(tf.math.is_nan(block), tf.cast(float('inf'), block.dtype), block)
        block += 0  # -0 becomes 0
        if rows.weights is not None:
            block = tf.boolean_mask(block, rows.weights[start:stop] > 0)
        merged = tf.concat([seen, block], axis=0)
        seen = tf.raw_ops.UniqueV2(x=merged, axis=[0]).y[:at_most]
        return stop, tf.ensure_shape(seen, [None, width])

    def unfinished(start, seen):
        return tf.logical_and(start < rows.count, blocks.row_count(seen) < at_most)

    width = rows.points.shape[1]
    _, seen = tf.while_loop(
        unfinished,
        body,
        [tf.zeros([], tf.int32), tf.zeros([0, width], rows.points.dtype)],
        [tf.TensorShape([]), tf.TensorShape([None, width])],
    )
    return blocks.row_count(seen)
