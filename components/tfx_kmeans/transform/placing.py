"""Points in, ids and distances out: the one mapping that every exported graph holds."""

import typing

import tensorflow as tf

from tfx_kmeans import graph

EMITTABLE = ('id', 'distance', 'similarity', 'distances')

_UNPLACED_DISTANCE = -1.0  # no distance is negative, and a model can take it, unlike NaN
# all rows on their centroids leave no scale: any small temperature makes the assignment hard
_LEAST_TEMPERATURE = 1e-30


class Space(typing.NamedTuple):
    """Centroids, and the space in which distances to them are measured.

    Attributes:
        centroids: float32 tensor `[n_clusters, d]`, in that space.
        mean, scale: float32 tensors `[d]`; (points - mean) / scale is that space. None where it is
            that of the points.
        distance: 'squared_euclidean' or 'cosine'.
        temperature: float32 scalar tensor, the scale of the similarity in the unit of the distance
            (squared for 'squared_euclidean'), or None where no similarity is asked for.
        missing: how a row with NaN is placed: 'drop', not at all, or 'partial', by the values that
            it has; its distances are rescaled, see graph.assign.
    """

    centroids: tf.Tensor
    mean: tf.Tensor | None
    scale: tf.Tensor | None
    distance: str
    temperature: tf.Tensor | None
    missing: str = 'drop'


def place(points, space, emit):
    """Places points among centroids.

    A row with an infinite value, with a NaN (under missing='partial' of nothing but NaN) or, under
    the cosine distance, of zeros cannot be placed: its id is n_clusters, its distances are -1 and
    its similarities 0.

    Args:
        points: float32 `[n, d]`.
        space: Space.
        emit: which of EMITTABLE to return.

    Returns:
        Dict of tensors, of the kinds in `emit`:
          id: int64 `[n]` in [0, n_clusters].
          distance: float32 `[n]`, Euclidean (not squared) distance to the nearest centroid; 1 - cos
            under the cosine distance.
          distances: float32 `[n, n_clusters]`, the same to every centroid.
          similarity: float32 `[n, n_clusters]`, adding up to 1: softmax of the squared distance
            (1 - cos) divided by the temperature, negated.
    """
    if space.mean is not None:
        # in float64: a graph multiplies by the rounded reciprocal of a constant, which would move
        # rows midway between two centroids
        apart = tf.cast(points - space.mean, tf.float64)
        points = tf.cast(apart / tf.cast(space.scale, tf.float64), tf.float32)
    found, how = {}, {'distance': space.distance, 'missing': space.missing}
    if {'id', 'distance'} & set(emit):
        assignment = graph.assign(points, space.centroids, **how)
        found['id'] = assignment.ids
        found['distance'] = _as_feature(assignment.distances, space)
        if space.distance == 'squared_euclidean':
            far = tf.math.is_inf(found['distance'])
            found['distance'] = tf.cond(
                tf.reduce_any(far),
                lambda: tf.where(
                    far, _in_float64(points, assignment.ids, space), found['distance']
                ),
                lambda: found['distance'],
            )
    if 'distances' in emit:
        distances = graph.pairwise_distances(points, space.centroids, **how)
        found['distances'] = _as_feature(distances, space)
    if 'similarity' in emit:
        found['similarity'] = _similarity(points, space, how)
    return {kind: found[kind] for kind in emit}


def _in_float64(points, ids, space):
    """Finite distances `[n]` to the centroids `ids`, whose squares float32 may not hold."""
    n_clusters = space.centroids.shape[0]
    nearest = tf.gather(space.centroids, tf.minimum(ids, n_clusters - 1))
    squares = tf.square(tf.cast(points, tf.float64) - tf.cast(nearest, tf.float64))
    observed = tf.math.is_finite(squares)
    # the mean over the observed values, which stands for all columns
    total = tf.reduce_sum(tf.where(observed, squares, 0.0), axis=1)
    share = tf.reduce_mean(tf.cast(observed, tf.float64), axis=1)
    distances = tf.sqrt(tf.math.divide_no_nan(total, share))
    return tf.cast(tf.minimum(distances, tf.float32.max), tf.float32)


def _as_feature(distances, space):
    if space.distance == 'squared_euclidean':
        distances = tf.sqrt(distances)
    return tf.where(tf.math.is_nan(distances), _UNPLACED_DISTANCE, distances)


def _similarity(points, space, how):
    similarity = graph.soft_assign(
        points,
        space.centroids,
        temperature=tf.maximum(space.temperature, _LEAST_TEMPERATURE),
        **how,
    )
    return tf.where(tf.math.is_nan(similarity), 0.0, similarity)
