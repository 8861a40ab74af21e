"""Going over a tf.data.Dataset of rows: its batches, what it holds, and a sample of it."""

import functools
import typing

import numpy as np
import tensorflow as tf

from tfx_kmeans.graph import summary as summary_lib


class Stream:
    """A data set of rows as batches of one size, however it was batched before.

    Attributes:
        width: int, columns of a row.
        dtype: tf.float32 or tf.float64, in which the points come.
        weighted: bool, whether weights come with them.
    """

    def __init__(self, dataset, batch_size):
        """Checks what the elements of `dataset` are.

        Args:
            dataset: tf.data.Dataset of `[b, d]` or of pairs (`[b, d]`, `[b]`), points and weights.
            batch_size: int, rows of a batch; the last one may have fewer.

        Raises:
            TypeError: it is no data set, or its elements are no such tensors.
            ValueError: the points have no known width, or the data set never ends.
        """
        if not isinstance(dataset, tf.data.Dataset):
            raise TypeError(f'dataset must be a tf.data.Dataset, not {type(dataset).__name__}')
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError('dataset never ends; leave out repeat(), the epochs are made here')
        points, self.weighted = _check_elements(dataset.element_spec)
        self.width = points.shape[1]
        self.dtype = points.dtype if points.dtype == tf.float64 else tf.float32
        self._dataset = dataset.rebatch(batch_size).prefetch(2)

    def batches(self):
        """Yields points `[b, width]` in `dtype`, and weights float32 `[b]` or None."""
        for batch in self._dataset:
            points, weights = batch if self.weighted else (batch, None)
            points = tf.ensure_shape(tf.cast(points, self.dtype), [None, self.width])
            yield points, None if weights is None else tf.cast(weights, tf.float32)


def _check_elements(spec):
    """Returns the TensorSpec of the points and whether there are weights."""
    parts = spec if isinstance(spec, tuple) else (spec,)
    if not 1 <= len(parts) <= 2 or not all(isinstance(part, tf.TensorSpec) for part in parts):
        raise TypeError(
            'elements of dataset must be points [b, d] or pairs (points [b, d], weights [b]), '
            f'not {spec}'
        )
    for part, name, rank in zip(parts, ('points', 'weights'), (2, 1)):  # noqa: B905 - may be one
        if not (part.dtype.is_floating or part.dtype.is_integer):
            raise TypeError(f'dataset: {name} must be numeric, not {part.dtype.name}')
        if part.shape.rank != rank:
            raise ValueError(f'dataset: {name} must have rank {rank}, not shape {part.shape}')
    if not parts[0].shape[1]:
        raise ValueError(
            f'dataset: points must have a known number of features, not shape {parts[0].shape}'
        )
    return parts[0], len(parts) == 2


class Scan(typing.NamedTuple):
    """What a pass over a stream gathers.

    Attributes:
        summary: summary_lib.Summary of all rows, with `distinct_rows` left at the most there are.
        points: `[s, d]`, a sample of the rows, in the order of the stream.
        weights: float32 `[s]`, what each of them stands for.
    """

    summary: summary_lib.Summary
    points: tf.Tensor
    weights: tf.Tensor


def scan(stream, sample_size, seed):
    """Goes over a stream once: what it holds, and a sample.

    The `sample_size` rows of highest priority, weight / uniform number, stand for all of them, each
    for its weight or the reciprocal of the next priority, whichever is more (priority sampling:
    Duffield, Lund & Thorup 2007).

    Args:
        stream: Stream.
        sample_size: int, rows to sample; all are taken where there are not more.
        seed: int in [0, 2^63).

    Returns:
        Scan. Where there are bad rows or weights, only the counts mean anything.
    """
    step = _gather(stream.width, stream.dtype, sample_size + 1)
    sample = _Sample(tf.zeros([0, stream.width], stream.dtype), *(tf.zeros([0], tf.float32),) * 2)
    totals = _Totals(stream.width)
    seeds = tf.constant([seed, 0], tf.int64)
    for index, (points, weights) in enumerate(stream.batches()):
        totals.add(summary_lib.summarise(points, weights, 1), points)
        draws = tf.random.experimental.stateless_fold_in(seeds, index)
        weights = tf.ones([len(points)]) if weights is None else weights
        sample = step(sample, points, weights, draws)
    points, weights = _weigh(sample, sample_size)
    return Scan(totals.summary(), points, weights)


