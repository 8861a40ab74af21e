"""One view of the data for every solver: blocks of centred, scaled float32 rows."""

import dataclasses
import math
from typing import Any

import tensorflow as tf

from tfx_kmeans.graph import blocks

DISTANCES = ('squared_euclidean', 'cosine')


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of a matrix as the solvers see them, prepared a block at a time.

    Centring and a power-of-two scale keep the expansion |x|^2 - 2xc + |c|^2 accurate in float32
    whatever the offset and the unit of the data. Under the cosine distance a row is divided by its
    norm instead, which puts it on the unit sphere.

    Attributes:
        points: `[n, d]` tensor in the caller's floating dtype; never copied as a whole.
        weights: float32 `[n]`, or None where every row counts once.
        shift: `[d]` in the dtype of `points`, subtracted first.
        scale: scalar in the dtype of `points`, a power of two, multiplied after.
        distance: one of DISTANCES.
    """

    points: Any
    weights: Any
    shift: Any
    scale: Any
    distance: str

    @property
    def count(self):
        """Number of rows, a scalar int32 tensor."""
        return blocks.row_count(self.points)

    def block(self, start, stop):
        """Returns rows `[start, stop)`, prepared: float32 `[stop - start, d]`."""
        return self.prepare(self.points[start:stop])

    def gather(self, indices):
        """Returns the rows at `indices`, prepared: float32 `[len(indices), d]`."""
        return self.prepare(tf.gather(self.points, indices))

    def prepare(self, rows):
        """Brings rows `[b, d]` of the caller's data into the solvers' space, as float32."""
        if self.distance == 'cosine':
            return tf.cast(normalise(rows), tf.float32)
        return tf.cast((rows - self.shift) * self.scale, tf.float32)

    def restore(self, rows):
        """Brings float64 rows `[k, d]` of the solvers' space back, in the dtype of `points`."""
        if self.distance == 'cosine':
            return tf.cast(rows, self.points.dtype)
        restored = rows / tf.cast(self.scale, tf.float64) + tf.cast(self.shift, tf.float64)
        return tf.cast(restored, self.points.dtype)

    def block_weights(self, start, stop):
        """Returns the weights of rows `[start, stop)`, float32 `[stop - start]`."""
        if self.weights is None:
            return tf.ones([stop - start], tf.float32)
        return self.weights[start:stop]

    def distance_unit(self):
        """What one unit of a squared distance between prepared rows is worth, float64 scalar.

        On the unit sphere half the squared chord is 1 - cos, which is the cosine distance.
        """
        if self.distance == 'cosine':
            return tf.constant(0.5, tf.float64)
        return 1.0 / tf.square(tf.cast(self.scale, tf.float64))


def normalise(rows):
    """Divides each row `[b, d]` by its norm; a row of zeros stays one."""
    largest = tf.reduce_max(tf.abs(rows), axis=1, keepdims=True)
    rows = tf.math.divide_no_nan(rows, largest)  # so that squaring cannot overflow or vanish
    return tf.math.divide_no_nan(rows, tf.norm(rows, axis=1, keepdims=True))


def power_of_two_scale(largest, dtype):
    """Returns the power of two that brings `largest` (float64, >= 0) near 1; 1 where it is 0."""
    exponent = tf.round(tf.math.log(tf.where(largest > 0, largest, 1.0)) / math.log(2.0))
    # 2^126 is the largest power of two whose reciprocal is a normal float32, 2^511 the largest
    # whose square has a reciprocal that is a normal float64
    limit = 126.0 if dtype == tf.float32 else 511.0
    scale = tf.pow(tf.constant(2.0, tf.float64), -tf.clip_by_value(exponent, -limit, limit))
    return tf.cast(scale, dtype)


def squared_distances(rows, centroids):
    """Squared Euclidean distances by |x|^2 - 2xc + |c|^2.

    Args:
        rows: float32 `[b, d]`.
        centroids: float32 `[k, d]`.

    Returns:
        float32 `[b, k]`, clipped at 0. The absolute error is some 1e-7 of the larger |x|^2.
    """
    squares = tf.reduce_sum(tf.square(rows), axis=1, keepdims=True)
    return tf.maximum(squares + relative_distances(rows, centroids), 0.0)


def nearest(rows, centroids):
    """Finds the nearest centroid of each row.

    Args:
        rows: float32 `[b, d]`.
        centroids: float32 `[k, d]`.

    Returns:
        ids int32 `[b]` (ties go to the lowest id) and their squared distances float32 `[b]`, the
        latter from the differences, so a row on its centroid has distance 0.
    """
    ids = tf.argmin(relative_distances(rows, centroids), axis=1, output_type=tf.int32)
    offsets = rows - tf.gather(centroids, ids)
    return ids, tf.reduce_sum(tf.square(offsets), axis=1)


def relative_distances(rows, centroids):
    """Returns squared distances `[b, k]`, less the |x|^2 that all centroids of a row share."""
    products = tf.matmul(rows, centroids, transpose_b=True)
    return tf.reduce_sum(tf.square(centroids), axis=1) - 2.0 * products
