"""Features in, cluster features out: the one mapping that every exported graph holds."""

import math

import tensorflow as tf

from tfx_kmeans import graph

EMITTABLE = ('id', 'distance', 'similarity', 'distances')

_UNPLACED_DISTANCE = -1.0  # no distance is negative, and a model can take it, unlike NaN


def to_matrix(features, names):
    """Concatenates numeric features into a matrix, in the order of `names`.

    Args:
        features: dict of dense tensors `[n]` or `[n, width]`, numeric.
        names: which of them, each present.

    Returns:
        float32 `[n, d]`.
    """
    columns = []
    for name in names:
        feature = tf.cast(features[name], tf.float32)
        width = math.prod(feature.shape[1:])
        columns.append(tf.reshape(feature, [-1, width]))
    return tf.concat(columns, axis=1)


def output_names(clustering, emit):
    """Names of the features that `cluster_features` gives, by what they hold: `{'id': ...}`."""
    return {kind: f'{clustering.output_prefix}_{kind}' for kind in emit}


def cluster_features(features, clustering, emit=('id', 'distance')):
    """Places rows among the centroids of a clustering.

    A row with a NaN or infinite value (under the cosine distance also a row of zeros) cannot be
    placed: its id is n_clusters, its distances are -1 and its similarities 0.

    Args:
        features: dict of dense tensors that holds the features of the clustering.
        clustering: artifacts.Clustering.
        emit: which of EMITTABLE to return.

    Returns:
        Dict of tensors named `<output_prefix>_<kind>`, of the kinds in `emit`:
          id: int64 `[n]` in [0, n_clusters].
          distance: float32 `[n]`, Euclidean (not squared) distance to the centroid of the row's
            cluster, in the unit of the features (of their standard deviations where the clustering
            standardises them); 1 - cos under the cosine distance.
          distances: float32 `[n, n_clusters]`, the same to every centroid.
          similarity: float32 `[n, n_clusters]`, adding up to 1: softmax of the squared distance
            (1 - cos) divided by its mean over the training rows, negated.
    """
    points = to_matrix(features, clustering.feature_names)
    if clustering.standardization:
        points = (points - tf.constant(clustering.standardization.mean, tf.float32)) / (
            tf.constant(clustering.standardization.scale, tf.float32)
        )
    centroids = tf.constant(clustering.centroids)
    assignment = graph.assign(points, centroids, distance=clustering.distance)
    values = {'id': assignment.ids}
    if 'distance' in emit:
        values['distance'] = _as_feature(assignment.distances, clustering)
    if 'distances' in emit:
        distances = graph.pairwise_distances(points, centroids, distance=clustering.distance)
        values['distances'] = _as_feature(distances, clustering)
    if 'similarity' in emit:
        values['similarity'] = _similarity(points, centroids, clustering)
    return {name: values[kind] for kind, name in output_names(clustering, emit).items()}


def _as_feature(distances, clustering):
    if clustering.distance == 'squared_euclidean':
        distances = tf.sqrt(distances)
    return tf.where(tf.math.is_nan(distances), _UNPLACED_DISTANCE, distances)


def _similarity(points, centroids, clustering):
    # all rows on their centroids leave no scale: any small temperature makes the assignment hard
    temperature = max(clustering.inertia_per_row, 1e-30)
    similarity = graph.soft_assign(
        points, centroids, temperature=temperature, distance=clustering.distance
    )
    return tf.where(tf.math.is_nan(similarity), 0.0, similarity)
