import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans import defects
from tfx_kmeans.kmeans import columns, ordering, reading


@pytest.mark.parametrize('width', [1, 3, 16])
def test_a_growing_matrix_keeps_every_row(width):
    rng = np.random.default_rng(width)
    batches = [rng.normal(size=(n, width)).astype(np.float32) for n in rng.integers(0, 4000, 40)]
    matrix = ordering.GrowingMatrix(width)
    for batch in batches:
        matrix.append(batch)
    np.testing.assert_array_equal(matrix.finish(), np.concatenate(batches))


def test_the_tensor_shares_the_memory_of_the_matrix():
    matrix = ordering.GrowingMatrix(3)
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


@pytest.mark.parametrize('features', [None, ['nothing', 'a']])
def test_a_feature_without_a_value_is_refused(features):
    spec = {
        'a': tf.io.FixedLenFeature([], tf.float32),
        'nothing': tf.io.FixedLenFeature([0], tf.float32),
    }
    with pytest.raises(ValueError, match=r"features: 'nothing' has shape \[0\], no value to clust"):
        columns.resolve(spec, features, None)


def test_no_float_feature_at_all_is_refused_with_what_there_is():
    spec = {'word': tf.io.FixedLenFeature([], tf.string)}
    with pytest.raises(ValueError, match=r"none of the transformed features .* \['word'\]"):
        columns.resolve(spec, None, None)


HUGE = np.float32(3e38)


@pytest.mark.parametrize(
    ('batch', 'kept', 'counts'),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]], (0, 0, 0)),
        ([[1, 2], [np.nan, 4]], [[1, 2]], (1, 0, 0)),
        ([[1, np.inf], [-np.inf, 4]], [[1, np.inf], [-np.inf, 4]], (0, 2, 0)),
        ([[HUGE, HUGE], [HUGE, 1]], [[HUGE, HUGE], [HUGE, 1]], (0, 0, 0)),  # the sum is infinite
        ([[HUGE, -HUGE], [np.nan, np.nan]], [[HUGE, -HUGE]], (2, 0, 0)),
        (np.zeros((0, 2)), np.zeros((0, 2)), (0, 0, 0)),
    ],
)
def test_defects_are_counted_whatever_the_values_add_up_to(batch, kept, counts):
    spec = {'a': tf.io.FixedLenFeature([2], tf.float32)}
    found = defects.Defects.none(2)
    rows = reading._usable(np.float32(batch), columns.resolve(spec, None, None), found, False)
    np.testing.assert_array_equal(rows, np.float32(kept))
    assert (found.missing.sum(), found.infinite.sum(), found.bad_weights) == counts


@pytest.mark.parametrize(
    ('weight', 'bad'), [(0, 0), (-1, 1), (np.nan, 1), (np.inf, 1), (-np.inf, 1)]
)
def test_bad_weights_are_counted_among_good_ones(weight, bad):
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in ('a', 'w')}
    found = defects.Defects.none(1)
    batch = np.float32([[5, 1], [5, weight], [5, 2]])
    reading._usable(batch, columns.resolve(spec, None, 'w'), found, False)
    assert found.bad_weights == bad


@pytest.mark.parametrize('value', [9.97e36, np.nan, np.inf])
def test_rows_of_weight_zero_are_not_read(value):
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in ('a', 'w')}
    found = defects.Defects.none(1)
    batch = np.float32([[5, 1], [value, 0], [6, 2]])
    rows = reading._usable(batch, columns.resolve(spec, None, 'w'), found, False)
    assert rows.tolist() == [[5, 1], [6, 2]]
    assert (found.missing.sum(), found.infinite.sum(), found.left_out) == (0, 0, 0)
