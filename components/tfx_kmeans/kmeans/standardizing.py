"""Standardising the columns of a matrix in place, a block of rows at a time."""

import numpy as np

from tfx_kmeans import artifacts

_BLOCK_ROWS = 65536
# deviations below this share of the mean are rounding errors of float64 sums; different float32
# values are farther apart, on average over any number of rows that memory holds
_ROUNDING = 1e-13


def measure(matrix, weights=None):
    """Finds the weighted mean and standard deviation of each column, in float64.

    Args:
        matrix: float32 `[n, d]`.
        weights: float32 `[n]`, or None.

    Returns:
        artifacts.Standardization; the scale of a constant column is 1.
    """
    total = float(len(matrix)) if weights is None else weights.sum(dtype=np.float64)
    total = total or 1.0  # where no row counts it is for graph.fit to say so
    mean = _weighted_sum(matrix, weights, lambda block: block) / total
    variance = _weighted_sum(matrix, weights, lambda block: np.square(block - mean)) / total
    scale = np.sqrt(variance)
    scale[scale <= _ROUNDING * np.abs(mean)] = 1.0
    return artifacts.Standardization(tuple(mean.tolist()), tuple(scale.tolist()))


def apply(matrix, standardization):
    """Turns each value of `matrix`, float32 `[n, d]`, into (value - mean) / scale, in place."""
    mean = np.float32(standardization.mean)
    scale = np.float32(standardization.scale)
    for block in _blocks(matrix):
        block -= mean
        block /= scale


def _weighted_sum(matrix, weights, function):
    total = np.zeros(matrix.shape[1])
    for start, block in enumerate(_blocks(matrix)):
        values = function(block.astype(np.float64))
        if weights is None:
            total += values.sum(axis=0)
        else:
            total += weights[start * _BLOCK_ROWS :][: len(block)].astype(np.float64) @ values
    return total


def _blocks(matrix):
    return (matrix[start : start + _BLOCK_ROWS] for start in range(0, len(matrix), _BLOCK_ROWS))
