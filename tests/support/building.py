"""Makes real artifacts for the component tests and runs the executor of KMeans on them."""

import json
import os

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.transform import executor as transform_executor
from tfx.types import standard_artifacts

from tfx_kmeans import Centroids
from tfx_kmeans.kmeans import executor as kmeans_executor

N_CLUSTERS = 4
CENTRES = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], np.float32)
SIZES = {'train': (400, 300, 200, 100), 'eval': (40, 30, 20, 10)}


class Matrix:
    """Rows in memory, as what KMeans read."""

    def __init__(self, points, weights=None):
        self.points, self.weights = points, weights

    def blocks(self):
        yield self.points, self.weights


def rows(split, seed=0):
    """Rows around four centres; in every 50th the y is missing (NaN here)."""
    rng = np.random.default_rng([seed, len(split)])
    sizes = SIZES[split]
    points = np.repeat(CENTRES, sizes, axis=0) + rng.normal(size=(sum(sizes), 2))
    points = rng.permutation(points).astype(np.float32)
    points[::50, 1] = np.nan
    return points


def serialize(point, index):
    feature = {
        'x': tf.train.Feature(float_list=tf.train.FloatList(value=[point[0]])),
        'copies': int_feature(1 + index % 3),
        'word': tf.train.Feature(bytes_list=tf.train.BytesList(value=[b'abc'[index % 3 :][:1]])),
        'tags': int_feature(*range(index % 3)),
        'label': int_feature(index % 2),
    }
    if not np.isnan(point[1]):
        feature['y'] = tf.train.Feature(float_list=tf.train.FloatList(value=[point[1]]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def int_feature(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def write_examples(directory, serialized_by_split, shards=1):
    """Writes gzip TFRecord files and returns the Examples artifact that they are."""
    examples = standard_artifacts.Examples()
    examples.uri = str(directory)
    examples.split_names = json.dumps(list(serialized_by_split))
    for split, serialized in serialized_by_split.items():
        (directory / f'Split-{split}').mkdir(parents=True)
        for shard in range(shards):
            path = str(directory / f'Split-{split}' / f'data-{shard:02}.gz')
            with tf.io.TFRecordWriter(path, 'GZIP') as writer:
                for record in serialized[shard::shards]:
                    writer.write(record)
    return examples


def read_examples(examples, split):
    """Serialized examples of a split, as a list."""
    files = sorted(tf.io.gfile.glob(os.path.join(examples.uri, f'Split-{split}', '*')))
    return list(tf.data.TFRecordDataset(files, 'GZIP').as_numpy_iterator())


def parse_examples(examples, split, transform_graph):
    """Transformed examples of a split, as a dict of arrays (sparse features left out)."""
    spec = tft.TFTransformOutput(transform_graph.uri).transformed_feature_spec()
    spec = {k: v for k, v in spec.items() if isinstance(v, tf.io.FixedLenFeature)}
    parsed = tf.io.parse_example(read_examples(examples, split), spec)
    return {key: value.numpy() for key, value in parsed.items()}


def artifacts(directory, **types):
    """Makes artifacts with URIs below `directory`, as the lists that executors take."""
    made = {key: kind() for key, kind in types.items()}
    for key, artifact in made.items():
        artifact.uri = str(directory / key)
    return {key: [artifact] for key, artifact in made.items()}


def transform_outputs(directory, cached=False):
    """Makes the outputs of Transform, that of the analyzer cache among them if `cached`."""
    types = {
        'transformed_examples': standard_artifacts.Examples,
        'transform_graph': standard_artifacts.TransformGraph,
    }
    if cached:
        types['updated_analyzer_cache'] = standard_artifacts.TransformCache
    return artifacts(directory, **types)


def run_transform(
    directory,
    examples,
    schema,
    preprocessing_fn,
    *,
    outputs=None,
    cache=None,
    beam_args=(),
    executor_class=transform_executor.Executor,
):
    """Runs the executor of TFX's Transform.

    Args:
        directory: pathlib.Path to write to.
        examples: list of Examples artifacts.
        schema: Schema artifact.
        preprocessing_fn: its import path.
        outputs: artifacts by output, or None for those that are always there.
        cache: TransformCache artifact to read from, or None.
        beam_args: options of the Beam runner.
        executor_class: the executor, or one derived from it.

    Returns:
        Its outputs, the first artifact of each.
    """
    outputs = outputs or transform_outputs(directory)
    inputs = {'examples': examples, 'schema': [schema]}
    if cache:
        inputs['analyzer_cache'] = [cache]
    properties = {'preprocessing_fn': preprocessing_fn, 'disable_statistics': 1}
    context = transform_executor.Executor.Context(
        beam_pipeline_args=list(beam_args), tmp_dir=str(directory / 'tmp'), unique_id='1'
    )
    executor_class(context).Do(inputs, outputs, properties)
    return {key: made[0] for key, made in outputs.items()}


def run_kmeans(directory, examples, transform_graph, beam_args=(), **properties):
    """Runs the executor of KMeans; returns its outputs, an artifact each."""
    outputs = artifacts(
        directory,
        centroids=Centroids,
        model=standard_artifacts.Model,
        model_run=standard_artifacts.ModelRun,
    )
    inputs = {'examples': [examples], 'transform_graph': [transform_graph]}
    properties = {'n_clusters': N_CLUSTERS, 'eval_split': 'eval', **properties}
    context = kmeans_executor.Executor.Context(beam_pipeline_args=list(beam_args))
    kmeans_executor.Executor(context).Do(inputs, outputs, properties)
    return {key: made[0] for key, made in outputs.items()}
