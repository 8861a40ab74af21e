"""The `model` of KMeans: a SavedModel that places transformed examples among the centroids."""

import keyword
import re

import tensorflow as tf

from tfx_kmeans.transform import features as features_lib

_ARGUMENT = re.compile(r'[A-Za-z0-9][A-Za-z0-9_./-]*')


def write_model(clustering, feature_spec, directory):
    """Writes the SavedModel.

    Its signatures give `<output_prefix>_id` (int64 `[n]`) and `<output_prefix>_distance` (float32
    `[n]`), see transform.features.cluster_features:
      serving_default: takes `examples`, serialized transformed tf.Examples `[n]`.
      features: takes each feature of the clustering by its name; names that TensorFlow does not
        take for an argument have other characters replaced, see `argument_names`.

    Args:
        clustering: artifacts.Clustering.
        feature_spec: parsing spec of its features.
        directory: str.
    """
    serialized = tf.TensorSpec([None], tf.string, name='examples')
    arguments = argument_names(feature_spec)
    dense = {
        arguments[name]: tf.TensorSpec([None, *spec.shape], spec.dtype, name=arguments[name])
        for name, spec in feature_spec.items()
    }

    @tf.function(input_signature=[serialized], autograph=False)
    def place_examples(examples):
        parsed = tf.io.parse_example(examples, feature_spec)
        return features_lib.cluster_features(parsed, clustering)

    @tf.function(input_signature=[dense], autograph=False)
    def place_features(features):
        by_name = {name: features[argument] for name, argument in arguments.items()}
        return features_lib.cluster_features(by_name, clustering)

    signatures = {'serving_default': place_examples, 'features': place_features}
    tf.saved_model.save(tf.Module(), directory, signatures)


def argument_names(names):
    """Names of the arguments that stand for the features `names` in the signature `features`.

    TensorFlow takes most names as they are, and those stay. It does not take 'self', a name with a
    leading underscore, one with blanks or letters beyond ASCII, or two that differ in punctuation
    only; newer versions of Python do not take their own keywords. There each character that is no
    letter or digit becomes an underscore, with `feature_` in front, and where that is still taken a
    number behind.

    Returns:
        Dict of arguments by name of the feature.
    """
    arguments, taken = {}, set()
    for name in names:
        argument = name
        if not _is_taken_by_tensorflow(name) or _flattened(name) in taken:
            argument = stem = f'feature_{_flattened(name)}'
            number = 1
            while argument in taken:
                number += 1
                argument = f'{stem}_{number}'
        taken.add(_flattened(argument))
        arguments[name] = argument
    return arguments


def _is_taken_by_tensorflow(name):
    return _ARGUMENT.fullmatch(name) and name != 'self' and not keyword.iskeyword(name)


def _flattened(name):
    """What TensorFlow makes of a name before it compares it with others."""
    return re.sub(r'[^A-Za-z0-9_]', '_', name)
