"""Breathing k-means on a sample: what it mends, what it must not spoil, and near which optima."""

import functools
import importlib.util
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from support import reference
from tfx_kmeans import graph
from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph import search

BENCHMARKS = pathlib.Path(__file__).parents[2] / 'benchmarks'


@functools.cache
def optima():
    """The module that draws the sets of the benchmark."""
    sys.path.insert(0, str(BENCHMARKS))  # it imports a neighbour
    try:
        spec = importlib.util.spec_from_file_location('optima', BENCHMARKS / 'optima.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


def improve(points, centroids, weights=None, seed=0, cosine=False, partial=False):
    weights = None if weights is None else tf.constant(weights, tf.float32)
    rows = rows_lib.Rows(tf.constant(points), weights, partial)
    return search.improve(rows, tf.constant(centroids), tf.constant([seed, 0]), cosine).numpy()


def uneven_blobs(seed, k=12):
    """Heaps of which each has half as many rows as the one before."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=20, size=(k, 3))
    heaps = rng.choice(k, 3000, p=0.6 ** np.arange(k) / np.sum(0.6 ** np.arange(k)))
    return (centres[heaps] + rng.normal(size=(3000, 3))).astype(np.float32)


# what an improvement is


@pytest.mark.parametrize('kind', ['whole', 'weighted', 'gaps', 'cosine'])
@pytest.mark.parametrize('seed', range(3))
def test_it_is_never_worse_than_where_it_begins(seed, kind):
    points, weights, init = reference.sample(seed, k=6)
    weights = weights if kind == 'weighted' else None
    distance = 'cosine' if kind == 'cosine' else 'squared_euclidean'
    if kind == 'gaps':
        points = reference.with_gaps(points, seed)
    if kind == 'cosine':
        points, init = (
            reference.project(part, distance).astype(np.float32) for part in (points, init)
        )
    found = improve(points, init, weights, seed, kind == 'cosine', kind == 'gaps')
    assert found.shape == init.shape
    before = reference.inertia_of(points, init, weights, distance)
    assert reference.inertia_of(points, found, weights, distance) < before


@pytest.mark.parametrize('seed', range(5))
def test_it_mends_a_bad_start(seed):
    points = uneven_blobs(seed)
    start = points[:1] + np.arange(12, dtype=np.float32)[:, np.newaxis] * 1e-3  # all in one heap
    best = float(graph.fit(points, 12, n_init=20, search='none').inertia)
    stuck = float(graph.fit(points, 12, init=start).inertia)
    mended = float(graph.fit(points, 12, init=improve(points, start, seed=seed)).inertia)
    assert stuck > 1.5 * best
    assert mended < 1.1 * best


@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_a_search_is_better_in_the_mean_than_none(distance):
    found, plain = (
        [
            float(
                graph.fit(uneven_blobs(seed), 12, seed=seed, search=way, distance=distance).inertia
            )
            for seed in range(8)
        ]
        for way in ('breathing', 'none')
    )
    assert np.mean(found) < 0.98 * np.mean(plain)


def test_seeds_draw_anew_and_a_seed_draws_the_same():
    points, _, init = reference.sample(0, n=2000, k=20)
    found = [improve(points, init, seed=seed) for seed in (0, 1, 0)]
    np.testing.assert_array_equal(found[0], found[2])
    assert np.any(found[0] != found[1])


def test_rows_are_drawn_by_their_weight():
    places = np.repeat([[0, 0], [0, 40], [40, 0]], 500, axis=0)
    points = (places + np.random.default_rng(0).normal(size=(1500, 2))).astype(np.float32)
    weights = np.repeat(np.float32([1, 1, 1e-9]), 500)
    start = np.float32([[0, 20], [0, 21], [40, 0]])
    found = improve(points, start, weights)
    apart = reference.distances(np.float32([[0, 0], [0, 40]]), found)
    assert apart.min(axis=1).max() < 1


def test_one_cluster_and_as_many_clusters_as_rows_are_left_as_they_are():
    points, _, _ = reference.sample(0, n=40)
    np.testing.assert_array_equal(improve(points, points[:1]), points[:1])
    found = improve(points, points)
    assert reference.distances(points, found).min(axis=1).max() < 1e-9


def test_fewer_distinct_rows_than_it_adds_centroids_do_no_harm():
    points = np.repeat(reference.sample(0)[0][:3], 50, axis=0)
    for seed in range(5):
        found = improve(points, points[[0, 50]], seed=seed)
        assert np.all(np.isfinite(found))
        assert reference.inertia_of(points, found) <= reference.inertia_of(points, points[[0, 50]])


# as a part of a fit


@pytest.mark.parametrize('init', ['k-means++', 'k-means||', 'random'])
def test_no_search_is_a_plain_run_from_the_seeding_of_all_rows(init):
    points, _, _ = reference.sample(0, n=2000)
    options = {'init': init, 'search': 'none', 'tol': 0.0}
    found = graph.fit(points, 5, **options)
    start = graph.fit(points, 5, max_iter=1, **options)
    followed = reference.lloyd(points, start.centroids.numpy(), tol=0.0)
    np.testing.assert_allclose(found.inertia_history[1:], followed.inertia_history, rtol=1e-6)
    np.testing.assert_array_equal(found.inertia_history[:2], start.inertia_history)


def test_given_centroids_are_refined_and_not_searched():
    points = uneven_blobs(0)
    init = points[:4]
    found = reference.assert_followed(points, init)
    for options in ({'search': 'none'}, {'search': 'breathing', 'init_size': 100}):
        again = graph.fit(points, 4, init=init, **options)
        np.testing.assert_array_equal(again.centroids, found.centroids)
        np.testing.assert_array_equal(again.inertia_history, found.inertia_history)


def test_a_search_on_a_sample_is_nearly_as_good_as_on_all_rows():
    rows, _ = optima().draw_set('35 clusters', 0)
    few = [float(graph.fit(rows, 35, seed=seed, init_size=1500).inertia) for seed in range(3)]
    every = [float(graph.fit(rows, 35, seed=seed).inertia) for seed in range(3)]
    assert np.mean(few) < 1.02 * np.mean(every)


# near which optima


@functools.cache
def excess(name, seeds):
    """Of default fits over the fits from the true means, for each seed."""
    found = []
    for seed in range(seeds):
        rows, means = optima().draw_set(name, seed)
        least = graph.fit(rows, len(means), init=means).inertia
        found.append(float(graph.fit(rows, len(means), seed=seed).inertia / least) - 1)
    return found


@pytest.mark.parametrize(
    ('name', 'seeds'),
    [
        ('15 overlapping', 5),
        ('35 clusters', 4),
        ('50 clusters', 4),
        ('8 unbalanced', 5),
        ('10 x 10 grid', 2),
    ],
)
def test_default_fits_end_near_the_fit_from_the_true_means(name, seeds):
    found = excess(name, seeds)
    assert np.mean(found) < 0.002, found
    assert np.max(found) < 0.02, found


def test_taxi_rows_that_differ_by_rounding_and_order_end_alike():
    trips = optima().taxi_rows()
    inertias = []
    for draw in range(3):
        rng = np.random.default_rng(draw)
        rows = trips + rng.normal(scale=5e-7, size=trips.shape)
        inertias.append(float(graph.fit(rng.permutation(rows).astype(np.float32), 24).inertia))
    apart = max(inertias) / min(inertias) - 1
    assert apart < 0.02  # single runs of scikit-learn end 5 % apart
    if apart >= 0.005:
        pytest.xfail(f'the search ends {apart:.2%} apart, and 0.5 % is the aim')
