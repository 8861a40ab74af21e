"""The epochs of `fit_minibatch`: batches move centroids, and starved ones are moved away."""

import functools
import typing

import numpy as np
import tensorflow as tf

from tfx_kmeans.graph import blocks
from tfx_kmeans.graph import rows as rows_lib


class State(typing.NamedTuple):
    """Where an epoch stands, in the space of the prepared rows.

    Attributes:
        means: float64 `[k, d]`, means of the rows that the centroids were given.
        counts: float64 `[k]`, the weight of those rows.
        weights: float64 `[k]`, the part of it that came in this epoch.
        inertia: float64 scalar, weighted sum of squared distances seen in this epoch.
        far_rows: float32 `[m, d]`, rows of this epoch drawn by weight and squared distance.
        far_ranks: float32 `[m]`, reciprocals of their priorities: the lowest are kept.
    """

    means: tf.Tensor
    counts: tf.Tensor
    weights: tf.Tensor
    inertia: tf.Tensor
    far_rows: tf.Tensor
    far_ranks: tf.Tensor


class Epochs:
    """The epochs of a fit, one after the other."""

    def __init__(self, stream, rows, start, summary, reassignment_ratio, seed):
        self._stream, self._rows = stream, rows
        self._means, self._counts = start
        self._least_weight = reassignment_ratio * summary.total_weight / len(self._counts)
        self._total_weight = summary.total_weight
        self._seeds = tf.constant([seed, 1], tf.int64)
        self._n_steps = 0
        self._has_moved = np.zeros(len(self._counts), bool)
        self._step = compiled(_step, *self._means.shape, rows.points.dtype, rows.distance)

    def run(self, smoothed, last):
        """Makes an epoch, broken off where `smoothed` settles.

        Args:
            smoothed: Smoothed, which is told the inertia of each batch.
            last: bool, whether no epoch may follow, so that nothing is reassigned.

        Returns:
            Squared movement of all centroids, inertia in the unit of the data, and whether
            centroids have been reassigned.
        """
        state, before = self._new_state(), self._means
        seen = seen_inertia = 0.0
        for points, weights in self._stream.batches():
            draws = tf.random.experimental.stateless_fold_in(self._seeds, self._n_steps)
            state = self._step(self._rows.shift, self._rows.scale, points, weights, state, draws)
            self._n_steps += 1
            weight, inertia = float(tf.reduce_sum(state.weights)), float(state.inertia)
            smoothed.add(inertia - seen_inertia, weight - seen)
            seen, seen_inertia = weight, inertia
            if smoothed.has_settled:
                break
        smoothed.end_of_epoch()
        self._means, self._counts = state.means, state.counts
        moved = float(tf.reduce_sum(tf.square(self._means - before)))
        inertia = seen_inertia / seen * self._total_weight * float(self._rows.distance_unit())
        return moved, inertia, not last and not smoothed.has_settled and self._reassign(state)

    def targets(self):
        """Returns the centroids as float32 `[k, d]`, in the space of the prepared rows."""
        return _targets(self._rows, self._means)

    def _new_state(self):
        k, width = self._means.shape
        return State(
            self._means,
            self._counts,
            tf.zeros([k], tf.float64),
            tf.zeros([], tf.float64),
            tf.zeros([k, width]),
            tf.fill([k], np.float32(np.inf)),
        )

    def _reassign(self, state):
        """Moves starved centroids to far rows; returns whether there were any."""
        starved = (state.weights.numpy() <= self._least_weight) & ~self._has_moved
        ranks = state.far_ranks.numpy()
        places = np.argsort(ranks)[: np.isfinite(ranks).sum()]
        starved = np.flatnonzero(starved)[: len(places)]
        if not len(starved):
            return False
        means, counts = self._means.numpy(), self._counts.numpy()
        means[starved] = state.far_rows.numpy()[places[: len(starved)]]
        counts[starved] = 0.0
        self._has_moved[starved] = True
        self._means, self._counts = tf.constant(means), tf.constant(counts)
        return True


