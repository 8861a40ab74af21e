"""What must be known of the data before a fit: whether it allows one, where it lies, how wide."""

import typing

import tensorflow as tf

from tfx_kmeans.graph import blocks, checks, tracing
from tfx_kmeans.graph import rows as rows_lib

_ROWS_PER_BLOCK = 8192
_GLANCE = 256  # rows that tell where the data lie
# Points serve as they are, without a prepared copy, if they lie within so many spreads of 0 and
# their unit is within such a factor of 1: float32 loses two digits at the most.
_NEAR, _USUAL = 8.0, 2.0**16
# Sums in float64 hold values that are so many spreads apart: beyond it, far ones erase the others.
FARTHEST = 2.0**40
_MOST = 1e150  # the square is still a float64
_OUTLYING = 2.0**12  # spreads; values beyond it do not count in what `tol` is measured by


class Summary(typing.NamedTuple):
    """Facts about points `[n, d]`, their weights `[n]` and a wanted number of clusters k.

    Attributes:
        n_rows: int32 scalar, n.
        bad_rows: int64 scalar, rows with a NaN (unless values may be missing) or an infinite value.
        first_bad_row: int64 scalar, index of the first of them.
        zero_rows: int64 scalar, rows of length 0, which only the cosine distance minds.
        bad_weights: int64 scalar, weights that are negative, NaN or infinite.
        total_weight: float64 scalar.
        distinct_rows: int32 scalar, distinct rows, counted no further than k.
        unseen: bool `[d]`, columns without an observed value.
        too_far: bool scalar, whether a value lies farther out than sums in float64 can bear.
        farthest_row: int64 scalar, the row of the value farthest out; looked for only if it is too
            far.
        farthest_column: int64 scalar, its column.
        farthest_value: float64 scalar, and the value.
        variance: float64 scalar, weighted variance averaged over the columns, in squared units of
            the prepared rows; where outliers would dominate it, the square of the spread.
    """

    n_rows: tf.Tensor
    bad_rows: tf.Tensor
    first_bad_row: tf.Tensor
    zero_rows: tf.Tensor
    bad_weights: tf.Tensor
    total_weight: tf.Tensor
    distinct_rows: tf.Tensor
    unseen: tf.Tensor
    too_far: tf.Tensor
    farthest_row: tf.Tensor
    farthest_column: tf.Tensor
    farthest_value: tf.Tensor
    variance: tf.Tensor


class Prepared(typing.NamedTuple):
    """Points, made ready for a fit.

    Attributes:
        values: float32 `[n, d]`, the prepared rows: the points themselves where they will do.
        coordinates: rows_lib.Coordinates.
        summary: Summary.
    """

    values: tf.Tensor
    coordinates: rows_lib.Coordinates
    summary: Summary


def prepare(points, weights, n_clusters, distance, partial=False):
    """Prepares points for a fit and summarises them, in one pass over the prepared rows.

    Args:
        points: `[n, d]`, float32 or float64, of rows that count; with `partial` NaN says that a
            value is missing.
        weights: float32 `[n]`, or None.
        n_clusters: int, k.
        distance: one of rows_lib.DISTANCES.
        partial: bool, whether values may be missing.

    Returns:
        Prepared. Where there are bad rows or weights, only their counts mean anything.
    """
    if distance == 'cosine':
        coordinates = rows_lib.Coordinates(None, None)
        values = _prepare_rows(points, coordinates)
        spread = tf.ones([], tf.float64)
    else:
        coordinates, spread, usual = _look(points, partial)
        spread *= tf.cast(coordinates.scale, tf.float64)
        if points.dtype == tf.float32:
            values = tf.cond(usual, lambda: points, lambda: _prepare_rows(points, coordinates))
        else:
            values = _prepare_rows(points, coordinates)
    rows = rows_lib.Rows(values, weights, partial)
    found = tracing.traced(_pass, (distance, partial), rows.signature())(*rows.tensors())
    sound, total_weight, bad_weights, zero_rows, largest, moments = found
    sums, squares, observed = moments
    means = tf.math.divide_no_nan(sums, observed)
    variances = tf.math.divide_no_nan(squares, observed) - tf.square(means)
    variance = tf.maximum(tf.reduce_mean(variances), 0.0)
    outlying = largest > _OUTLYING * spread
    too_far = tf.constant(False)
    if distance != 'cosine':
        reach = tf.minimum(FARTHEST * spread, _MOST * tf.cast(coordinates.scale, tf.float64))
        too_far = tf.logical_not(largest <= reach)
    odd = tf.logical_or(tf.logical_not(sound), too_far)
    none = tf.zeros([], tf.int64)
    counts = tf.cond(
        odd,
        lambda: _diagnose(points, coordinates, partial),
        lambda: [none, none, none, none, tf.zeros([], tf.float64)],
    )
    summary = Summary(
        n_rows=rows.count,
        bad_rows=counts[0],
        first_bad_row=counts[1],
        zero_rows=zero_rows,
        bad_weights=bad_weights,
        total_weight=total_weight,
        distinct_rows=_count_distinct(points, n_clusters),
        unseen=observed <= 0,
        too_far=tf.logical_and(too_far, counts[0] == 0),
        farthest_row=counts[2],
        farthest_column=counts[3],
        farthest_value=counts[4],
        variance=tf.where(outlying, tf.square(spread), variance),
    )
    return Prepared(values, coordinates, summary)


