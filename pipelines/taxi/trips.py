"""Transformed taxi trips, read back as arrays."""

import tensorflow as tf
import tensorflow_transform as tft

from taxi import features


def read(transform_graph, examples, split):
    """Reads coordinates and clusters.

    Args:
        transform_graph: directory of the transform graph that the clusters are part of.
        examples: directory of its transformed examples.
        split: 'train' or 'eval'.

    Returns:
        Dict of arrays `[n]`, a feature each, in the order of the files.
    """
    spec = tft.TFTransformOutput(transform_graph).transformed_feature_spec()
    names = (*features.COORDINATES, features.ZONE_ID, features.ZONE_DISTANCE, *features.PLACE_IDS)
    spec = {name: spec[name] for name in names if name in spec}
    files = tf.io.gfile.glob(f'{examples}/Split-{split}/*')
    serialized = list(tf.data.TFRecordDataset(files, 'GZIP').as_numpy_iterator())
    return {k: v.numpy() for k, v in tf.io.parse_example(serialized, spec).items()}


def n_clusters(transform_graph, feature):
    """Number of clusters that the ids in `feature` are of, by the schema."""
    output = tft.TFTransformOutput(transform_graph)
    return output.num_buckets_for_transformed_feature(feature) - 1