def _step(rows, state, seeds):
    """Takes a batch in: State after it."""
    n_clusters = state.means.shape[0]
    targets = _targets(rows, state.means)

    def place(start, stop):
        return list(rows_lib.nearest(rows.block(start, stop), targets))

    ids, distances = blocks.map_blocks(
        place, rows.count, blocks.block_rows(n_clusters), [tf.int32, tf.float32]
    )
    prepared, batch_weights = rows.block(0, rows.count), rows.block_weights(0, rows.count)
    far_rows, far_ranks = _farther(state, prepared, batch_weights * distances, seeds)
    batch_weights = tf.cast(batch_weights, tf.float64)
    values = tf.cast(prepared, tf.float64) * batch_weights[:, tf.newaxis]
    sums = tf.math.unsorted_segment_sum(values, ids, n_clusters)
    added = tf.math.unsorted_segment_sum(batch_weights, ids, n_clusters)
    counts = state.counts + added
    towards = sums - added[:, tf.newaxis] * state.means
    return State(
        means=state.means + tf.math.divide_no_nan(towards, counts[:, tf.newaxis]),
        counts=counts,
        weights=state.weights + added,
        inertia=state.inertia + tf.reduce_sum(batch_weights * tf.cast(distances, tf.float64)),
        far_rows=far_rows,
        far_ranks=far_ranks,
    )


def _targets(rows, means):
    """The centroids that rows are compared with: under the cosine distance unit vectors."""
    if rows.distance == 'cosine':
        means = rows_lib.normalise(means)
    return tf.cast(means, tf.float32)


def _farther(state, rows, masses, seeds):
    """Draws k rows by their masses, w * D^2, from those of the epoch so far and of the batch."""
    uniform = 1.0 - tf.random.stateless_uniform([tf.size(masses)], seeds)
    ranks = tf.concat([state.far_ranks, tf.where(masses > 0, uniform / masses, np.inf)], 0)
    kept = tf.math.top_k(-ranks, tf.size(state.far_ranks)).indices
    rows = tf.gather(tf.concat([state.far_rows, rows], 0), kept)
    return tf.ensure_shape(rows, state.far_rows.shape), tf.gather(ranks, kept)


@functools.lru_cache(maxsize=32)
def compiled(function, n_clusters, width, dtype, distance):
    """One traced function for all fits that differ in data alone.

    `function` is called with the rows_lib.Rows of a batch, made of its shift and scale, points and
    weights, and with further tensors whose shapes `n_clusters`, `width` and `dtype` settle.
    """

    def call(shift, scale, points, weights, *others):
        points = tf.ensure_shape(points, [None, width])
        return function(rows_lib.Rows(points, weights, shift, scale, distance), *others)

    return tf.function(call, autograph=False, reduce_retracing=True)


class Smoothed:
    """The inertia of the batches, smoothed: has it ceased to fall?

    An exponentially weighted mean over about an epoch, as scikit-learn's MiniBatchKMeans has it,
    that begins as the plain mean of the batches so far.

    Attributes:
        has_settled: bool, whether it has reached no new low for as many batches as were allowed.
    """

    def __init__(self, share_of_batch, max_no_improvement):
        self._rate = min(1.0, 2.0 * share_of_batch)
        self._allowed = max_no_improvement
        self._mean = self._n_batches = self._without = 0
        self._lowest = np.inf
        self._in_first_epoch = True
        self.has_settled = False

    def add(self, inertia, weight):
        """Takes note of a batch."""
        if not weight:
            return
        self._n_batches += 1
        rate = max(self._rate, 1.0 / self._n_batches)
        self._mean += rate * (inertia / weight - self._mean)
        self._without = 0 if self._mean < self._lowest else self._without + 1
        self._lowest = min(self._lowest, self._mean)
        if self._allowed is not None and not self._in_first_epoch:
            self.has_settled = self._without >= self._allowed

    def end_of_epoch(self):
        """Takes note that all rows have been seen, so that it may settle from now on."""
        if self._in_first_epoch:
            self._in_first_epoch, self._without, self._lowest = False, 0, self._mean
