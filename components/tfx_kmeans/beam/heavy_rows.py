"""The rows that are so often repeated that a sample must not miss them."""

import numpy as np

_COUNTERS = 4096
_LEAST_SHARE = 1 / 1024  # of all weight; far above 1 / _COUNTERS, so that no order hides a row
_TABLES = 3
_BITS = 16


class HeavyRows:
    """Finds the rows that hold at least 1/1024 of the weight of all rows, in bounded memory.

    Candidates come from frequency counters (Misra & Gries 1982), which merge (Agarwal et al.,
    "Mergeable Summaries", 2012) and never lose a row of more than 1/4096 of the weight, but whose
    counts depend on the order. What a candidate weighs is therefore read from a count-min sketch
    (Cormode & Muthukrishnan 2005), which does not: it is never too little, and too much by some
    1/65536 of all weight.
    """

    def __init__(self, width):
        """Makes the state of no rows of `width` columns."""
        self._rows = np.zeros((0, width), np.float32)
        self._hashes = np.zeros(0, np.uint64)
        self._counters = np.zeros(0)
        self._tables = np.zeros((_TABLES, 2**_BITS))

    def add(self, rows, hashes, totals):
        """Adds distinct rows `[n, d]`, with their hashes `[n]` and weights float64 `[n]`."""
        for table, bins in zip(self._tables, _bins(hashes), strict=True):
            table += np.bincount(bins, totals, 2**_BITS)
        self._add_counters(rows, hashes, totals)

    def merge(self, other):
        """Adds what was added to `other`."""
        self._tables = self._tables + other._tables
        self._add_counters(other._rows, other._hashes, other._counters)

    def result(self):
        """Returns rows `[h, d]` by falling hash, their hashes `[h]` and weights float64 `[h]`."""
        tables = zip(self._tables, _bins(self._hashes), strict=True)
        totals = np.min([table[bins] for table, bins in tables], axis=0)
        heavy = np.flatnonzero(totals >= _LEAST_SHARE * self._tables[0].sum())
        heavy = heavy[np.argsort(self._hashes[heavy])]
        return self._rows[heavy], self._hashes[heavy], totals[heavy]

    def to_arrays(self):
        """Returns the state as a dict of arrays, for from_arrays."""
        return {
            'heavy_rows': self._rows,
            'heavy_hashes': self._hashes,
            'heavy_counters': self._counters,
            'heavy_tables': self._tables,
        }

    @classmethod
    def from_arrays(cls, arrays):
        """Makes one of what to_arrays gave."""
        heavy = cls(arrays['heavy_rows'].shape[1])
        heavy._rows = arrays['heavy_rows']
        heavy._hashes = arrays['heavy_hashes']
        heavy._counters = arrays['heavy_counters']
        heavy._tables = arrays['heavy_tables']
        return heavy

    def _add_counters(self, rows, hashes, counters):
        rows = np.concatenate([self._rows, rows])
        hashes = np.concatenate([self._hashes, hashes])
        counters = np.concatenate([self._counters, counters])
        hashes, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        counters = np.bincount(inverse, counters)
        if len(counters) > _COUNTERS:
            counters -= np.partition(counters, -_COUNTERS - 1)[-_COUNTERS - 1]
        kept = counters > 0
        self._rows, self._hashes = rows[first[kept]], hashes[kept]
        self._counters = counters[kept]


def _bins(hashes):
    """Places in each table, int64 `[n]`: bits of the hash that say nothing of each other."""
    for table in range(_TABLES):
        yield (hashes >> np.uint64(_BITS * table) & np.uint64(2**_BITS - 1)).astype(np.int64)
