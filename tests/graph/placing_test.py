import numpy as np
import pytest

from support import reference
from tfx_kmeans.graph import placing


@pytest.mark.parametrize('offset', [0, 1000])
@pytest.mark.parametrize('seed', range(3))
def test_rows_go_to_the_nearest_centroid(seed, offset):
    rows, _, init = reference.sample(seed, n=2000)
    rows, centroids = (np.asarray(part + offset, np.float32) for part in (rows, init))
    wanted = reference.distances(rows, centroids).argmin(axis=1)
    np.testing.assert_array_equal(placing.place(rows, centroids), wanted)


def test_where_a_row_goes_does_not_depend_on_the_rows_beside_it():
    rng = np.random.default_rng(0)
    centroids = rng.normal(size=(6, 37)).astype(np.float32)
    # half-way between two centroids, as near as float32 comes to it
    rows = (centroids[rng.integers(6, size=3000)] + centroids[rng.integers(6, size=3000)]) / 2
    whole = placing.place(rows, centroids)
    parts = [placing.place(rows[i : i + 7], centroids) for i in range(0, len(rows), 7)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    wanted = reference.distances(rows, centroids).argmin(axis=1)
    np.testing.assert_array_equal(whole, wanted)


@pytest.mark.parametrize('offset', [0, 1000])
@pytest.mark.parametrize('seed', range(3))
def test_rows_with_gaps_go_where_the_values_that_they_have_are_nearest(seed, offset):
    rows, _, init = reference.sample(seed, n=2000)
    rows, centroids = (np.asarray(part + offset, np.float32) for part in (rows, init))
    rows = reference.with_gaps(rows, seed, share=0.4)
    found = placing.place(rows, centroids, partial=True)
    wanted = reference.distances(rows, centroids).argmin(axis=1)
    np.testing.assert_array_equal(found, wanted)
    parts = [placing.place(rows[i : i + 7], centroids, partial=True) for i in range(0, 2000, 7)]
    np.testing.assert_array_equal(found, np.concatenate(parts))


def test_a_row_that_has_only_what_centroids_share_goes_to_the_lowest_of_them():
    centroids = np.float32([[7, 0.1], [3, 0.2], [3, 0.1], [5, 0.1]])
    rows = np.float32([[np.nan, 0.1], [np.nan, 0.2], [3, np.nan], [4, np.nan]])
    assert placing.place(rows, centroids, partial=True).tolist() == [0, 1, 1, 1]


def test_ties_go_to_the_lowest():
    centroids = np.float32([[0, 0], [2, 2], [2, 2], [2, 0]])
    rows = np.float32([[2, 2], [1, 1], [1, 0]])
    assert placing.place(rows, centroids).tolist() == [1, 0, 0]


def test_one_centroid_has_all_rows():
    rows = np.zeros((2, 2), np.float32)
    assert placing.place(rows, rows[:1] + 1).tolist() == [0, 0]


def test_values_at_the_ends_of_float32_are_placed():
    for scale in (1e-37, 1e37):
        centroids = np.float32([[0, 0], [1, 1]]) * np.float32(scale)
        rows = np.float32([[0.1, 0.2], [0.9, 0.8]]) * np.float32(scale)
        assert placing.place(rows, centroids).tolist() == [0, 1]
