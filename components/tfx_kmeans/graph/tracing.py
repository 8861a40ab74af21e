"""Functions that are traced once, whatever the number of rows."""

import functools

import tensorflow as tf


@functools.lru_cache(maxsize=128)
def traced(step, static):
    """One traced function for each `step` and `static`; retracing may forget all but these.

    Args:
        step: function of a module, `(static, *tensors)`.
        static: hashable, what its tensors must not make it forget, as the width of points.

    Returns:
        A tf.function `(*tensors)`.
    """
    return tf.function(functools.partial(step, static), autograph=False, reduce_retracing=True)
