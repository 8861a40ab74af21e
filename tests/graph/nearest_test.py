"""Comparing rows with all centroids, against numpy in float64."""

import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans.graph import nearest
from tfx_kmeans.graph import rows as rows_lib


def compare(points, centroids, old_ids):
    """What Targets tells of rows and centroids: the nearest, and the two nearest if not both."""
    shift, scale = np.zeros(points.shape[1], np.float32), np.float32(1)
    rows = rows_lib.Rows(points, None, shift, scale, 'squared_euclidean')

    @tf.function
    def run():
        targets = nearest.Targets(rows, tf.constant(centroids))
        two = targets.two_nearest(tf.constant(points))
        if points.shape[1] > nearest._FEW_COLUMNS:
            return None, two
        return targets.nearest(tf.constant(points), tf.constant(old_ids)), two

    return run()


# one walk, and several that begin with other ids; the last by products
@pytest.mark.parametrize(('d', 'k'), [(1, 1), (2, 20), (8, 65), (7, 100), (3, 700), (9, 30)])
@pytest.mark.parametrize('seed', range(3))
def test_nearest_and_second_are_those_of_numpy(d, k, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(256, d)).astype(np.float32)
    centroids = rng.normal(size=(k, d)).astype(np.float32)
    old_ids = rng.integers(k, size=256).astype(np.int32)
    one, two = compare(points, centroids, old_ids)
    offsets = points[:, np.newaxis].astype(np.float64) - centroids
    distances = np.sqrt((offsets**2).sum(axis=2))
    wanted = distances.argmin(axis=1)
    np.testing.assert_array_equal(two.ids, wanted)
    if k > 1:
        least, second = np.sort(distances, axis=1)[:, :2].T
        assert np.all(two.slack <= second - least + 1e-5)
        np.testing.assert_allclose(two.slack, second - least, atol=1e-5 if one else 2e-2)
    if one:
        np.testing.assert_array_equal(one[0], wanted)
        np.testing.assert_array_equal(one[1], wanted != old_ids)


@pytest.mark.parametrize(('d', 'k'), [(2, 20), (8, 130), (9, 30)])
def test_ties_go_to_the_lowest(d, k):
    points = np.ones((16, d), np.float32)
    centroids = np.zeros((k, d), np.float32)
    one, two = compare(points, centroids, np.full(16, k - 1, np.int32))
    np.testing.assert_array_equal(two.ids, 0)
    assert np.all(two.slack <= 0)
    if one:
        np.testing.assert_array_equal(one[0], 0)
        assert np.all(one[1])