def check(summary, n_clusters, weights, distance, first_rows=None):
    """Refuses data that cannot be clustered.

    Args:
        summary: Summary.
        n_clusters: int, k.
        weights: what the caller gave, None for none.
        distance: one of rows_lib.DISTANCES.
        first_rows: int64 `[n]`, the caller's index of each row; None if it is that of the points.

    Returns:
        List of assertions to depend on; empty eagerly.

    Raises:
        ValueError: eagerly; see checks.require.
    """

    def index(row):
        return row if first_rows is None else tf.gather(tf.pad(first_rows, [[0, 1]]), row)

    if weights is None:
        nothing = 'points: there are no rows, nothing to cluster'
    else:
        nothing = 'weights: none is above 0 (as float32), so no row counts for anything'
    conditions = [
        checks.require(summary.n_rows > 0, nothing),
        checks.require(
            summary.bad_rows == 0,
            'points: {} rows hold NaN or infinite values, the first is row {}; '
            'drop or fill them first',
            summary.bad_rows,
            index(summary.first_bad_row),
        ),
        checks.require(
            summary.bad_weights == 0,
            'weights: {} of them are negative, NaN or infinite (as float32); '
            'weights must be finite and >= 0',
            summary.bad_weights,
        ),
    ]
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
                tf.logical_not(summary.too_far),
                'points: column {} holds {} in row {}, more than 2^40 times as far out as most '
                'rows (or above 1e150), so that sums in float64 would lose the others; leave it '
                'out, clip it, or give it weight 0',
                summary.farthest_column,
                summary.farthest_value,
                index(summary.farthest_row),
            )
        )
    unseen = tf.where(summary.unseen)[:, 0]
    conditions += [
        checks.require(
            tf.equal(tf.size(unseen), 0),
            'points: {} columns have no observed value (of positive weight), the first is column '
            '{}; leave them out',
            tf.size(unseen),
            tf.reduce_min(unseen),
        ),
        checks.require(
            summary.distinct_rows >= n_clusters,
            'n_clusters={} is more than the {} distinct rows (of positive weight) in points; '
            'ask for at most that many clusters',
            n_clusters,
            summary.distinct_rows,
        ),
    ]
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


