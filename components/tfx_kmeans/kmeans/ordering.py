"""One order of the rows, whatever the order of files and shards they were read in."""

import numpy as np

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def row_hashes(matrix, weights=None):
    """Hashes the bits of each row: equal rows get equal hashes, on every machine.

    The mixing function of SplitMix64 (Steele, Lea & Flood 2014), one column after the other.

    Args:
        matrix: float32 `[n, d]`.
        weights: float32 `[n]` that take part like one more column, or None.

    Returns:
        uint64 `[n]`.
    """
    hashes = np.zeros(len(matrix), np.uint64)
    columns = [*matrix.T] if weights is None else [*matrix.T, weights]
    for column in columns:
        bits = (column + np.float32(0)).view(np.uint32)  # -0 + 0 is 0: one value, one hash
        hashes ^= bits
        hashes += _INCREMENT
        _mix(hashes)
    return hashes


def sort_rows(matrix, weights=None):
    """Puts the rows of `matrix`, and `weights` with them, in the order of their hashes, in place.

    That order is as good as random, and depends on the rows alone. An eighth of the matrix, or one
    column of it, is the most that is copied at a time.

    Args:
        matrix: float32 `[n, d]`, sorted in place.
        weights: float32 `[n]`, sorted in place, or None.
    """
    order = np.argsort(row_hashes(matrix, weights))  # equal hashes are equal rows
    width = matrix.shape[1]
    step = min(16, max(1, width // 8))  # 16 float32 are a cache line
    for first in range(0, width, step):
        matrix[:, first : first + step] = matrix[order, first : first + step]
    if weights is not None:
        weights[:] = weights[order]


def _mix(hashes):
    hashes ^= hashes >> np.uint64(30)
    hashes *= _MULTIPLIERS[0]
    hashes ^= hashes >> np.uint64(27)
    hashes *= _MULTIPLIERS[1]
    hashes ^= hashes >> np.uint64(31)
