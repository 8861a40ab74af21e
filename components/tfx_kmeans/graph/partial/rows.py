"""Rows with gaps as the solvers see them, and partial distances between them and centroids."""

import tensorflow as tf

from tfx_kmeans.graph import rows as rows_lib


class Rows(rows_lib.Rows):
    """As rows.Rows under the squared Euclidean distance, with NaN where a value is missing.

    A missing value is prepared as 0, which is the column's mean where `shift` is.
    """

    def prepare(self, rows):
        """Brings rows `[b, d]` of the caller's data into the solvers' space, gaps filled with 0."""
        return self.split(rows)[0]

    def split(self, rows):
        """Returns the prepared `rows` `[b, d]` and, as 1 and 0, which of their values are observed.

        The gaps are filled before any arithmetic, where NaN would spoil gradients.
        """
        observed = tf.logical_not(tf.math.is_nan(rows))
        prepared = super().prepare(tf.where(observed, rows, tf.zeros([], rows.dtype)))
        return tf.where(observed, prepared, 0.0), tf.cast(observed, tf.float32)


def squared_distances(values, observed, centroids):
    """Rescaled squared distances over the observed values: sum of m (x - c)^2, times d / sum of m.

    It expands to m x^2 - 2 (m x) c + m c^2, of which the last two are one matrix product.

    Args:
        values: float32 `[b, d]`, 0 where they are missing.
        observed: float32 `[b, d]`, 1 where a value is observed and else 0.
        centroids: float32 `[k, d]`.

    Returns:
        float32 `[b, k]`, clipped at 0; 0 for a row without an observed value.
    """
    squares = tf.reduce_sum(tf.square(values), axis=1, keepdims=True)
    squares += relative_distances(values, observed, centroids)
    return tf.maximum(squares, 0.0) * rescaling(observed)[:, tf.newaxis]


def nearest(values, observed, centroids):
    """Finds the nearest centroid of each row.

    Args:
        values: float32 `[b, d]`, 0 where they are missing.
        observed: float32 `[b, d]`, 1 where a value is observed and else 0.
        centroids: float32 `[k, d]`.

    Returns:
        ids int32 `[b]` (ties go to the lowest id) and their rescaled squared distances float32
        `[b]`, the latter from the differences.
    """
    relative = relative_distances(values, observed, centroids)
    ids = tf.argmin(relative, axis=1, output_type=tf.int32)
    offsets = (values - tf.gather(centroids, ids)) * observed
    return ids, tf.reduce_sum(tf.square(offsets), axis=1) * rescaling(observed)


def rescaling(observed):
    """Number of features by number of observed ones, float32 `[b]`; 0 where there are none."""
    counts = tf.reduce_sum(observed, axis=1)
    return tf.math.divide_no_nan(tf.cast(tf.shape(observed)[1], tf.float32), counts)


def relative_distances(values, observed, centroids):
    """Squared distances `[b, k]`, not rescaled, less what all centroids of a row share."""
    factors = tf.concat([-2.0 * values, observed], axis=1)
    return tf.matmul(factors, tf.concat([centroids, tf.square(centroids)], 1), transpose_b=True)
