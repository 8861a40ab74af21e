import numpy as np
import pytest

from tfx_kmeans.artifacts import Standardization
from tfx_kmeans.kmeans import standardizing

BLOCK = standardizing._BLOCK_ROWS


def sample(seed, n_rows):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(n_rows, 3)) * [1, 1e-3, 1e4] + [0, 50, -1e6]
    return matrix.astype(np.float32), rng.uniform(0, 3, n_rows).astype(np.float32)


def measure(matrix, weights=None):
    """Gives the matrix to standardizing.measure in blocks."""
    blocks = (slice(start, start + BLOCK) for start in range(0, len(matrix), BLOCK))
    pairs = ((matrix[block], None if weights is None else weights[block]) for block in blocks)
    return standardizing.measure(pairs, matrix.shape[1])


@pytest.mark.parametrize('n_rows', [2, 1000, BLOCK, 2 * BLOCK + 17])
@pytest.mark.parametrize('weighted', [False, True])
def test_mean_and_scale_are_those_of_float64(n_rows, weighted):
    matrix, weights = sample(n_rows, n_rows)
    weights = weights if weighted else None
    found = measure(matrix, weights)
    exact = matrix.astype(np.float64)
    mean = np.average(exact, axis=0, weights=weights)
    scale = np.sqrt(np.average((exact - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-9)


def test_weights_count_rows_as_often_as_they_say():
    matrix, _ = sample(0, 500)
    counts = np.random.default_rng(1).integers(0, 4, 500)
    weighted = measure(matrix, counts.astype(np.float32))
    repeated = measure(np.repeat(matrix, counts, axis=0))
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-12)
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-9)


@pytest.mark.parametrize('weighted', [False, True])
def test_missing_values_do_not_count(weighted):
    matrix, weights = sample(0, BLOCK + 17)
    weights = weights if weighted else None
    rng = np.random.default_rng(1)
    matrix[rng.random(matrix.shape) < [0.5, 0.1, 0]] = np.nan
    found = measure(matrix, weights)
    for column in range(3):
        whole = ~np.isnan(matrix[:, column])
        wanted = measure(
            matrix[whole, column : column + 1], None if weights is None else weights[whole]
        )
        assert found.mean[column] == pytest.approx(wanted.mean[0], rel=1e-12)
        assert found.scale[column] == pytest.approx(wanted.scale[0], rel=1e-9)


@pytest.mark.parametrize('value', [0.0, 0.1, -3e7, 1e-30])
@pytest.mark.parametrize('weighted', [False, True])
def test_a_constant_column_keeps_its_unit(value, weighted):
    matrix, weights = sample(0, 100_000)
    matrix[:, 1] = value
    found = measure(matrix, weights if weighted else None)
    assert found.scale[1] == 1.0
    assert found.scale[0] != 1.0


def test_the_smallest_spread_that_float32_has_is_no_constant():
    matrix = np.full((100_000, 1), 0.1, np.float32)
    matrix[0] = np.nextafter(np.float32(0.1), np.float32(1))
    exact = matrix.astype(np.float64)
    assert measure(matrix).scale[0] == pytest.approx(exact.std(), rel=1e-3)


def test_it_is_applied_in_place_to_every_row():
    matrix, _ = sample(3, 2 * BLOCK + 17)
    standardization = measure(matrix)
    expected = (matrix - np.float64(standardization.mean)) / standardization.scale
    assert standardizing.apply(matrix, standardization) is None
    # the mean of the third column is 100 deviations, of which float32 has 7 digits
    np.testing.assert_allclose(matrix[:, [0, 2]], expected[:, [0, 2]], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(matrix.mean(axis=0, dtype=np.float64), 0, atol=1e-2)


def test_what_is_applied_is_what_it_is_given():
    matrix = np.float32([[1, 10], [3, 30]])
    standardizing.apply(matrix, Standardization((1.0, 20.0), (2.0, 5.0)))
    np.testing.assert_array_equal(matrix, [[0, -2], [1, 2]])
