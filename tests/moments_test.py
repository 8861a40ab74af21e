import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_kmeans import moments


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_moments_of_parts_are_those_of_the_whole(seed, n, parts, weighted):
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(n, 3)) * [1, 1e-3, 1e6] + [0, 1e3, -1e6]).astype(np.float32)
    weights = rng.integers(1, 5, size=n).astype(np.float32) if weighted else None
    merged = moments.Moments(3)
    for part in np.array_split(np.arange(n), parts):
        one = moments.Moments(3)
        one.add(rows[part], None if weights is None else weights[part])
        merged.merge(one)
    exact = rows.astype(np.float64)
    mean = np.average(exact, axis=0, weights=weights)
    variance = np.average((exact - mean) ** 2, axis=0, weights=weights)
    np.testing.assert_allclose(merged.mean, mean, rtol=1e-12)
    constant = np.ptp(exact, axis=0) == 0
    np.testing.assert_allclose(merged.scale(), np.where(constant, 1, np.sqrt(variance)), rtol=1e-6)
    np.testing.assert_array_equal(merged.largest, np.abs(exact).max(axis=0))
    assert merged.total == (n if weights is None else weights.sum())


def test_rows_without_weight_do_not_count():
    merged = moments.Moments(1)
    merged.add(np.float32([[5], [9]]), np.float32([0, 0]))
    merged.add(np.float32([[1], [3], [100]]), np.float32([1, 1, 0]))
    assert merged.mean == pytest.approx(2)
    assert merged.scale() == pytest.approx(1)


@pytest.mark.parametrize('kind', [moments.Moments, moments.MomentsWithGaps])
@pytest.mark.parametrize('value', [9.97e36, np.inf, np.nan])
def test_nothing_of_a_row_without_weight_counts(value, kind):
    merged = kind(1)
    merged.add(np.float32([[1], [value], [3]]), np.float32([1, 0, 1]))
    assert (merged.largest, merged.mean, merged.squares, merged.total) == (3, 2, 2, 2)


@pytest.mark.parametrize('kind', [moments.Moments, moments.MomentsWithGaps])
def test_no_rows_have_scale_one(kind):
    assert kind(2).scale().tolist() == [1, 1]


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('seed', range(3))
def test_missing_values_count_in_no_column(seed, weighted):
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(90, 3)) * [1, 1e-3, 1e6] + [0, 1e3, -1e6]).astype(np.float32)
    rows[rng.random(rows.shape) < [0, 0.3, 0.8]] = np.nan
    rows[:30, 1] = np.nan  # a part without any value there
    weights = rng.integers(1, 5, size=90).astype(np.float32) if weighted else None
    merged = moments.MomentsWithGaps(3)
    for part in np.split(np.arange(90), 3):
        one = moments.MomentsWithGaps(3)
        one.add(rows[part], None if weights is None else weights[part])
        merged.merge(one)
    for column in range(3):
        seen = ~np.isnan(rows[:, column])
        wanted = moments.Moments(1)
        wanted.add(rows[seen][:, [column]], None if weights is None else weights[seen])
        assert merged.observed[column] == wanted.total
        assert merged.mean[column] == pytest.approx(wanted.mean[0], rel=1e-12)
        assert merged.scale()[column] == pytest.approx(wanted.scale()[0], rel=1e-9)
        assert merged.largest[column] == wanted.largest[0]
    assert merged.total == (90 if weights is None else weights.sum())
