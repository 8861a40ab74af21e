"""Walking over the rows of a matrix in blocks, so that no temporary grows with the row count."""

import os

import tensorflow as tf

_BLOCK_ELEMENTS = (
    1 << 20
)  # 4 MiB of float32: a block's [rows, n_columns] temporary stays near cache
_MIN_ROWS = 256
_MAX_ROWS = 4096
_MAX_PRODUCT_ROWS = 8192  # products are worth larger blocks: fewer operations a row
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


def product_rows(n_columns):
    """As `block_rows`, for products with `[n_columns]` centroids: between 256 and 8192."""
    n_columns = tf.maximum(tf.cast(n_columns, tf.int32), 1)
    return tf.clip_by_value(2 * _BLOCK_ELEMENTS // n_columns, _MIN_ROWS, _MAX_PRODUCT_ROWS)


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
    return scan_blocks(lambda *given: ([], step(*given)), n_rows, rows_per_block, [], initial)[1]


def map_blocks(step, n_rows, rows_per_block, dtypes):
    """Concatenates the vectors that `step` gives for consecutive row ranges.

    Args:
        step: callable `(start, stop) -> list of vectors`.
        n_rows: scalar int32 tensor.
        rows_per_block: scalar int32 tensor.
        dtypes: list with the dtype of each vector that `step` returns, or the TensorSpec of what
            else it returns.

    Returns:
        List of tensors.
    """
    return scan_blocks(lambda *given: (step(*given), []), n_rows, rows_per_block, dtypes, [])[0]


def scan_blocks(step, n_rows, rows_per_block, dtypes, initial):
    """Does both: concatenates vectors and folds a state.

    Args:
        step: callable `(start, stop, *state) -> (list of vectors, state)`.
        n_rows: scalar int32 tensor.
        rows_per_block: scalar int32 tensor.
        dtypes: see `map_blocks`.
        initial: list of tensors, the state before the first block.

    Returns:
        List of tensors, and the list of tensors that the state is after the last block.
    """
    # no rows are one empty block: an eager TensorArray of no parts cannot be joined
    n_blocks = tf.maximum((n_rows + rows_per_block - 1) // rows_per_block, 1)
    n_arrays = len(dtypes)

    def body(index, *loop):
        arrays, state = loop[:n_arrays], loop[n_arrays:]
        start = index * rows_per_block
        parts, state = step(start, tf.minimum(start + rows_per_block, n_rows), *state)
        arrays = [array.write(index, part) for array, part in zip(arrays, parts, strict=True)]
        return [index + 1, *arrays, *state]

    specs = [
        kind if isinstance(kind, tf.TensorSpec) else tf.TensorSpec([None], kind) for kind in dtypes
    ]
    arrays = [
        tf.TensorArray(spec.dtype, n_blocks, element_shape=spec.shape, infer_shape=False)
        for spec in specs
    ]
    found = tf.while_loop(
        lambda index, *_: index < n_blocks,
        body,
        [tf.zeros([], tf.int32), *arrays, *initial],
        parallel_iterations=_PARALLEL_BLOCKS,
    )[1:]
    return [array.concat() for array in found[:n_arrays]], list(found[n_arrays:])
