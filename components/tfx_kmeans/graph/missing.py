"""Rows with missing values (NaN): counted, refused or left out before a fit."""

import typing

import tensorflow as tf

from tfx_kmeans.graph import blocks, checks, tracing

CHOICES = ('error', 'drop', 'partial')

_ROWS_PER_BLOCK = 4096


class Survey(typing.NamedTuple):
    """Which rows of a matrix `[n, d]` are whole.

    Attributes:
        complete: bool `[n]`, rows without a NaN.
        empty: bool `[n]`, rows of nothing but NaN.
        infinite_rows: int64 scalar, rows with an infinite value.
        first_infinite_row: int64 scalar, index of the first of them, n where there is none.
    """

    complete: tf.Tensor
    empty: tf.Tensor
    infinite_rows: tf.Tensor
    first_infinite_row: tf.Tensor


def survey(points):
    """Goes over `points`, floating `[n, d]`, once; returns a Survey."""
    return tracing.traced(_survey, points.shape[1])(points)


def _survey(width, points):
    points = tf.ensure_shape(points, [None, width])
    n_rows = blocks.row_count(points)

    def step(start, stop):
        absent = tf.math.is_nan(points[start:stop])
        infinite = tf.reduce_any(tf.math.is_inf(points[start:stop]), axis=1)
        complete = tf.logical_not(tf.reduce_any(absent, axis=1))
        return [complete, tf.reduce_all(absent, axis=1), infinite]

    complete, empty, infinite = blocks.map_blocks(step, n_rows, _ROWS_PER_BLOCK, [tf.bool] * 3)
    where = tf.concat([tf.where(infinite)[:, 0], [tf.cast(n_rows, tf.int64)]], axis=0)
    return Survey(complete, empty, tf.math.count_nonzero(infinite), where[0])


def check(found, keep):
    """Refuses infinite values, which are not missing, and rows of which none, bool `[n]`, is kept.

    Returns:
        List of assertions to depend on; empty eagerly.

    Raises:
        ValueError: eagerly; see checks.require.
    """
    conditions = [
        checks.require(
            found.infinite_rows == 0,
            'points: {} rows hold infinite values, the first is row {}; only NaN says that a value '
            'is missing',
            found.infinite_rows,
            found.first_infinite_row,
        ),
        checks.require(
            tf.logical_or(tf.reduce_any(keep), tf.equal(tf.size(keep), 0)),
            'points: values are missing (NaN) in all {} rows, so that none is left to fit',
            tf.size(keep),
        ),
    ]
    return [condition for condition in conditions if condition is not None]


def leave_out(points, weights, keep):
    """Returns the rows of `points` to keep and their weights, in a copy unless that is all of them.

    Args:
        points: `[n, d]`.
        weights: `[n]`, or None.
        keep: bool `[n]`.
    """
    parts = [points] if weights is None else [points, weights]
    kept = tf.cond(
        tf.reduce_all(keep),
        lambda: [tf.identity(part) for part in parts],
        lambda: [tf.boolean_mask(part, keep) for part in parts],
    )
    points = tf.ensure_shape(kept[0], [None, points.shape[1]])
    return points, None if weights is None else kept[1]


def refuse(points):
    """Returns `points`, floating `[n, d]`, once it is known that none of their values is NaN.

    Raises:
        ValueError: eagerly, where one is; see checks.require.
    """
    complete = survey(points).complete
    gaps = tf.logical_not(complete)
    condition = checks.require(
        tf.reduce_all(complete),
        "points: {} rows hold NaN; missing='drop' gives them no place, and missing='partial' "
        'places them by the values they have',
        tf.math.count_nonzero(gaps),
    )
    if condition is None:
        return points
    with tf.control_dependencies([condition]):
        return tf.identity(points)
