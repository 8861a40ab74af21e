"""Lloyd's algorithm against the reference: updates, stop rule, empty clusters, bounds."""

import numpy as np
import pytest
import tensorflow as tf

from support import paths, reference
from tfx_kmeans import graph
from tfx_kmeans.graph import distances, lloyd
from tfx_kmeans.graph import rows as rows_lib

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


# every way through an iteration; the fits above take whichever they choose


@paths.EVERY_FORCE
@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize(('d', 'k'), [(2, 7), (8, 7), (20, 16)])
def test_every_iteration_is_that_of_the_reference(d, k, weighted, distance, forced):
    points, weights, init = reference.sample(0, n=900, d=d, k=k)
    weights = weights if weighted else None
    with paths.all_of(forced):
        found = reference.assert_followed(points, init, weights, tol=0.0, distance=distance)
    assert found.n_iter > 5


@paths.EVERY_FORCE
@pytest.mark.parametrize('k', [1, 2, 9, 40])
def test_any_number_of_clusters_is_compared(k, forced):
    points, _, init = reference.sample(3, n=400, d=2, k=k)
    with paths.all_of(forced):
        reference.assert_followed(points, init, tol=1e-4)


@paths.EVERY_FORCE
@pytest.mark.parametrize('weighted', [False, True])
def test_empty_clusters_are_given_the_farthest_rows_on_every_way(weighted, forced):
    for seed in range(3):
        points, weights, init = reference.sample(seed, n=300, d=3, k=6)
        init[2:] += np.float32(100) * np.arange(1, 5, dtype=np.float32)[:, np.newaxis]
        with paths.all_of(forced):
            found = reference.assert_followed(points, init, weights if weighted else None)
        assert np.all(found.cluster_weights > 0)


@paths.EVERY_FORCE
def test_a_cluster_that_loses_nearly_all_its_weight_keeps_an_exact_mean(forced):
    points = np.float32([[0.0], [0.1], [0.45], [1.0], [1.01]])
    weights = np.float32([1e9, 1e-3, 1e-3, 1e9, 1e-3])
    init = np.float32([[0.5], [0.9]])
    with paths.all_of(forced):
        found = graph.fit(points, 2, init=init, weights=weights, tol=0.0)
    wanted = reference.lloyd(points, init, weights, tol=0.0)
    np.testing.assert_allclose(found.centroids, wanted.centroids, atol=1e-6)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, rtol=1e-9)


@paths.EVERY_FORCE
def test_rows_on_their_centroids_leave_no_inertia(forced):
    points = np.repeat(np.random.default_rng(0).normal(size=(5, 3)), 20, axis=0)
    with paths.all_of(forced):
        found = graph.fit(points.astype(np.float32), 5, seed=1)
    assert float(found.inertia) < 1e-9
    np.testing.assert_array_equal(found.cluster_weights, 20)


@pytest.mark.parametrize('forced', [[paths.every_row], [paths.bounds]], ids=['rows', 'bounds'])
@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_sums_carried_along_for_many_iterations_are_those_of_a_fresh_sum(distance, forced):
    rng = np.random.default_rng(0)
    points = rng.random((20_000, 5), np.float32) + np.float32(0.2)
    weights = rng.uniform(0.1, 3, size=len(points)).astype(np.float32)
    options = {'init': 'random', 'search': 'none', 'tol': 0.0}
    with paths.all_of(forced):
        found = graph.fit(points, 60, weights=weights, distance=distance, **options)
    assert found.n_iter > 50
    ids = graph.assign(points, found.centroids, distance=distance).ids.numpy()
    rows = reference.project(points, distance)
    sums = np.stack([np.bincount(ids, weights * column, 60) for column in rows.T], axis=1)
    fresh = sums / np.bincount(ids, weights, 60)[:, np.newaxis]
    if distance == 'cosine':
        fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
    np.testing.assert_allclose(found.centroids, fresh, rtol=0, atol=3e-7)
    np.testing.assert_allclose(found.cluster_weights, np.bincount(ids, weights, 60), rtol=1e-12)


def test_many_rows_are_fitted_alike_on_every_way():
    points = np.random.default_rng(2).random((100_000, 3), np.float32)
    fits = {}
    for name in ('every row', 'bounds', 'prepared copy'):
        with paths.all_of(paths.FORCED[name]):
            fits[name] = graph.fit(points, 32, init=points[:32], max_iter=15)
    for name in ('bounds', 'prepared copy'):
        found, wanted = fits[name], fits['every row']
        np.testing.assert_allclose(found.inertia_history, wanted.inertia_history, rtol=1e-6)
        np.testing.assert_allclose(found.centroids, wanted.centroids, atol=1e-4)


