"""What is found out about the data before a fit, and the data that is refused."""

import re

import numpy as np
import pytest
import tensorflow as tf

from support import reference
from tfx_kmeans import graph
from tfx_kmeans.graph import summary

EITHER_DTYPE = pytest.mark.parametrize('dtype', [np.float32, np.float64])


def prepare(points, weights=None, n_clusters=3, distance='squared_euclidean', partial=False):
    weights = None if weights is None else tf.constant(weights, tf.float32)
    return summary.prepare(tf.constant(points), weights, n_clusters, distance, partial)


def summarise(points, weights=None, n_clusters=3, distance='squared_euclidean'):
    return prepare(points, weights, n_clusters, distance).summary


def in_unit_of_data(prepared):
    """The variance of the summary."""
    return prepared.summary.variance * prepared.coordinates.distance_unit()


@EITHER_DTYPE
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('n', [1, 8191, 8192, 8193, 20_000])
def test_weight_and_variance_equal_those_of_numpy(n, weighted, dtype):
    points, weights, _ = reference.sample(0, n=n, k=1)
    points = points.astype(dtype)
    found = prepare(points, weights if weighted else None)
    weights = weights.astype(float) if weighted else np.ones(n)
    mean = np.average(points.astype(float), axis=0, weights=weights)
    variance = np.average((points - mean) ** 2, axis=0, weights=weights).mean()
    assert found.summary.n_rows == n
    np.testing.assert_allclose(found.summary.total_weight, weights.sum(), rtol=1e-12)
    np.testing.assert_allclose(in_unit_of_data(found), variance, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize('weighted', [False, True])
def test_the_variance_of_rows_with_gaps_is_that_over_observed_values(weighted):
    points, weights, _ = reference.sample(0, n=9000)
    points = reference.with_gaps(points, 0)
    found = prepare(points, weights if weighted else None, partial=True)
    weights = weights if weighted else np.ones(9000)
    mean = reference.mean_of(points, weights)
    variance = reference.mean_of((points - mean) ** 2, weights).mean()
    np.testing.assert_allclose(in_unit_of_data(found), variance, rtol=1e-5)


def test_the_variance_of_directions_is_that_on_the_unit_sphere():
    points = reference.sample(0)[0] + np.float32(50)  # directions that differ by little
    rows = reference.project(points, 'cosine')
    found = summarise(points, distance='cosine')
    np.testing.assert_allclose(found.variance, rows.var(axis=0).mean(), rtol=1e-3)


@pytest.mark.parametrize(('unit', 'dtype'), [(1e18, 'f'), (1e-30, 'f'), (1e140, 'd')])
def test_variance_neither_overflows_nor_vanishes(unit, dtype):
    points = reference.sample(0)[0].astype(dtype)
    found, wanted = prepare(points * np.dtype(dtype).type(unit)), prepare(points)
    ratio = np.sqrt(float(found.summary.variance) / float(wanted.summary.variance))
    unit_ratio = float(found.coordinates.scale or 1) * unit / float(wanted.coordinates.scale or 1)
    np.testing.assert_allclose(ratio, unit_ratio, rtol=1e-5)


# where rows are compared


def test_ordinary_rows_of_float32_serve_as_they_are():
    points = tf.constant(reference.sample(0)[0])
    found = summary.prepare(points, None, 3, 'squared_euclidean')
    np.testing.assert_array_equal(found.values, points)
    np.testing.assert_array_equal(found.coordinates.shift, np.zeros(4))
    assert found.coordinates.scale == 1


@pytest.mark.parametrize(('offset', 'unit'), [(1e4, 1.0), (0.0, 1e-10), (0.0, 1e10), (-300, 1e-3)])
def test_others_are_brought_near_0_and_1(offset, unit):
    points = ((reference.sample(0)[0].astype(float) + offset) * unit).astype(np.float32)
    values = prepare(points).values.numpy()
    assert np.abs(np.median(values, axis=0)).max() < 0.5
    assert 0.1 < np.median(np.abs(values).max(axis=1)) < 4
    coordinates = prepare(points).coordinates
    restored = values / np.float64(coordinates.scale) + np.float64(coordinates.shift)
    np.testing.assert_allclose(restored, points, rtol=1e-6, atol=1e-6 * unit)


def test_float64_rows_of_a_great_offset_lose_no_digit():
    points = 1e9 + np.random.default_rng(0).normal(size=(1000, 4))
    found = prepare(points)
    restored = found.coordinates.restore(tf.cast(found.values, tf.float64), tf.float64)
    np.testing.assert_allclose(restored, points, rtol=0, atol=1e-6)


@pytest.mark.parametrize('unit', [1, 1e-12, 1e12])
def test_few_rows_far_out_do_not_move_the_space(unit):
    points = reference.sample(0, n=5000)[0] * np.float32(unit)
    wanted = prepare(points).coordinates
    points[[0, 17, 4000]] = np.float32(1e9 * unit)  # the first is among those glanced at
    found = prepare(points).coordinates
    np.testing.assert_allclose(found.shift, wanted.shift, atol=0.1 * unit)
    assert found.scale == wanted.scale


def test_rows_that_nearly_all_are_equal_have_the_spread_of_the_others():
    points = np.full([5000, 2], 7.0, np.float32)
    points[4321] = 7.5  # not among those glanced at
    found = prepare(points, n_clusters=2)
    assert found.summary.distinct_rows == 2
    assert not found.summary.too_far
    fitted = graph.fit(points, 2)
    assert fitted.inertia == 0
    np.testing.assert_array_equal(fitted.cluster_weights, [4999, 1])


@pytest.mark.parametrize(
    'bad', [[0], [4095, 4096], [4096], [9999], [17, 5000, 9000]], ids=lambda bad: f'{bad[0]}'
)
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_counted_and_the_first_is_named(bad, value):
    points = reference.sample(0, n=10_000)[0]
    points[bad, 1] = value
    found = summarise(points)
    assert found.bad_rows == len(bad)
    assert found.first_bad_row == bad[0]


def test_sound_data_has_no_bad_rows():
    points, weights, _ = reference.sample(0)
    found = summarise(points, weights)
    assert (found.bad_rows, found.zero_rows, found.bad_weights) == (0, 0, 0)
    assert not found.too_far


def test_rows_of_zeros_are_counted():
    points = reference.sample(0, n=10_000)[0]
    points[[0, 4096, 9999]] = 0
    points[7, :3] = 0
    assert summarise(points, distance='cosine').zero_rows == 3


def test_bad_weights_are_counted():
    points, weights, _ = reference.sample(0, n=10_000)
    weights[[0, 1, 4096, 9999]] = [-1, np.nan, np.inf, -1e-20]
    assert summarise(points, weights).bad_weights == 4


@EITHER_DTYPE
def test_distinct_rows_are_counted_up_to_the_wanted_number(dtype):
    distinct = np.random.default_rng(0).integers(-2, 2, size=(9000, 4)).astype(dtype)
    n_distinct = len(np.unique(distinct, axis=0))
    assert n_distinct == 256
    for wanted in (1, 5, 255, 256, 257, 1000):
        assert summarise(distinct, n_clusters=wanted).distinct_rows == min(wanted, n_distinct)


def test_the_last_row_may_be_the_only_other_one():
    points = np.zeros([9000, 4], np.float32)
    assert summarise(points, n_clusters=2).distinct_rows == 1
    points[-1, 3] = 1e-30
    assert summarise(points, n_clusters=2).distinct_rows == 2


@EITHER_DTYPE
def test_zero_and_minus_zero_are_one_row(dtype):
    points = np.zeros([400, 4], dtype)
    points[::2] = -0.0
    assert summarise(points, n_clusters=2).distinct_rows == 1


# what is refused, in the same words by a fit and by a tf.function that holds one

ROWS = reference.sample(0)[0]


def rows_with(index, value):
    points = ROWS.copy()
    points[index] = value
    return points


def weights_with(index, value):
    weights = np.ones(len(ROWS), np.float32)
    weights[index] = value
    return weights


REFUSED = {
    'no rows': (
        (ROWS[:0], None, 'squared_euclidean'),
        'points: there are no rows, nothing to cluster',
    ),
    'no rows, weighted': (
        (ROWS[:0], np.zeros(0, np.float32), 'squared_euclidean'),
        'weights: none is above 0 (as float32), so no row counts for anything',
    ),
    'NaN': (
        (rows_with([7, 300], np.nan), None, 'squared_euclidean'),
        'points: 2 rows hold NaN or infinite values, the first is row 7; drop or fill them first',
    ),
    'infinite': (
        (rows_with((399, 2), -np.inf), None, 'cosine'),
        'points: 1 rows hold NaN or infinite values, the first is row 399; drop or fill them first',
    ),
    'NaN after rows of weight 0': (
        (rows_with([7, 300], np.nan), weights_with([1, 2, 7], 0), 'squared_euclidean'),
        'points: 1 rows hold NaN or infinite values, the first is row 300; drop or fill them first',
    ),
    'weights below 0': (
        (ROWS, weights_with([1, 2, 3], -0.5), 'squared_euclidean'),
        'weights: 3 of them are negative, NaN or infinite (as float32); '
        'weights must be finite and >= 0',
    ),
    'weights NaN': (
        (ROWS, weights_with(1, np.nan), 'squared_euclidean'),
        'weights: 1 of them are negative, NaN or infinite (as float32); '
        'weights must be finite and >= 0',
    ),
    'weights infinite': (
        (ROWS, weights_with(1, np.inf), 'squared_euclidean'),
        'weights: 1 of them are negative, NaN or infinite (as float32); '
        'weights must be finite and >= 0',
    ),
    'weights all 0': (
        (ROWS, np.zeros(len(ROWS), np.float32), 'squared_euclidean'),
        'weights: none is above 0 (as float32), so no row counts for anything',
    ),
    'row of zeros': (
        (rows_with([3, 4], 0), None, 'cosine'),
        'points: 2 rows are all zeros and have no direction, which the cosine distance needs',
    ),
    'a value far out': (
        (rows_with((7, 2), 1e15), None, 'squared_euclidean'),
        'points: column 2 holds 999999986991104',
    ),
    'a value far out after rows of weight 0': (
        (rows_with((300, 1), -3e38), weights_with([1, 2, 7], 0), 'squared_euclidean'),
        ' in row 300, more than 2^40 times as far out as most rows (or above 1e150), so that sums '
        'in float64 would lose the others; leave it out, clip it, or give it weight 0',
    ),
    'too few rows': (
        (ROWS[:4], None, 'squared_euclidean'),
        'n_clusters=5 is more than the 4 distinct rows (of positive weight) in points; '
        'ask for at most that many clusters',
    ),
    'too few distinct rows': (
        (np.repeat(ROWS[:2], 200, axis=0), None, 'squared_euclidean'),
        'n_clusters=5 is more than the 2 distinct rows (of positive weight) in points; '
        'ask for at most that many clusters',
    ),
    'too few rows of weight': (
        (ROWS, weights_with(slice(3, None), 0), 'squared_euclidean'),
        'n_clusters=5 is more than the 3 distinct rows (of positive weight) in points; '
        'ask for at most that many clusters',
    ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_unfit_data_is_refused_with_the_reason(case):
    (points, weights, distance), message = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        graph.fit(points, 5, weights=weights, distance=distance)


@pytest.fixture(scope='module')
def fit_in_tf_function():
    calls = {
        (weighted, distance): tf.function(
            lambda points, weights=None, distance=distance: (
                graph.fit(points, 5, weights=weights, distance=distance, max_iter=1).centroids
            ),
            input_signature=[tf.TensorSpec([None, 4])] + [tf.TensorSpec([None])] * weighted,
        )
        for weighted in (False, True)
        for distance in reference.DISTANCES
    }

    def call(points, weights, distance):
        arguments = [points] if weights is None else [points, weights]
        return calls[weights is not None, distance](*arguments)

    return call


@pytest.mark.parametrize('case', REFUSED)
def test_a_tf_function_refuses_in_the_same_words(case, fit_in_tf_function):
    arguments, message = REFUSED[case]
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(message)):
        fit_in_tf_function(*arguments)


@pytest.mark.parametrize('n_weights', [0, 1, 399, 401])
def test_a_tf_function_refuses_another_number_of_weights(n_weights, fit_in_tf_function):
    message = f'weights: there are {n_weights} of them for 400 rows of points'
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        fit_in_tf_function(ROWS, np.ones(n_weights, np.float32), 'squared_euclidean')


def test_a_tf_function_refuses_nothing_sound(fit_in_tf_function):
    weights = weights_with(3, 0)
    found = fit_in_tf_function(ROWS, weights, 'squared_euclidean')
    wanted = graph.fit(ROWS, 5, weights=weights, max_iter=1)
    np.testing.assert_array_equal(found, wanted.centroids)


def test_float64_values_too_great_to_be_squared_are_refused_where_the_distance_needs_them():
    points = ROWS * np.float64(1e160)
    with pytest.raises(ValueError, match=r'column . holds .*e\+160 in row .*or above 1e150'):
        graph.fit(points, 5)
    found = graph.fit(points, 5, distance='cosine')
    np.testing.assert_allclose(
        found.centroids, graph.fit(ROWS, 5, distance='cosine').centroids, atol=1e-6
    )


# rows far out, among ordinary ones


@EITHER_DTYPE
@pytest.mark.parametrize('far', [1e6, 1e10, -1e10])
def test_a_row_far_out_is_alone_and_the_others_are_fitted_as_without_it(far, dtype):
    points, _ = reference.blobs(0)
    points = points.astype(dtype)
    wanted = graph.fit(points, 8, n_init=3)
    found = graph.fit(np.insert(points, 40, far, axis=0), 9, n_init=3)
    np.testing.assert_array_equal(found.cluster_weights, [*[50] * 8, 1])
    np.testing.assert_allclose(found.centroids[8], [far, far], rtol=1e-6)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=1e-4)
    np.testing.assert_allclose(found.centroids[:8], wanted.centroids, atol=1e-4)


def test_where_no_cluster_is_left_for_a_row_far_out_its_sum_is_right():
    points = np.float32([[0], [1], [2], [1e10]])
    found = graph.fit(points, 1, tol=0.0)
    mean = points.astype(float).mean()
    np.testing.assert_allclose(found.centroids, [[mean]], rtol=1e-6)
    np.testing.assert_allclose(found.inertia, np.sum((points - mean) ** 2.0), rtol=1e-6)


def test_a_value_far_out_beside_a_gap_is_named():
    points = rows_with((300, 1), 1e15)
    points[300, 0] = points[4, 2] = np.nan
    with pytest.raises(ValueError, match=r'column 1 holds 999999986991104.* in row 300'):
        graph.fit(points, 5, missing='partial')
    points[300] = points[301]
    points[299, 3] = 1e15
    with pytest.raises(ValueError, match=r'column 3 holds 999999986991104.* in row 299'):
        graph.fit(points, 5, missing='drop')  # row 4 is left out


@pytest.mark.parametrize(
    ('value', 'distance', 'message'),
    [
        (np.nan, 'squared_euclidean', 'init: 2 rows hold NaN or infinite values'),
        (np.inf, 'cosine', 'init: 2 rows hold NaN or infinite values'),
        (0, 'cosine', 'init: 2 rows are all zeros and have no direction'),
    ],
)
def test_initial_centroids_that_no_row_can_be_compared_with_are_refused(value, distance, message):
    init = ROWS[:5].copy()
    init[[1, 3]] = value
    with pytest.raises(ValueError, match=message):
        graph.fit(ROWS, 5, init=init, distance=distance)
    call = tf.function(lambda points, init: graph.fit(points, 5, init=init, distance=distance))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(ROWS, init)


def test_an_initial_centroid_at_the_origin_is_fine_under_the_euclidean_distance():
    init = ROWS[:5].copy()
    init[0] = 0
    assert graph.fit(ROWS, 5, init=init).converged
