"""A weighted sample of rows that is the same whatever the order and grouping they came in."""

import typing

import numpy as np

from tfx_kmeans import hashing
from tfx_kmeans.beam import heavy_rows

_SKETCH_WIDTH = 6
_ROWS_PER_CELL = 2
_LEVELS = 40  # the finest cells are 2^-40 of the largest value
_LEAST_VALUE = 2.0**-149  # that float32 has: zeros alone do not make cells coarser


class Coreset:
    """A sample that stands for all rows of a data set, in which no remote group is missed.

    Two samples in one. The `size` rows of highest priority, weight / uniform number, are kept of
    all (priority sampling: Duffield, Lund & Thorup 2007). Space is also cut into cubes, at most
    size / 4 of them, and the 2 rows of highest priority are kept of each cube, so that a group far
    from the others is there however few its rows are; the weight of all rows in a cube is known
    exactly, and is what the kept rows of the cube add up to (stratified sampling). Rows are thus
    drawn with a probability that rises where few others are near, as the sensitivities of a coreset
    demand (Feldman & Langberg 2011; Bachem, Lucic & Krause 2017).

    The uniform number of a row is a hash of its values, its weight and the seed. The cubes are the
    finest of sides 2^i of which not too many hold rows, which is a fact about the set of rows. So
    the outcome is the same to the bit for any order, batching and tree of merges, up to the
    rounding of the sums of fractional weights; equal rows count as one row of their joint weight.
    In more than 6 dimensions the cubes are those of a random projection (a count sketch: Charikar,
    Chen & Farach-Colton 2002). A row that is repeated so often that it holds a thousandth of all
    weight is always kept (heavy_rows), since as one row it has no better chance than another.

    Where there are at most `size` distinct rows, all are kept, each with its own weight.

    Attributes:
        rows: float32 `[s, d]`, the rows kept so far, of which `result` takes most.
    """

    def __init__(self, size, width, seed):
        """Makes an empty one.

        Args:
            size: int >= 1, see above; about 1.5 * size rows can come out, and some hundreds
                more where `size` is small.
            width: int >= 1, columns of a row.
            seed: int in [0, 2^63).
        """
        self._size = size
        self._seed = seed
        self._max_cells = max(2**_SKETCH_WIDTH, size // 4)  # cells of all signs never join
        self.rows = np.zeros((0, width), np.float32)
        self._row_weights = np.zeros(0, np.float32)  # of one such row
        self._totals = np.zeros(0)  # of all rows equal to it
        self._level = None  # cells have sides of 2^level
        self._cells = np.zeros((0, min(width, _SKETCH_WIDTH)), np.int64)
        self._cell_totals = np.zeros(0)
        self._heavy = None  # HeavyRows, once rows are left out

    def add(self, rows, weights=None):
        """Adds rows.

        Args:
            rows: float32 `[n, d]`, finite.
            weights: float32 `[n]`, finite and >= 0, or None, which counts each row once.
        """
        if weights is None:
            weights = np.ones(len(rows), np.float32)
        counts = weights > 0
        if not counts.all():
            rows, weights = rows[counts], weights[counts]
        if not len(rows):
            return
        sketch = _sketch(rows)
        level = int(np.frexp(np.abs(sketch).max(initial=_LEAST_VALUE))[1]) - _LEVELS
        if self._level is not None:
            level = max(level, self._level)
        cells = np.floor(np.ldexp(sketch, -level)).astype(np.int64)
        self._add_cells(cells, weights.astype(np.float64), level)
        self._add_rows(rows, weights, weights.astype(np.float64))

    def merge(self, other):
        """Adds all that was added to `other`, a Coreset of the same size, width and seed."""
        if not len(other.rows):
            return
        self._add_cells(other._cells, other._cell_totals, other._level)
        self._add_rows(other.rows, other._row_weights, other._totals, other._heavy)

    def result(self):
        """Draws the sample.

        Returns:
            rows float32 `[s, d]`, in the order of their hashes, and what each stands for, float64
            `[s]`, which adds up to the weight of all rows that were added.
        """
        if not len(self.rows):
            return self.rows, self._totals
        n_cells = len(self._cells)
        hashes = hashing.row_hashes(self.rows, self._row_weights, self._seed)
        ranks = _ranks(hashes, self._row_weights)
        cell_of_row = self._find_cells(self.rows)
        of_all, of_cell = self._thresholds(ranks, cell_of_row)
        threshold = np.maximum(of_all, of_cell[cell_of_row])
        heavy, heavy_hashes, heavy_totals = self._find_heavy()

        kept = np.flatnonzero((ranks < threshold) & ~np.isin(hashes, heavy_hashes))
        cell_of_row = cell_of_row[kept]
        estimates = self._totals[kept] / np.minimum(self._row_weights[kept] * threshold[kept], 1.0)
        known = np.bincount(cell_of_row, self._totals[kept], n_cells)
        estimated = np.bincount(cell_of_row, estimates, n_cells)

        # heavy rows may be put too high, but not above what the others leave of their cell; where
        # there are no others, they are the cell
        cell_of_heavy = self._find_cells(heavy)
        put = np.bincount(cell_of_heavy, heavy_totals, n_cells)
        room = np.divide(self._cell_totals - known, put, where=put > 0, out=np.ones(n_cells))
        room = np.where(estimated > 0, np.minimum(room, 1.0), room)
        heavy_totals = heavy_totals * room[cell_of_heavy]
        remaining = self._cell_totals - put * room
        estimates *= remaining[cell_of_row] / estimated[cell_of_row]

        order = np.argsort(np.concatenate([hashes[kept], heavy_hashes]))
        rows = np.concatenate([self.rows[kept], heavy])
        return rows[order], np.concatenate([estimates, heavy_totals])[order]

    def to_arrays(self):
        """Returns the state as a dict of arrays, for from_arrays."""
        return {
            'rows': self.rows,
            'row_weights': self._row_weights,
            'totals': self._totals,
            'cells': self._cells,
            'cell_totals': self._cell_totals,
            'settings': np.array([self._size, self._seed, self._level or 0], np.int64),
            **(self._heavy.to_arrays() if self._heavy else {}),
        }

    @classmethod
    def from_arrays(cls, arrays):
        """Makes one of what to_arrays gave."""
        size, seed, level = (int(value) for value in arrays['settings'])
        coreset = cls(size, arrays['rows'].shape[1], seed)
        coreset.rows = arrays['rows']
        coreset._row_weights = arrays['row_weights']
        coreset._totals = arrays['totals']
        coreset._cells = arrays['cells']
        coreset._cell_totals = arrays['cell_totals']
        coreset._level = level if len(coreset._cells) else None
        if 'heavy_rows' in arrays:
            coreset._heavy = heavy_rows.HeavyRows.from_arrays(arrays)
        return coreset

    def _add_cells(self, cells, totals, level):
        """Joins cells of sides 2^level to those that are there, and makes all coarser at need."""
        if self._level is None:
            self._level = level
        target = max(level, self._level)
        merged = np.concatenate([self._cells >> target - self._level, cells >> target - level])
        totals = np.concatenate([self._cell_totals, totals])
        coarser = _least(lambda shift: _count(merged >> shift) <= self._max_cells)
        merged >>= coarser
        _, first, inverse = np.unique(
            hashing.row_hashes(merged), return_index=True, return_inverse=True
        )
        self._cells = merged[first]
        self._cell_totals = np.bincount(inverse, totals)
        self._level = target + coarser

    def _add_rows(self, rows, weights, totals, heavy=None):
        """Joins rows to those kept, and keeps those that can still be in the sample.

        `heavy` are the HeavyRows of all rows that the given ones are left of, None if they are all.
        """
        both = _join(
            np.concatenate([self.rows, rows]),
            np.concatenate([self._row_weights, weights]),
            np.concatenate([self._totals, totals]),
            self._seed,
        )
        if self._heavy or heavy or len(both.rows) > self._size:
            self._heavy = self._merge_heavy(rows, weights, totals, heavy)
        ranks = _ranks(both.hashes, both.weights)
        of_all, of_cell = self._thresholds(ranks, cell_of_row := self._find_cells(both.rows))
        kept = ranks <= np.maximum(of_all, of_cell[cell_of_row])
        self.rows, self._row_weights = both.rows[kept], both.weights[kept]
        self._totals = both.totals[kept]

    def _merge_heavy(self, rows, weights, totals, heavy):
        """Returns the HeavyRows of all that was added here before, and of what is added now."""
        merged = heavy_rows.HeavyRows(rows.shape[1])
        for part, whole in (
            ((self.rows, self._row_weights, self._totals), self._heavy),
            ((rows, weights, totals), heavy),
        ):
            if whole:
                merged.merge(whole)
            else:
                joined = _join(*part, self._seed)
                merged.add(joined.rows, joined.hashes, joined.totals)
        return merged

    def _find_heavy(self):
        """Heavy rows, their hashes and weights; none as long as all rows are kept anyway."""
        if self._heavy is None:
            return self.rows[:0], np.zeros(0, np.uint64), np.zeros(0)
        return self._heavy.result()

    def _find_cells(self, rows):
        """Index into the cells of each row: int64 `[s]`; the hashes of the cells are sorted."""
        cells = np.floor(np.ldexp(_sketch(rows), -self._level)).astype(np.int64)
        return np.searchsorted(hashing.row_hashes(self._cells), hashing.row_hashes(cells))

    def _thresholds(self, ranks, cell_of_row):
        """The lowest rank that is out, among all and in each cell `[c]`; inf where all are in."""
        of_all = np.inf
        if len(ranks) > self._size:
            of_all = np.partition(ranks, self._size)[self._size]
        order = np.lexsort((ranks, cell_of_row))
        ranks, cell_of_row = ranks[order], cell_of_row[order]
        starts = np.searchsorted(cell_of_row, np.arange(len(self._cells) + 1))
        place = starts[:-1] + _ROWS_PER_CELL
        there = place < starts[1:]
        of_cell = np.full(len(self._cells), np.inf)
        of_cell[there] = ranks[place[there]]
        return of_all, of_cell


class _Joined(typing.NamedTuple):
    """Distinct rows `[n, d]`, the weight of one such row, that of all of them, and their hashes."""

    rows: np.ndarray
    weights: np.ndarray
    totals: np.ndarray
    hashes: np.ndarray


def _join(rows, weights, totals, seed):
    """Joins rows that are equal and have equal weights; they come out by rising hash."""
    hashes, first, inverse = np.unique(
        hashing.row_hashes(rows, weights, seed), return_index=True, return_inverse=True
    )
    return _Joined(rows[first], weights[first], np.bincount(inverse, totals), hashes)


def _ranks(hashes, weights):
    """Reciprocals of the priorities: the lowest are kept."""
    uniform = ((hashes >> np.uint64(11)) + np.uint64(1)) * 2.0**-53  # in (0, 1]
    return uniform / weights


def _sketch(rows):
    """Few columns that keep far rows apart: float64 `[n, min(d, 6)]`.

    Added up column by column, since a matrix product may round by the number of rows.
    """
    width = rows.shape[1]
    if width <= _SKETCH_WIDTH:
        return rows.astype(np.float64)
    columns = hashing.row_hashes(np.arange(width)[:, np.newaxis])
    order = np.argsort(columns)
    sketch = np.zeros((_SKETCH_WIDTH, len(rows)))
    for place, column in enumerate(order):
        values = rows[:, column].astype(np.float64)
        sketch[place % _SKETCH_WIDTH] += values if columns[column] & np.uint64(1) else -values
    return sketch.T


def _count(cells):
    return len(np.unique(hashing.row_hashes(cells)))


def _least(holds):
    """The least integer >= 0 for which `holds`, which stays true once it is, by bisection."""
    low, high = 0, 1
    if holds(0):
        return 0
    while not holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
