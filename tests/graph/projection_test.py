import numpy as np
import pytest

from tfx_kmeans.graph import projection


def rows(count, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)) * np.arange(1, width + 1) + 5


@pytest.mark.parametrize('shape', [(200, 3), (200, 2), (6, 40), (3, 3)])
def test_axes_are_the_singular_vectors_of_the_centred_rows(shape):
    points = rows(*shape)
    found = projection.principal_axes(points)
    centred = points - points.mean(axis=0)
    _, lengths, vectors = np.linalg.svd(centred, full_matrices=False)
    agreement = np.abs(np.sum(found.axes.numpy() * vectors[:2], axis=1))
    np.testing.assert_allclose(agreement, 1, rtol=1e-9)
    shares = np.square(lengths)[:2] / np.square(lengths).sum()
    np.testing.assert_allclose(found.shares, shares, rtol=1e-9)
    np.testing.assert_allclose(
        found.project(points), centred @ found.axes.numpy().T, rtol=1e-9, atol=1e-9
    )


def test_signs_do_not_depend_on_the_order_of_the_rows():
    points = rows(100, 5)
    first = projection.principal_axes(points).axes.numpy()
    second = projection.principal_axes(points[::-1].copy()).axes.numpy()
    np.testing.assert_allclose(first, second, atol=1e-9)
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in first)


@pytest.mark.parametrize('points', [np.ones((1, 4)), np.ones((7, 1)), np.ones((5, 3))])
def test_rows_that_do_not_vary_have_no_axes(points):
    found = projection.principal_axes(points)
    assert found.axes.shape == (2, points.shape[1])
    np.testing.assert_array_equal(found.axes, 0)
    np.testing.assert_array_equal(found.shares, 0)


def test_rows_on_a_line_have_one_axis():
    found = projection.principal_axes(np.outer(np.arange(9.0), [3.0, 4.0]) + 1e6)
    np.testing.assert_allclose(found.axes, [[0.6, 0.8], [0, 0]], atol=1e-9)
    np.testing.assert_allclose(found.shares, [1, 0], atol=1e-9)
