"""Distances between prepared rows and centroids, whole rows and rows with gaps alike.

They come from |x|^2 - 2xc + |c|^2; over the observed values m of a row with gaps that is
m x^2 - 2 (m x) c + m c^2, of which the last two are one matrix product.
"""

import typing

import tensorflow as tf

from tfx_kmeans.graph import tracing

# what float32 may get wrong in a relative distance, as a share of |x|^2 + |c|^2
ROUNDING = 2.0**-20
FAR = 1e38  # the bias of a centroid that no row may take


class Targets(typing.NamedTuple):
    """Centroids, laid out for products with blocks of rows.

    Attributes:
        centroids: float32 `[k, d]`.
        factors: float32 `[d, k]`, or `[2 d, k]` for rows with gaps.
        bias: float32 `[k]`.
    """

    centroids: tf.Tensor
    factors: tf.Tensor
    bias: tf.Tensor


def signature(width, partial):
    """The TensorSpecs of Targets, for any number of centroids."""
    return Targets(
        tracing.matrix(tf.float32, width),
        tf.TensorSpec([2 * width if partial else width, None], tf.float32),
        tracing.vector(tf.float32),
    )


def lay_out(centroids, partial, active=None):
    """Lays out centroids, float32 `[k, d]`, for rows that may have gaps, if `partial`: Targets.

    Where `active`, bool `[k]`, is given and False, no row is near to a centroid.
    """
    squares = tf.square(centroids)
    if partial:
        factors = tf.concat([-2.0 * centroids, squares], axis=1)
        bias = tf.zeros_like(squares[:, 0])
    else:
        factors, bias = -2.0 * centroids, tf.reduce_sum(squares, axis=1)
    if active is not None:
        bias = tf.where(active, bias, FAR)
    return Targets(centroids, tf.transpose(factors), bias)


def relative(block, targets):
    """Squared distances float32 `[b, k]`, less what all centroids of a row share.

    What they share is the squared length of the row; those of rows with gaps are not rescaled.
    """
    values = block.values
    if block.observed is not None:
        values = tf.concat([values, block.observed], axis=1)
    return tf.nn.bias_add(tf.matmul(values, targets.factors), targets.bias)


def squared(block, targets):
    """Squared distances float32 `[b, k]`, clipped at 0, rescaled for the gaps of a row.

    The absolute error is some 1e-7 of the larger of |x|^2 and |c|^2.
    """
    distances = tf.maximum(block.squares()[:, tf.newaxis] + relative(block, targets), 0.0)
    return rescale(block, distances)


def rescale(block, distances):
    """Brings squared distances `[b]` or `[b, k]` over observed values to those over all."""
    factors = block.rescaling()
    if factors is None:
        return distances
    return distances * (factors if distances.shape.rank == 1 else factors[:, tf.newaxis])


def to_own(block, centroids):
    """Squared distances float32 `[b]` of rows to a centroid each, `[b, d]`, from the differences.

    So a row on its centroid has distance 0.
    """
    offsets = block.values - centroids
    if block.observed is not None:
        offsets *= block.observed
    return rescale(block, tf.reduce_sum(tf.square(offsets), axis=1))


def nearest(block, targets):
    """Finds the nearest centroid of each row.

    Returns:
        ids int32 `[b]` (ties go to the lowest id) and their squared distances float32 `[b]`, the
        latter from the differences.
    """
    ids = tf.argmin(relative(block, targets), axis=1, output_type=tf.int32)
    return ids, to_own(block, tf.gather(targets.centroids, ids))
