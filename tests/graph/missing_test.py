"""Rows that take no part in a fit: left out, counted or refused."""

import numpy as np
import pytest
import tensorflow as tf

from support import reference
from tfx_kmeans import graph
from tfx_kmeans.graph import missing

NAN = float('nan')
POINTS = np.float32([[0, 0], [1, NAN], [NAN, NAN], [3, 3], [NAN, 4]])


def keep(points, weights, choice):
    weights = None if weights is None else tf.constant(weights, tf.float32)
    return missing.keep(tf.constant(points), weights, choice)


@pytest.mark.parametrize(
    ('choice', 'weights', 'indices', 'whole', 'left_out'),
    [
        ('drop', None, [0, 3], True, 3),
        ('drop', [1, 0, 0, 2, 1], [0, 3], True, 1),
        ('drop', [0, 1, 1, 2, 1], [3], True, 3),
        ('partial', None, [0, 1, 3, 4], False, 1),
        ('partial', [1, 0, 1, 1, 0], [0, 3], True, 1),
        ('partial', [1, 1, 0, 1, 0], [0, 1, 3], False, 0),
        ('error', [1, 0, 0, 1, 0], [0, 3], True, 0),
        ('error', [1, 1, 1, 1, 1], [0, 1, 2, 3, 4], True, 0),
    ],
)
def test_rows_without_weight_or_without_values_are_left_out(
    choice, weights, indices, whole, left_out
):
    found = keep(POINTS, weights, choice)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_array_equal(found.points, POINTS[indices])
    if weights is not None:
        np.testing.assert_array_equal(found.weights, np.float32(weights)[indices])
    assert (found.whole, found.left_out) == (whole, left_out)


def test_rows_that_all_count_are_the_points_themselves():
    points = tf.constant(POINTS)
    assert missing.keep(points, None, 'error').points is points


@pytest.mark.parametrize('value', [9.96921e36, -3e38, np.nan, np.inf])
@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('init', ['k-means++', 'random', 'array'])
def test_what_rows_of_weight_0_hold_changes_no_bit(init, distance, value):
    points, weights, start = reference.sample(0)
    weights[::3] = 0
    options = {'init': start if init == 'array' else init, 'distance': distance}
    kept = weights > 0
    wanted = graph.fit(points[kept], 5, weights=weights[kept], **options)
    points[::3] = value
    found = graph.fit(points, 5, weights=weights, **options)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('choice', ['drop', 'partial'])
def test_infinite_rows_of_weight_0_are_not_refused(choice):
    points, weights, _ = reference.sample(0)
    points[3] = np.inf
    points[5, 1] = np.nan
    weights[3] = 0
    assert graph.fit(points, 5, weights=weights, missing=choice).rows_left_out == (choice == 'drop')


def test_rows_of_weight_0_count_as_no_distinct_rows():
    points = np.eye(4, dtype=np.float32)
    with pytest.raises(ValueError, match='n_clusters=3 is more than the 2 distinct rows'):
        graph.fit(points, 3, weights=[0, 1, 0, 2])
    assert graph.fit(points, 2, weights=[0, 1, 0, 2]).inertia == 0
