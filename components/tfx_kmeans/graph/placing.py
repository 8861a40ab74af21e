"""Placing rows so that where one goes does not depend on the rows beside it."""

import functools

import numpy as np
import tensorflow as tf

from tfx_kmeans.graph import blocks
from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph.partial import rows as partial_rows

# what float32 may get wrong in |c|^2 - 2xc, as a share of |x|^2 + |c|^2
_ROUNDING = 2.0**-20
_BLOCK_DISTANCES = 1 << 20


def place(points, centroids, partial=False):
    """Finds the nearest centroid of every row, the same one in whatever block a row comes.

    A matrix product may round by the shape of the matrices. So where two centroids are as near as
    float32 can tell, they are compared in float64, column after column.

    Args:
        points: float32 `[n, d]`, an array of finite numbers.
        centroids: float32 `[k, d]`, an array.
        partial: bool, whether values may be missing (NaN); a row goes by those that it has.

    Returns:
        int32 `[n]`; ties go to the lowest.
    """
    ids, in_doubt = (
        part.numpy() for part in _compiled(*centroids.shape, partial)(points, centroids)
    )
    in_doubt = np.flatnonzero(in_doubt)
    step = max(1, _BLOCK_DISTANCES // len(centroids))
    for start in range(0, len(in_doubt), step):
        chosen = in_doubt[start : start + step]
        ids[chosen] = _nearest_in_float64(points[chosen], centroids)
    return ids


@functools.lru_cache(maxsize=32)
def _compiled(n_clusters, width, partial):
    """One traced function per shape of the centroids, for any number of rows."""
    return tf.function(
        functools.partial(_place, partial),
        input_signature=[
            tf.TensorSpec([None, width], tf.float32),
            tf.TensorSpec([n_clusters, width], tf.float32),
        ],
        autograph=False,
    )


def _place(partial, points, centroids):
    """Ids int32 `[n]`, and whether another centroid may be nearer, bool `[n]`."""
    shift = tf.reduce_mean(centroids, axis=0)
    largest = tf.cast(tf.reduce_max(tf.abs(centroids - shift)), tf.float64)
    scale = rows_lib.power_of_two_scale(largest, tf.float32)
    kind = partial_rows.Rows if partial else rows_lib.Rows
    rows = kind(points, None, shift, scale, 'squared_euclidean')
    targets = rows.prepare(centroids)
    farthest = tf.reduce_max(tf.reduce_sum(tf.square(targets), axis=1))

    def step(start, stop):
        if partial:
            block, observed = rows.split(points[start:stop])
            distances = partial_rows.relative_distances(block, observed, targets)
        else:
            block = rows.block(start, stop)
            distances = rows_lib.relative_distances(block, targets)
        squares = tf.reduce_sum(tf.square(block), axis=1)
        limit = tf.reduce_min(distances, axis=1) + _ROUNDING * (squares + farthest)
        # also where the limit is not a number
        far = tf.cast(distances > limit[:, tf.newaxis], tf.int32)
        in_doubt = tf.reduce_sum(far, axis=1) < targets.shape[0] - 1
        return [tf.argmin(distances, axis=1, output_type=tf.int32), in_doubt]

    rows_per_block = blocks.block_rows(max(targets.shape[0], 2 * targets.shape[1] * partial))
    return blocks.map_blocks(step, rows.count, rows_per_block, [tf.int32, tf.bool])


def _nearest_in_float64(points, centroids):
    """Ids `[n]` by the differences over the observed values: a rescaling would not change them."""
    distances = np.zeros((len(points), len(centroids)))
    columns = zip(points.T.astype(np.float64), centroids.T.astype(np.float64), strict=True)
    for values, targets in columns:
        offsets = values[:, np.newaxis] - targets
        offsets[np.isnan(values)] = 0
        distances += np.square(offsets)
    return distances.argmin(axis=1)
