"""Lloyd's algorithm against the reference: updates, stop rule, empty clusters."""

import numpy as np
import pytest

from support import reference
from tfx_kmeans import graph

SEEDS = range(3)
CASES = pytest.mark.parametrize(
    ('distance', 'weighted', 'dtype'),
    [
        (distance, weighted, dtype)
        for distance in reference.DISTANCES
        for weighted in (False, True)
        for dtype in (np.float32, np.float64)
    ],
)


@CASES
@pytest.mark.parametrize('seed', SEEDS)
def test_one_iteration_equals_the_reference(seed, distance, weighted, dtype):
    points, weights, init = reference.sample(seed)
    weights = weights if weighted else None
    found = reference.assert_followed(
        points.astype(dtype), init, weights, max_iter=1, distance=distance
    )
    assert found.n_iter == 1


@CASES
@pytest.mark.parametrize('seed', SEEDS)
def test_a_fit_to_convergence_equals_the_reference(seed, distance, weighted, dtype):
    points, weights, init = reference.sample(seed)
    weights = weights if weighted else None
    found = reference.assert_followed(points.astype(dtype), init, weights, distance=distance)
    assert found.n_iter > 3
    assert found.converged


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('tol', [0.0, 1e-6, 1e-3, 1e-2, 1e-1, 1e9])
@pytest.mark.parametrize('seed', SEEDS)
def test_the_tolerance_stops_a_run_where_the_reference_stops(seed, tol, distance):
    points, weights, init = reference.sample(seed)
    points[:, 0] += 2  # a mean whose length matters to the variance of unit vectors
    init[:, 0] += 2
    reference.assert_followed(points, init, weights, tol=tol, distance=distance)


@pytest.mark.parametrize('seed', SEEDS)
def test_no_tolerance_ends_on_a_fixed_point(seed):
    points, _, init = reference.sample(seed)
    found = graph.fit(points, 5, init=init, tol=0.0)
    again = graph.fit(points, 5, init=found.centroids, tol=0.0)
    assert found.converged
    assert found.n_iter > 3
    assert found.inertia_history[-1] == found.inertia_history[-2]
    np.testing.assert_allclose(again.centroids, found.centroids, rtol=0, atol=1e-6)
    assert again.n_iter <= 2  # restoring the centroids to the unit of the data may round them


@pytest.mark.parametrize('max_iter', [1, 2, 4])
def test_max_iter_bounds_the_updates(max_iter):
    points, _, init = reference.sample(0)
    found = graph.fit(points, 5, init=init, max_iter=max_iter, tol=0.0)
    assert found.n_iter == max_iter
    assert len(found.inertia_history) == max_iter + 1
    assert not found.converged


def test_a_run_that_converges_in_its_last_update_has_converged():
    points, _, init = reference.sample(0)
    n_iter = int(graph.fit(points, 5, init=init).n_iter)
    assert graph.fit(points, 5, init=init, max_iter=n_iter).converged
    assert not graph.fit(points, 5, init=init, max_iter=n_iter - 1).converged


def test_max_iter_beyond_int32_means_no_bound():
    points, _, init = reference.sample(0)
    found = graph.fit(points, 5, init=init, max_iter=2**40)
    assert found.n_iter == graph.fit(points, 5, init=init).n_iter


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('seed', SEEDS)
def test_weights_and_inertia_belong_to_the_final_centroids(seed, distance):
    points, weights, init = reference.sample(seed)
    for max_iter in (1, 3, 300):
        found = graph.fit(
            points, 5, init=init, weights=weights, max_iter=max_iter, distance=distance
        )
        placed = graph.assign(points, found.centroids, distance=distance)
        np.testing.assert_allclose(
            found.cluster_weights, np.bincount(placed.ids, weights, 5), rtol=1e-12
        )
        np.testing.assert_allclose(
            found.inertia, np.sum(placed.distances * weights, dtype=np.float64), rtol=1e-5
        )


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('seed', range(5))
def test_inertia_history_falls_and_ends_with_the_inertia(seed, distance):
    points, weights, init = reference.sample(seed)
    found = graph.fit(points, 5, init=init, weights=weights, tol=0.0, distance=distance)
    history = found.inertia_history.numpy()
    assert history.shape == (found.n_iter + 1,)
    assert history[-1] == found.inertia
    assert np.all(np.diff(history) <= 1e-6 * history[:-1])
    assert history[-1] < 0.95 * history[0]
    np.testing.assert_allclose(
        history[0], reference.inertia_of(points, init, weights, distance), rtol=1e-5
    )


def test_hand_computed_fit():
    points = np.array([[0, 0], [0.5, 0], [0.5, 1], [1, 1]])
    found = graph.fit(points, 2, init=[[0, 0], [1, 1]], weights=[3, 1, 1, 3])
    np.testing.assert_array_equal(found.centroids, [[0.125, 0], [0.875, 1]])
    np.testing.assert_array_equal(found.cluster_weights, [4, 4])
    assert found.inertia == 0.375
    assert found.n_iter == 2


def test_a_cluster_that_begins_far_away_is_given_a_row():
    points = np.array([[0, 0], [0.5, 0], [0.5, 1], [1, 1]])
    found = reference.assert_followed(points, np.array([[0.5, 0.5], [3, 3]]), None)
    assert found.n_iter == 3
    assert found.inertia == 0.25
    np.testing.assert_array_equal(found.cluster_weights, [2, 2])


def test_all_empty_clusters_are_given_the_farthest_rows():
    points = np.array([[-10.0, -9.5, -9, -8.5, -8, -1, 1, 9, 9.5, 10]]).T
    init = np.full([3, 1], -10.0)
    found = reference.assert_followed(points, init, None, max_iter=1)
    np.testing.assert_allclose(found.centroids, [[-36 / 8], [10], [9.5]], rtol=1e-6)


def test_a_moved_row_takes_its_weight_along():
    points = np.array([[-1.0], [1.0]])
    found = graph.fit(points, 2, init=[[-1.0], [10.0]], weights=[1.9, 0.1])
    np.testing.assert_allclose(found.centroids, [[-1], [1]], rtol=1e-6)
    np.testing.assert_array_equal(found.cluster_weights, np.float32([1.9, 0.1]))


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('seed', SEEDS)
def test_several_empty_clusters_equal_the_reference(seed, weighted, distance):
    points, weights, init = reference.sample(seed)
    init[1:4] = init[0]  # three begin where another does, so they stay empty
    weights = weights if weighted else None
    found = reference.assert_followed(points, init, weights, distance=distance)
    assert np.all(found.cluster_weights > 0)
    assert np.all(np.diff(found.inertia_history) <= 1e-6 * found.inertia_history[0])


def test_a_row_without_weight_is_never_moved_into_an_empty_cluster():
    points, weights, init = reference.sample(0)
    init[1:4] = init[0]
    points[7] = 30  # by far the farthest
    weights[7] = 0.0
    found = reference.assert_followed(points, init, weights)
    assert np.abs(found.centroids).max() < 10


def test_initial_centroids_out_of_all_proportion_are_recovered_from():
    points, _, init = reference.sample(0)
    init[2:] = 1e6
    found = graph.fit(points, 5, init=init)
    assert np.all(found.cluster_weights > 0)
    assert np.abs(found.centroids).max() < 10
