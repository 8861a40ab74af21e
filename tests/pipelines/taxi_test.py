"""The taxi pipeline as `make demo` runs it, once for all tests here."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2
from sklearn import metrics
from tensorflow_metadata.proto.v0 import anomalies_pb2

from taxi import comparison, features
from taxi import model as model_lib
from tfx_kmeans import Clustering

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
NODES = {
    'CsvExampleGen', 'StatisticsGen', 'ImportSchemaGen', 'ExampleValidator', 'Transform', 'KMeans',
    'ClusterTransform', 'Trainer', 'Evaluator', 'Pusher',
}  # fmt: skip

# run in a process of its own, which has nothing but TensorFlow
SERVE = """
import sys
import numpy as np
import tensorflow as tf
model, examples, output = sys.argv[1:]
serialized = tf.stack(list(tf.data.TFRecordDataset(tf.io.gfile.glob(examples), 'GZIP')))
signatures = tf.saved_model.load(model).signatures
served = signatures['serving_default'](examples=serialized)
transformed = signatures['transform_features'](examples=serialized)
np.savez(output, served_id=served['zone_id'], big_tip=served['big_tip'], **transformed)
"""


def run(output, *command):
    environment = {**os.environ, 'TFX_KMEANS_OUTPUT': str(output), 'HOME': str(output)}
    return subprocess.run(
        [str(part) for part in command],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    """The finished demo: the directory of its output, and what it printed."""
    output = tmp_path_factory.mktemp('demo')
    done = run(output, sys.executable, 'pipelines/demo.py')
    log = output / 'demo.log'
    assert done.returncode == 0, done.stdout + done.stderr + log.read_text()[-5000:]
    return output, done.stdout


@pytest.fixture(scope='module')
def served(demo):
    """What the pushed model says of the raw eval examples, in a fresh process."""
    output, _ = demo
    model = newest(output / 'serving_model')
    examples = newest(output / 'pipeline_root/CsvExampleGen/examples') / 'Split-eval' / '*'
    result = output / 'served.npz'
    done = run(output, sys.executable, '-c', SERVE, model, examples, result)
    assert done.returncode == 0, done.stderr
    return np.load(result)


def newest(directory):
    return max(directory.iterdir(), key=lambda path: int(path.name))


def executions(output):
    """Executions by node and state, e.g. ('KMeans', COMPLETE)."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(output / 'metadata.sqlite')
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    store = metadata_store.MetadataStore(config)
    types = {kind.id: kind.name.split('.')[-1] for kind in store.get_execution_types()}
    return [(types[e.type_id], e.last_known_state) for e in store.get_executions()]


def materialised(output, split):
    """What ClusterTransform wrote, as a dict of arrays."""
    graph = tft.TFTransformOutput(newest(output / 'pipeline_root/ClusterTransform/transform_graph'))
    examples = newest(output / 'pipeline_root/ClusterTransform/transformed_examples')
    files = tf.io.gfile.glob(str(examples / f'Split-{split}' / '*'))
    serialized = list(tf.data.TFRecordDataset(files, 'GZIP').as_numpy_iterator())
    parsed = tf.io.parse_example(serialized, graph.transformed_feature_spec())
    return {key: value.numpy() for key, value in parsed.items()}


def sorted_rows(columns):
    rows = np.stack([np.nan_to_num(column.astype(np.float64), nan=1e9) for column in columns], 1)
    return rows[np.lexsort(rows.T)]


def test_demo_runs_every_node_and_pushes_the_blessed_model(demo):
    output, _ = demo
    done = metadata_store_pb2.Execution.COMPLETE
    assert {node for node, state in executions(output) if state == done} == NODES
    assert (newest(output / 'serving_model') / 'saved_model.pb').exists()


def test_demo_prints_times_sizes_aucs_and_places_and_no_warnings(demo):
    output, printed = demo
    clustering = Clustering.read(str(newest(output / 'pipeline_root/KMeans/centroids')))
    for node in NODES:
        assert f'  {node} ' in printed
    assert f'0: {clustering.cluster_weights[0]:.0f}' in printed
    assert 'with clusters' in printed
    assert 'without clusters' in printed
    assert str(output / 'demo.log') in printed
    assert len(printed.splitlines()) < 40


def test_demo_draws_the_clusters(demo):
    output, _ = demo
    picture = tf.io.decode_png((output / 'clusters.png').read_bytes())
    assert min(picture.shape[:2]) > 500
    assert len(np.unique(picture.numpy().reshape(-1, picture.shape[-1]), axis=0)) > 1000


def test_pushed_model_gives_raw_examples_the_ids_that_cluster_transform_materialised(demo, served):
    output, _ = demo
    written = materialised(output, 'eval')
    keys = [*features.COORDINATES, 'fare_xf', 'trip_start_hour_xf']
    expected = sorted_rows([*(written[key] for key in keys), written[model_lib.ZONE_ID]])
    actual = sorted_rows([*(served[key] for key in keys), served['served_id']])
    assert len(actual) > 4000
    np.testing.assert_array_equal(actual, expected)


def test_trips_without_a_place_and_no_others_get_the_last_id(demo, served):
    output, _ = demo
    clustering = Clustering.read(str(newest(output / 'pipeline_root/KMeans/centroids')))
    placeless = np.isnan([served[key] for key in features.COORDINATES]).any(axis=0)
    assert 0 < placeless.sum() < 500
    np.testing.assert_array_equal(served['served_id'] == clustering.n_clusters, placeless)


def test_served_model_ranks_big_tippers(served):
    assert metrics.roc_auc_score(served['tips_xf'], served['big_tip']) > 0.9


def test_served_auc_is_that_of_the_served_scores(demo, served):
    output, _ = demo
    examples = newest(output / 'pipeline_root/CsvExampleGen/examples')
    auc = comparison.evaluate_served(str(newest(output / 'serving_model')), str(examples))
    assert auc == pytest.approx(metrics.roc_auc_score(served['tips_xf'], served['big_tip']))


def test_curated_schema_finds_no_anomalies_in_the_data(demo):
    output, _ = demo
    anomalies = newest(output / 'pipeline_root/ExampleValidator/anomalies')
    for split in ('train', 'eval'):
        written = (anomalies / f'Split-{split}' / 'SchemaDiff.pb').read_bytes()
        assert not anomalies_pb2.Anomalies.FromString(written).anomaly_info


def test_tfx_command_line_runs_it_and_a_second_run_reuses_every_node(demo):
    output, _ = demo
    tfx = pathlib.Path(sys.executable).with_name('tfx')
    before = executions(output)
    path = 'pipelines/local_runner.py'
    created = run(output, tfx, 'pipeline', 'create', '--engine=local', f'--pipeline_path={path}')
    assert created.returncode == 0, created.stdout + created.stderr
    ran = run(output, tfx, 'run', 'create', '--engine=local', '--pipeline_name=taxi-kmeans')
    assert ran.returncode == 0, ran.stdout + ran.stderr
    added = executions(output)[len(before) :]
    assert dict(added) == dict.fromkeys(NODES, metadata_store_pb2.Execution.CACHED)
