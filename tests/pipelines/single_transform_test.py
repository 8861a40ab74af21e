"""The taxi pipeline with the analyzers, as `make demo-analyzer` runs it, once for all tests."""

import numpy as np
import pytest
from ml_metadata.proto import metadata_store_pb2
from sklearn import cluster, metrics

from support import demos, reference
from taxi import features

NODES = {
    'CsvExampleGen', 'StatisticsGen', 'ImportSchemaGen', 'ExampleValidator', 'Transform',
    'Trainer', 'Evaluator', 'Pusher',
}  # fmt: skip
IDS = (features.ZONE_ID, *features.PLACE_IDS)


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    """The finished demo: the directory of its output, and what it printed."""
    output = tmp_path_factory.mktemp('demo')
    return output, demos.run_demo(output, '--analyzer')


@pytest.fixture(scope='module')
def served(demo):
    """What the pushed model says of the raw eval examples, in a fresh process."""
    return demos.serve(demo[0])


def test_demo_runs_every_node_and_tells_what_came_of_it(demo):
    output, printed = demo
    done = metadata_store_pb2.Execution.COMPLETE
    assert {node for node, state in demos.executions(output) if state == done} == NODES
    assert '24 clusters of' in printed
    assert '16 places shared by pick-ups and drop-offs' in printed


def test_nothing_in_our_code_calls_what_is_deprecated(demo):
    demos.assert_no_deprecations_of_ours(demo[0] / 'demo.log')


def test_served_ids_are_those_that_transform_materialised(demo, served):
    written = demos.materialised(demo[0], 'Transform', 'eval')
    keys = [*features.COORDINATES, 'fare_xf', 'trip_start_hour_xf', *IDS]
    expected, actual = (demos.sorted_rows([found[k] for k in keys]) for found in (written, served))
    assert len(actual) > 4000
    np.testing.assert_array_equal(actual, expected)


def test_zones_are_as_good_as_the_best_of_ten_fits(demo):
    trips = demos.materialised(demo[0], 'Transform', 'train')
    placed = trips[features.ZONE_ID] < 24
    points = np.stack([trips[key][placed] for key in features.COORDINATES], axis=1)
    best = cluster.KMeans(24, n_init=10, random_state=0).fit(points).inertia_
    assert np.square(trips[features.ZONE_DISTANCE][placed], dtype=float).sum() <= 1.02 * best


def test_pick_ups_and_drop_offs_share_places(demo):
    trips = demos.materialised(demo[0], 'Transform', 'train')
    known = [trips[name] < features.PLACES for name in features.PLACE_IDS]
    ends = np.concatenate(
        [
            np.stack([trips[f'{end}_east'], trips[f'{end}_north']], axis=1)[mask]
            for end, mask in zip(features.ENDS, known, strict=True)
        ]
    )
    ids = np.concatenate([trips[n][m] for n, m in zip(features.PLACE_IDS, known, strict=True)])
    means = np.stack([ends[ids == place].mean(axis=0) for place in range(features.PLACES)])
    np.testing.assert_array_equal(reference.distances(ends, means).argmin(axis=1), ids)


def test_served_model_ranks_big_tippers(served):
    assert metrics.roc_auc_score(served['tips_xf'], served['big_tip']) > 0.9
