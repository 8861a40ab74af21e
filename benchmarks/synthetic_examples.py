"""Artifacts that the benchmarks of the executor run on: real files with synthetic rows."""

import pathlib

import numpy as np
import tensorflow as tf
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx.types import standard_artifacts

from tfx_kmeans import Centroids
from tfx_kmeans.kmeans import executor

N_CLUSTERS = 50
FILES = 8
BLOCK_ROWS = 10_000


def write(root, n_rows, n_features, *, as_vector=False):
    """Writes clustered rows as gzip TFRecord files of tf.Example, and their metadata.

    Args:
        root: pathlib.Path to write to.
        n_rows: int, rounded down to whole files.
        n_features: int.
        as_vector: bool, whether the values are one feature `x`, and not a feature each.

    Returns:
        Examples (split 'train' only) and TransformGraph, the artifacts.
    """
    names = ['x'] if as_vector else [f'feature_{i:02}' for i in range(n_features)]
    shape = [n_features] if as_vector else []
    spec = {name: tf.io.FixedLenFeature(shape, tf.float32) for name in names}
    examples = standard_artifacts.Examples()
    examples.uri, examples.split_names = str(root / 'examples'), '["train"]'
    split = pathlib.Path(examples.uri) / 'Split-train'
    split.mkdir(parents=True)
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=3.0, size=(N_CLUSTERS, n_features))
    for shard in range(FILES):
        count = n_rows // FILES
        with shard_writer(split, shard) as writer:
            # in blocks, since a peak of memory here would hide that of what is measured
            for start in range(0, count, BLOCK_ROWS):
                size = min(BLOCK_ROWS, count - start)
                rows = rng.normal(size=(size, n_features))
                rows += centres[rng.integers(0, N_CLUSTERS, size)]
                write_rows(writer, rows.astype(np.float32), names)
    graph = standard_artifacts.TransformGraph()
    graph.uri = str(root / 'graph')
    metadata = dataset_metadata.DatasetMetadata.from_feature_spec(spec)
    metadata_io.write_metadata(metadata, str(root / 'graph' / 'transformed_metadata'))
    return examples, graph


def shard_writer(split, number):
    """A writer of a file of the split in the directory `split`."""
    options = tf.io.TFRecordOptions('GZIP', compression_level=1)
    return tf.io.TFRecordWriter(str(split / f'part-{number}.gz'), options)


def write_rows(writer, rows, names):
    """Writes a row an example; only the floats differ, so the frame is serialized once.

    Args:
        writer: see shard_writer.
        rows: float32 `[n, d]`; some ten thousand, since they are held a second time.
        names: of the features, among which the columns are shared out.
    """
    marks = np.arange(1, rows.shape[1] + 1, dtype=np.float32) + np.float32(0.1)
    values = zip(names, np.split(marks, len(names)), strict=True)
    floats = {name: tf.train.FloatList(value=part) for name, part in values}
    features = {name: tf.train.Feature(float_list=part) for name, part in floats.items()}
    frame = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    records = np.tile(np.frombuffer(frame, np.uint8), (len(rows), 1))
    for mark, column in zip(marks, rows.T, strict=True):
        start = frame.index(mark.tobytes())
        records[:, start : start + 4] = column[:, np.newaxis].copy().view(np.uint8)
    for record in records:
        writer.write(record.tobytes())


def run(examples, graph, output, **properties):
    """Runs the executor as TFX would; returns the outputs, an artifact each."""
    outputs = {
        'centroids': [Centroids()],
        'model': [standard_artifacts.Model()],
        'model_run': [standard_artifacts.ModelRun()],
    }
    for key, (artifact,) in outputs.items():
        artifact.uri = str(output / key)
    executor.Executor().Do(
        {'examples': [examples], 'transform_graph': [graph]},
        outputs,
        {'n_clusters': N_CLUSTERS, 'train_split': 'train', 'max_iter': 20, **properties},
    )
    return {key: made[0] for key, made in outputs.items()}
