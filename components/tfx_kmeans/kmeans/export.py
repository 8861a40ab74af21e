"""The `model` of KMeans: a SavedModel that places transformed examples among the centroids."""

import tensorflow as tf

from tfx_kmeans.transform import features as features_lib


def write_model(clustering, feature_spec, directory):
    """Writes the SavedModel.

    Its signatures give `<output_prefix>_id` (int64 `[n]`) and `<output_prefix>_distance` (float32
    `[n]`), see transform.features.cluster_features:
      serving_default: takes `examples`, serialized transformed tf.Examples `[n]`.
      features: takes each feature of the clustering by its name.

    Args:
        clustering: artifacts.Clustering.
        feature_spec: parsing spec of its features.
        directory: str.
    """
    serialized = tf.TensorSpec([None], tf.string, name='examples')
    dense = {
        name: tf.TensorSpec([None, *spec.shape], spec.dtype, name=name)
        for name, spec in feature_spec.items()
    }

    @tf.function(input_signature=[serialized], autograph=False)
    def place_examples(examples):
        parsed = tf.io.parse_example(examples, feature_spec)
        return features_lib.cluster_features(parsed, clustering)

    @tf.function(input_signature=[dense], autograph=False)
    def place_features(features):
        return features_lib.cluster_features(features, clustering)

    signatures = {'serving_default': place_examples, 'features': place_features}
    tf.saved_model.save(tf.Module(), directory, signatures)
