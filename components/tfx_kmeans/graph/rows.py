"""One view of the data for every step of a fit: blocks of prepared float32 rows."""

import dataclasses
import math
import typing
from typing import Any

import tensorflow as tf

from tfx_kmeans.graph import blocks, tracing

DISTANCES = ('squared_euclidean', 'cosine')


class Block(typing.NamedTuple):
    """Some prepared rows.

    Attributes:
        values: float32 `[b, d]`, 0 where a value is missing.
        observed: float32 `[b, d]`, 1 where a value is observed and else 0; None if none is missing.
        weights: float32 `[b]`; None if each row counts once.
    """

    values: tf.Tensor
    observed: tf.Tensor | None
    weights: tf.Tensor | None

    def squares(self):
        """Squared lengths over the observed values, float32 `[b]`."""
        return tf.reduce_sum(tf.square(self.values), axis=1)

    def rescaling(self):
        """Number of features by number of observed ones, float32 `[b]`; 0 where there are none.

        What a squared distance over the observed values is multiplied by (J. K. Dixon, "Pattern
        recognition with partly missing data", 1979). None if no value is missing.
        """
        if self.observed is None:
            return None
        width = tf.cast(tf.shape(self.observed)[1], tf.float32)
        return tf.math.divide_no_nan(width, tf.reduce_sum(self.observed, axis=1))

    def take(self, indices):
        """Returns the rows at `indices`, int `[p]`."""
        return Block(*(None if part is None else tf.gather(part, indices) for part in self))


@dataclasses.dataclass(frozen=True)
class Rows:
    """Prepared rows: centred and scaled, or, under the cosine distance, of length 1.

    Attributes:
        values: float32 `[n, d]`; with `partial` NaN says that a value is missing.
        weights: float32 `[n]`, or None where each row counts once.
        partial: bool, whether values may be missing.
    """

    values: Any
    weights: Any = None
    partial: bool = False

    def tensors(self):
        """Returns the tensors that a traced function takes, see `Rows.of`."""
        return (self.values,) if self.weights is None else (self.values, self.weights)

    def signature(self):
        """Returns the TensorSpecs of `tensors`, for any number of rows."""
        specs = (tracing.matrix(tf.float32, self.values.shape[1]), tracing.vector(tf.float32))
        return specs[: len(self.tensors())]

    @classmethod
    def of(cls, tensors, partial):
        """Makes rows of what `tensors` gave."""
        return cls(*tensors, *[None] * (2 - len(tensors)), partial)

    @property
    def count(self):
        """Number of rows, a scalar int32 tensor."""
        return blocks.row_count(self.values)

    def block(self, start, stop):
        """Returns rows `[start, stop)` as a Block."""
        weights = None if self.weights is None else self.weights[start:stop]
        return self._split(self.values[start:stop], weights)

    def take(self, indices):
        """Returns the rows at `indices`, int `[b]`, as a Block."""
        weights = None if self.weights is None else tf.gather(self.weights, indices)
        return self._split(tf.gather(self.values, indices), weights)

    def _split(self, values, weights):
        if not self.partial:
            return Block(values, None, weights)
        # the gaps are filled before any arithmetic, where NaN would spoil gradients
        observed = tf.logical_not(tf.math.is_nan(values))
        return Block(tf.where(observed, values, 0.0), tf.cast(observed, tf.float32), weights)


class Coordinates(typing.NamedTuple):
    """How points become prepared rows: (point - shift) * scale, or their direction.

    Centring and a power-of-two scale keep the expansion |x|^2 - 2xc + |c|^2 accurate in float32
    whatever the offset and the unit of the data.

    Attributes:
        shift: `[d]` in the dtype of the points; None under the cosine distance.
        scale: scalar in the dtype of the points, a power of two; None under the cosine distance.
    """

    shift: tf.Tensor | None
    scale: tf.Tensor | None

    def prepare(self, points):
        """Brings points `[b, d]` into the space of prepared rows, float32; NaN stays NaN."""
        if self.shift is None:
            return tf.cast(normalise(points), tf.float32)
        return tf.cast((points - self.shift) * self.scale, tf.float32)

    def restore(self, rows, dtype):
        """Brings float64 rows `[k, d]` of the prepared space back, in `dtype`."""
        if self.shift is None:
            return tf.cast(rows, dtype)
        restored = rows / tf.cast(self.scale, tf.float64) + tf.cast(self.shift, tf.float64)
        return tf.cast(restored, dtype)

    def distance_unit(self):
        """What one unit of a squared distance between prepared rows is worth, float64 scalar.

        On the unit sphere half the squared chord is 1 - cos, which is the cosine distance.
        """
        if self.shift is None:
            return tf.constant(0.5, tf.float64)
        return 1.0 / tf.square(tf.cast(self.scale, tf.float64))


def normalise(rows):
    """Divides each row `[b, d]` by its norm; a row of zeros stays one."""
    largest = tf.reduce_max(tf.abs(rows), axis=1, keepdims=True)
    rows = tf.math.divide_no_nan(rows, largest)  # so that squaring cannot overflow or vanish
    return tf.math.divide_no_nan(rows, tf.norm(rows, axis=1, keepdims=True))


def power_of_two_scale(spread, dtype):
    """Returns the power of two that brings `spread` (float64, >= 0) near 1; 1 where it is 0."""
    exponent = tf.round(tf.math.log(tf.where(spread > 0, spread, 1.0)) / math.log(2.0))
    # 2^126 is the largest power of two whose reciprocal is a normal float32, 2^511 the largest
    # whose square has a reciprocal that is a normal float64
    limit = 126.0 if dtype == tf.float32 else 511.0
    scale = tf.pow(tf.constant(2.0, tf.float64), -tf.clip_by_value(exponent, -limit, limit))
    return tf.cast(scale, dtype)
