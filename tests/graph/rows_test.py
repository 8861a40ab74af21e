"""The space that rows are prepared in."""

import numpy as np
import pytest
import tensorflow as tf

from support import reference
from tfx_kmeans.graph import rows as rows_lib


def scale_of(largest, dtype):
    return rows_lib.power_of_two_scale(tf.constant(largest, tf.float64), dtype).numpy()


@pytest.mark.parametrize(
    ('dtype', 'exponents'), [(tf.float32, range(-37, 38)), (tf.float64, range(-150, 150))]
)
def test_the_scale_is_a_power_of_two_that_brings_the_data_near_1(dtype, exponents):
    for largest in 10.0 ** np.array(exponents) * 3:
        scale = scale_of(largest, dtype)
        assert scale.dtype == dtype
        assert np.frexp(scale)[0] == 0.5
        assert 0.7 <= float(scale) * largest <= 1.5


@pytest.mark.parametrize('dtype', [tf.float32, tf.float64])
def test_the_scale_of_no_extent_is_1(dtype):
    assert scale_of(0.0, dtype) == 1


@pytest.mark.parametrize('dtype', [tf.float32, tf.float64])
@pytest.mark.parametrize('largest', [5e-324, 1e-300, 1e300, np.inf])
def test_the_scale_of_any_extent_has_a_finite_unit(largest, dtype):
    scale = scale_of(largest, dtype)
    coordinates = rows_lib.Coordinates(tf.zeros([1], dtype), tf.constant(scale))
    assert 0 < scale < np.inf
    assert 0 < 1 / scale < np.inf
    assert 0 < coordinates.distance_unit() < np.inf


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_normalised_rows_have_length_1_whatever_their_unit(dtype):
    limit = 1e37 if dtype == np.float32 else 1e300
    rows = np.random.default_rng(0).normal(size=(4, 50, 3))
    rows *= np.array([1, 1 / limit, limit, 0]).reshape([4, 1, 1])
    found = rows_lib.normalise(tf.constant(rows.reshape([-1, 3]).astype(dtype))).numpy()
    lengths = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(lengths, np.repeat([1, 1, 1, 0], 50), rtol=1e-6)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_prepared_rows_can_be_restored(dtype):
    points = reference.sample(0)[0].astype(dtype) * 1000 + 5
    shift = tf.constant(points.mean(axis=0))
    coordinates = rows_lib.Coordinates(shift, tf.constant(2.0**-10, dtype))
    prepared = coordinates.prepare(tf.constant(points))
    assert prepared.dtype == tf.float32
    assert np.abs(prepared).max() < 8
    restored = coordinates.restore(tf.cast(prepared, tf.float64), dtype)
    np.testing.assert_allclose(restored, points, rtol=0, atol=1e-6 * 5000)
    assert restored.dtype == dtype
    assert coordinates.distance_unit() == 2.0**20


def test_without_a_shift_rows_become_directions_and_half_a_square_is_the_distance():
    coordinates = rows_lib.Coordinates(None, None)
    prepared = coordinates.prepare(tf.constant([[3.0, 4.0], [0.0, -7.0]]))
    np.testing.assert_allclose(prepared, [[0.6, 0.8], [0, -1]], rtol=1e-6)
    squares = np.sum((prepared[0] - prepared[1]) ** 2) * coordinates.distance_unit()
    np.testing.assert_allclose(squares, 1 + 0.8, rtol=1e-6)


@pytest.mark.parametrize('weighted', [False, True])
def test_a_block_of_rows_with_gaps_says_which_values_are_there(weighted):
    points, weights, _ = reference.sample(0)
    points = reference.with_gaps(points, 0)
    rows = rows_lib.Rows(
        tf.constant(points), tf.constant(weights) if weighted else None, partial=True
    )
    again = rows_lib.Rows.of(rows.tensors(), partial=True)
    for block, place in ((again.block(3, 50), slice(3, 50)), (rows.take([7, 7, 0]), [7, 7, 0])):
        there = ~np.isnan(points[place])
        np.testing.assert_array_equal(block.values, np.nan_to_num(points[place]))
        np.testing.assert_array_equal(block.observed, there)
        np.testing.assert_allclose(block.rescaling(), 4 / there.sum(axis=1))
        np.testing.assert_allclose(block.squares(), np.nansum(points[place] ** 2, axis=1))
        assert (block.weights is not None) == weighted
        if weighted:
            np.testing.assert_array_equal(block.weights, weights[place])
    assert len(rows.signature()) == len(rows.tensors()) == 1 + weighted


def test_a_block_of_whole_rows_has_no_rescaling():
    block = rows_lib.Rows(tf.ones([5, 2])).block(1, 3)
    assert (block.observed, block.rescaling()) == (None, None)
    np.testing.assert_array_equal(block.take([0]).values, [[1, 1]])
