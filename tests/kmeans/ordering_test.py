import numpy as np
import pytest

from tfx_kmeans import hashing
from tfx_kmeans.kmeans import ordering


def random_matrix(seed, width, n=5000):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)).astype(np.float32)


def sort(batches):
    sorter = ordering.RowSorter(batches[0].shape[1])
    for batch in batches:
        sorter.add(batch)
    assert sorter.n_rows == sum(len(batch) for batch in batches)
    return np.concatenate([np.zeros_like(batches[0][:0]), *sorter.drain()])


@pytest.mark.parametrize('width', [1, 3, 16, 40])
@pytest.mark.parametrize('seed', range(3))
def test_rows_come_out_in_the_order_of_their_hashes(seed, width):
    matrix = random_matrix(seed, width)
    expected = matrix[np.argsort(hashing.row_hashes(matrix))]
    np.testing.assert_array_equal(ordering.sort_rows(matrix), expected)
    np.testing.assert_array_equal(sort(np.split(matrix, [1, 1, 700, 4999])), expected)


def test_equal_rows_all_come_out():
    matrix = np.repeat(random_matrix(0, 2, n=7), 300, axis=0)
    rows, counts = np.unique(sort(np.array_split(matrix, 4)), axis=0, return_counts=True)
    np.testing.assert_array_equal(rows, np.unique(matrix, axis=0))
    np.testing.assert_array_equal(counts, np.full(7, 300))


def test_no_rows_give_no_blocks():
    sorter = ordering.RowSorter(3)
    sorter.add(np.zeros((0, 3), np.float32))
    assert not list(sorter.drain())


def test_a_sorter_that_was_drained_is_empty_and_takes_other_rows():
    sorter = ordering.RowSorter(2)
    sorter.add(random_matrix(0, 2))
    for _ in sorter.drain():
        pass
    assert sorter.n_rows == 0
    other = random_matrix(1, 2)
    sorter.add(other)
    np.testing.assert_array_equal(np.concatenate([*sorter.drain()]), ordering.sort_rows(other))


def test_sorted_order_is_as_good_as_random():
    matrix = np.arange(20_000, dtype=np.float32)[:, np.newaxis]
    place = ordering.sort_rows(matrix)[:, 0]
    assert abs(np.corrcoef(np.arange(20_000), place)[0, 1]) < 0.03
