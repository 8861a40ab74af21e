"""The taxi pipeline as `make demo` runs it, once for all tests."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2
from sklearn import metrics
from tensorflow_metadata.proto.v0 import anomalies_pb2

from support import demos
from taxi import comparison, features
from tfx_kmeans import Clustering, Evaluation


def test_demo_runs_every_node_and_pushes_the_blessed_model(demo):
    output, _ = demo
    done = metadata_store_pb2.Execution.COMPLETE
    assert {node for node, state in demos.executions(output) if state == done} == demos.NODES
    assert (demos.newest(output / 'serving_model') / 'saved_model.pb').exists()


def test_demo_prints_times_sizes_aucs_and_places_and_no_warnings(demo):
    output, printed = demo
    clustering = Clustering.read(str(demos.newest(output / 'pipeline_root/KMeans/centroids')))
    for node in demos.NODES:
        assert f'  {node} ' in printed
    assert f'0: {clustering.cluster_weights[0]:.0f}' in printed
    assert 'with clusters' in printed
    assert 'without clusters' in printed
    assert str(output / 'demo.log') in printed
    assert len(printed.splitlines()) < 40


def test_clusters_are_judged_and_their_model_is_pushed(demo):
    output, printed = demo
    uri = demos.newest(output / 'pipeline_root/ClusterEvaluator/evaluation')
    evaluation = Evaluation.read(str(uri))
    assert evaluation.blessed
    assert len(evaluation.thresholds) == 5
    assert '5 of 5 thresholds passed: blessed and pushed' in printed
    assert (demos.newest(output / 'serving_clusters') / 'saved_model.pb').exists()
    assert str(uri / 'report.html') in printed
    assert (uri / 'report.html').exists()


def test_nothing_in_our_code_calls_what_is_deprecated(demo):
    log = (demo[0] / 'demo.log').read_text()
    warned = [line for line in log.splitlines() if 'DeprecationWarning: ' in line]
    ours = [str(demos.REPOSITORY / folder) for folder in ('components', 'pipelines')]
    assert warned, 'the log shows no warning, not even one of a library'
    assert not [line for line in warned if line.startswith(tuple(ours))]


def test_demo_draws_the_clusters(demo):
    output, _ = demo
    picture = tf.io.decode_png((output / 'clusters.png').read_bytes())
    assert min(picture.shape[:2]) > 500
    assert len(np.unique(picture.numpy().reshape(-1, picture.shape[-1]), axis=0)) > 1000


def test_pushed_model_gives_raw_examples_the_ids_that_cluster_transform_materialised(demo, served):
    output, _ = demo
    written = demos.materialised(output, 'ClusterTransform', 'eval')
    keys = [*features.COORDINATES, 'fare_xf', 'trip_start_hour_xf']
    expected = demos.sorted_rows([*(written[key] for key in keys), written[features.ZONE_ID]])
    actual = demos.sorted_rows([*(served[key] for key in keys), served['served_id']])
    assert len(actual) > 4000
    np.testing.assert_array_equal(actual, expected)


def test_trips_without_a_place_and_no_others_get_the_last_id(demo, served):
    output, _ = demo
    clustering = Clustering.read(str(demos.newest(output / 'pipeline_root/KMeans/centroids')))
    placeless = np.isnan([served[key] for key in features.COORDINATES]).any(axis=0)
    assert 0 < placeless.sum() < 500
    np.testing.assert_array_equal(served['served_id'] == clustering.n_clusters, placeless)


def test_served_model_ranks_big_tippers(served):
    assert metrics.roc_auc_score(served['tips_xf'], served['big_tip']) > 0.9


def test_served_auc_is_that_of_the_served_scores(demo, served):
    output, _ = demo
    examples = demos.newest(output / 'pipeline_root/CsvExampleGen/examples')
    auc = comparison.evaluate_served(str(demos.newest(output / 'serving_model')), str(examples))
    assert auc == pytest.approx(metrics.roc_auc_score(served['tips_xf'], served['big_tip']))


def test_curated_schema_finds_no_anomalies_in_the_data(demo):
    output, _ = demo
    anomalies = demos.newest(output / 'pipeline_root/ExampleValidator/anomalies')
    for split in ('train', 'eval'):
        written = (anomalies / f'Split-{split}' / 'SchemaDiff.pb').read_bytes()
        assert not anomalies_pb2.Anomalies.FromString(written).anomaly_info


def test_tfx_command_line_runs_it_and_a_second_run_reuses_every_node(demo):
    output, _ = demo
    tfx = pathlib.Path(sys.executable).with_name('tfx')
    before = demos.executions(output)
    path = 'pipelines/local_runner.py'
    created = demos.run(
        output, tfx, 'pipeline', 'create', '--engine=local', f'--pipeline_path={path}'
    )
    assert created.returncode == 0, created.stdout + created.stderr
    ran = demos.run(output, tfx, 'run', 'create', '--engine=local', '--pipeline_name=taxi-kmeans')
    assert ran.returncode == 0, ran.stdout + ran.stderr
    added = demos.executions(output)[len(before) :]
    assert dict(added) == dict.fromkeys(demos.NODES, metadata_store_pb2.Execution.CACHED)
