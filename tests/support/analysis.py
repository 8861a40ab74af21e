"""Runs preprocessing_fns on rows in memory, with tf.Transform on Beam's local runner."""

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam


def run(directory, preprocessing_fn, columns, batch_size=None):
    """Analyses and transforms rows.

    Args:
        directory: pathlib.Path to write to.
        preprocessing_fn: see tf.Transform.
        columns: dict of arrays `[n]` or `[n, d]`, a feature each.
        batch_size: int, or None for what tf.Transform finds best.

    Returns:
        Dict of arrays, the transformed features in the order of the rows, and the
        tft.TFTransformOutput.
    """
    spec = {
        name: tf.io.FixedLenFeature(column.shape[1:], tf.as_dtype(column.dtype))
        for name, column in columns.items()
    }
    metadata = tft.DatasetMetadata.from_feature_spec(spec)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    context = tft_beam.Context(
        temp_dir=str(directory / 'temp'), desired_batch_size=batch_size, force_tf_compat_v1=False
    )
    with beam.Pipeline() as pipeline, context:
        data = pipeline | beam.Create(rows, reshuffle=False)
        graph = (data, metadata) | tft_beam.AnalyzeDataset(preprocessing_fn)
        graph | tft_beam.WriteTransformFn(str(directory / 'graph'))
    output = tft.TFTransformOutput(str(directory / 'graph'))
    layer = output.transform_features_layer()
    features = layer({name: tf.constant(column) for name, column in columns.items()})
    return {name: feature.numpy() for name, feature in features.items()}, output


def repeat(centroids, feature):
    """Makes a feature `[batch, k * d]` of centroids `[k, d]`, for a test to read them from."""
    flat = tf.reshape(centroids, [1, -1])
    return tf.repeat(flat, tf.shape(feature)[0], axis=0)


def centroids_of(features, name='centroids', width=1):
    """Reads what `repeat` wrote: float32 `[k, width]`."""
    return np.reshape(features[name][0], [-1, width])
