import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfx_kmeans.kmeans import beam_reading
from tfx_kmeans.kmeans import columns as columns_lib

SPEC = {
    'x': tf.io.FixedLenFeature([], tf.float32),
    'pair': tf.io.FixedLenFeature([2], tf.float32),
    'filled': tf.io.FixedLenFeature([], tf.float32, default_value=7.0),
    'count': tf.io.FixedLenFeature([], tf.int64),
}


def rows_of(features, weight=None, **arrays):
    columns = columns_lib.resolve(SPEC, features, weight)
    return beam_reading.to_rows(pa.RecordBatch.from_pydict(arrays), columns)


@pytest.mark.parametrize('kind', [pa.list_, pa.large_list])
def test_lists_become_columns_in_the_order_of_the_features(kind):
    x = pa.array([[1.0], [2.0]], kind(pa.float32()))
    pair = pa.array([[3.0, 4.0], [5.0, 6.0]], kind(pa.float64()))
    (rows,) = rows_of(['pair', 'x'], x=x, pair=pair)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[3, 4, 1], [5, 6, 2]]


def test_numbers_without_a_list_are_scalars_and_weights_stand_apart():
    rows, weights = rows_of(['x'], 'count', x=pa.array([1.5, 2.5]), count=pa.array([3, 4]))
    assert rows.tolist() == [[1.5], [2.5]]
    assert (weights.dtype, weights.tolist()) == (np.float32, [3, 4])


@pytest.mark.parametrize('array', [pa.array([1.0, None]), pa.array([[1.0], None]),
                                   pa.array([[1.0], []], pa.list_(pa.float32())),
                                   pa.array([[1.0], [None]])], ids=str)  # fmt: skip
def test_what_is_not_there_is_missing(array):
    (rows,) = rows_of(['x'], x=array)
    np.testing.assert_array_equal(rows, [[1], [np.nan]])


def test_what_is_not_there_gets_the_default():
    (rows,) = rows_of(['filled'], filled=pa.array([[1.0], None]))
    assert rows.tolist() == [[1], [7]]


def test_another_number_of_values_is_refused():
    with pytest.raises(ValueError, match="'pair' has 3 values in 1 rows of a batch, and should"):
        rows_of(['pair'], pair=pa.array([[1.0, 2.0], [1.0, 2.0, 3.0]]))


def test_a_feature_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"'x' is not in the examples, which have \['count'\]"):
        rows_of(['x'], count=pa.array([1]))
