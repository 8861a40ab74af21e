import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans.kmeans import columns, reading


@pytest.mark.parametrize('width', [1, 3, 16])
def test_a_growing_matrix_keeps_every_row(width):
    rng = np.random.default_rng(width)
    batches = [rng.normal(size=(n, width)).astype(np.float32) for n in rng.integers(0, 4000, 40)]
    matrix = reading._GrowingMatrix(width)
    for batch in batches:
        matrix.append(batch)
    np.testing.assert_array_equal(matrix.finish(), np.concatenate(batches))


def test_the_tensor_shares_the_memory_of_the_matrix():
    matrix = reading._GrowingMatrix(3)
    matrix.append(np.ones((1000, 3), np.float32))
    rows = reading.Rows(matrix.finish(), None, 0)
    tensor = rows.as_tensor()
    rows.matrix[7, 1] = 5.0
    assert tensor[7, 1].numpy() == 5.0


def test_all_float_features_but_the_weight_are_taken_by_default():
    spec = {
        'b': tf.io.FixedLenFeature([], tf.float32),
        'a': tf.io.FixedLenFeature([3], tf.float32),
        'w': tf.io.FixedLenFeature([], tf.float32),
        'matrix': tf.io.FixedLenFeature([2, 2], tf.float32),
        'number': tf.io.FixedLenFeature([], tf.int64),
        'sparse': tf.io.VarLenFeature(tf.float32),
        'word': tf.io.FixedLenFeature([], tf.string),
    }
    resolved = columns.resolve(spec, None, 'w')
    assert (resolved.names, resolved.widths) == (('a', 'b'), (3, 1))
    assert set(resolved.feature_spec) == {'a', 'b', 'w'}
    assert [resolved.name_of_column(i) for i in range(4)] == ['a', 'a', 'a', 'b']


def test_no_float_feature_at_all_is_refused_with_what_there_is():
    spec = {'word': tf.io.FixedLenFeature([], tf.string)}
    with pytest.raises(ValueError, match=r"none of the transformed features .* \['word'\]"):
        columns.resolve(spec, None, None)