class _Sample(typing.NamedTuple):
    """Rows, their weights, and the reciprocals of their priorities: the lowest are kept."""

    points: tf.Tensor
    weights: tf.Tensor
    ranks: tf.Tensor


@functools.lru_cache(maxsize=32)
def _gather(width, dtype, size):
    def step(sample, points, weights, seeds):
        # 1 - u lies in (0, 1]; a row without weight comes last of all
        uniform = 1.0 - tf.random.stateless_uniform([tf.size(weights)], seeds)
        ranks = tf.where(weights > 0, uniform / weights, np.inf)
        merged = [
            tf.concat(parts, 0) for parts in zip(sample, (points, weights, ranks), strict=True)
        ]
        kept = tf.math.top_k(-merged[-1], tf.minimum(size, tf.size(merged[-1]))).indices
        kept = tf.sort(kept)
        return _Sample(*(tf.gather(part, kept) for part in merged))

    rows, vector = tf.TensorSpec([None, width], dtype), tf.TensorSpec([None], tf.float32)
    signature = [_Sample(rows, vector, vector), rows, vector, tf.TensorSpec([2], tf.int32)]
    return tf.function(step, input_signature=signature, autograph=False)


def _weigh(sample, sample_size):
    """Returns the points of a sample, without the one more that it has, and their weights."""
    counts = sample.weights > 0
    weights = sample.weights
    if tf.size(weights) > sample_size:
        threshold = tf.reduce_max(sample.ranks)
        weights = tf.maximum(weights, 1.0 / threshold)
        counts = tf.logical_and(counts, sample.ranks < threshold)
    return tf.boolean_mask(sample.points, counts), tf.boolean_mask(weights, counts)


class _Totals:
    """Summaries of parts of the data, merged into one; see summary_lib.Summary."""

    def __init__(self, width):
        self._counts = np.zeros(4, np.int64)  # rows, bad rows, zero rows, bad weights
        self._first_bad_row = None
        self._weight = self._squares = 0.0
        self._mean = np.zeros(width)
        self._lowest, self._highest = np.full(width, np.inf), np.full(width, -np.inf)

    def add(self, part, points):
        """Merges the Summary `part` of `points` (Chan, Golub & LeVeque 1979)."""
        if part.bad_rows > 0 and self._first_bad_row is None:
            self._first_bad_row = self._counts[0] + part.first_bad_row.numpy()
        self._counts += [part.n_rows, part.bad_rows, part.zero_rows, part.bad_weights]
        if self._counts[[1, 3]].any():
            return  # the rest means nothing
        self._lowest = np.minimum(self._lowest, tf.reduce_min(points, axis=0))
        self._highest = np.maximum(self._highest, tf.reduce_max(points, axis=0))
        weight, width = float(part.total_weight), len(self._mean)
        total = self._weight + weight
        if not weight:
            return
        apart = part.mean.numpy() - self._mean
        self._squares += float(part.variance) * float(part.largest) ** 2 * weight * width
        self._squares += np.square(apart).sum() * self._weight * (weight / total)
        self._mean += apart * (weight / total)
        self._weight = total

    def summary(self):
        """Returns the Summary of all parts."""
        n_rows, bad_rows, zero_rows, bad_weights = (int(count) for count in self._counts)
        width = len(self._mean)
        largest = np.maximum(self._highest - self._mean, self._mean - self._lowest).max()
        largest = float(largest) if n_rows else 0.0
        spread = self._weight * width * largest**2
        return summary_lib.Summary(
            n_rows=n_rows,
            bad_rows=bad_rows,
            first_bad_row=self._first_bad_row,
            zero_rows=zero_rows,
            bad_weights=bad_weights,
            total_weight=self._weight,
            distinct_rows=n_rows,
            mean=tf.constant(self._mean),
            largest=tf.constant(largest, tf.float64),
            variance=tf.constant(self._squares / spread if spread else 0.0, tf.float64),
        )
