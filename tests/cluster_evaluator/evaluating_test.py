import dataclasses

import numpy as np
import pytest

from tfx_kmeans import Clustering
from tfx_kmeans.cluster_evaluator import evaluating, lenses, profiling
from tfx_kmeans.kmeans import ordering, reading, spooling

CENTRES = np.array([[0, 0], [5, 5], [-5, 5]], np.float32)


def make_rows(seed, n_rows):
    """Rows around three centres, in the order of their hashes, and weights."""
    rng = np.random.default_rng(seed)
    rows = CENTRES[rng.integers(3, size=n_rows)] + rng.normal(size=(n_rows, 2))
    rows = np.column_stack([rows, rng.integers(3, size=n_rows)]).astype(np.float32)
    return ordering.sort_rows(rows)


def in_memory(rows):
    return reading.Rows(rows[:, :2].copy(), rows[:, 2].copy(), left_out=3)


def on_disk(rows):
    writer = spooling.SpoolWriter(3)
    writer.write_run([rows[:1000], rows[1000:]])
    return reading.SpooledRows(writer.finish(), 2, True, left_out=3)


def evaluate(place):
    lens = lenses.Lens(Clustering.from_array(CENTRES + 0.1, ['x', 'y']), np.arange(2))
    before = lenses.Lens(Clustering.from_array(CENTRES[::-1], ['x', 'y']), np.arange(2))
    splits = {'train': ('a', place(make_rows(0, 3000))), 'eval': ('b', place(make_rows(1, 1500)))}
    return evaluating.evaluate(splits, lens, before)


@pytest.mark.parametrize('rows_per_block', [256, 65536])
def test_rows_on_disk_are_judged_as_those_in_memory(monkeypatch, rows_per_block):
    expected = evaluate(in_memory)
    monkeypatch.setattr(reading, '_BLOCK_ROWS', rows_per_block)
    made = evaluate(on_disk)
    for field in dataclasses.fields(made):
        value, wanted = (getattr(one, field.name) for one in (made, expected))
        if isinstance(wanted, np.ndarray):
            np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-9, err_msg=field.name)
    for name, figure in expected.figures.items():
        assert made.figures[name] == pytest.approx(figure, rel=1e-6), name
    assert made.eval.n_unplaced == 3


def test_rows_that_are_there_twice_are_one_example():
    rows = np.float32([[0, 1], [0, 1], [3, 0], [0, -1], [0, 1], [2, 0], [9, 9]])
    distances = np.array([1, 1, 9, 1, 1, 4, np.nan])
    ids = np.array([0, 0, 0, 0, 0, 1, 2])
    nearest = profiling.Nearest(n_clusters=2, width=2, count=3)
    for part in (slice(0, 3), slice(3, 7)):
        nearest.add(rows[part], ids[part], distances[part])
    values, found = nearest.finish()
    assert sorted(values[0].tolist()) == [[0, -1], [0, 1], [3, 0]]
    assert found[0].tolist() == [1, 1, 9]
    np.testing.assert_array_equal(values[1], [[2, 0], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(found[1], [4, np.nan, np.nan])


def test_a_sample_is_spread_evenly_over_all_blocks(monkeypatch):
    monkeypatch.setattr(reading, '_BLOCK_ROWS', 7)
    matrix = np.arange(100, dtype=np.float32)[:, np.newaxis]
    picked = profiling.sample(reading.Rows(matrix, None, 0), 20)
    assert picked[:, 0].tolist() == list(range(0, 100, 5))
    assert len(profiling.sample(reading.Rows(matrix, None, 0), 1000)) == 100


def test_deviations_keep_their_digits_far_from_zero():
    rng = np.random.default_rng(0)
    values = (1e4 + rng.normal(size=(1000, 1))).astype(np.float32)
    profile = profiling.Profile(np.array([[1e4], [0.0]]))
    profile.add(values, np.zeros(1000, int), np.ones(1000))
    exact = values.astype(np.float64)
    for mean, std in (profile.whole(), profile.clusters()):
        assert mean.item() == pytest.approx(exact.mean(), rel=1e-14)
        assert std.item() == pytest.approx(exact.std(), rel=1e-9)


def test_the_last_bin_has_all_beyond_it():
    edges = np.array([0.0, 1.0, 2.0])
    counts = profiling.histogram(np.array([0.5, 1.5, 2.0, 99.0]), edges, np.array([1.0, 2, 3, 4]))
    assert counts.tolist() == [1, 9]
