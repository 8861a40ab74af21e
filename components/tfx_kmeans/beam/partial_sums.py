"""What a part of the rows adds to an iteration of Lloyd's algorithm, in exact sums."""

import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from tfx_kmeans import graph, hashing
from tfx_kmeans.beam import sampling

_BITS = 62  # of an int64 that a total may take
# what one integer leaves of a number, the next one holds in units of so many bits less: one row far
# from all others does not make the sums over these coarse, of up to 2^40 rows
_STEP = 22
_VALUE_PARTS, _INERTIA_PARTS = 2, 4
_MOST_MOVED = 8  # empty clusters that are given a row in one iteration


@dataclasses.dataclass
class Sums:
    """Sums over rows, in the units of `_Grid`.

    They are whole multiples of a power of two, added up as integers: they are exact, and the same
    however the rows are grouped.

    Attributes:
        totals: int64 `[k, 2 d + 1]`, of the rows of each cluster times their weights, in two parts
            of `[k, d]`, and of their weights as last column. Where values may be missing, int64
            `[k, 3 d + 1]`: the weights of the values of each column come before the last one.
        inertia: int, of their squared distances (1 - cos) times their weights.
        n_rows: int, how many they are.
        farthest: FarRows, of all of them.
    """

    totals: np.ndarray
    inertia: int
    n_rows: int
    farthest: 'FarRows'

    def __add__(self, other):
        return Sums(
            self.totals + other.totals,
            self.inertia + other.inertia,
            self.n_rows + other.n_rows,
            self.farthest.merge(other.farthest),
        )


@dataclasses.dataclass
class FarRows:
    """The distinct rows farthest from their centroids, at most 8, by falling distance.

    Attributes:
        distances: float32 `[m]`, squared, in a unit that all parts of the data share.
        hashes: uint64 `[m]`, of the rows, which settle ties.
        ids: int32 `[m]`, the clusters that the rows are in.
        totals: int64 `[m, 2 d + 1]` (or `[m, 3 d + 1]`), what each row adds to the totals of its
            cluster.
    """

    distances: np.ndarray
    hashes: np.ndarray
    ids: np.ndarray
    totals: np.ndarray

    def merge(self, other):
        """Returns the farthest of the rows of both."""
        parts = zip(vars(self).values(), vars(other).values(), strict=True)
        both = FarRows(*(np.concatenate(part) for part in parts))
        _, distinct = np.unique(both.hashes, return_index=True)
        order = np.lexsort((both.hashes[distinct], -both.distances[distinct]))
        return both.take(distinct[order[:_MOST_MOVED]])

    def take(self, indices):
        """Returns those of the rows at `indices`."""
        return FarRows(*(part[indices] for part in vars(self).values()))


class Updated:
    """What comes of the sums over all rows.

    Attributes:
        centroids: float32 `[k, d]`, the next ones.
        cluster_weights: float64 `[k]`, weight of the rows nearest to each of the former ones.
        inertia: float, weighted sum of squared distances (1 - cos) to the former ones.
    """

    def __init__(self, fitted, sums, distance):
        """Moves the centroids of `fitted`, a fitting.Fitted, to the means of their rows.

        Clusters without rows are given those farthest from their centroids, as in graph.fit; where
        there are more than 8 of them, the others wait for the next iteration. Where no row of a
        cluster has a value, its centroid stays as it is in that column.
        """
        width = fitted.centroids.shape[1]
        grid = _Grid(fitted)
        self.inertia = math.ldexp(sums.inertia, -grid.inertia - _STEP * (_INERTIA_PARTS - 1))
        self.cluster_weights = _scaled(sums.totals[:, -1], -grid.weights)
        totals = _relocate_empty(sums)
        parts = totals[:, : width * _VALUE_PARTS].reshape(-1, _VALUE_PARTS, width)
        values = sum(
            _scaled(parts[:, part], -grid.values - _STEP * part) for part in range(_VALUE_PARTS)
        )
        weights = totals[:, width * _VALUE_PARTS : -1] if fitted.partial else totals[:, -1:]
        weights = _scaled(weights, -grid.weights)
        occupied = weights > 0
        means = np.divide(
            values,
            weights,
            where=occupied,
            out=np.zeros(fitted.centroids.shape),
        )
        if distance == 'cosine':
            lengths = np.linalg.norm(means, axis=1, keepdims=True)
            occupied = occupied & (lengths > 0)
            means = np.divide(means, lengths, where=occupied, out=np.zeros_like(means))
        self.centroids = np.where(occupied, means, fitted.centroids).astype(np.float32)


class _Grid:
    """The powers of two that sums over all rows are multiples of."""

    def __init__(self, fitted):
        width = fitted.centroids.shape[1]
        weight = _exponent(fitted.total_weight)
        value = _exponent(fitted.largest)
        self.weights = _BITS - weight
        self.values = _BITS - weight - value
        self.distances = -2 * value  # brings squared distances near 1, where float32 holds them
        # rows and centroids are at most `largest` from 0 in each column; distances over some of
        # the columns are rescaled to all of them
        self.inertia = _BITS - weight - 2 * value - 2 - _exponent(width)


