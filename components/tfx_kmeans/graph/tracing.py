"""Functions that are traced once, whatever the number of rows."""

import functools

import tensorflow as tf


@functools.lru_cache(maxsize=128)
def traced(step, static, signature):
    """One traced function for each `step`, `static` and `signature`.

    A fit calls few of these and does the rest eagerly: an operation that is traced costs more, in
    the first fit of a process, than many eager calls of it.

    Args:
        step: function of a module, `(static, *tensors)`.
        static: hashable.
        signature: tuple of tf.TensorSpec, or of named tuples of them, one for each of `tensors`.

    Returns:
        A tf.function `(*tensors)`.
    """
    function = functools.partial(step, static)
    return tf.function(function, input_signature=signature, autograph=False)


def vector(dtype):
    """The TensorSpec of a vector of any length."""
    return tf.TensorSpec([None], dtype)


def matrix(dtype, width=None):
    """The TensorSpec of a matrix of any number of rows."""
    return tf.TensorSpec([None, width], dtype)
