"""Functions that are traced once for all numbers of rows."""

import functools

import tensorflow as tf


@functools.lru_cache(maxsize=96)
def by_width(step, width):
    """One traced function per width: retracing keeps the static width and forgets the row count.

    Args:
        step: function of a module, `(width, points, ...)`, whose cache entries are kept.
        width: int, columns of the points.

    Returns:
        A tf.function `(points, ...)`.
    """
    return tf.function(functools.partial(step, width), autograph=False, reduce_retracing=True)
