"""One order of the rows, whatever the order of files and shards they were read in."""

import numpy as np

from tfx_kmeans import hashing


def sort_rows(matrix, weights=None):
    """Puts the rows of `matrix`, and `weights` with them, in the order of their hashes, in place.

    That order is as good as random, and depends on the rows alone. An eighth of the matrix, or one
    column of it, is the most that is copied at a time.

    Args:
        matrix: float32 `[n, d]`, sorted in place.
        weights: float32 `[n]`, sorted in place, or None.
    """
    order = np.argsort(hashing.row_hashes(matrix, weights))  # equal hashes are equal rows
    width = matrix.shape[1]
    step = min(16, max(1, width // 8))  # 16 float32 are a cache line
    for first in range(0, width, step):
        matrix[:, first : first + step] = matrix[order, first : first + step]
    if weights is not None:
        weights[:] = weights[order]
