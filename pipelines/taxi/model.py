"""run_fn of the taxi pipeline's Trainer: a small wide-and-deep Keras model."""

import tensorflow as tf
import tensorflow_transform as tft

from taxi import features

_BATCH_SIZE = 128
_HIDDEN_UNITS = 32
_EMBEDDING_WIDTH = 8
_SHUFFLE_BUFFER = 20_000


def run_fn(fn_args):
    """Trains the model and exports it with its preprocessing; called by Trainer.

    Args:
        fn_args: tfx.v1.components.FnArgs; its custom_config has the `seed`.
    """
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    tf.keras.utils.set_random_seed(fn_args.custom_config['seed'])
    model = build_model(transform_output)
    train(
        model,
        fn_args.train_files,
        transform_output,
        fn_args.train_steps,
        validation_data=batches(fn_args.eval_files, transform_output, model),
        validation_steps=fn_args.eval_steps,
        callbacks=[tf.keras.callbacks.TensorBoard(fn_args.model_run_dir)],
    )
    _export(model, transform_output, fn_args.serving_model_dir)


def build_model(transform_output, with_clusters=True):
    """Builds and compiles the model.

    Args:
        transform_output: tft.TFTransformOutput, clusters included.
        with_clusters: whether the model sees the cluster id and distance.

    Returns:
        tf.keras.Model from a dict of features to the probability of a big tip, `[batch, 1]`.
    """
    name = features.transformed_name
    numbers = [name(key) for key in features.DENSE]
    categories = {name(key): features.BUCKETS for key in features.BUCKETIZED}
    categories |= {name(key): size for key, size in features.CATEGORICAL.items()}
    categories |= {
        name(key): transform_output.vocabulary_size_by_name(key) + features.OOV_BUCKETS
        for key in features.VOCABULARIES
    }
    if with_clusters:
        numbers.append(features.ZONE_DISTANCE)
        present = transform_output.transformed_feature_spec()
        for key in (features.ZONE_ID, *features.PLACE_IDS):
            if key in present:
                # n_clusters + 1: the last category is that of trips without a place
                categories[key] = transform_output.num_buckets_for_transformed_feature(key)

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


def train(model, files, transform_output, steps, **fit_options):
    """Trains `model` for `steps` batches of the transformed examples in `files`."""
    shuffled = batches(files, transform_output, model).unbatch().shuffle(_SHUFFLE_BUFFER, seed=0)
    repeated = shuffled.repeat().batch(_BATCH_SIZE)
    model.fit(repeated, steps_per_epoch=steps, verbose=2, **fit_options)


def batches(files, transform_output, model):
    """Reads transformed examples once through, in order.

    Args:
        files: paths or patterns of gzip TFRecord files.
        transform_output: tft.TFTransformOutput, clusters included.
        model: the model to feed.

    Returns:
        tf.data.Dataset of batches (dict of the inputs of the model, label).
    """
    label = features.transformed_name(features.LABEL)
    wanted = {*model.input, label}
    spec = {k: v for k, v in transform_output.transformed_feature_spec().items() if k in wanted}

    def parse(examples):
        parsed = tf.io.parse_example(examples, spec)
        return parsed, parsed.pop(label)

    paths = tf.data.Dataset.list_files(files, shuffle=False)
    return tf.data.TFRecordDataset(paths, 'GZIP').batch(_BATCH_SIZE).map(parse).cache()


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
        inputs = {key: transformed[key] for key in model.input}
        return {'big_tip': model(inputs), features.ZONE_ID: transformed[features.ZONE_ID]}

    @tf.function(input_signature=[serialized])
    def transform_features(examples):
        return module.transform(tf.io.parse_example(examples, raw_spec))

    signatures = {'serving_default': serve, 'transform_features': transform_features}
    tf.saved_model.save(module, directory, signatures)
