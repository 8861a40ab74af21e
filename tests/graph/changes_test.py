"""Lloyd's algorithm with sums that are carried along, whether or not rows are left alone."""

import numpy as np
import pytest

from support import reference
from tfx_kmeans import graph
from tfx_kmeans.graph import nearest


@pytest.fixture(autouse=True, params=['every row', 'rows in doubt'])
def compared(request, few_rows_count_as_many):
    """Which rows are compared, few as they are."""
    few_rows_count_as_many(0 if request.param == 'rows in doubt' else 1 << 30)


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('d', [2, 8])
def test_every_iteration_is_that_of_the_reference(d, weighted, distance):
    for seed in range(3):
        points, weights, init = reference.sample(seed, n=900, d=d, k=7)
        found = reference.assert_followed(
            points, init, weights if weighted else None, tol=0.0, distance=distance
        )
        assert found.n_iter > 5


@pytest.mark.parametrize('k', [1, 2, 9, 40])
def test_any_number_of_clusters_is_compared(k):
    points, _, init = reference.sample(3, n=400, d=2, k=k)
    reference.assert_followed(points, init, tol=1e-4)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('seed', range(3))
def test_empty_clusters_are_given_the_farthest_rows(seed, weighted):
    points, weights, init = reference.sample(seed, n=300, d=3, k=6)
    init[2:] += np.float32(100) * np.arange(1, 5, dtype=np.float32)[:, np.newaxis]
    reference.assert_followed(points, init, weights if weighted else None)


def test_rows_on_their_centroids_leave_no_inertia():
    points = np.repeat(np.random.default_rng(0).normal(size=(5, 3)), 20, axis=0)
    found = graph.fit(points.astype(np.float32), 5, seed=1)
    assert float(found.inertia) < 1e-9
    np.testing.assert_array_equal(found.cluster_weights, 20)


def test_a_cluster_that_loses_nearly_all_its_weight_keeps_an_exact_mean():
    points = np.float32([[0.0], [0.1], [0.45], [1.0], [1.01]])
    weights = np.float32([1e9, 1e-3, 1e-3, 1e9, 1e-3])
    init = np.float32([[0.5], [0.9]])
    found = graph.fit(points, 2, init=init, weights=weights, tol=0.0)
    wanted = reference.lloyd(points, init, weights, tol=0.0)
    np.testing.assert_allclose(found.centroids, wanted.centroids, atol=1e-6)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, rtol=1e-9)


@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_sums_carried_along_for_300_iterations_are_those_of_a_fresh_sum(distance):
    rng = np.random.default_rng(0)
    points = rng.random((20_000, 5), np.float32) + np.float32(0.2)
    weights = rng.uniform(0.1, 3, size=len(points)).astype(np.float32)
    found = graph.fit(points, 60, weights=weights, init='random', tol=0.0, distance=distance)
    assert found.n_iter > 50
    ids = graph.assign(points, found.centroids, distance=distance).ids.numpy()
    rows = reference.project(points, distance)
    sums = np.stack([np.bincount(ids, weights * column, 60) for column in rows.T], axis=1)
    fresh = sums / np.bincount(ids, weights, 60)[:, np.newaxis]
    if distance == 'cosine':
        fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
    np.testing.assert_allclose(found.centroids, fresh, rtol=0, atol=3e-7)
    np.testing.assert_allclose(found.cluster_weights, np.bincount(ids, weights, 60), rtol=1e-12)


def test_many_rows_are_fitted_so_without_a_switch(monkeypatch):
    monkeypatch.setattr(nearest, '_WORTH_COMPILING', 1 << 23)
    rng = np.random.default_rng(2)
    points = rng.random((300_000, 3), np.float32)
    init = points[:32]
    assert nearest.worth_compiling(len(points), 32)
    fast = graph.fit(points, 32, init=init, max_iter=15)
    monkeypatch.setattr(nearest, '_WORTH_COMPILING', np.inf)
    plain = graph.fit(points, 32, init=init, max_iter=15)
    np.testing.assert_allclose(fast.inertia_history, plain.inertia_history, rtol=1e-6)
    np.testing.assert_allclose(fast.centroids, plain.centroids, atol=1e-4)
