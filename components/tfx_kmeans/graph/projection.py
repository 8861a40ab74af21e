"""Principal components of rows, to look at them in the plane."""

import typing

import tensorflow as tf


class Projection(typing.NamedTuple):
    """A view of rows along the directions in which they vary most.

    Attributes:
        mean: float64 `[d]`.
        axes: float64 `[n_axes, d]`, unit vectors at right angles, by falling variance; their
            component of largest absolute value is positive. Zeros where the rows have fewer.
        shares: float64 `[n_axes]`, the share of the variance of the rows that lies along each; 0
            for rows that do not vary.
    """

    mean: tf.Tensor
    axes: tf.Tensor
    shares: tf.Tensor

    def project(self, points):
        """Returns where points `[n, d]` are along the axes: float64 `[n, n_axes]`."""
        points = tf.cast(points, tf.float64)
        return tf.matmul(points - self.mean, self.axes, transpose_b=True)


def principal_axes(points, n_axes=2):
    """Finds the principal components (Pearson 1901) of rows, in float64.

    They are eigenvectors of the covariance `[d, d]`, or of the inner products `[n, n]` where there
    are fewer rows than columns.

    Args:
        points: numeric and finite `[n, d]`, n and d at least 1.
        n_axes: int.

    Returns:
        Projection.
    """
    points = tf.cast(points, tf.float64)
    mean = tf.reduce_mean(points, axis=0)
    centred = points - mean
    wide = points.shape[1] > points.shape[0]
    products = tf.matmul(centred, centred, transpose_a=not wide, transpose_b=wide)
    variances, vectors = tf.linalg.eigh(products)
    if wide:
        vectors = tf.matmul(centred, vectors, transpose_a=True)
    variances = tf.maximum(variances[::-1], 0.0)
    axes = tf.transpose(vectors)[::-1][:n_axes]
    # those of no variance are rounding errors
    real = variances[:n_axes] > 1e-12 * tf.reduce_max(variances)
    axes = tf.where(real[:, tf.newaxis], tf.math.l2_normalize(axes, axis=1), 0.0)
    axes *= _sign_of_largest(axes)[:, tf.newaxis]
    shares = tf.math.divide_no_nan(variances[:n_axes], tf.reduce_sum(variances))
    missing = n_axes - axes.shape[0]
    return Projection(
        mean,
        tf.pad(axes, [[0, missing], [0, 0]]),
        tf.pad(tf.where(real, shares, 0.0), [[0, missing]]),
    )


def _sign_of_largest(vectors):
    largest = tf.argmax(tf.abs(vectors), axis=1)
    return tf.sign(tf.gather(vectors, largest, axis=1, batch_dims=1))
