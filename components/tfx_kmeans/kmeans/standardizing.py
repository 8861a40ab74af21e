"""Standardising the columns of a matrix in place, a block of rows at a time."""

import numpy as np

from tfx_kmeans import artifacts, moments

_BLOCK_ROWS = 65536


def measure(blocks, width):
    """Finds the weighted mean and standard deviation of each column, in float64.

    Args:
        blocks: iterable of pairs: float32 `[b, d]`, and their weights float32 `[b]` or None. NaN
            says that a value is missing, and does not count.
        width: int, d.

    Returns:
        artifacts.Standardization; the scale of a constant column is 1.
    """
    measured = moments.MomentsWithGaps(width)
    for block, weights in blocks:
        measured.add(block, weights)
    return artifacts.Standardization(
        tuple(measured.mean.tolist()), tuple(measured.scale().tolist())
    )


def apply(matrix, standardization):
    """Turns each value of `matrix`, float32 `[n, d]`, into (value - mean) / scale, in place."""
    mean = np.float32(standardization.mean)
    scale = np.float32(standardization.scale)
    for start in range(0, len(matrix), _BLOCK_ROWS):
        block = matrix[start : start + _BLOCK_ROWS]
        block -= mean
        block /= scale
