import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import reference
from tfx_kmeans.beam import coreset as coreset_lib

SEEDS = range(3)


def sample(rows, weights=None, size=100, parts=1, order=None, seed=0):
    """Samples rows that come in `parts` parts, each of which is sampled in batches first."""
    if order is not None:
        rows = rows[order]
        weights = None if weights is None else weights[order]
    samples = []
    for part in np.array_split(np.arange(len(rows)), parts):
        made = coreset_lib.Coreset(size, rows.shape[1], seed)
        for batch in np.array_split(part, 3):
            made.add(rows[batch], None if weights is None else weights[batch])
        samples.append(made)
    while len(samples) > 1:  # a tree of merges, lopsided on purpose
        first, second, *rest = samples
        first.merge(second)
        samples = [*rest, first]
    return samples[0]


def blobs_and_far_group(seed, n=20_000, far=5, d=3):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)) + rng.normal(scale=5, size=(4, d))[rng.integers(4, size=n)]
    rows[:far] = 60 + rng.normal(scale=0.1, size=(far, d))
    return rng.permutation(rows).astype(np.float32)


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('d', [1, 3, 9])
def test_order_batches_and_merges_do_not_change_the_sample(d, seed):
    rows = blobs_and_far_group(seed, d=d)
    first, first_weights = sample(rows).result()
    order = np.random.default_rng(seed).permutation(len(rows))
    for parts in (2, 7):
        other, other_weights = sample(rows, parts=parts, order=order).result()
        np.testing.assert_array_equal(first, other)
        np.testing.assert_array_equal(first_weights, other_weights)


@pytest.mark.parametrize('d', [1, 2])
def test_a_batch_of_nothing_but_zeros_does_not_make_cells_coarser(d):
    rows = (1e-13 * blobs_and_far_group(0, d=d)).astype(np.float32)
    rows[:300] = 0
    one_batch = coreset_lib.Coreset(100, d, 0)
    one_batch.add(rows)
    found, weights = one_batch.result()
    for batches in ([rows[:300], rows[300:]], [rows[300:], rows[:300]]):
        several = coreset_lib.Coreset(100, d, 0)
        for batch in batches:
            several.add(batch)
        other, other_weights = several.result()
        np.testing.assert_array_equal(found, other)
        np.testing.assert_array_equal(weights, other_weights)


@pytest.mark.parametrize('seed', SEEDS)
def test_fractional_weights_change_the_sample_by_rounding_alone(seed):
    rows = blobs_and_far_group(seed)
    weights = np.random.default_rng(seed).gamma(1, size=len(rows)).astype(np.float32)
    first, first_weights = sample(rows, weights).result()
    order = np.random.default_rng(seed).permutation(len(rows))
    other, other_weights = sample(rows, weights, parts=5, order=order).result()
    np.testing.assert_array_equal(first, other)
    np.testing.assert_allclose(first_weights, other_weights, rtol=1e-12)


@pytest.mark.parametrize('seed', SEEDS)
def test_the_sample_weighs_as_much_as_all_rows(seed):
    rows = blobs_and_far_group(seed)
    weights = np.random.default_rng(seed).gamma(1, size=len(rows)).astype(np.float32)
    assert sample(rows).result()[1].sum() == pytest.approx(len(rows), rel=1e-12)
    total = weights.astype(np.float64).sum()
    assert sample(rows, weights).result()[1].sum() == pytest.approx(total, rel=1e-9)


def test_the_sample_is_small():
    rows = blobs_and_far_group(0, n=200_000)
    made = sample(rows, size=1000)
    assert 1000 <= len(made.result()[0]) <= 1500
    assert len(made.rows) <= 2000


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('d', [2, 16])
def test_a_few_remote_rows_are_never_missed_and_weigh_what_they_are(d, seed):
    rows = blobs_and_far_group(seed, n=100_000, d=d)
    found, weights = sample(rows, size=400, parts=4, seed=seed).result()
    assert weights[found[:, 0] > 30].sum() == pytest.approx(5, rel=1e-9)


