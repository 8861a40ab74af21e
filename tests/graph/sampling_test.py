"""Samples for a search: in proportion to the weights, spread over the data."""

import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph import sampling

EITHER = pytest.mark.parametrize('weighted', [False, True])


def numbered(n, weights=None, partial=False):
    """Rows that hold their number."""
    values = tf.reshape(tf.range(n, dtype=tf.float32), [-1, 1])
    return rows_lib.Rows(
        values, None if weights is None else tf.constant(weights, tf.float32), partial
    )


def drawn(rows, size, seed=0):
    return sampling.draw(rows, size, tf.constant([seed, 0]))


@EITHER
@pytest.mark.parametrize('n', [1, 99, 100])
def test_all_rows_are_taken_with_their_weights_where_there_are_not_more(n, weighted):
    weights = np.arange(1, n + 1) if weighted else None
    found = drawn(numbered(n, weights), 100)
    np.testing.assert_array_equal(found.values[:, 0], np.arange(n))
    if weighted:
        np.testing.assert_array_equal(found.weights, weights)
    else:
        assert found.weights is None


@EITHER
@pytest.mark.parametrize('size', [1, 7, 100, 100_000])
def test_a_sample_has_as_many_rows_as_were_asked_for_and_each_counts_once(size, weighted):
    weights = np.random.default_rng(0).uniform(size=100_001) if weighted else None
    found = drawn(numbered(100_001, weights), size)
    assert found.count == size
    if weighted:
        np.testing.assert_array_equal(found.weights, np.ones(size))
    else:
        assert found.weights is None


def test_one_row_is_drawn_from_each_stratum():
    for seed in range(20):
        values = drawn(numbered(10_000), 100, seed).values.numpy()[:, 0]
        np.testing.assert_array_equal(values // 100, np.arange(100))
    assert len(np.unique(values % 100)) > 40  # with an offset of its own


def test_rows_are_drawn_in_proportion_to_their_weights():
    weights = np.random.default_rng(0).integers(0, 5, size=1000)
    counts = np.zeros(1000)
    for seed in range(200):
        values = drawn(numbered(1000, weights), 500, seed).values.numpy()[:, 0]
        counts += np.bincount(values.astype(int), minlength=1000)
    assert counts[weights == 0].sum() == 0
    for weight in range(1, 5):
        share = 500 * 200 * weight / weights.sum()
        assert counts[weights == weight].mean() == pytest.approx(share, rel=0.02)


def test_a_row_that_weighs_as_much_as_strata_is_drawn_for_each_of_them():
    weights = np.ones(1000)
    weights[500] = 1000.0  # half of all
    values = drawn(numbered(1000, weights), 100).values.numpy()[:, 0]
    assert 48 <= np.sum(values == 500) <= 52


def test_seeds_draw_anew_and_a_seed_draws_the_same():
    values = [drawn(numbered(10_000), 100, seed).values.numpy() for seed in (0, 1, 0)]
    np.testing.assert_array_equal(values[0], values[2])
    assert np.any(values[0] != values[1])


@EITHER
@pytest.mark.parametrize('unit', [1e-30, 1e30])
def test_the_unit_of_the_weights_does_not_matter(unit, weighted):
    weights = np.random.default_rng(0).uniform(size=3000) if weighted else np.ones(3000)
    plain = drawn(numbered(3000, weights.astype(np.float32)), 200).values
    scaled = drawn(numbered(3000, (weights * unit).astype(np.float32)), 200).values
    # rounding may move the end of a stratum by a row
    assert np.abs(plain - scaled).max() <= 1


def test_rows_with_gaps_stay_such():
    rows = rows_lib.Rows(tf.fill([50, 2], float('nan')), None, partial=True)
    found = drawn(rows, 10)
    assert found.partial
    assert np.all(np.isnan(found.values))


def test_the_usual_size_grows_with_the_clusters():
    assert [sampling.size_for(k) for k in (1, 600, 667, 1000)] == [20_000, 20_000, 20_010, 30_000]