def counting(monkeypatch, name):
    """Has lloyd.`name` note the share of the rows that it compared or moved; returns the list."""
    step, shares = getattr(lloyd, name), []

    def noting(static, *tensors):
        found = step(static, *tensors)
        share = (found[0] if isinstance(found[0], lloyd.Found) else found).share
        tf.py_function(lambda share: shares.append(float(share)), [share], [])
        return found

    monkeypatch.setattr(lloyd, name, noting)
    monkeypatch.setattr(lloyd, '_OPERATIONS_OF_TRACING', 0.0)  # as in a long fit
    return shares


def structured(n=20_000):
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=5, size=(8, 3)).astype(np.float32)
    return centres[rng.integers(8, size=n)] + rng.normal(size=(n, 3)).astype(np.float32)


def test_bounds_leave_rows_alone_where_there_is_structure(monkeypatch):
    compared = counting(monkeypatch, '_follow_in_doubt')
    points = structured()
    found = graph.fit(points, 8, init=points[:8], tol=0.0)
    assert len(compared) >= int(found.n_iter) / 2  # bounds were chosen unasked
    assert np.mean(compared) < 0.5


def test_bounds_that_leave_few_rows_alone_are_given_up_for_a_while(monkeypatch):
    compared = counting(monkeypatch, '_follow_in_doubt')
    moved = counting(monkeypatch, '_follow')
    points = np.random.default_rng(0).normal(size=(3000, 40)).astype(np.float32)
    graph.fit(points, 20, init=points[:20], tol=0.0, max_iter=14)
    assert compared[0] == 1.0  # the bounds are new
    assert 0.6 < compared[1] < 1.0
    assert (len(compared), len(moved)) == (2, 1 + 12)


def test_a_short_fit_traces_no_bounds(monkeypatch):
    monkeypatch.setattr(lloyd, '_follow_in_doubt', None)  # to call it would fail
    points = structured(1000)
    assert graph.fit(points, 8, init=points[:8], tol=0.0).n_iter > 3


@pytest.mark.parametrize('seed', range(3))
def test_slack_is_never_more_than_what_it_stands_for(seed):
    """The gap between the two nearest distances, which the bound may not overstate."""
    points, _, init = reference.sample(seed, n=500, d=3, k=9)
    rows = rows_lib.Rows(tf.constant(points))
    everywhere = tf.fill([9], True)
    first = lloyd.begin(rows, tf.constant(init), everywhere, cosine=False)
    bounds = lloyd.Bounds(tf.fill([500], float('-inf')), tf.zeros([9]))
    nothing = tf.zeros_like(first.state.totals)  # so that no centroid moves
    found, kept = lloyd._follow_in_doubt(
        (False, False), rows.tensors(), tf.constant(init), first.state, nothing, bounds
    )
    apart = np.sqrt(reference.distances(points, init))
    np.testing.assert_array_equal(found.state.ids, apart.argmin(axis=1))
    least, second = np.sort(apart, axis=1)[:, :2].T
    assert np.all(kept.slack <= second - least)
    np.testing.assert_allclose(kept.slack, second - least, atol=1e-2)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('share', [0.0, 0.3])
def test_the_two_nearest_are_those_of_numpy(weighted, share):
    points, weights, init = reference.sample(0, n=700, d=5, k=6)
    points = reference.with_gaps(points, 0, share) if share else points
    rows = rows_lib.Rows(
        tf.constant(points), tf.constant(weights) if weighted else None, partial=share > 0
    )
    active = np.array([True] * 5 + [False])
    state = lloyd.begin(rows, tf.constant(init), tf.constant(active), cosine=False).state
    found = lloyd.two_nearest(rows, tf.constant(init), tf.constant(active), state)
    wanted = np.sort(reference.distances(points, init[:5]), axis=1)[:, :2].T
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert np.max(state.ids) < 5


@pytest.mark.parametrize(('d', 'k'), [(1, 1), (2, 20), (8, 65), (7, 100), (3, 700), (9, 30)])
def test_compare_finds_the_rows_that_move_and_where_to(d, k):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(256, d)).astype(np.float32)
    centroids = rng.normal(size=(k, d)).astype(np.float32)
    old = rng.integers(-1, k, size=256).astype(np.int32)
    block = rows_lib.Rows(tf.constant(points)).block(0, 256)
    found = lloyd.compare(block, old, distances.lay_out(tf.constant(centroids), partial=False))
    wanted = reference.distances(points, centroids).argmin(axis=1)
    moved = np.flatnonzero(wanted != old)
    np.testing.assert_array_equal(found.moved, moved)
    np.testing.assert_array_equal(found.new_ids, wanted[moved])


def test_rows_between_equal_centroids_stay_where_they_are_and_new_ones_go_to_the_lowest():
    centroids = tf.zeros([4, 2])
    block = rows_lib.Rows(tf.ones([3, 2])).block(0, 3)
    found = lloyd.compare(block, tf.constant([3, 0, -1]), distances.lay_out(centroids, False))
    np.testing.assert_array_equal(found.moved, [2])
    np.testing.assert_array_equal(found.new_ids, [0])
