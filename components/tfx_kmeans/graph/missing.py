"""Rows with missing values (NaN): counted, refused or left out before a fit."""

import typing

import tensorflow as tf

from tfx_kmeans.graph import blocks, checks, tracing

CHOICES = ('error', 'drop', 'partial')

_ROWS_PER_BLOCK = 4096


class Kept(typing.NamedTuple):
    """The rows of a matrix that a fit goes over.

    Attributes:
        points: `[m, d]`: a copy, unless all rows are kept.
        weights: float32 `[m]`, or None.
        indices: int64 `[m]`, where the rows were before; None if all are kept for sure.
        whole: bool scalar, whether no value of the rows is missing.
        left_out: int64 scalar, rows left out because of missing values.
        assertions: list of assertions to depend on; empty eagerly.
    """

    points: tf.Tensor
    weights: tf.Tensor | None
    indices: tf.Tensor | None
    whole: tf.Tensor
    left_out: tf.Tensor
    assertions: list


def keep(points, weights, missing):
    """Leaves out rows of weight 0, and those that miss values as `missing` says.

    Args:
        points: `[n, d]`, floating.
        weights: float32 `[n]`, or None.
        missing: one of CHOICES; with 'partial' rows of nothing but NaN are left out.

    Returns:
        Kept.

    Raises:
        ValueError: eagerly, if values are infinite where NaN may say that they are missing, or if
            no row is left; see checks.require.
    """
    whole, left_out, assertions = tf.constant(True), tf.zeros([], tf.int64), []
    counts = None if weights is None else tf.not_equal(weights, 0)
    kept = counts
    if missing != 'error':
        complete, empty, infinite = _look_for_gaps(points)
        usable = complete if missing == 'drop' else tf.logical_not(empty)
        if counts is None:
            counts = tf.ones_like(usable)
        kept = tf.logical_and(usable, counts)
        left_out = tf.math.count_nonzero(tf.logical_and(counts, tf.logical_not(usable)))
        whole = tf.reduce_all(tf.logical_or(complete, tf.logical_not(kept)))
        assertions = _check(tf.logical_and(infinite, counts), usable, counts)
    if kept is None:
        return Kept(points, None, None, whole, left_out, assertions)
    parts = [points] if weights is None else [points, weights]
    parts = tf.cond(
        tf.reduce_all(kept),
        lambda: [tf.identity(part) for part in parts],
        lambda: [tf.boolean_mask(part, kept) for part in parts],
    )
    points = tf.ensure_shape(parts[0], [None, points.shape[1]])
    weights = None if weights is None else parts[1]
    return Kept(points, weights, tf.where(kept)[:, 0], whole, left_out, assertions)


def _look_for_gaps(points):
    """Whether rows are complete, are nothing but NaN, hold infinite values: bool `[n]` each."""
    signature = (tracing.matrix(points.dtype, points.shape[1]),)
    return tracing.traced(_survey, None, signature)(points)


def _survey(_, points):

    def step(start, stop):
        absent = tf.math.is_nan(points[start:stop])
        infinite = tf.reduce_any(tf.math.is_inf(points[start:stop]), axis=1)
        complete = tf.logical_not(tf.reduce_any(absent, axis=1))
        return [complete, tf.reduce_all(absent, axis=1), infinite]

    return blocks.map_blocks(step, blocks.row_count(points), _ROWS_PER_BLOCK, [tf.bool] * 3)


def _check(infinite, usable, counts):
    """Refuses infinite values, which are not missing, and data of which no row is usable."""
    where = tf.where(infinite)[:, 0]
    conditions = [
        checks.require(
            tf.equal(tf.size(where), 0),
            'points: {} rows hold infinite values, the first is row {}; only NaN says that a value '
            'is missing',
            tf.size(where),
            tf.reduce_min(where),
        ),
        checks.require(
            tf.logical_or(
                tf.reduce_any(tf.logical_and(usable, counts)), tf.logical_not(tf.reduce_any(counts))
            ),
            'points: values are missing (NaN) in all {} rows, so that none is left to fit',
            tf.math.count_nonzero(counts),
        ),
    ]
    return [condition for condition in conditions if condition is not None]


def refuse(points):
    """Returns `points`, floating `[n, d]`, once it is known that none of their values is NaN.

    Raises:
        ValueError: eagerly, where one is; see checks.require.
    """
    complete, _, _ = _look_for_gaps(points)
    gaps = tf.logical_not(complete)
    condition = checks.require(
        tf.reduce_all(complete),
        "points: {} rows hold NaN; missing='drop' leaves them unassigned, and missing='partial' "
        'assigns them by the values they have',
        tf.math.count_nonzero(gaps),
    )
    if condition is None:
        return points
    with tf.control_dependencies([condition]):
        return tf.identity(points)
