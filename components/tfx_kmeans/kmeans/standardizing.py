"""Standardising the columns of a matrix in place, a block of rows at a time."""

import numpy as np

from tfx_kmeans import artifacts, moments

_BLOCK_ROWS = 65536


def measure(matrix, weights=None):
    """Finds the weighted mean and standard deviation of each column, in float64.

    Args:
        matrix: float32 `[n, d]`.
        weights: float32 `[n]`, or None.

    Returns:
        artifacts.Standardization; the scale of a constant column is 1.
    """
    measured = moments.Moments(matrix.shape[1])
    for start, block in enumerate(_blocks(matrix)):
        first = start * _BLOCK_ROWS
        measured.add(block, None if weights is None else weights[first : first + len(block)])
    return artifacts.Standardization(
        tuple(measured.mean.tolist()), tuple(measured.scale().tolist())
    )


def apply(matrix, standardization):
    """Turns each value of `matrix`, float32 `[n, d]`, into (value - mean) / scale, in place."""
    mean = np.float32(standardization.mean)
    scale = np.float32(standardization.scale)
    for block in _blocks(matrix):
        block -= mean
        block /= scale


def _blocks(matrix):
    return (matrix[start : start + _BLOCK_ROWS] for start in range(0, len(matrix), _BLOCK_ROWS))