@pytest.mark.parametrize('seed', SEEDS)
def test_rows_that_are_often_repeated_are_never_missed(seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(100_000, 16)).astype(np.float32)
    repeated = rng.normal(size=(3, 16)).astype(np.float32)
    shares = (0.2, 0.02, 0.003)
    which = rng.choice(4, len(rows), p=[1 - sum(shares), *shares])
    rows[which > 0] = repeated[which[which > 0] - 1]
    found, weights = sample(rows, size=300, parts=5, seed=seed).result()
    for number, row in enumerate(repeated):
        (place,) = np.flatnonzero((found == row).all(axis=1))
        count = np.sum(which == number + 1)
        # a sketch counts up to some 1/65536 of all rows too many
        assert count * 0.999 <= weights[place] <= count + 10


@pytest.mark.parametrize('parts', [1, 4])
def test_repeated_rows_do_not_make_the_sample_depend_on_the_order(parts):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5000, 4)).astype(np.float32)
    chances = 1 / np.arange(1, 5001)
    rows = values[rng.choice(5000, 60_000, p=chances / chances.sum())]
    first, first_weights = sample(rows, size=200).result()
    other, other_weights = sample(rows[::-1], size=200, parts=parts).result()
    np.testing.assert_array_equal(first, other)
    np.testing.assert_allclose(first_weights, other_weights, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=60),
    st.integers(1, 4),
)
def test_few_distinct_rows_are_all_kept_with_their_weights(pairs, parts):
    rows = np.array([[value, -value] for value, _ in pairs], np.float32)
    weights = np.array([weight for _, weight in pairs], np.float32)
    found, totals = sample(rows, weights, parts=parts).result()
    expected, kept = {}, {}
    for row, weight in zip(rows, weights, strict=True):
        if weight:
            expected[tuple(row)] = expected.get(tuple(row), 0) + weight
    for row, total in zip(found, totals, strict=True):
        kept[tuple(row)] = kept.get(tuple(row), 0) + total
    assert kept == expected


def test_the_estimate_of_a_sum_is_unbiased():
    rows = np.random.default_rng(0).gamma(1, size=(4000, 2)).astype(np.float32)
    estimates = []
    for seed in range(60):
        found, weights = sample(rows, size=80, seed=seed).result()
        estimates.append(weights @ found)
    mean, spread = np.mean(estimates, axis=0), np.std(estimates, axis=0) / np.sqrt(60)
    assert (np.abs(mean - rows.sum(axis=0)) < 4 * spread).all()


@pytest.mark.parametrize('seed', SEEDS)
def test_the_inertia_of_any_centroids_is_that_of_all_rows(seed):
    rows = blobs_and_far_group(seed, n=50_000)
    found, weights = sample(rows, size=2000, seed=seed).result()
    centroids = np.random.default_rng(seed).normal(scale=5, size=(10, 3))
    true = reference.inertia_of(rows, centroids)
    assert reference.inertia_of(found, centroids, weights) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize('scale', [1e-38, 1e-20, 1.0, 1e20, 3e37])
def test_any_magnitude_of_values_is_sampled(scale):
    rows = (np.random.default_rng(0).normal(size=(3000, 2)) * scale).astype(np.float32)
    found, weights = sample(rows, size=50, parts=3).result()
    assert len(found) >= 50
    assert weights.sum() == pytest.approx(3000)


def test_no_rows_and_weightless_rows_give_an_empty_sample():
    empty = coreset_lib.Coreset(10, 2, 0)
    empty.add(np.zeros((0, 2), np.float32))
    empty.add(np.ones((5, 2), np.float32), np.zeros(5, np.float32))
    empty.merge(coreset_lib.Coreset(10, 2, 0))
    found, weights = empty.result()
    assert found.shape == (0, 2)
    assert weights.shape == (0,)


@pytest.mark.parametrize('n', [0, 40, 5000])
def test_the_state_survives_as_arrays(n):
    rows = blobs_and_far_group(0)
    made = sample(rows[:n], parts=2)
    copy = coreset_lib.Coreset.from_arrays(made.to_arrays())
    for one in (made, copy):
        one.merge(sample(rows[n:]))
    for first, second in zip(made.result(), copy.result(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_another_seed_draws_another_sample():
    rows = blobs_and_far_group(0)
    first, second = (sample(rows, seed=seed).result()[0] for seed in (0, 1))
    shared = {tuple(row) for row in first} & {tuple(row) for row in second}
    assert len(shared) < len(first) / 2
