"""Walking over the rows of a matrix in blocks, so that no temporary grows with the row count."""

import os

import tensorflow as tf

_BLOCK_ELEMENTS = (
    1 << 20
)  # 4 MiB of float32: a block's [rows, n_columns] temporary stays near cache
_MIN_ROWS = 256
_MAX_ROWS = 4096
# blocks in flight at a time: more than there are cores would only hold more memory
_PARALLEL_BLOCKS = min(10, os.cpu_count() or 1)


def block_rows(n_columns):
    """Rows a block may have so that a `[rows, n_columns]` temporary stays near 4 MiB.

    Args:
        n_columns: int or scalar int tensor, columns of the widest temporary of a block.

    Returns:
        Scalar int32 tensor between 256 and 4096.
    """
    n_columns = tf.maximum(tf.cast(n_columns, tf.int32), 1)
    return tf.clip_by_value(_BLOCK_ELEMENTS // n_columns, _MIN_ROWS, _MAX_ROWS)


def row_count(matrix):
    """Returns the number of rows of `matrix` as a scalar int32 tensor."""
    return tf.shape(matrix)[0]


def reduce_blocks(step, n_rows, rows_per_block, initial):
    """Folds `step` over consecutive row ranges.

    Args:
        step: callable `(start, stop, *state) -> state`, with the structure of `initial`.
        n_rows: scalar int32 tensor.
        rows_per_block: scalar int32 tensor.
        initial: list of tensors, the state before the first block.

    Returns:
        List of tensors, the state after the last block.
    """

    def body(start, *state):
        stop = tf.minimum(start + rows_per_block, n_rows)
        return [stop, *step(start, stop, *state)]

    loop = [tf.zeros([], tf.int32), *initial]
    return while_below(n_rows, body, loop)


def map_blocks(step, n_rows, rows_per_block, dtypes):
    """Concatenates the vectors that `step` gives for consecutive row ranges.

    Args:
        step: callable `(start, stop) -> list of tensors [stop - start]`.
        n_rows: scalar int32 tensor.
        rows_per_block: scalar int32 tensor.
        dtypes: list of dtypes, one for each tensor that `step` returns.

    Returns:
        List of tensors `[n_rows]`.
    """
    # no rows are one empty block: an eager TensorArray of no parts cannot be joined
    n_blocks = tf.maximum((n_rows + rows_per_block - 1) // rows_per_block, 1)

    def body(index, *arrays):
        start = index * rows_per_block
        parts = step(start, tf.minimum(start + rows_per_block, n_rows))
        return [index + 1, *(a.write(index, part) for a, part in zip(arrays, parts, strict=True))]

    arrays = [
        tf.TensorArray(dtype, n_blocks, element_shape=[None], infer_shape=False) for dtype in dtypes
    ]
    loop = [tf.zeros([], tf.int32), *arrays]
    return [array.concat() for array in while_below(n_blocks, body, loop)]


def while_below(limit, body, loop):
    """Repeats `body` while the first of `loop` is below `limit`; returns the others."""
    return tf.while_loop(
        lambda counter, *_: counter < limit, body, loop, parallel_iterations=_PARALLEL_BLOCKS
    )[1:]
