"""Hashes of rows: what makes a result depend on the rows alone, not on the order they came in."""

import numpy as np

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def row_hashes(matrix, weights=None, seed=0):
    """Hashes the bits of each row: equal rows get equal hashes, on every machine.

    The mixing function of SplitMix64 (Steele, Lea & Flood 2014), one column after the other.

    Args:
        matrix: float32 or int64 `[n, d]`.
        weights: float32 `[n]` that take part like one more column, or None.
        seed: int in [0, 2^63); another seed gives hashes that have nothing to do with these.

    Returns:
        uint64 `[n]`.
    """
    hashes = np.full(len(matrix), seed, np.uint64)
    _mix(hashes)  # leaves 0 as it is
    columns = [*matrix.T] if weights is None else [*matrix.T, weights]
    for column in columns:
        hashes ^= _bits(column)
        hashes += _INCREMENT
        _mix(hashes)
    return hashes


def _bits(column):
    if column.dtype == np.float32:
        return (column + np.float32(0)).view(np.uint32)  # -0 + 0 is 0: one value, one hash
    return column.astype(np.int64).view(np.uint64)


def _mix(hashes):
    hashes ^= hashes >> np.uint64(30)
    hashes *= _MULTIPLIERS[0]
    hashes ^= hashes >> np.uint64(27)
    hashes *= _MULTIPLIERS[1]
    hashes ^= hashes >> np.uint64(31)