def _look(points, partial):
    """Where the data lie and how wide, from a glance at few rows.

    A median is where most rows are, whatever a few of them hold.

    Returns:
        Coordinates, the spread in the unit of the points, float64, and whether the points will do
        as they are.
    """
    n_rows, width = blocks.row_count(points), points.shape[1]
    n_seen = tf.minimum(n_rows, _GLANCE)
    places = tf.cast(tf.range(n_seen), tf.int64) * tf.cast(n_rows, tf.int64)
    seen = tf.gather(points, places // tf.cast(tf.maximum(n_seen, 1), tf.int64))
    finite = tf.math.is_finite(seen)
    # one more row, of which a column without a finite value has its median
    ranked = tf.sort(tf.where(finite, seen, seen.dtype.max), axis=0)
    ranked = tf.transpose(tf.pad(ranked, [[0, 1], [0, 0]]))
    n_finite = tf.math.count_nonzero(finite, axis=0, dtype=tf.int32)
    middle = tf.where(n_finite > 0, (n_finite - 1) // 2, n_seen)
    centre = tf.gather(ranked, middle, batch_dims=1)
    apart = tf.cast(tf.where(finite, seen, centre), tf.float64) - tf.cast(centre, tf.float64)
    spread = _median_of_positive(tf.reduce_max(tf.abs(apart), axis=1))
    spread = tf.cond(spread > 0, lambda: spread, lambda: _widest(points, centre))
    coordinates = rows_lib.Coordinates(
        shift=tf.ensure_shape(centre, [width]),
        scale=rows_lib.power_of_two_scale(spread, points.dtype),
    )
    offset = tf.reduce_max(tf.abs(tf.cast(centre, tf.float64)))
    near = tf.logical_and(spread > 1.0 / _USUAL, spread < _USUAL)
    # 0 fills the gaps of rows that become centroids, so it has to be the centre
    usual = tf.logical_and(near, offset <= _NEAR * spread) if not partial else tf.constant(False)
    if points.dtype == tf.float32:
        coordinates = rows_lib.Coordinates(
            shift=tf.where(usual, tf.zeros_like(coordinates.shift), coordinates.shift),
            scale=tf.where(usual, tf.ones_like(coordinates.scale), coordinates.scale),
        )
    return coordinates, spread, usual


def _median_of_positive(values):
    """The median of the positive ones of `values` `[n]`, 0 where there is none."""
    falling = tf.sort(values, direction='DESCENDING')
    n_positive = tf.math.count_nonzero(values > 0, dtype=tf.int32)
    middle = tf.maximum(n_positive - 1, 0) // 2
    return tf.pad(falling, [[0, 1]])[middle]


def _widest(points, centre):
    """The largest distance of a finite value from the centre of its column: float64."""

    def step(start, stop, largest):
        apart = tf.abs(points[start:stop] - centre)
        apart = tf.where(tf.math.is_finite(apart), apart, 0)
        return [tf.maximum(largest, tf.cast(tf.reduce_max(apart), tf.float64))]

    initial = [tf.zeros([], tf.float64)]
    return blocks.reduce_blocks(step, blocks.row_count(points), _ROWS_PER_BLOCK, initial)[0]


def _prepare_rows(points, coordinates):
    """The prepared rows of points, in blocks: a float64 temporary of all would take more memory."""
    given = () if coordinates.shift is None else tuple(coordinates)
    width, dtype = points.shape[1], points.dtype
    vector, scalar = tf.TensorSpec([width], dtype), tf.TensorSpec([], dtype)
    signature = (tracing.matrix(dtype, width), *(vector, scalar)[: len(given)])
    return tracing.traced(_prepare_blocks, None, signature)(points, *given)


def _prepare_blocks(_, points, shift=None, scale=None):
    coordinates = rows_lib.Coordinates(shift, scale)

    def step(start, stop):
        return [coordinates.prepare(points[start:stop])]

    spec = tracing.matrix(tf.float32, points.shape[1])
    return blocks.map_blocks(step, blocks.row_count(points), _ROWS_PER_BLOCK, [spec])[0]


def _pass(static, *tensors):
    """One pass over the prepared rows.

    Returns:
        Whether all values that may not be missing are finite; the total weight, float64; the number
        of bad weights and of rows of length 0, int64; the largest absolute value, float64; and by
        column the weighted sums of values, squares and observed values, float64 `[d]`.
    """
    distance, partial = static
    rows = rows_lib.Rows.of(tensors, partial)
    # directions may differ by little only
    dtype = tf.float64 if distance == 'cosine' else tf.float32

    def step(start, stop, sound, total, bad_weights, zero_rows, largest, sums, squares, observed):
        block = rows.block(start, stop)
        weights = tf.ones([stop - start]) if block.weights is None else block.weights
        bad = tf.logical_not(tf.logical_and(tf.math.is_finite(weights), weights >= 0))
        values, these = tf.cast(block.values, dtype), tf.cast(weights, dtype)
        seen = tf.reduce_sum(tf.cast(weights, tf.float64))
        if block.observed is not None:
            seen = tf.cast(tf.linalg.matvec(block.observed, weights, transpose_a=True), tf.float64)
        sum_ = tf.linalg.matvec(values, these, transpose_a=True)
        square = tf.linalg.matvec(tf.square(values), these, transpose_a=True)
        lengths = block.squares()
        return [
            # an infinite value or a NaN is in the sum of the lengths, too
            tf.logical_and(sound, tf.math.is_finite(tf.reduce_sum(lengths))),
            total + tf.reduce_sum(tf.cast(weights, tf.float64)),
            bad_weights + tf.math.count_nonzero(bad),
            zero_rows + tf.math.count_nonzero(tf.equal(lengths, 0)),
            tf.maximum(largest, tf.cast(tf.reduce_max(tf.abs(block.values)), tf.float64)),
            sums + tf.cast(sum_, tf.float64),
            squares + tf.cast(square, tf.float64),
            observed + seen,
        ]

    zero, none = tf.zeros([], tf.float64), tf.zeros([], tf.int64)
    by_column = tf.zeros([rows.values.shape[1]], tf.float64)
    initial = [tf.constant(True), zero, none, none, zero, *[by_column] * 3]
    found = blocks.reduce_blocks(step, rows.count, _ROWS_PER_BLOCK, initial)
    return (*found[:5], found[5:])


def _diagnose(points, coordinates, partial):
    """Looks for what is wrong with the points: counts and places as in Summary."""
    n_rows = blocks.row_count(points)

    def step(start, stop, bad_rows, first, row, column, largest):
        block = points[start:stop]
        sound = tf.math.is_finite(block)
        if partial:
            sound = tf.logical_or(sound, tf.math.is_nan(block))
        bad = (
            tf.cast(start, tf.int64) + tf.where(tf.logical_not(tf.reduce_all(sound, axis=1)))[:, 0]
        )
        apart = tf.cast(tf.zeros_like(block), tf.float64)
        if coordinates.shift is not None:
            apart = tf.cast(block, tf.float64) - tf.cast(coordinates.shift, tf.float64)
        apart = tf.reshape(tf.where(tf.math.is_finite(apart), tf.abs(apart), 0.0), [-1])
        at = tf.argmax(apart)
        farther = apart[at] > largest
        width = tf.cast(tf.shape(block)[1], tf.int64)
        return [
            bad_rows + tf.size(bad, tf.int64),
            tf.minimum(first, tf.reduce_min(bad)),  # of none: the largest int64
            tf.where(farther, tf.cast(start, tf.int64) + at // width, row),
            tf.where(farther, at % width, column),
            tf.maximum(largest, apart[at]),
        ]

    none = tf.zeros([], tf.int64)
    initial = [none, tf.cast(n_rows, tf.int64), none, none, tf.zeros([], tf.float64)]
    bad_rows, first, row, column, _ = blocks.reduce_blocks(step, n_rows, _ROWS_PER_BLOCK, initial)
    value = tf.cond(
        n_rows > 0,
        lambda: tf.cast(points[row, column], tf.float64),
        lambda: tf.zeros([], tf.float64),
    )
    return [bad_rows, first, row, column, value]


def _count_distinct(points, at_most):
    """Counts distinct rows, stopping where there are `at_most` of them.

    One NaN is like another here, and unlike any finite value.
    """
    n_rows, width = blocks.row_count(points), points.shape[1]
    step = min(max(2 * at_most, 256), 4096)

    def body(start, seen):
        stop = tf.minimum(start + step, n_rows)
        block = points[start:stop]
        block = tf.where(tf.math.is_nan(block), tf.cast(float('inf'), block.dtype), block)
        block += 0  # -0 becomes 0
        merged = tf.concat([seen, block], axis=0)
        seen = tf.raw_ops.UniqueV2(x=merged, axis=[0]).y[:at_most]
        return stop, tf.ensure_shape(seen, [None, width])

    def unfinished(start, seen):
        return tf.logical_and(start < n_rows, blocks.row_count(seen) < at_most)

    _, seen = tf.while_loop(
        unfinished,
        body,
        [tf.zeros([], tf.int32), tf.zeros([0, width], points.dtype)],
        [tf.TensorShape([]), tf.TensorShape([None, width])],
    )
    return blocks.row_count(seen)
