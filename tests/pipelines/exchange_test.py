"""What one line of TFX writes, the other reads and serves.

`make test-other-line` runs this on both lines, with TFX_KMEANS_EXCHANGE, a folder in which each
leaves what it wrote, and TFX_KMEANS_READ, the line to read. Without them, a line reads its own.
"""

import importlib.metadata
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.transform import executor as transform_executor
from tfx.types import standard_artifacts

from support import building, demos
from taxi import features
from tfx_kmeans import Centroids, Clustering
from tfx_kmeans.artifacts import CENTROIDS_FILE, CLUSTERING_FILE
from tfx_kmeans.cluster_transform import executor

LINE = '.'.join(importlib.metadata.version('tfx').split('.')[:2])
LEFT = {
    'centroids': 'KMeans/centroids',
    'kmeans_model': 'KMeans/model',
    'raw': 'CsvExampleGen/examples',
    'transform_graph': 'Transform/transform_graph',
    'transformed': 'Transform/transformed_examples',
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory, request):
    """The folder of the exchange, where this line has left what it wrote."""
    folder = os.environ.get('TFX_KMEANS_EXCHANGE') or tmp_path_factory.mktemp('exchange')
    folder = pathlib.Path(folder)
    if not (folder / LINE).exists():
        leave(request.getfixturevalue('demo')[0], folder / LINE)
    return folder


@pytest.fixture(scope='module')
def written(folder):
    """What the line to read has left."""
    return folder / os.environ.get('TFX_KMEANS_READ', LINE)


@pytest.fixture(scope='module')
def served(written):
    """What the pushed model said of the raw eval examples on the line that wrote it."""
    return np.load(written / 'served.npz')


def leave(output, own):
    """Copies what a run of the demo wrote, and what its models say, to `own`."""
    unfinished = own.with_name(f'{own.name}-unfinished')
    for name, node in LEFT.items():
        shutil.copytree(demos.newest(output / 'pipeline_root' / node), unfinished / name)
    pushed = shutil.copytree(demos.newest(output / 'serving_model'), unfinished / 'pushed')
    demos.serve_model(pushed, unfinished / 'raw', unfinished)
    np.savez(unfinished / 'placed.npz', **place(unfinished))
    unfinished.rename(own)


def place(written):
    """What the model of KMeans says of the transformed eval examples."""
    model = written / 'kmeans_model' / 'Format-Serving'
    signatures = tf.saved_model.load(str(model)).signatures
    serialized = records(written / 'transformed')
    return {k: v.numpy() for k, v in signatures['serving_default'](examples=serialized).items()}


def records(examples):
    files = sorted(tf.io.gfile.glob(str(examples / 'Split-eval' / '*')))
    return tf.stack(list(tf.data.TFRecordDataset(files, 'GZIP')))


def test_centroids_are_read_and_written_again_to_the_byte(written, tmp_path):
    Clustering.read(str(written / 'centroids')).write(str(tmp_path))
    for name in (CENTROIDS_FILE, CLUSTERING_FILE):
        assert (tmp_path / name).read_bytes() == (written / 'centroids' / name).read_bytes()


def test_model_of_kmeans_gives_the_ids_and_distances_that_it_gave_where_it_was_written(written):
    before, now = np.load(written / 'placed.npz'), place(written)
    assert len(now['zone_id']) > 4000
    np.testing.assert_array_equal(now['zone_id'], before['zone_id'])
    np.testing.assert_allclose(now['zone_distance'], before['zone_distance'], rtol=1e-4, atol=1e-4)


def test_pushed_model_serves_the_ids_and_scores_that_it_served_where_it_was_written(
    written, served, tmp_path
):
    now = demos.serve_model(written / 'pushed', written / 'raw', tmp_path)
    assert len(np.unique(now['served_id'])) == 25
    np.testing.assert_array_equal(now['served_id'], served['served_id'])
    np.testing.assert_allclose(now['big_tip'], served['big_tip'], atol=1e-5)


def test_cluster_transform_takes_the_centroids_and_gives_the_ids_served_where_they_were_written(
    folder, written, served, tmp_path
):
    graph = cluster(folder / LINE, Centroids, written / 'centroids', tmp_path)
    transform_output = tft.TFTransformOutput(graph)
    raw = tf.io.parse_example(records(written / 'raw'), transform_output.raw_feature_spec())
    ids = transform_output.transform_features_layer()(raw)[features.ZONE_ID]
    np.testing.assert_array_equal(ids, served['served_id'])


def cluster(own, centroids_type, centroids, directory):
    """Runs ClusterTransform on what this line wrote, with `centroids`; returns its graph."""
    types = {
        'examples': (standard_artifacts.Examples, own / 'raw'),
        'schema': (standard_artifacts.Schema, demos.REPOSITORY / 'schemas' / 'taxi'),
        executor.UPSTREAM_KEY: (standard_artifacts.TransformGraph, own / 'transform_graph'),
        'centroids': (centroids_type, centroids),
    }
    inputs = {}
    for name, (kind, path) in types.items():
        artifact = kind()
        artifact.uri = str(path)
        inputs[name] = [artifact]
    inputs['examples'][0].split_names = '["train", "eval"]'
    outputs = building.transform_outputs(directory)
    context = transform_executor.Executor.Context(tmp_dir=str(directory / 'tmp'), unique_id='1')
    executor.Executor(context).Do(
        inputs, outputs, {'emit': '["id", "distance"]', 'disable_statistics': 1}
    )
    return outputs['transform_graph'][0].uri
