"""Features in, cluster features out, by the clustering of a Centroids artifact."""

import math

import tensorflow as tf

from tfx_kmeans.transform import placing


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


def check_emit(clustering, emit):
    """Checks that a clustering has what the kinds in `emit` need.

    Raises:
        ValueError: it has no scale for similarities.
    """
    if 'similarity' in emit and clustering.inertia_per_row is None:
        raise ValueError(
            f"emit: 'similarity' to the clusters {clustering.output_prefix!r} needs their inertia "
            'and weights; give inertia and cluster_weights to Clustering.from_array'
        )


def cluster_features(features, clustering, emit=('id', 'distance')):
    """Places rows among the centroids of a clustering.

    Args:
        features: dict of dense tensors that holds the features of the clustering.
        clustering: artifacts.Clustering.
        emit: which of placing.EMITTABLE to return.

    Returns:
        Dict of tensors named `<output_prefix>_<kind>`, of the kinds in `emit`; see placing.place.
        Distances are in the unit of the features (of their standard deviations where the clustering
        standardises them); the temperature of the similarity is the mean over the training rows of
        the squared distance (1 - cos) to the nearest centroid.

    Raises:
        ValueError: see `check_emit`.
    """
    check_emit(clustering, emit)
    mean = scale = None
    if clustering.standardization:
        mean = tf.constant(clustering.standardization.mean, tf.float32)
        scale = tf.constant(clustering.standardization.scale, tf.float32)
    temperature = clustering.inertia_per_row
    space = placing.Space(
        centroids=tf.constant(clustering.centroids),
        mean=mean,
        scale=scale,
        distance=clustering.distance,
        temperature=None if temperature is None else tf.constant(temperature, tf.float32),
        missing=clustering.missing,
    )
    found = placing.place(to_matrix(features, clustering.feature_names), space, emit)
    return {name: found[kind] for kind, name in output_names(clustering, emit).items()}