def sum_up(rows, weights, fitted, distance):
    """Adds up rows by the nearest centroid.

    Args:
        rows: float32 `[n, d]`, finite, in the units of the data; NaN where a value is missing, if
            `fitted` is partial, but not all of a row.
        weights: float32 `[n]`, or None.
        fitted: fitting.Fitted of all the data.
        distance: 'squared_euclidean' or 'cosine'.

    Returns:
        Sums.

    Raises:
        ValueError: a row has no direction, which the cosine distance needs.
    """
    rows = (rows - fitted.mean) / fitted.scale
    if distance == 'cosine':
        rows = _directions(rows)
    weights = np.ones(len(rows), np.float32) if weights is None else weights
    grid = _Grid(fitted)
    if fitted.partial:
        rows = np.where(np.isnan(rows), np.float32(np.nan), rows)  # one NaN, one hash
    missing = 'partial' if fitted.partial else 'drop'
    ids = graph.assign(rows, fitted.centroids, missing=missing).ids.numpy()
    # the squared chord of the unit sphere is twice 1 - cos
    inertia_unit = grid.inertia - grid.distances - (distance == 'cosine')
    units = np.ldexp(1.0, [grid.values, grid.weights, grid.distances, inertia_unit])
    distances, each, totals, inertia = (
        part.numpy()
        for part in _add_up(rows, weights, fitted.centroids, ids, units, fitted.partial)
    )
    farthest = _farthest(rows, weights, distances, ids, each)
    # Python's integers hold all parts
    inertia = functools.reduce(lambda high, low: (high << _STEP) + low, map(int, inertia))
    return Sums(totals, inertia, int(np.count_nonzero(weights)), farthest)


def _exponent(value):
    return math.frexp(value)[1]


def _scaled(integers, exponent):
    return np.ldexp(integers.astype(np.float64), exponent)


def _directions(rows):
    if len(rows) and not rows.any(axis=1).all():
        count = int(np.sum(~rows.any(axis=1)))
        raise ValueError(
            f'{count} rows of zeros, or more, have no direction, which the cosine distance needs'
        )
    return sampling.unit_vectors(rows)


@functools.partial(tf.function, autograph=False, reduce_retracing=True)
def _add_up(rows, weights, centroids, ids, units, partial):
    """Squared distances, what each row adds to the totals, the totals, and the inertia."""
    exact, exact_weights = tf.cast(rows, tf.float64), tf.cast(weights, tf.float64)
    nearest = tf.cast(tf.gather(centroids, ids), tf.float64)
    scaled_weights = (exact_weights * units[1])[:, tf.newaxis]
    each, rescaling = [scaled_weights], units[2]
    if partial:
        observed = tf.logical_not(tf.math.is_nan(exact))
        exact, nearest = (tf.where(observed, part, 0.0) for part in (exact, nearest))
        observed = tf.cast(observed, tf.float64)
        each = [observed * scaled_weights, scaled_weights]
        counts = tf.reduce_sum(observed, axis=1)
        rescaling *= tf.cast(tf.shape(observed)[1], tf.float64) / counts
    # as float32, so that it is the same in whatever order the columns are added up
    squares = tf.reduce_sum(tf.square(exact - nearest), axis=1)
    distances = tf.cast(squares * rescaling, tf.float32)
    values = _split(exact * (exact_weights * units[0])[:, tf.newaxis], _VALUE_PARTS)
    each = tf.cast(tf.round(tf.concat([*values, *each], axis=1)), tf.int64)
    totals = tf.math.unsorted_segment_sum(each, ids, tf.shape(centroids)[0])
    inertia = _split(tf.cast(distances, tf.float64) * exact_weights * units[3], _INERTIA_PARTS)
    return distances, each, totals, tf.reduce_sum(tf.cast(tf.stack(inertia), tf.int64), axis=1)


def _split(numbers, n_parts):
    """Whole numbers, float64, in units of 1, 2^-22, ... that add up to `numbers` rounded."""
    parts = []
    for _ in range(n_parts):
        parts.append(tf.round(numbers))
        numbers = (numbers - parts[-1]) * 2.0**_STEP
    return parts


def _farthest(rows, weights, distances, ids, totals):
    """FarRows of those that have a weight and are not on their centroid."""
    distances = np.where(weights > 0, distances, 0.0)
    count = _MOST_MOVED
    while True:
        least = np.partition(distances, -count)[-count] if count < len(distances) else 0.0
        far = np.flatnonzero(distances >= least if least else distances > 0)
        hashes = hashing.row_hashes(rows[far], weights[far])
        # rows that are repeated must not hide the others
        if not least or len(np.unique(hashes)) >= _MOST_MOVED:
            break
        count *= 8
    rows_far = FarRows(distances[far], hashes, ids[far], totals[far])
    return rows_far.merge(rows_far.take(slice(0)))


def _relocate_empty(sums):
    """Returns the totals after the farthest rows have moved into the empty clusters."""
    totals, far = sums.totals.copy(), sums.farthest
    for empty, index in zip(np.flatnonzero(totals[:, -1] == 0), range(len(far.ids)), strict=False):
        totals[far.ids[index]] -= far.totals[index]
        totals[empty] = far.totals[index]
    return totals
