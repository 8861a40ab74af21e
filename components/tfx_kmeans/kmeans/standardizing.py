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
    whole = moments.Moments(width)
    with_gaps = [moments.Moments(1) for _ in range(width)]  # a column has rows of its own there
    for block, weights in blocks:
        observed = ~np.isnan(block)
        if observed.all():
            whole.add(block, weights)
            continue
        for column, measured in enumerate(with_gaps):
            mine = observed[:, column]
            values = block[mine, column : column + 1]
            measured.add(values, None if weights is None else weights[mine])
    for column, measured in enumerate(with_gaps):
        measured.merge(whole.column(column))
    return artifacts.Standardization(
        tuple(float(measured.mean[0]) for measured in with_gaps),
        tuple(float(measured.scale()[0]) for measured in with_gaps),
    )


def apply(matrix, standardization):
    """Turns each value of `matrix`, float32 `[n, d]`, into (value - mean) / scale, in place."""
    mean = np.float32(standardization.mean)
    scale = np.float32(standardization.scale)
    for start in range(0, len(matrix), _BLOCK_ROWS):
        block = matrix[start : start + _BLOCK_ROWS]
        block -= mean
        block /= scale
