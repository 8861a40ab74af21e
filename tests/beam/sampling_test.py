import dataclasses
import pickle

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import util

from tfx_kmeans.beam import sampling

SAMPLING = sampling.Sampling(width=3, size=50, seed=0)


def batches(seed=0, n=2000, weighted=False):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 3)).astype(np.float32)
    parts = [(part,) for part in np.array_split(rows, 13)]
    if weighted:
        weights = rng.gamma(1, size=n).astype(np.float32)
        parts = [(*p, w) for p, w in zip(parts, np.array_split(weights, 13), strict=True)]
    return parts


def combine(parts, settings=SAMPLING):
    """What the CombineFn makes of batches in one bundle."""
    combine_fn = sampling.SampleFn(settings)
    gathering = combine_fn.create_accumulator()
    for part in parts:
        gathering = combine_fn.add_input(gathering, part)
    return combine_fn.extract_output(gathering)


def assert_same(first, second):
    for one, other in zip(first.coreset.result(), second.coreset.result(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert first.n_rows == second.n_rows
    np.testing.assert_array_equal(first.defects.missing, second.defects.missing)
    np.testing.assert_allclose(first.moments.mean, second.moments.mean, rtol=1e-12)
    np.testing.assert_allclose(first.moments.scale(), second.moments.scale(), rtol=1e-12)


@pytest.mark.parametrize('weighted', [False, True])
def test_bundles_and_their_order_do_not_matter(weighted):
    parts = batches(weighted=weighted)
    whole = combine(parts)
    pieces = [combine(parts[i::4]) for i in range(4)]
    merge_fn = sampling.MergeFn(SAMPLING)
    gathering = merge_fn.create_accumulator()
    for piece in pieces:
        gathering = merge_fn.add_input(gathering, piece)
    assert_same(merge_fn.extract_output(gathering), whole)


def test_a_beam_pipeline_gives_the_same_as_one_bundle():
    parts = batches(weighted=True)
    whole = combine(parts)

    def check(found):
        (one,) = found
        assert_same(one, whole)

    with beam.Pipeline() as pipeline:
        found = (
            pipeline
            | beam.Create(parts)
            | beam.Reshuffle()
            | beam.CombineGlobally(sampling.SampleFn(SAMPLING))
        )
        util.assert_that(found, check)


def test_batches_wait_until_there_are_enough_of_them():
    combine_fn = sampling.SampleFn(SAMPLING)
    gathering = combine_fn.create_accumulator()
    part = (np.zeros((1000, 3), np.float32),)
    while not gathering.sample.n_rows:
        gathering = combine_fn.add_input(gathering, part)
        waiting = sum(rows.nbytes for rows, *_ in gathering.batches)
        assert waiting <= 8 * 2**20
    assert len(pickle.dumps(combine_fn.compact(gathering))) < 10_000


@pytest.mark.parametrize('n', [0, 10, 5000])
def test_a_sample_survives_pickling_and_goes_on(n):
    made = combine(batches(n=max(n, 13))[: 13 if n else 0])
    copy = pickle.loads(pickle.dumps(made))
    assert_same(made, copy)
    more = combine(batches(seed=1))
    made.merge(more)
    copy.merge(more)
    assert_same(made, copy)


def test_rows_with_missing_values_are_counted_and_left_out():
    rows = np.array([[1, 2, 3], [np.nan, 5, np.nan], [7, 8, 9]], np.float32)
    found = combine([(rows,)])
    assert found.n_rows == 3
    assert found.defects.missing.tolist() == [1, 0, 1]
    assert found.defects.left_out == 1
    assert sorted(found.coreset.result()[0][:, 0]) == [1, 7]
    np.testing.assert_allclose(found.moments.mean, [4, 5, 6])


def test_rows_with_some_values_count_by_these_but_are_not_sampled():
    nan = np.nan
    rows = np.array([[1, 2, 3], [nan, -50, nan], [7, 8, 9], [nan, nan, nan]], np.float32)
    weights = np.array([1, 2, 3, 4], np.float32)
    made = combine([(rows, weights)], dataclasses.replace(SAMPLING, partial=True))
    for found in (made, pickle.loads(pickle.dumps(made))):
        assert (found.n_rows, found.n_complete, found.defects.left_out) == (4, 2, 1)
        assert sorted(found.coreset.result()[0][:, 0]) == [1, 7]
        np.testing.assert_allclose(found.moments.mean, [5.5, -74 / 6, 7.5])
        assert found.moments.observed.tolist() == [4, 6, 4]
        assert (found.moments.total, found.moments.largest.tolist()) == (6, [7, 50, 9])
    made.merge(pickle.loads(pickle.dumps(made)))
    assert (made.n_complete, made.moments.total) == (4, 12)


def test_infinite_values_and_bad_weights_are_counted():
    rows = np.array([[1, np.inf, 3], [1, 2, 3]], np.float32)
    assert combine([(rows,)]).defects.infinite.tolist() == [0, 1, 0]
    weights = np.array([-1, np.nan], np.float32)
    assert combine([(rows[1:].repeat(2, axis=0), weights)]).defects.bad_weights == 2


def test_directions_are_sampled_as_unit_vectors():
    rows = np.array([[3, 4, 0], [6, 8, 0], [0, 0, -1e-30], [0, 0, 0]], np.float32)
    settings = sampling.Sampling(width=3, size=50, seed=0, as_unit_vectors=True)
    found, weights = combine([(rows,)], settings).coreset.result()
    expected = {(0.6, 0.8, 0.0): 2, (0.0, 0.0, -1.0): 1, (0.0, 0.0, 0.0): 1}
    totals = zip(found, weights, strict=True)
    assert {tuple(np.round(row.astype(float), 7)): w for row, w in totals} == expected


@pytest.mark.parametrize('seed', range(3))
def test_unit_vectors_do_not_depend_on_the_rows_beside_them(seed):
    rows = np.random.default_rng(seed).normal(size=(100, 37)).astype(np.float32)
    whole = sampling.unit_vectors(rows)
    single = np.concatenate([sampling.unit_vectors(rows[i : i + 1]) for i in range(100)])
    np.testing.assert_array_equal(whole, single)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, rtol=1e-6)
