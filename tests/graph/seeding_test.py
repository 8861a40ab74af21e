"""Initial centroids: drawn from the rows, by weight and by squared distance, and good ones."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from sklearn import cluster, datasets

from support import paths, reference
from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph import seeding

EITHER_METHOD = pytest.mark.parametrize('method', seeding.METHODS)
BY_SQUARED_DISTANCE = pytest.mark.parametrize('method', ['k-means++', 'k-means||'])


@functools.cache
def _compiled(method, k):
    def draw(points, weights, seeds):
        return seeding.seed(method, rows_lib.Rows(points, weights), k, seeds)

    return tf.function(draw, autograph=False)


def draw(method, points, k, seed, weights=None):
    """Initial centroids `[k, d]` of float32 `points`, which the rows are passed on as."""
    weights = None if weights is None else tf.constant(weights, tf.float32)
    return _compiled(method, k)(tf.constant(points), weights, tf.constant([seed, 0])).numpy()


def indices(drawn, points):
    """The row that each of `drawn` is, which fails for one that is none."""
    places = {tuple(row): index for index, row in enumerate(points.tolist())}
    return [places[tuple(row)] for row in drawn.tolist()]


@EITHER_METHOD
@pytest.mark.parametrize('weighted', [False, True])
def test_initial_centroids_are_different_rows(method, weighted):
    points, weights, _ = reference.sample(0)
    for seed in range(10):
        drawn = draw(method, points, 5, seed, weights if weighted else None)
        assert len(set(indices(drawn, points))) == 5


@BY_SQUARED_DISTANCE
@pytest.mark.parametrize('unit', [1, 1e-35, 1e35])
def test_a_row_of_next_to_no_weight_is_not_drawn(method, unit):
    points, weights, _ = reference.sample(0)
    weights *= np.float32(unit)
    weights[:380] *= np.float32(1e-9) if unit == 1 else 0
    points[:380] *= 10  # farther out, where k-means++ would go first
    for seed in range(20):
        assert min(indices(draw(method, points, 5, seed, weights), points)) >= 380


def test_random_rows_are_drawn_in_proportion_to_weights_of_any_unit():
    points, weights, _ = reference.sample(0)
    for unit in (1, 1e-30, 1e30):
        scaled = weights * np.float32(unit)
        scaled[:380] *= np.float32(1e-7)
        for seed in range(20):
            assert min(indices(draw('random', points, 5, seed, scaled), points)) >= 380


@EITHER_METHOD
def test_seeds_draw_anew_and_a_seed_draws_the_same(method):
    points, _, _ = reference.sample(0)
    drawn = [draw(method, points, 5, seed) for seed in range(20)]
    assert len({one.tobytes() for one in drawn}) == 20
    np.testing.assert_array_equal(draw(method, points, 5, 3), drawn[3])


def counts_of_first(method, points, weights):
    drawn = [int(draw(method, points, 1, seed, weights)[0, 0]) for seed in range(1000)]
    return np.bincount(drawn, minlength=len(points))


def test_the_first_random_row_is_drawn_in_proportion_to_its_weight():
    points = np.arange(4, dtype=np.float32)[:, np.newaxis]
    weights = [1, 0, 2, 5]
    counts = counts_of_first('random', points, weights)
    expected = 1000 * np.array(weights) / 8
    assert counts[1] == 0
    assert np.all(np.abs(counts - expected) <= 4 * np.sqrt(expected))


def test_the_first_row_of_k_means_plus_plus_is_the_better_of_two_drawn_so():
    points = np.arange(4, dtype=np.float32)[:, np.newaxis]
    weights = np.array([1, 0, 2, 5])
    counts = counts_of_first('k-means++', points, weights)
    left = weights @ (points - points.T) ** 2
    better = np.minimum.outer(left, left)
    chances = np.outer(weights, weights) / 64
    expected = np.array([1000 * chances[better == one].sum() for one in left])
    assert counts[1] == 0
    assert np.all(np.abs(counts - expected) <= 4 * np.sqrt(expected))


@pytest.mark.parametrize('n', [1, 5, 511, 512, 513, 10_000])
def test_draws_follow_the_masses_of_all_rows(n):
    masses = np.random.default_rng(n).uniform(size=n).astype(np.float32)
    masses[1::2] = 0
    drawn = np.concatenate(
        [seeding._draw(tf.constant(masses), 500, tf.constant([1, i])) for i in range(20)]
    )
    assert drawn.max() < n
    counts = np.bincount(drawn, minlength=n)
    assert counts[1::2].sum() == 0
    # tenths of the rows, the deviation of whose counts is known
    for part in np.array_split(np.arange(n), 10):
        share = masses[part].sum() / masses.sum()
        deviation = np.sqrt(10_000 * share * (1 - share))
        assert abs(counts[part].sum() - 10_000 * share) <= 4 * deviation + 1e-6


@pytest.mark.parametrize('between', [0, 1000])  # which ones lie in other runs of rows
def test_masses_of_any_unit_can_be_drawn_by(between):
    gap = [0.0] * between
    for unit in (1e-30, 1e30):
        masses = np.array([0, 1, 0, 3, *gap, 0, 4, 0, 0]) * unit
        drawn = seeding._draw(tf.constant(masses, tf.float32), 8000, tf.constant([1, 2]))
        counts = np.bincount(drawn, minlength=len(masses))
        wanted = [0, 1000, 0, 3000, *gap, 0, 4000, 0, 0]
        np.testing.assert_allclose(counts, wanted, rtol=0, atol=200)


@BY_SQUARED_DISTANCE
def test_seeding_by_squared_distance_draws_no_row_twice_while_others_are_left(method):
    distinct = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    points = np.repeat(distinct, [100, 1, 3, 1, 500], axis=0)
    for seed in range(20):
        drawn = draw(method, points, 5, seed)
        assert sorted(indices(drawn, distinct)) == [0, 1, 2, 3, 4]


def test_k_means_plus_plus_draws_every_row_anew():
    points = np.eye(16, dtype=np.float32)  # all equally far from each other
    pairs = {tuple(indices(draw('k-means++', points, 2, seed), points)) for seed in range(200)}
    assert len(pairs) > 80  # of 240; one draw for both would leave little more than 16


def test_the_best_candidate_leaves_the_least_weighted_distances():
    rng = np.random.default_rng(0)
    picks = []
    for seed in range(20):
        points, weights, _ = reference.sample(seed, n=5000)
        weights[points[:, 0] > 0.5] *= 30  # so that weight tips the scales
        closest = rng.uniform(0, 9, size=5000).astype(np.float32)
        candidates = points[:4]
        rows = rows_lib.Rows(tf.constant(points), tf.constant(weights))
        found = seeding._best_candidate(rows, tf.constant(closest), tf.constant(candidates))
        left = np.minimum(reference.distances(points, candidates), closest[:, np.newaxis])
        picks.append((int(found), (weights @ left).argmin(), left.sum(axis=0).argmin()))
    found, weighted, unweighted = np.transpose(picks)
    np.testing.assert_array_equal(found, weighted)
    assert np.any(weighted != unweighted)


@BY_SQUARED_DISTANCE
def test_seeding_by_squared_distance_finds_every_separate_heap(method):
    for seed in range(10):
        points, heaps = reference.blobs(seed)
        drawn = indices(draw(method, points, 8, seed), points)
        assert sorted(heaps[drawn]) == list(range(8))


@BY_SQUARED_DISTANCE
def test_seeding_by_squared_distance_heeds_weights_of_heaps(method):
    points, heaps = reference.blobs(0)
    weights = np.where(heaps < 5, 1.0, 1e-9)  # three heaps count for next to nothing
    for seed in range(10):
        drawn = indices(draw(method, points, 5, seed, weights), points)
        assert sorted(heaps[drawn]) == [0, 1, 2, 3, 4]


@BY_SQUARED_DISTANCE
@pytest.mark.parametrize('name', ['digits', 'overlapping'])
def test_seeding_by_squared_distance_starts_as_low_as_that_of_scikit_learn(name, method):
    points = datasets.load_digits().data if name == 'digits' else reference.sample(0, n=2000)[0]
    points = points.astype(np.float32)

    def potential(centroids):
        return reference.inertia_of(points, centroids)

    seeds = range(30)
    ours = np.mean([potential(draw(method, points, 10, seed)) for seed in seeds])
    theirs = np.mean(
        [potential(cluster.kmeans_plusplus(points, 10, random_state=seed)[0]) for seed in seeds]
    )
    forgy = np.mean([potential(draw('random', points, 10, seed)) for seed in seeds])
    assert ours <= 1.04 * theirs
    assert ours <= 0.96 * forgy


@pytest.mark.parametrize('method', ['k-means++', 'random'])
def test_a_row_with_gaps_that_is_drawn_has_the_centre_in_them(method):
    points = reference.with_gaps(reference.sample(0)[0], 0)
    rows = rows_lib.Rows(tf.constant(points), None, partial=True)
    drawn = seeding.seed(method, rows, 20, tf.constant([0, 0])).numpy()
    filled = np.nan_to_num(points)
    assert len(set(indices(drawn, filled))) == 20
    assert np.any(drawn == 0)


def test_rows_drawn_by_k_means_plus_plus_do_not_depend_on_the_size_of_blocks():
    points, weights, _ = reference.sample(0)
    rows = rows_lib.Rows(tf.constant(points), tf.constant(weights))
    wanted = seeding.seed('k-means++', rows, 5, tf.constant([3, 0]))
    with paths.small_blocks():
        found = seeding.seed('k-means++', rows, 5, tf.constant([3, 0]))
    np.testing.assert_array_equal(found, wanted)


def test_k_means_parallel_takes_all_rows_where_too_few_candidates_differ():
    distinct = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    rows = rows_lib.Rows(tf.constant(np.repeat(distinct, 100, axis=0)))
    for seed in range(10):
        # passes that draw next to nothing
        drawn = seeding.seed('k-means||', rows, 5, tf.constant([seed, 0]), 1, 1e-6).numpy()
        assert sorted(indices(drawn, distinct)) == [0, 1, 2, 3, 4]
