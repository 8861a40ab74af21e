"""Rows on disk in the order of their hashes: more of them than memory should hold."""

import errno
import os
import tempfile

import numpy as np

from tfx_kmeans import hashing

_MERGED_BYTES = 1 << 23  # what is held of all runs while they are merged


class SpoolWriter:
    """Sorts rows on disk: each run that is written is sorted, and `finish` merges the runs.

    The files lie in the directory for temporary files (TMPDIR) and have no name, so they are gone
    with the process whatever becomes of it. They take the size of the rows, twice of it while the
    runs are merged.
    """

    def __init__(self, width):
        """Makes one for rows of `width` columns."""
        self._width = width
        self._runs = []
        self._n_rows = 0

    def write_run(self, blocks):
        """Writes a run: float32 blocks `[b, width]` whose rows are in the order of their hashes."""
        self._runs.append(_write(blocks, self._width, self._n_rows))
        self._n_rows += self._runs[-1].n_rows

    def finish(self):
        """Returns the Spool of all rows that were written."""
        runs, self._runs = self._runs, []
        return (
            runs[0]
            if len(runs) == 1
            else _write(_merge(runs, self._width), self._width, self._n_rows)
        )


class Spool:
    """A matrix of float32 rows in a file.

    Attributes:
        n_rows: int.
    """

    def __init__(self, file, n_rows, width):
        """Takes over `file`, opened for reading, which holds the rows one after the other."""
        self.n_rows = n_rows
        self._file = file
        self._width = width

    def read(self, start, stop):
        """Returns rows `[start, stop)`, as far as there are any, float32 `[b, width]`."""
        stop = min(stop, self.n_rows)
        rows = np.empty((max(stop - start, 0), self._width), np.float32)
        # at a position of its own, so that several readers do not mind each other
        done = os.preadv(self._file.fileno(), [rows], start * self._width * 4)
        if done != rows.nbytes:
            raise OSError(f'{done} of {rows.nbytes} bytes read back from a temporary file')
        return rows


def _write(blocks, width, n_before):
    """Writes blocks of rows to a file; `n_before` rows are on disk already."""
    blocks = iter(blocks)
    file = tempfile.TemporaryFile(prefix='tfx-kmeans-')  # noqa: SIM115 - lives as long as its Spool
    n_rows = 0
    try:
        for block in blocks:
            n_rows += len(block)
            file.write(np.ascontiguousarray(block))
        file.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        n_rows += n_before + sum(len(block) for block in blocks)
        raise OSError(
            error.errno,
            f'the directory for temporary files, {tempfile.gettempdir()!r}, is full: rows above '
            f'memory_budget are kept there while they are fitted, and take {4 * width * n_rows} '
            'bytes, or more with rows that are still to be read; name a larger directory by '
            'TMPDIR, or raise memory_budget',
        ) from error
    return Spool(file, n_rows, width)


def _merge(runs, width):
    """Yields the rows of sorted runs in one order, holding a piece of each run at a time."""
    piece = max(1, _MERGED_BYTES // (4 * width * len(runs)))
    readers = [_Reader(run, piece) for run in runs]
    while True:
        for reader in readers:
            reader.fill()
        readers = [reader for reader in readers if len(reader.rows)]
        if not readers:
            return
        # rows that are still on disk come after the last of their run that is here; those of
        # equal hash are equal, so which of them goes first is all the same
        limit = min(reader.hashes[-1] for reader in readers)
        rows, hashes = zip(*(reader.take(limit) for reader in readers), strict=True)
        order = np.argsort(np.concatenate(hashes), kind='stable')
        yield np.take(np.concatenate(rows), order, axis=0)


class _Reader:
    """The next rows of a run, and their hashes."""

    def __init__(self, run, piece):
        self._run, self._piece, self._position = run, piece, 0
        self.rows, self.hashes = run.read(0, 0), np.zeros(0, np.uint64)

    def fill(self):
        """Reads the next rows where all those before have been taken."""
        if not len(self.rows):
            self.rows = self._run.read(self._position, self._position + self._piece)
            self.hashes = hashing.row_hashes(self.rows)
            self._position += len(self.rows)

    def take(self, limit):
        """Removes the rows whose hashes are not above `limit` and returns both."""
        end = np.searchsorted(self.hashes, limit, side='right')
        taken = self.rows[:end], self.hashes[:end]
        self.rows, self.hashes = self.rows[end:], self.hashes[end:]
        return taken
