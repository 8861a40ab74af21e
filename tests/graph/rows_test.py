"""The space that rows are prepared in."""

import numpy as np
import pytest
import tensorflow as tf

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
    rows = rows_lib.Rows(None, None, None, scale, 'squared_euclidean')
    assert 0 < scale < np.inf
    assert 0 < 1 / scale < np.inf
    assert 0 < rows.distance_unit() < np.inf


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_normalised_rows_have_length_1_whatever_their_unit(dtype):
    limit = 1e37 if dtype == np.float32 else 1e300
    rows = np.random.default_rng(0).normal(size=(4, 50, 3))
    rows *= np.array([1, 1 / limit, limit, 0]).reshape([4, 1, 1])
    found = rows_lib.normalise(tf.constant(rows.reshape([-1, 3]).astype(dtype))).numpy()
    lengths = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(lengths, np.repeat([1, 1, 1, 0], 50), rtol=1e-6)
