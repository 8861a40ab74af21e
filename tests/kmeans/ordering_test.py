import numpy as np
import pytest

from tfx_kmeans.kmeans import ordering


def random_matrix(seed, width):
    return np.random.default_rng(seed).normal(size=(500, width)).astype(np.float32)


@pytest.mark.parametrize('width', [1, 3, 16, 40])
@pytest.mark.parametrize('seed', range(3))
def test_sorted_rows_do_not_depend_on_the_order_they_came_in(seed, width):
    matrix = random_matrix(seed, width)
    weights = np.arange(500, dtype=np.float32)
    order = np.random.default_rng(seed).permutation(500)
    shuffled, shuffled_weights = matrix[order], weights[order]
    original = matrix.copy()
    ordering.sort_rows(matrix, weights)
    ordering.sort_rows(shuffled, shuffled_weights)
    np.testing.assert_array_equal(matrix, shuffled)
    np.testing.assert_array_equal(weights, shuffled_weights)
    np.testing.assert_array_equal(matrix, original[weights.astype(int)])


def test_hashes_tell_rows_columns_and_weights_apart():
    matrix = np.array([[1, 2], [2, 1], [1, 2.0000002], [0, 0]], np.float32)
    assert len(set(ordering.row_hashes(matrix))) == 4
    assert len(set(ordering.row_hashes(matrix[[0, 0]], np.float32([1, 2])))) == 2


def test_negative_zero_is_zero():
    zero, negative = ordering.row_hashes(np.array([[0.0], [-0.0]], np.float32))
    assert zero == negative


def test_hashes_are_the_same_on_every_machine():
    matrix = np.array([[1.5, -2.25], [0.0, 3e30]], np.float32)
    expected = [12299240024737514085, 867588706273085985]
    assert [int(value) for value in ordering.row_hashes(matrix)] == expected


def test_sorted_order_is_as_good_as_random():
    matrix = np.arange(20_000, dtype=np.float32)[:, np.newaxis]
    ordering.sort_rows(matrix)
    correlation = np.corrcoef(np.arange(20_000), matrix[:, 0])[0, 1]
    assert abs(correlation) < 0.03
