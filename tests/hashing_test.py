import numpy as np
import pytest

from tfx_kmeans import hashing


def test_hashes_tell_rows_columns_and_weights_apart():
    matrix = np.array([[1, 2], [2, 1], [1, 2.0000002], [0, 0]], np.float32)
    assert len(set(hashing.row_hashes(matrix))) == 4
    assert len(set(hashing.row_hashes(matrix[[0, 0]], np.float32([1, 2])))) == 2


def test_negative_zero_is_zero():
    zero, negative = hashing.row_hashes(np.array([[0.0], [-0.0]], np.float32))
    assert zero == negative


def test_hashes_are_the_same_on_every_machine():
    matrix = np.array([[1.5, -2.25], [0.0, 3e30]], np.float32)
    expected = [12299240024737514085, 867588706273085985]
    assert [int(value) for value in hashing.row_hashes(matrix)] == expected


def test_hashes_of_another_seed_say_nothing_of_each_other():
    matrix = np.arange(10_000, dtype=np.float32)[:, np.newaxis]
    first, second = (hashing.row_hashes(matrix, seed=seed) / 2.0**64 for seed in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04


@pytest.mark.parametrize('bit', [0, 11, 16, 47, 63])
def test_every_bit_is_set_in_half_of_the_hashes(bit):
    matrix = np.arange(20_000, dtype=np.int64).reshape(-1, 2)
    bits = hashing.row_hashes(matrix) >> np.uint64(bit) & np.uint64(1)
    assert 0.48 < bits.mean() < 0.52
