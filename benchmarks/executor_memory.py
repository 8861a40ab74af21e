"""Peak memory and time of the KMeans executor on synthetic examples.

    .venv-1.16/bin/python benchmarks/executor_memory.py --rows 2000000 --features 16

The examples are real: gzip TFRecord files of tf.Example, written first. The base of the process is
its peak after a run on a thousand rows, with all modules loaded and all functions traced once.
"""

import argparse
import pathlib
import resource
import tempfile
import time

import numpy as np
import tensorflow as tf
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx.types import standard_artifacts

from tfx_kmeans import Centroids
from tfx_kmeans.kmeans import executor

N_CLUSTERS = 50
FILES = 8


def main():
    """Parses the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rows', type=int, default=2_000_000)
    parser.add_argument('--features', type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        small = write_artifacts(root / 'small', 1_000, arguments.features)
        large = write_artifacts(root / 'large', arguments.rows, arguments.features)
        run(*small, root / 'small_output')
        base = peak_megabytes()
        started = time.monotonic()
        run(*large, root / 'large_output')
        seconds = time.monotonic() - started
        matrix = arguments.rows * arguments.features * 4 / 1e6
        above = peak_megabytes() - base
        print(f'rows x features        {arguments.rows} x {arguments.features}')
        print(f'matrix                 {matrix:.0f} MB')
        print(f'base of the process    {base:.0f} MB')
        print(f'peak above the base    {above:.0f} MB = {above / matrix:.2f} x the matrix')
        print(f'whole executor         {seconds:.1f} s, {N_CLUSTERS} clusters')


def peak_megabytes():
    """The most resident memory this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def write_artifacts(root, n_rows, n_features):
    """Writes Examples (train only) and a TransformGraph's metadata; returns both artifacts."""
    spec = {'x': tf.io.FixedLenFeature([n_features], tf.float32)}
    examples = standard_artifacts.Examples()
    examples.uri, examples.split_names = str(root / 'examples'), '["train"]'
    split = root / 'examples' / 'Split-train'
    split.mkdir(parents=True)
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=3.0, size=(N_CLUSTERS, n_features))
    for shard in range(FILES):
        count = n_rows // FILES
        rows = centres[rng.integers(0, N_CLUSTERS, count)] + rng.normal(size=(count, n_features))
        write_shard(split / f'part-{shard}.gz', rows.astype(np.float32))
    graph = standard_artifacts.TransformGraph()
    graph.uri = str(root / 'graph')
    metadata = dataset_metadata.DatasetMetadata.from_feature_spec(spec)
    metadata_io.write_metadata(metadata, str(root / 'graph' / 'transformed_metadata'))
    return examples, graph


def write_shard(path, rows):
    """Writes a row an example; only the floats differ, so the frame is serialized once."""
    floats = tf.train.FloatList(value=rows[0])
    feature = tf.train.Feature(float_list=floats)
    frame = tf.train.Example(features=tf.train.Features(feature={'x': feature}))
    serialized = frame.SerializeToString()
    start = serialized.index(rows[0].tobytes())
    head, tail = serialized[:start], serialized[start + rows[0].nbytes :]
    options = tf.io.TFRecordOptions('GZIP', compression_level=1)
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for row in rows:
            writer.write(head + row.tobytes() + tail)


def run(examples, graph, output):
    """Runs the executor as TFX would."""
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
        {'n_clusters': N_CLUSTERS, 'train_split': 'train', 'max_iter': 20},
    )


if __name__ == '__main__':
    main()
