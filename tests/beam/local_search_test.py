import numpy as np
import pytest

from support import reference
from tfx_kmeans import graph
from tfx_kmeans.beam import local_search

OPTIONS = {'init': 'k-means++', 'n_init': 1, 'max_iter': 300, 'tol': 1e-4}


def fit(rows, weights, n_clusters, distance='squared_euclidean', **options):
    options = OPTIONS | options
    return local_search.fit(rows, weights, n_clusters, seed=0, distance=distance, **options)


def uneven_blobs(seed, k=12):
    """Heaps of which each has half as many rows as the one before; weights count the rows."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=20, size=(k, 3))
    heaps = rng.choice(k, 3000, p=0.6 ** np.arange(k) / np.sum(0.6 ** np.arange(k)))
    return (centres[heaps] + rng.normal(size=(3000, 3))).astype(np.float32), np.ones(3000)


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('seed', range(3))
def test_it_is_never_worse_than_the_fit_it_begins_with(seed, distance):
    rows, weights, _ = reference.sample(seed)
    options = {'n_init': 2, 'seed': 0, 'distance': distance}
    plain = graph.fit(rows, 6, weights=weights, **options)
    improved = fit(rows, weights, 6, distance, n_init=2)
    assert float(improved.inertia) <= float(plain.inertia)
    found = reference.inertia_of(rows, improved.centroids.numpy(), weights, distance)
    assert float(improved.inertia) == pytest.approx(found, rel=1e-5)


def starting_at(start):
    """graph.fit, but with `start` in place of a seeding by name."""
    plain = graph.fit

    def fit(rows, n_clusters, *, init, n_init=1, **options):
        return plain(rows, n_clusters, init=start if isinstance(init, str) else init, **options)

    return fit


@pytest.mark.parametrize('seed', range(5))
def test_swaps_mend_a_bad_start(seed, monkeypatch):
    rows, weights = uneven_blobs(seed)
    start = rows[:1] + np.arange(12, dtype=np.float32)[:, np.newaxis] * 1e-3  # all in one heap
    best = float(graph.fit(rows, 12, n_init=20).inertia)
    stuck = float(graph.fit(rows, 12, init=start).inertia)
    monkeypatch.setattr(graph, 'fit', starting_at(start))
    mended = float(fit(rows, weights, 12).inertia)
    assert stuck > 1.5 * best
    assert mended < 1.1 * best


def test_initial_centroids_are_kept_in_their_order():
    rows, weights = uneven_blobs(0)
    init = rows[:4]
    plain = graph.fit(rows, 4, init=init)
    found = fit(rows, weights, 4, init=init)
    np.testing.assert_allclose(found.centroids, plain.centroids, rtol=1e-6)


def test_clusters_are_numbered_by_falling_weight():
    rows, weights = uneven_blobs(1)
    sizes = fit(rows, weights, 12, init='random').cluster_weights.numpy()
    assert (np.diff(sizes) <= 0).all()


def test_as_many_clusters_as_rows_fit_exactly():
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert float(fit(rows, np.ones(3), 3).inertia) == 0
    assert float(fit(np.repeat(rows, 5, axis=0), np.ones(15), 3).inertia) == 0


def test_one_cluster_is_the_mean():
    rows, weights, _ = reference.sample(0)
    found = fit(rows, weights, 1).centroids
    np.testing.assert_allclose(found[0], np.average(rows, axis=0, weights=weights), rtol=1e-5)
