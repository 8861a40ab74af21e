import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from sklearn import cluster
from tfx.utils import path_utils

from support import solvers
from support.building import parse_examples, read_examples, run_kmeans, write_examples
from tfx_kmeans import Clustering, graph
from tfx_kmeans.kmeans import ordering, reading, solving

ON_X_AND_Y = {'features': '["x", "y"]', 'missing': 'drop'}
LEAST_BUDGET = 10**8

# run in a process of its own, where no callable has ever been registered
SERVE = """
import sys
import numpy as np
import tensorflow as tf
data, *models, output = sys.argv[1:]
data = {k: tf.constant(v) for k, v in np.load(data).items()}
ids = [tf.saved_model.load(m).signatures['features'](**data)['cluster_id'] for m in models]
assert not {'sklearn', 'support'} & set(sys.modules)
np.save(output, ids)
"""


@pytest.fixture
def logs(caplog):
    logging.set_verbosity(logging.INFO)
    logging.get_absl_logger().propagate = True
    with caplog.at_level('INFO'):
        yield caplog


@pytest.fixture
def small_memory(monkeypatch):
    """Makes 300 rows as many as the least memory budget holds."""
    monkeypatch.setattr(reading, '_FIT_BYTES_PER_ROW', LEAST_BUDGET // 300)
    monkeypatch.setattr(reading, '_BATCH_ROWS', 70)


def training_rows(transformed, names=('x', 'y')):
    data = parse_examples(
        transformed['transformed_examples'], 'train', transformed['transform_graph']
    )
    matrix = np.stack([data[name] for name in names], axis=1)
    return matrix[~np.isnan(matrix).any(axis=1)]


def fit(directory, transformed, **properties):
    outputs = run_kmeans(directory, *transformed.values(), **{**ON_X_AND_Y, **properties})
    return Clustering.read(outputs['centroids'].uri)


def assert_same(one, other):
    np.testing.assert_array_equal(one.centroids, other.centroids)
    figures = ('cluster_weights', 'inertia', 'n_iter', 'eval_inertia', 'eval_weight')
    assert [getattr(one, name) for name in figures] == [getattr(other, name) for name in figures]


# auto


def test_auto_is_exact_within_the_memory_budget_and_says_why(transformed, tmp_path, logs):
    auto = fit(tmp_path / 'auto', transformed)
    assert "solver='auto': 'lloyd', since an exact fit to 980 rows x 2 columns takes" in logs.text
    assert 'within memory_budget=4 GB' in logs.text
    assert_same(auto, fit(tmp_path / 'lloyd', transformed, solver='lloyd'))


def test_auto_streams_above_the_memory_budget_and_says_why(
    transformed, tmp_path, logs, small_memory
):
    auto = fit(tmp_path / 'auto', transformed, engine='tensorflow', memory_budget=LEAST_BUDGET)
    assert "solver='auto': 'streaming', since an exact fit to 980 rows" in logs.text
    assert 'above memory_budget=0.1 GB' in logs.text
    assert re.search(r'Writing 3\d\d rows to a temporary file', logs.text)
    assert_same(auto, fit(tmp_path / 'streaming', transformed, solver='streaming'))


def test_rows_with_gaps_above_the_memory_budget_are_refused_with_what_takes_them(
    transformed, tmp_path, small_memory
):
    options = {'missing': 'partial', 'engine': 'tensorflow', 'memory_budget': LEAST_BUDGET}
    with pytest.raises(ValueError, match=r"above memory_budget=0.1 GB, .* take engine='beam'"):
        fit(tmp_path / 'fit', transformed, **options)
    assert not (tmp_path / 'fit' / 'centroids').exists()


# streaming


@pytest.mark.parametrize(
    'options',
    [{}, {'weight_feature': 'weight'}, {'standardize': 1}, {'distance': 'cosine', 'seed': 3}],
    ids=str,
)
def test_rows_on_disk_and_in_any_order_give_every_bit_of_the_fit_in_memory(
    transformed, tmp_path, monkeypatch, options
):
    options = {'solver': 'streaming', 'n_clusters': 7, **options}
    in_memory = fit(tmp_path / 'memory', transformed, **options)
    examples = transformed['transformed_examples']
    rng = np.random.default_rng(0)
    data = {split: read_examples(examples, split) for split in ('train', 'eval')}
    shuffled = {split: [s[i] for i in rng.permutation(len(s))] for split, s in data.items()}
    shuffled = write_examples(tmp_path / 'examples', shuffled, shards=7)
    monkeypatch.setattr(reading, '_FIT_BYTES_PER_ROW', LEAST_BUDGET // 60)
    monkeypatch.setattr(reading, '_BATCH_ROWS', 23)
    others = {**transformed, 'transformed_examples': shuffled}
    on_disk = fit(tmp_path / 'disk', others, memory_budget=LEAST_BUDGET, **options)
    assert_same(on_disk, in_memory)


def test_streaming_fits_what_graph_fit_dataset_does(transformed, tmp_path):
    found = fit(tmp_path, transformed, solver='streaming', seed=5, n_init=2, max_iter=9, tol=0.01)
    points = ordering.sort_rows(training_rows(transformed))
    data = tf.data.Dataset.from_tensors(points)
    wanted = graph.fit_dataset(data, 4, seed=5, n_init=2, max_iter=9, tol=0.01)
    np.testing.assert_array_equal(found.centroids, wanted.centroids)
    assert (found.inertia, found.n_iter) == (float(wanted.inertia), int(wanted.n_iter))


# callables


def by_estimator(points):
    options = {'random_state': 0, 'n_init': 1, 'max_iter': 300, 'tol': 1e-4}
    return cluster.MiniBatchKMeans(4, **options).fit(points).cluster_centers_


CALLABLES = {
    'sklearn.cluster.MiniBatchKMeans': by_estimator,
    'support.solvers.means_of_slices': lambda points: np.array(solvers.means_of_slices(points, 4)),
}


@pytest.fixture(scope='module')
def called(transformed, tmp_path_factory):
    """What KMeans gives with each of CALLABLES."""
    return {
        path: run_kmeans(
            tmp_path_factory.mktemp('called'), *transformed.values(), solver=path, **ON_X_AND_Y
        )
        for path in CALLABLES
    }


@pytest.mark.parametrize('path', CALLABLES)
def test_centroids_are_those_of_the_callable_and_the_rest_is_taken_from_them(
    transformed, called, path
):
    clustering = Clustering.read(called[path]['centroids'].uri)
    points = ordering.sort_rows(training_rows(transformed))
    wanted = CALLABLES[path](points)
    distances = np.square(points[:, None] - wanted).sum(axis=2)
    weights = np.bincount(distances.argmin(axis=1), minlength=4)
    np.testing.assert_allclose(clustering.centroids, wanted[np.argsort(-weights)], atol=1e-5)
    assert list(clustering.cluster_weights) == sorted(weights, reverse=True)
    assert clustering.inertia == pytest.approx(distances.min(axis=1).sum(), rel=1e-5)


def test_what_is_exported_serves_in_a_process_that_does_not_know_the_callable(
    transformed, called, tmp_path
):
    points = training_rows(transformed)
    np.savez(tmp_path / 'data.npz', x=points[:, 0], y=points[:, 1])
    models = [path_utils.serving_model_path(outputs['model'].uri) for outputs in called.values()]
    command = [sys.executable, '-c', SERVE, tmp_path / 'data.npz', *models, tmp_path / 'ids.npy']
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    served = np.load(tmp_path / 'ids.npy')
    for ids, outputs in zip(served, called.values(), strict=True):
        centroids = Clustering.read(outputs['centroids'].uri).centroids
        nearest = np.square(points[:, None] - centroids).sum(axis=2).argmin(axis=1)
        np.testing.assert_array_equal(ids, nearest)


def test_a_callable_gets_the_weights(transformed, tmp_path):
    options = {'solver': 'support.solvers.means_of_slices', 'weight_feature': 'weight'}
    found = fit(tmp_path, transformed, **options)
    rows = ordering.sort_rows(training_rows(transformed, ('x', 'y', 'weight')))
    wanted = solvers.means_of_slices(rows[:, :2], 4, rows[:, 2])
    np.testing.assert_allclose(
        np.sort(found.centroids, axis=0), np.sort(np.float32(wanted), axis=0), rtol=1e-5
    )
    assert found.total_weight == rows[:, 2].sum()


@pytest.mark.parametrize(
    ('path', 'error', 'message'),
    [
        ('support.solvers.too_few', ValueError, r"split 'train'.*too_few.* of shape \(3, 2\)"),
        ('support.solvers.no_numbers', ValueError, r"split 'train'.*no_numbers.* with NaN"),
        ('no_such_package.fit', ValueError, "solver 'no_such_package.fit' cannot be imported"),
    ],
)
def test_a_callable_that_fails_leaves_nothing_behind(transformed, tmp_path, path, error, message):
    with pytest.raises(error, match=message):
        fit(tmp_path, transformed, solver=path)
    assert not list(tmp_path.rglob('*'))


# names of solvers


@pytest.mark.parametrize('name', [*solving.SOLVERS, 'sklearn.cluster.KMeans', 'not_here.at.all'])
def test_solvers_and_what_may_be_installed_elsewhere_are_taken(name):
    solving.check_solver('solver', name, weighted=False)


@pytest.mark.parametrize(
    ('name', 'error', 'message'),
    [
        (None, TypeError, 'solver must be a string, not None'),
        ('loyd', ValueError, r"one of \('auto', 'lloyd', 'streaming'\) or the import .* 'loyd'"),
        ('', ValueError, "not ''"),
        ('sklearn.cluster.', ValueError, "not 'sklearn.cluster.'"),
        ('sklearn.cluster.KMean', ValueError, r"'sklearn.cluster.KMean' cannot be imported: .*KM"),
        ('sklearn.clusters.KMeans', ValueError, "No module named 'sklearn.clusters'"),
        ('support.solvers.not_callable', TypeError, 'must be callable, not 3'),
        ('support.solvers.of_other_arguments', TypeError, r"must take n_clusters.*\['data', 'k'\]"),
        ('support.solvers.without_weights', TypeError, 'takes neither weights nor sample_weight'),
    ],
)
def test_a_solver_that_cannot_be_is_refused_by_name(name, error, message):
    with pytest.raises(error, match=message):
        solving.check_solver('solver', name, weighted=True)
