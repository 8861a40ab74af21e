"""What a preprocessing_fn calls points: a tensor, or a dict or list of tensors, as one matrix."""

import tensorflow as tf


def to_points(x, argument='x'):
    """Makes one matrix of `x`.

    Args:
        x: a numeric tensor `[n]` or `[n, d]`, a dict of such tensors, which are taken in the order
            of their sorted keys, or a list or tuple of them.
        argument: str, what messages call it.

    Returns:
        float32 `[n, d]` with a static d >= 1, and the names of its columns, tuple of d strings.

    Raises:
        TypeError: a tensor is sparse, ragged or not numeric.
        ValueError: a tensor is of another rank or of unknown width, or there are none.
    """
    if isinstance(x, dict):
        parts = {str(key): x[key] for key in sorted(x)}
    elif isinstance(x, list | tuple):
        parts = {f'{argument}[{index}]': part for index, part in enumerate(x)}
    else:
        parts = {argument: x}
    if not parts:
        raise ValueError(f'{argument} must hold at least one tensor, not {x!r}')
    columns = [_to_columns(part, name) for name, part in parts.items()]
    names = []
    for name, part in zip(parts, columns, strict=True):
        width = part.shape[1]
        numbered = not isinstance(x, dict) and width > 1
        names += [f'{name}[:, {i}]' for i in range(width)] if numbered else [name] * width
    return tf.concat(columns, axis=1) if len(columns) > 1 else columns[0], tuple(names)


def to_weights(weights, argument='weights'):
    """Returns `weights`, a numeric tensor `[n]` or `[n, 1]`, as float32 `[n]`.

    Raises:
        TypeError: it is sparse, ragged or not numeric.
        ValueError: it is of another shape.
    """
    column = _to_columns(weights, argument)
    if column.shape[1] != 1:
        raise ValueError(f'{argument} must have shape [batch] or [batch, 1], not {weights.shape}')
    return column[:, 0]


def _to_columns(tensor, name):
    """Returns one tensor of those that users give as float32 `[n, width]`."""
    if isinstance(tensor, tf.SparseTensor | tf.RaggedTensor):
        kind = 'sparse' if isinstance(tensor, tf.SparseTensor) else 'ragged'
        raise TypeError(
            f'{name!r} is {kind}; make it dense first, with NaN where a value is missing: '
            'tf.sparse.to_dense(..., default_value=math.nan)'
        )
    tensor = tf.convert_to_tensor(tensor)
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
        raise TypeError(f'{name!r} must be a tensor of numbers, not of {tensor.dtype.name}')
    if tensor.shape.rank not in (1, 2):
        raise ValueError(
            f'{name!r} must have shape [batch] or [batch, width], not {tensor.shape}; flatten the '
            'dimensions after the first with tf.reshape'
        )
    if tensor.shape.rank == 1:
        tensor = tensor[:, tf.newaxis]
    if not tensor.shape[1]:
        raise ValueError(
            f'{name!r} must have a known width of at least 1, not shape {tensor.shape}; '
            'tf.ensure_shape can tell it'
        )
    return tf.cast(tensor, tf.float32)
