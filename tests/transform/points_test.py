import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans.transform import points as points_lib


def test_a_vector_is_one_column():
    points, names = points_lib.to_points(tf.constant([1, 2], tf.int64))
    assert points.numpy().tolist() == [[1], [2]]
    assert points.dtype == tf.float32
    assert names == ('x',)


def test_columns_of_a_matrix_are_numbered():
    assert points_lib.to_points(tf.zeros([4, 2]))[1] == ('x[:, 0]', 'x[:, 1]')


def test_a_dict_is_taken_by_its_sorted_keys():
    x = {'b': tf.constant([[1.0, 2.0]]), 'a': tf.constant([3.0], tf.float64)}
    points, names = points_lib.to_points(x)
    assert points.numpy().tolist() == [[3, 1, 2]]
    assert names == ('a', 'b', 'b')


def test_a_list_is_taken_as_it_is():
    points, names = points_lib.to_points([tf.constant([1.0]), tf.constant([[2.0, 3.0]])])
    assert points.numpy().tolist() == [[1, 2, 3]]
    assert names == ('x[0]', 'x[1][:, 0]', 'x[1][:, 1]')


@pytest.mark.parametrize(
    ('x', 'error', 'match'),
    [
        (tf.zeros([2, 3, 4]), ValueError, r"'x' must have shape \[batch\] or .*not \(2, 3, 4\)"),
        (tf.zeros([]), ValueError, r"'x' must have shape"),
        ({'age': tf.zeros([2, 0])}, ValueError, r"'age' must have a known width"),
        ({'name': tf.constant(['a'])}, TypeError, r"'name' must be a tensor of numbers, .*string"),
        ([tf.constant([True])], TypeError, r"'x\[0\]' must be a tensor of numbers, not of bool"),
        ({'tags': tf.sparse.from_dense([[1.0]])}, TypeError, "'tags' is sparse; make it dense"),
        (tf.ragged.constant([[1.0], []]), TypeError, "'x' is ragged"),
        ({}, ValueError, 'x must hold at least one tensor'),
    ],
)
def test_what_cannot_be_points_is_told_by_name(x, error, match):
    with pytest.raises(error, match=match):
        points_lib.to_points(x)


def test_a_width_that_is_not_known_is_told():
    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def build(x):
        return points_lib.to_points(x)[0]

    with pytest.raises(ValueError, match=r'known width .* tf.ensure_shape'):
        build(tf.zeros([2, 2]))


def test_weights_are_a_vector():
    np.testing.assert_array_equal(points_lib.to_weights(tf.constant([[1], [2]])), [1, 2])
    with pytest.raises(ValueError, match=r'weights must have shape \[batch\]'):
        points_lib.to_weights(tf.zeros([2, 2]))
