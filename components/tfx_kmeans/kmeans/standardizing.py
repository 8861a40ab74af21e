"""Standardising the columns of a matrix in place, a block of rows at a time."""

import numpy as np

from tfx_kmeans import artifacts, moments

_BLOCK_ROWS = 65536


def measure(matrix, weights=None):
    """Finds the weighted mean and standard deviation of each column, in float64.

    Args:
        matrix: float32 `[n, d]`; NaN says that a value is missing, and does not count.
        weights: float32 `[n]`, or None.

    Returns:
        artifacts.Standardization; the scale of a constant column is 1.
    """
    width = matrix.shape[1]
    gaps = any(np.isnan(block).any() for block in _blocks(matrix))
    # with gaps each column has rows of its own that count
    parts = [slice(c, c + 1) for c in range(width)] if gaps else [slice(0, width)]
    measured = [_measure(matrix[:, part], weights) for part in parts]
    return artifacts.Standardization(
        tuple(np.concatenate([part.mean for part in measured]).tolist()),
        tuple(np.concatenate([part.scale() for part in measured]).tolist()),
    )


def _measure(matrix, weights):
    """Moments of the rows without NaN."""
    measured = moments.Moments(matrix.shape[1])
    for start, block in enumerate(_blocks(matrix)):
        first = start * _BLOCK_ROWS
        block_weights = None if weights is None else weights[first : first + len(block)]
        observed = ~np.isnan(block).any(axis=1)
        if not observed.all():
            block = block[observed]
            block_weights = None if weights is None else block_weights[observed]
        measured.add(block, block_weights)
    return measured


def apply(matrix, standardization):
    """Turns each value of `matrix`, float32 `[n, d]`, into (value - mean) / scale, in place."""
    mean = np.float32(standardization.mean)
    scale = np.float32(standardization.scale)
    for block in _blocks(matrix):
        block -= mean
        block /= scale


def _blocks(matrix):
    return (matrix[start : start + _BLOCK_ROWS] for start in range(0, len(matrix), _BLOCK_ROWS))
