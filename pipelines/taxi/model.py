"""run_fn of the taxi pipeline's Trainer: a small wide-and-deep Keras model."""

import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

from taxi import features

_BATCH_SIZE = 128
_HIDDEN_UNITS = 32
_EMBEDDING_WIDTH = 8


def run_fn(fn_args):
    """Trains the model and exports it with its preprocessing; called by Trainer.

    Args:
        fn_args: tfx.v1.components.FnArgs; its custom_config may have `seed` (0 by default).
    """
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    schema = transform_output.transformed_metadata.schema

    tf.keras.utils.set_random_seed((fn_args.custom_config or {}).get('seed', 0))
    model = build_model(transform_output)

    def dataset(files):
        options = tfxio.TensorFlowDatasetOptions(
            batch_size=_BATCH_SIZE,
            label_key=features.transformed_name(features.LABEL),
            shuffle_seed=0,
        )
        batches = fn_args.data_accessor.tf_dataset_factory(files, options, schema)
        return batches.map(lambda batch, label: (select_inputs(model, batch), label)).repeat()

    model.fit(
        dataset(fn_args.train_files),
        steps_per_epoch=fn_args.train_steps,
        validation_data=dataset(fn_args.eval_files),
        validation_steps=fn_args.eval_steps,
        callbacks=[tf.keras.callbacks.TensorBoard(fn_args.model_run_dir)],
        verbose=2,
    )
    _export(model, transform_output, fn_args.serving_model_dir)


def build_model(transform_output, with_clusters=True):
    """Builds and compiles the model.

    Args:
        transform_output: tft.TFTransformOutput of ClusterTransform.
        with_clusters: whether the model sees the cluster id and distance.

    Returns:
        tf.keras.Model from a dict of features to the probability of a big tip, `[batch, 1]`.
    """
    name = features.transformed_name
    categories = {name(key): features.BUCKETS for key in features.BUCKETIZED}
    categories |= {name(key): size for key, size in features.CATEGORICAL.items()}
    categories |= {
        name(key): transform_output.vocabulary_size_by_name(key) + features.OOV_BUCKETS
        for key in features.VOCABULARIES
    }
    numbers = [name(key) for key in features.DENSE]
    if with_clusters:
        zone = f'{features.CLUSTER_PREFIX}_id'
        # n_clusters + 1: the last category is that of trips without a place
        categories[zone] = transform_output.num_buckets_for_transformed_feature(zone)
        numbers.append(f'{features.CLUSTER_PREFIX}_distance')

    inputs = {key: tf.keras.Input([], name=key, dtype=tf.float32) for key in numbers}
    inputs |= {key: tf.keras.Input([], name=key, dtype=tf.int64) for key in categories}
    wide, deep = [], [tf.keras.layers.Reshape([1])(inputs[key]) for key in numbers]
    for key, size in categories.items():
        wide.append(tf.keras.layers.Embedding(size, 1)(inputs[key]))
        deep.append(tf.keras.layers.Embedding(size, _EMBEDDING_WIDTH)(inputs[key]))
    hidden = tf.keras.layers.Concatenate()(deep)
    hidden = tf.keras.layers.Dense(_HIDDEN_UNITS, activation='relu')(hidden)
    logit = tf.keras.layers.Add()([*wide, tf.keras.layers.Dense(1)(hidden)])
    model = tf.keras.Model(inputs, tf.keras.layers.Activation('sigmoid')(logit))
    model.compile('adam', 'binary_crossentropy', metrics=[tf.keras.metrics.AUC(name='auc')])
    return model


def select_inputs(model, transformed):
    """Returns those of the transformed features that `model` takes."""
    return {key: transformed[key] for key in model.input}


def _export(model, transform_output, directory):
    """Writes a SavedModel that takes raw examples: what was trained is what is served."""
    module = tf.Module()
    module.model = model
    module.transform = transform_output.transform_features_layer()
    raw_spec = transform_output.raw_feature_spec()
    serving_spec = {key: spec for key, spec in raw_spec.items() if key != features.LABEL}
    serialized = tf.TensorSpec([None], tf.string, name='examples')

    @tf.function(input_signature=[serialized])
    def serve(examples):
        transformed = module.transform(tf.io.parse_example(examples, serving_spec))
        zone = f'{features.CLUSTER_PREFIX}_id'
        return {'big_tip': model(select_inputs(model, transformed)), zone: transformed[zone]}

    @tf.function(input_signature=[serialized])
    def transform_features(examples):
        return module.transform(tf.io.parse_example(examples, raw_spec))

    signatures = {'serving_default': serve, 'transform_features': transform_features}
    tf.saved_model.save(module, directory, signatures)
