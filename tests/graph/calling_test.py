"""`graph.fit_callable`: estimators and functions from elsewhere."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import cluster

from support import reference, solvers
from tfx_kmeans import graph


@pytest.mark.parametrize('solver', [cluster.KMeans, cluster.MiniBatchKMeans])
def test_centroids_are_those_of_the_estimator_by_falling_weight(solver):
    points, _, _ = reference.sample(0)
    options = {'n_init': 2, 'max_iter': 50, 'tol': 1e-3, 'init': 'random'}
    found = graph.fit_callable(points, 5, solver, seed=7, **options)
    theirs = solver(5, random_state=7, **options).fit(points)
    weights = np.bincount(theirs.predict(points)).astype(float)
    order = graph.canonical_order(theirs.cluster_centers_, weights).numpy()
    np.testing.assert_allclose(found.centroids, theirs.cluster_centers_[order], rtol=1e-5)
    np.testing.assert_allclose(found.inertia, theirs.inertia_, rtol=1e-5)


def test_a_function_that_makes_an_estimator_is_one():
    points, _, _ = reference.sample(0)
    found = graph.fit_callable(
        points, 5, lambda n_clusters, seed: cluster.KMeans(n_clusters, n_init=1, random_state=seed)
    )
    theirs = cluster.KMeans(5, n_init=1, random_state=0).fit(points)
    np.testing.assert_allclose(found.inertia, theirs.inertia_, rtol=1e-5)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_inertia_and_weights_are_taken_from_the_centroids_of_a_function(distance, weighted):
    points, weights, _ = reference.sample(0)
    weights = weights if weighted else None
    found = graph.fit_callable(
        points, 5, solvers.means_of_slices, weights=weights, distance=distance
    )
    centroids = found.centroids.numpy()
    wanted = solvers.means_of_slices(reference.project(points, distance), 5, weights)
    wanted = reference.project(wanted, distance)
    ids = reference.distances(points, wanted, distance).argmin(axis=1)
    cluster_weights = np.bincount(ids, weights, 5).astype(float)
    order = graph.canonical_order(wanted, cluster_weights).numpy()
    np.testing.assert_allclose(centroids, wanted[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.cluster_weights, cluster_weights[order], rtol=1e-6)
    inertia = reference.inertia_of(points, wanted, weights, distance)
    np.testing.assert_allclose(found.inertia, inertia, rtol=1e-5)
    assert (int(found.n_iter), bool(found.converged)) == (0, True)
    np.testing.assert_array_equal(found.inertia_history, [found.inertia])


def test_weights_reach_the_fit_of_an_estimator():
    points, _, _ = reference.sample(0)
    weights = np.random.default_rng(0).integers(1, 5, size=len(points))
    repeated = np.repeat(points, weights, axis=0)
    init = points[:5]
    found = graph.fit_callable(points, 5, cluster.KMeans, weights=weights, init=init, tol=0.0)
    theirs = cluster.KMeans(5, init=init, n_init=1, tol=0.0).fit(repeated)
    np.testing.assert_allclose(found.inertia, theirs.inertia_, rtol=1e-5)
    assert tf.reduce_sum(found.cluster_weights) == len(repeated)


@pytest.mark.parametrize('seed', [2**32, 2**62 + 5])
def test_any_seed_is_one_that_scikit_learn_takes(seed):
    points, _, _ = reference.sample(0)
    found = graph.fit_callable(points, 5, cluster.KMeans, seed=seed)
    wanted = graph.fit_callable(points, 5, cluster.KMeans, seed=seed % 2**32)
    np.testing.assert_array_equal(found.centroids, wanted.centroids)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_the_dtype_of_the_points_reaches_the_solver_and_comes_back(dtype):
    seen = []

    def solver(points, n_clusters):
        seen.append(points.dtype)
        points[:] = 0  # a copy: the caller's rows stay
        return np.arange(2 * n_clusters).reshape(n_clusters, 2)

    points = np.random.default_rng(0).normal(size=(50, 2)).astype(dtype)
    original = points.copy()
    found = graph.fit_callable(points, 3, solver)
    assert (seen, found.centroids.dtype) == ([dtype], dtype)
    np.testing.assert_array_equal(points, original)


def test_inside_a_tf_function_it_is_the_same():
    points, _, _ = reference.sample(0)
    call = tf.function(lambda points: graph.fit_callable(points, 5, solvers.means_of_slices))
    wanted = graph.fit_callable(points, 5, solvers.means_of_slices)
    for one, other in zip(call(points), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def raising(points, n_clusters):
    raise LookupError('the solver has lost its way')


REFUSED = {
    'no callable': ({'solver': 3}, TypeError, 'solver must be callable, not 3'),
    'other arguments': (
        {'solver': solvers.of_other_arguments}, TypeError, r"must take n_clusters.*\['data', 'k'\]",
    ),
    'no weights': (
        {'solver': solvers.without_weights, 'weights': np.ones(400)}, TypeError,
        'takes neither weights nor sample_weight, but there are weights',
    ),
    'no weights in fit': (
        {'solver': cluster.SpectralClustering, 'weights': np.ones(400)}, TypeError,
        'fit takes neither weights nor sample_weight',
    ),
    'no centroids': ({'solver': cluster.SpectralClustering}, TypeError, 'has no cluster_centers_'),
    'no estimator': ({'solver': lambda n_clusters: 5}, TypeError, 'should return an estimator'),
    'too few': (
        {'solver': solvers.too_few}, ValueError, r'too_few.* of shape \(4, 4\), not \(5, 4\)',
    ),
    'NaN': ({'solver': solvers.no_numbers}, ValueError, 'returned 5 centroids with NaN'),
    'words': (
        {'solver': lambda points, n_clusters: 'abc'}, ValueError, 'returned no matrix of numbers',
    ),
    'zeros': (
        {'solver': lambda points, n_clusters: 0 * points[:5], 'distance': 'cosine'}, ValueError,
        'all zeros and have no direction',
    ),
    'failure': ({'solver': raising}, LookupError, 'the solver has lost its way'),
    'bad points': (
        {'solver': solvers.means_of_slices, 'points': np.full((9, 4), np.nan)}, ValueError,
        '9 rows hold NaN',
    ),
}  # fmt: skip


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_be_fitted_is_refused_by_name(case):
    options, error, message = REFUSED[case]
    points, _, _ = reference.sample(0)
    with pytest.raises(error, match=message):
        graph.fit_callable(**{'points': points, 'n_clusters': 5, **options})


def test_a_failure_inside_a_tf_function_shows_its_cause():
    points, _, _ = reference.sample(0)
    with pytest.raises(tf.errors.OpError, match='the solver has lost its way'):
        tf.function(lambda: graph.fit_callable(points, 5, raising))()
