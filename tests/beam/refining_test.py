import pickle

import apache_beam as beam
import numpy as np
import pytest

from support import reference, sampled
from tfx_kmeans.beam import refining

EUCLIDEAN = 'squared_euclidean'


def save(fitted, path):
    path.write_bytes(pickle.dumps(fitted))


def refine(path, start, rows, weights=None, *, passes=1, parts=5, distance=EUCLIDEAN):
    """Runs Lloyd passes from `start`, a Fitted, in a Beam pipeline; returns the last Fitted."""
    batches = [(part,) for part in np.array_split(rows, parts)]
    if weights is not None:
        weights = np.array_split(weights, parts)
        batches = [(*batch, part) for batch, part in zip(batches, weights, strict=True)]
    with beam.Pipeline() as pipeline:
        data = pipeline | beam.Create(batches) | beam.Reshuffle()
        fitted = pipeline | 'Start' >> beam.Create([start])
        for number in range(passes):
            fitted = data | f'Pass{number}' >> refining.LloydPass(fitted, distance)
        fitted | beam.Map(save, path / 'fitted')
    return pickle.loads((path / 'fitted').read_bytes())


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('seed', range(2))
def test_each_pass_is_an_iteration_of_lloyd(seed, distance, tmp_path):
    rows, weights, init = reference.sample(seed)
    start = sampled.fit(
        rows, weights, init=sampled.as_init(init), n_init=1, max_iter=1, tol=0.0, distance=distance
    )
    found = refine(tmp_path, start, rows, weights, passes=3, distance=distance)
    expected = reference.lloyd(rows, start.centroids, weights, max_iter=3, tol=0, distance=distance)
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-5, atol=1e-6)
    assert found.inertia == pytest.approx(expected.inertia_history[-2], rel=1e-5)
    assert not found.converged


def test_standardised_rows_are_refined_in_standard_deviations(tmp_path):
    rows, weights, _ = reference.sample(0)
    rows = rows * np.float32([1, 100, 0.01, 5]) + 3
    for distance in reference.DISTANCES:
        start = sampled.fit(rows, weights, max_iter=1, standardize=True, distance=distance)
        found = refine(tmp_path, start, rows, weights, distance=distance)
        points = (rows - start.mean) / start.scale
        expected = reference.lloyd(points, start.centroids, weights, max_iter=1, distance=distance)
        np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('seed', range(3))
def test_centroids_are_the_same_to_the_bit_for_any_bundling(seed, tmp_path):
    rows, weights, _ = reference.sample(seed, n=3000)
    start = sampled.fit(rows[:200], weights[:200])
    start = start._replace(total_weight=float(weights.sum()), largest=100.0)
    first = refine(tmp_path, start, rows, weights, passes=2)
    order = np.random.default_rng(seed).permutation(len(rows))
    other = refine(tmp_path, start, rows[order], weights[order], passes=2, parts=29)
    np.testing.assert_array_equal(first.centroids, other.centroids)
    np.testing.assert_array_equal(first.cluster_weights, other.cluster_weights)
    assert first.inertia == other.inertia


def test_a_pass_after_convergence_changes_nothing(tmp_path):
    rows, _ = reference.blobs(0, k=3)
    start = sampled.fit(rows, columns=('a', 'b'), n_clusters=3)
    once = refine(tmp_path, start, rows)
    assert once.converged
    thrice = refine(tmp_path, start, rows, passes=3)
    np.testing.assert_array_equal(once.centroids, thrice.centroids)
    assert sorted(once.cluster_weights) == [50, 50, 50]


def test_rows_with_missing_values_do_not_count(tmp_path):
    rows, _ = reference.blobs(0, k=3)
    start = sampled.fit(rows, columns=('a', 'b'), n_clusters=3)
    holes = np.full((20, 2), [np.nan, 0], np.float32)
    found = refine(tmp_path, start, np.concatenate([holes, rows]), parts=20)
    np.testing.assert_array_equal(found.centroids, refine(tmp_path, start, rows).centroids)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('seed', range(2))
def test_each_pass_over_rows_with_gaps_is_an_iteration_of_lloyd(seed, weighted, tmp_path):
    rows, weights, init = reference.sample(seed)
    rows, weights = reference.with_gaps(rows, seed), weights if weighted else None
    init[1] = rows[~np.isnan(rows)].max() + 9  # a cluster without rows
    start = sampled.fit(rows, weights, missing='partial', max_iter=1, tol=0.0)
    start = start._replace(centroids=init.astype(np.float32), largest=100.0)
    nothing = np.full((20, 4), np.nan, np.float32)
    more = np.concatenate([nothing, rows])
    if weighted:
        weights = np.concatenate([np.full(20, 7, np.float32), weights])
    found = refine(tmp_path, start, more, weights, passes=3)
    weights = None if weights is None else weights[20:]
    expected = reference.lloyd(rows, init, weights, max_iter=3, tol=0)
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-5, atol=1e-6)
    assert found.inertia == pytest.approx(expected.inertia_history[-2], rel=1e-5)
    assert [done.n_rows for done in found.passes] == [len(rows)] * 3


def test_a_column_that_no_row_of_a_cluster_has_keeps_its_coordinate(tmp_path):
    nan = np.nan
    rows = np.float32([[0, 3], [9, 5], [9, 7], [0, nan], [1, nan], [nan, nan]])
    start = sampled.fit(rows, columns=('a', 'b'), n_clusters=2, missing='partial')
    start = start._replace(centroids=np.float32([[0, 3], [9, 6]]), tolerance=0.0)
    found = refine(tmp_path, start, rows[1:], passes=2)
    np.testing.assert_array_equal(found.centroids, np.float32([[0.5, 3], [9, 6]]))
    assert found.cluster_weights.tolist() == [2, 2]
    # 2 / 1 * (0.25 + 0.25) and 1 + 1
    assert found.inertia == pytest.approx(3, rel=1e-6)


def test_clusters_without_rows_are_given_the_farthest_rows(tmp_path):
    rows, _ = reference.blobs(0, k=3)
    rows = np.concatenate([rows, np.repeat(np.float32([[90, 90]]), 20, axis=0), [[95, 95]]])
    start = sampled.fit(rows[:150], columns=('a', 'b'), n_clusters=3)
    far = np.float32([[1000, 1000], [2000, 2000]])
    start = start._replace(
        centroids=np.concatenate([start.centroids, far]), total_weight=171.0, largest=2000.0
    )
    found = refine(tmp_path, start, rows, passes=2, parts=4)
    # one of the rows that are repeated, not two of them
    assert found.centroids[3:].tolist() == [[95, 95], [90, 90]]
    assert found.cluster_weights[3:].tolist() == [1, 20]


@pytest.mark.parametrize('scale', [1e-30, 1e15])
def test_sums_are_exact_for_any_magnitude(scale, tmp_path):
    rows, _ = reference.blobs(0, k=3)
    rows = (rows * scale).astype(np.float32)
    start = sampled.fit(rows, columns=('a', 'b'), n_clusters=3)
    found = refine(tmp_path, start, rows)
    expected = reference.lloyd(rows, start.centroids, max_iter=1)
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-6)
