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


def test_sorted_order_is_as_good_as_random():
    matrix = np.arange(20_000, dtype=np.float32)[:, np.newaxis]
    ordering.sort_rows(matrix)
    correlation = np.corrcoef(np.arange(20_000), matrix[:, 0])[0, 1]
    assert abs(correlation) < 0.03
