"""One order of the rows, whatever the order of files and shards they were read in."""

import mmap

import numpy as np

from tfx_kmeans import hashing

_BUCKET_BITS = 6
_N_BUCKETS = 1 << _BUCKET_BITS


class RowSorter:
    """Takes rows in any order and gives them in the order of their hashes.

    That order is as good as random, and depends on the rows alone. Rows are put into buckets by the
    first bits of their hashes as they come, so that what is left to do is to sort each bucket,
    which is near the processor's cache and is given back to the system once it is done with: a
    matrix takes the place of the rows here with a 64th of it more in memory, not with another one.

    Attributes:
        n_rows: int, rows in here now.
    """

    def __init__(self, width):
        """Makes one for rows of `width` columns."""
        self._width = width
        self._empty()

    def add(self, rows):
        """Adds float32 rows `[b, width]`."""
        numbers = (hashing.row_hashes(rows) >> np.uint64(64 - _BUCKET_BITS)).astype(np.uint8)
        order = np.argsort(numbers, kind='stable')
        rows = np.take(rows, order, axis=0)
        ends = np.cumsum(np.bincount(numbers, minlength=_N_BUCKETS)).tolist()
        for bucket, start, end in zip(self._buckets, [0, *ends], ends, strict=False):
            if end > start:
                bucket.append(rows[start:end])
        self.n_rows += len(rows)

    def drain(self):
        """Yields all rows, float32 `[b, width]` in the order of their hashes, and is empty then."""
        buckets = self._buckets
        self._empty()
        while buckets:
            rows = buckets.pop(0).finish()
            if len(rows):
                yield sort_rows(rows)

    def _empty(self):
        self.n_rows = 0
        self._buckets = [GrowingMatrix(self._width) for _ in range(_N_BUCKETS)]


def sort_rows(rows):
    """Returns float32 rows `[n, d]` in the order of their hashes: equal hashes are equal rows."""
    return np.take(rows, np.argsort(hashing.row_hashes(rows)), axis=0)


def aligned_matrix(n_rows, width):
    """Returns a float32 matrix `[n_rows, width]` on pages of its own, as TensorFlow shares them."""
    matrix = GrowingMatrix(width)
    matrix.reserve(n_rows)
    matrix.n_rows = n_rows
    return matrix.finish()


class GrowingMatrix:
    """A float32 matrix that takes more rows without being copied.

    It lies on pages of its own, which the system moves about as it grows and which it lends only
    once they are written to; their alignment is what TensorFlow needs to share them.
    """

    def __init__(self, width):
        self.n_rows = 0
        self._width = width
        self._memory = _pages(0)

    def append(self, rows):
        """Adds float32 rows `[b, width]` at the end."""
        end = self.n_rows + len(rows)
        if end * self._width * 4 > len(self._memory):
            self.reserve(end + end // 2)
        if rows.size:
            self._view(self.n_rows, end)[:] = rows
        self.n_rows = end

    def reserve(self, n_rows):
        """Makes room for `n_rows` rows in all."""
        self._memory = _resized(self._memory, max(n_rows * self._width * 4, mmap.PAGESIZE))

    def finish(self):
        """Returns the matrix, float32 `[n_rows, width]`; nothing can be added any more."""
        return self._view(0, self.n_rows)

    def _view(self, start, stop):
        flat = np.frombuffer(
            self._memory, np.float32, (stop - start) * self._width, start * self._width * 4
        )
        return flat.reshape(-1, self._width)


def _pages(size):
    return mmap.mmap(-1, max(size, mmap.PAGESIZE), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _resized(memory, size):
    try:
        memory.resize(size)
        return memory
    except SystemError:  # no mremap on this system: it has to be a copy
        larger = _pages(size)
        larger[: len(memory)] = memory[:]
        return larger
