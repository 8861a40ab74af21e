"""Checks that read the same eagerly and inside a graph."""

import tensorflow as tf


def require(condition, message, *values):
    """Stops with `message` unless `condition` holds.

    Eagerly this raises ValueError; inside a graph it adds an assertion that fails with
    tf.errors.InvalidArgumentError when the graph runs.

    Args:
        condition: scalar bool tensor.
        message: str with one `{}` for each of `values`.
        *values: scalar tensors or Python values to show in the message.

    Returns:
        None eagerly; inside a graph the assertion, to be made a control dependency.

    Raises:
        ValueError: eagerly, when `condition` is false.
    """
    if tf.executing_eagerly():
        if not bool(condition):
            raise ValueError(message.format(*(_plain(value) for value in values)))
        return None
    return tf.debugging.Assert(condition, [tf.strings.format(message, values)])


def _plain(value):
    return value.numpy() if isinstance(value, tf.Tensor) else value
