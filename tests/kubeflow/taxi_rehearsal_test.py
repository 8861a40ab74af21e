"""The taxi pipeline as `make kubeflow` compiles and rehearses it, once for all tests here."""

import sys

import numpy as np
import pytest

from support import demos
from taxi import features
from tfx_kmeans import Clustering

pytestmark = pytest.mark.timeout(1800)
# nodes that run code of this repository
OURS = ['Transform', 'KMeans', 'ClusterTransform', 'Trainer']


@pytest.fixture(scope='module')
def rehearsal(tmp_path_factory):
    """The finished rehearsal: a function that finds an output, and what was printed."""
    output = tmp_path_factory.mktemp('rehearsal')
    done = demos.run(output, sys.executable, '-W', 'ignore', 'kubeflow/rehearse.py')
    assert done.returncode == 0, done.stdout + done.stderr
    store = output / 'kubeflow/rehearsal/store/minio/mlpipeline/v2/artifacts/taxi-kmeans'
    (run,) = store.iterdir()

    def find(node, key):
        (task,) = (run / node).iterdir()
        return task / key

    return find, done.stdout


def test_every_node_runs_and_the_blessed_model_is_pushed(rehearsal):
    find, printed = rehearsal
    for node in demos.NODES:
        assert f'\n  {node} ' in printed
        assert find(node, 'executor-logs').exists()
    assert 'skipped' not in printed
    assert 'blessed and pushed' in printed
    assert len(printed.splitlines()) < 25


@pytest.mark.parametrize('node', OURS)
def test_nothing_in_our_code_calls_what_is_deprecated(rehearsal, node):
    find, _ = rehearsal
    demos.assert_no_deprecations_of_ours(find(node, 'executor-logs'))


def test_clusters_are_those_of_the_local_runner_to_the_bit(rehearsal, demo):
    find, _ = rehearsal
    here = Clustering.read(str(find('KMeans', 'centroids')))
    local = Clustering.read(str(demos.newest(demo[0] / 'pipeline_root/KMeans/centroids')))
    np.testing.assert_array_equal(here.centroids, local.centroids)
    assert here.inertia == local.inertia


@pytest.mark.parametrize('split', ['train', 'eval'])
def test_trips_get_the_ids_that_they_get_from_the_local_runner(rehearsal, demo, split):
    here, local = read(rehearsal, split), demos.materialised(demo[0], 'ClusterTransform', split)
    assert set(here) == set(local)
    # what is scaled differs in its last bits from run to run: Beam sums in no fixed order
    names = sorted(set(here) - {features.transformed_name(key) for key in features.DENSE})
    assert features.ZONE_ID in names
    actual, expected = (demos.sorted_rows([found[n] for n in names]) for found in (here, local))
    assert len(actual) > 4000
    np.testing.assert_array_equal(actual, expected)


def test_model_serves_raw_examples_with_the_ids_of_the_transformed_ones(rehearsal, tmp_path):
    find, _ = rehearsal
    model = find('Trainer', 'model') / 'Format-Serving'
    served = demos.serve_model(model, find('CsvExampleGen', 'examples'), tmp_path)
    written = read(rehearsal, 'eval')
    keys = [*features.COORDINATES, 'fare_xf', 'trip_start_hour_xf']
    actual = demos.sorted_rows([*(served[key] for key in keys), served['served_id']])
    expected = demos.sorted_rows([*(written[key] for key in keys), written[features.ZONE_ID]])
    np.testing.assert_array_equal(actual, expected)
    assert ((served['big_tip'] >= 0) & (served['big_tip'] <= 1)).all()


def read(rehearsal, split):
    """What ClusterTransform wrote in the rehearsal, as a dict of arrays."""
    find, _ = rehearsal
    graph, examples = (
        find('ClusterTransform', key) for key in ('transform_graph', 'transformed_examples')
    )
    return demos.read_transformed(graph, examples, split)
