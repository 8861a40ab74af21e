"""What clusters look like: moments of their columns, the rows nearest to each, a sample."""

import numpy as np

from tfx_kmeans import hashing


class Profile:
    """Weighted mean and standard deviation of each column in each cluster, in float64.

    Values that are missing (NaN) do not count. Sums are of differences from a point in the middle
    of each cluster, so that they keep their digits.
    """

    def __init__(self, middles):
        """Makes that of no rows; `middles` is float64 `[k + 1, d]`, the last for unplaced rows."""
        self._middles = middles
        self._weights, self._sums, self._squares = (np.zeros(middles.shape) for _ in range(3))

    def add(self, values, ids, weights):
        """Adds rows: float32 `[b, d]`, int `[b]` in [0, k], float64 `[b]`."""
        for column in range(values.shape[1]):
            differences = values[:, column] - self._middles[ids, column]
            observed = ~np.isnan(differences)
            amounts, differences = np.where(observed, [weights, differences], 0.0)
            for total, power in ((self._weights, 0), (self._sums, 1), (self._squares, 2)):
                part = amounts * differences**power
                total[:, column] += np.bincount(ids, part, minlength=len(total))

    def clusters(self):
        """Returns means and deviations, float64 `[k, d]` each; NaN for a cluster without rows."""
        means, variances = self._moments()
        return means[:-1], np.sqrt(variances[:-1])

    def whole(self):
        """Returns those of all rows together, float64 `[d]` each."""
        means, variances = self._moments()
        shares = self._weights / np.maximum(self._weights.sum(axis=0), np.finfo(float).tiny)
        there = self._weights > 0
        mean = np.where(there, shares * means, 0.0).sum(axis=0)
        spread = np.where(there, shares * (variances + np.square(means - mean)), 0.0)
        return mean, np.sqrt(spread.sum(axis=0))

    def _moments(self):
        with np.errstate(invalid='ignore'):  # 0 / 0 is NaN
            apart = self._sums / self._weights
            variances = self._squares / self._weights - np.square(apart)
        return self._middles + apart, np.maximum(variances, 0.0)


class Nearest:
    """The different rows that are nearest to each centroid."""

    def __init__(self, n_clusters, width, count):
        """Makes that of no rows, of which `count` are to be kept for each cluster."""
        self._n_clusters, self._count = n_clusters, count
        self._values = np.zeros((0, width), np.float32)
        self._ids, self._distances = np.zeros(0, np.int64), np.zeros(0)

    def add(self, values, ids, distances):
        """Adds rows: float32 `[b, d]`, int64 `[b]` in [0, k], float64 `[b]`."""
        placed = ids < self._n_clusters
        values = np.concatenate([self._values, values[placed]])
        ids = np.concatenate([self._ids, ids[placed]])
        distances = np.concatenate([self._distances, distances[placed]])
        hashes = hashing.row_hashes(values)
        order = np.lexsort((hashes, distances, ids))
        again = (np.diff(ids[order]) == 0) & (hashes[order][1:] == hashes[order][:-1])
        order = order[np.append(True, ~again)[: len(order)]]
        ranks = _ranks(ids[order])
        order = order[ranks < self._count]
        self._values, self._ids, self._distances = values[order], ids[order], distances[order]

    def finish(self):
        """Returns the rows, float32 `[k, count, d]`, and their distances, float64 `[k, count]`.

        Both are NaN where there are fewer.
        """
        place = self._ids, _ranks(self._ids)
        values = np.full((self._n_clusters, self._count, self._values.shape[1]), np.nan, np.float32)
        distances = np.full((self._n_clusters, self._count), np.nan)
        values[place], distances[place] = self._values, self._distances
        return values, distances


def sample(rows, count):
    """Returns `count` rows, or all if there are fewer, evenly spread over reading.Rows and such.

    Those come in the order of their hashes, so these are as good as drawn at random, but that rows
    which are there many times are there as many times as they should.
    """
    picked, start, indices = [], 0, evenly(rows.shape[0], count)
    for block, _ in rows.blocks():
        inside = indices[(indices >= start) & (indices < start + len(block))]
        picked.append(block[inside - start])
        start += len(block)
    return np.concatenate(picked)


def evenly(n_rows, count):
    """Returns `count` of the first `n_rows` integers, evenly spread; all of them if fewer."""
    count = min(n_rows, count)
    return (np.arange(count) * n_rows) // max(count, 1)


def histogram(lengths, edges, weights):
    """Returns the weight, float64 `[b]`, in each bin; the last has all beyond it as well."""
    return np.histogram(np.minimum(lengths, edges[-1]), edges, weights=weights)[0]


def _ranks(ids):
    """Of sorted ids: how many of the same id stand before each."""
    return np.arange(len(ids)) - np.searchsorted(ids, ids)
