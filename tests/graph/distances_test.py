"""Distances of blocks of rows, whole or with gaps, against numpy in float64."""

import numpy as np
import pytest
import tensorflow as tf

from support import reference
from tfx_kmeans.graph import distances
from tfx_kmeans.graph import rows as rows_lib

EITHER = pytest.mark.parametrize('partial', [False, True], ids=['whole', 'gaps'])


def sample(partial, n=300, d=5, k=7):
    """A block of rows, the same as an array, and centroids."""
    points, _, init = reference.sample(0, n=n, d=d, k=k)
    points = reference.with_gaps(points, 0, 0.4) if partial else points
    block = rows_lib.Rows(tf.constant(points), partial=partial).block(0, n)
    return block, points, tf.constant(init)


@EITHER
def test_squared_distances_are_those_of_the_reference(partial):
    block, points, centroids = sample(partial)
    found = distances.squared(block, distances.lay_out(centroids, partial))
    np.testing.assert_allclose(found, reference.distances(points, centroids), rtol=1e-5, atol=1e-5)


@EITHER
def test_relative_distances_lack_what_all_centroids_of_a_row_share(partial):
    block, points, centroids = sample(partial)
    found = distances.relative(block, distances.lay_out(centroids, partial)).numpy()
    observed = np.sum(~np.isnan(points), axis=1, keepdims=True) / points.shape[1]
    wanted = reference.distances(points, centroids) * observed
    lacking = wanted - found
    np.testing.assert_allclose(lacking, np.tile(lacking[:, :1], 7), atol=1e-5)
    np.testing.assert_allclose(lacking[:, 0], np.nansum(points**2, axis=1), rtol=1e-5, atol=1e-5)


@EITHER
def test_the_nearest_is_that_of_the_reference(partial):
    block, points, centroids = sample(partial)
    ids, squares = distances.nearest(block, distances.lay_out(centroids, partial))
    table = reference.distances(points, centroids)
    np.testing.assert_array_equal(ids, table.argmin(axis=1))
    np.testing.assert_allclose(squares, table.min(axis=1), rtol=1e-5, atol=1e-6)


@EITHER
def test_no_row_is_near_to_a_centroid_that_is_not_active(partial):
    block, points, centroids = sample(partial)
    active = np.array([True, False] * 3 + [True])
    ids, _ = distances.nearest(block, distances.lay_out(centroids, partial, tf.constant(active)))
    table = np.where(active, reference.distances(points, centroids), np.inf)
    np.testing.assert_array_equal(ids, table.argmin(axis=1))


@EITHER
def test_a_row_on_its_centroid_has_distance_0(partial):
    block, points, _ = sample(partial)
    own = tf.constant(np.nan_to_num(points, nan=3.0))
    np.testing.assert_array_equal(distances.to_own(block, own), np.zeros(300))


@pytest.mark.parametrize(('d', 'k'), [(2, 20), (8, 130), (9, 30)])
def test_ties_go_to_the_lowest(d, k):
    block = rows_lib.Rows(tf.ones([16, d])).block(0, 16)
    ids, squares = distances.nearest(block, distances.lay_out(tf.zeros([k, d]), partial=False))
    np.testing.assert_array_equal(ids, 0)
    np.testing.assert_array_equal(squares, d)
