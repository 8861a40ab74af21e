"""Rows with missing values: fits and places by what is observed, or without them."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies
from sklearn.metrics import pairwise

from support import paths, reference
from tfx_kmeans import graph
from tfx_kmeans.graph import summary

NAN = float('nan')
SEEDS = range(3)
EITHER_DTYPE = pytest.mark.parametrize('dtype', [np.float32, np.float64])


def sample(seed, **options):
    """Rows with gaps, weights and initial centroids."""
    points, weights, init = reference.sample(seed, **options)
    return reference.with_gaps(points, seed), weights, init


def assert_equals_reference(points, init, weights=None, **settings):
    found = graph.fit(points, len(init), init=init, weights=weights, missing='partial', **settings)
    wanted = reference.lloyd(points, init, weights, **settings)
    scale = np.nanmax(np.abs(points - np.nanmean(points, axis=0, dtype=float)))
    np.testing.assert_allclose(found.centroids, wanted.centroids, rtol=0, atol=1e-6 * scale)
    assert found.n_iter == wanted.n_iter
    assert bool(found.converged) == wanted.converged
    np.testing.assert_allclose(found.inertia_history, wanted.inertia_history, rtol=1e-6)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=1e-6)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, rtol=1e-12)
    return found


def assert_same_fit(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


# fits by what is observed


@EITHER_DTYPE
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('max_iter', [1, 300])
@pytest.mark.parametrize('seed', SEEDS)
def test_a_fit_equals_the_reference(seed, max_iter, weighted, dtype):
    points, weights, init = sample(seed)
    weights = weights if weighted else None
    found = assert_equals_reference(points.astype(dtype), init, weights, max_iter=max_iter)
    assert found.n_iter == 1 if max_iter == 1 else found.n_iter > 3


@pytest.mark.parametrize('tol', [0.0, 1e-3, 1e-2, 1e-1])
def test_the_tolerance_stops_a_run_where_the_reference_stops(tol):
    points, weights, init = sample(0)
    assert_equals_reference(points, init, weights, tol=tol)


def test_hand_computed_fit():
    points = [[0, 0], [2, NAN], [NAN, 8], [10, 10]]
    found = graph.fit(points, 2, init=[[0, 1], [9, 9]], missing='partial')
    np.testing.assert_allclose(found.centroids, [[1, 0], [10, 9]], atol=1e-6)
    # (1 + 0) and 2 / 1 * 1, then 2 / 1 * 1 and (0 + 1)
    np.testing.assert_allclose(found.inertia, 6, rtol=1e-6)
    np.testing.assert_array_equal(found.cluster_weights, [2, 2])


def test_a_column_that_no_row_of_a_cluster_has_keeps_its_coordinate():
    points = [[0, NAN], [1, NAN], [9, 5], [9, 7]]
    found = graph.fit(points, 2, init=[[0, 3], [9, 6]], missing='partial')
    np.testing.assert_allclose(found.centroids, [[0.5, 3], [9, 6]], atol=1e-6)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('seed', SEEDS)
def test_empty_clusters_are_given_the_farthest_rows_as_in_the_reference(seed, weighted):
    points, weights, init = sample(seed)
    init[1:4] = init[0]
    found = assert_equals_reference(points, init, weights if weighted else None)
    assert np.all(found.cluster_weights > 0)


@pytest.mark.parametrize('init', ['k-means++', 'random', 'array'])
@pytest.mark.parametrize('seed', SEEDS)
def test_rows_without_a_gap_give_every_bit_of_a_fit_without_missing_values(seed, init):
    points, weights, start = reference.sample(seed)
    options = {'weights': weights, 'init': start if init == 'array' else init, 'seed': seed}
    wanted = graph.fit(points, 5, **options)
    for missing in ('partial', 'drop'):
        assert_same_fit(graph.fit(points, 5, missing=missing, **options), wanted)


@pytest.mark.parametrize('distance_of_rows', [0, 1000])
@pytest.mark.parametrize('seed', SEEDS)
def test_the_arithmetic_for_gaps_gives_whole_rows_the_fit_of_the_other(seed, distance_of_rows):
    points, weights, init = (part + np.float32(distance_of_rows) for part in reference.sample(seed))
    with paths.gaps():
        found = graph.fit(points, 5, init=init, weights=weights, missing='partial')
    wanted = graph.fit(points, 5, init=init, weights=weights)
    np.testing.assert_allclose(
        found.centroids, wanted.centroids, atol=1e-5 + distance_of_rows * 1e-7
    )
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=1e-5)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, rtol=1e-12)
    assert found.n_iter == wanted.n_iter


@paths.EVERY_FORCE
@pytest.mark.parametrize('seed', SEEDS)
def test_every_way_through_a_fit_equals_the_reference(seed, forced):
    points, weights, init = sample(seed, n=700, k=7)
    with paths.all_of(forced):
        assert_equals_reference(points, init, weights, tol=0.0)
        init[1:4] = init[0]  # clusters without rows
        assert_equals_reference(points, init)


@pytest.mark.parametrize('init_size', [None, 200])
@pytest.mark.parametrize('seed', SEEDS)
def test_a_search_ends_lower_in_the_mean_than_none(seed, init_size):
    points = reference.with_gaps(reference.blobs(seed, k=12, d=4, per_blob=40)[0], seed, 0.15)
    inertias = {
        search: [
            float(graph.fit(points, 12, seed=draw, missing='partial', **options).inertia)
            for draw in range(5)
        ]
        for search, options in (
            ('breathing', {'init_size': init_size}),
            ('none', {'search': 'none'}),
        )
    }
    # 17 rows a cluster tell less of it than all do
    most = 1.001 if init_size is None else 1.003
    assert np.mean(inertias['breathing']) <= most * np.mean(inertias['none'])


@pytest.mark.parametrize('init', ['k-means++', 'random'])
@pytest.mark.parametrize('seed', SEEDS)
def test_a_seeding_begins_on_rows_with_the_centres_in_their_gaps(seed, init):
    points, weights, _ = sample(seed)
    starts = []
    options = {'init': init, 'seed': seed, 'search': 'none', 'missing': 'partial'}
    for n_iter in (1, 2):  # what the first update made of the start tells of the start
        found = graph.fit(points, 5, weights=weights, max_iter=n_iter, **options)
        starts.append(float(found.inertia_history[0]))
    centres = summary.prepare(tf.constant(points), None, 5, reference.DISTANCES[0], True)
    filled = np.where(np.isnan(points), centres.coordinates.shift, points)
    possible = reference.distances(points, filled)
    assert starts[0] == starts[1]
    assert starts[0] >= weights @ np.sort(possible, axis=1)[:, 0] - 1e-3
    assert starts[0] <= weights @ possible.max(axis=1)


@pytest.mark.parametrize('search', ['breathing', 'none'])
def test_a_centroid_lies_among_the_values_of_a_column_that_none_of_its_rows_has(search):
    points = np.float32([[0, 3], [0.5, 4], [5, NAN], [5.5, NAN], [6, NAN]])  # 0 is far from 3
    for seed in range(5):
        found = graph.fit(points, 2, seed=seed, search=search, missing='partial').centroids.numpy()
        assert 3 <= found[:, 1].min() <= found[:, 1].max() <= 4


def test_k_means_plus_plus_begins_better_than_random_rows():
    points, _ = reference.blobs(0)
    points = reference.with_gaps(points, 0)
    starts = {
        init: np.median([
            graph.fit(
                points, 8, init=init, seed=seed, search='none', max_iter=1, missing='partial'
            ).inertia_history[0]
            for seed in range(10)
        ])
        for init in ('k-means++', 'random')
    }  # fmt: skip
    assert starts['k-means++'] < 0.5 * starts['random']


@pytest.mark.parametrize('seed', SEEDS)
def test_heaps_are_found_though_a_quarter_of_the_values_is_missing(seed):
    points, heaps = reference.blobs(seed, d=6)
    gaps = reference.with_gaps(points + heaps[:, np.newaxis] % 4 * np.float32(15), seed, 0.25)
    found = graph.fit(gaps, 8, n_init=6, seed=seed, missing='partial')
    ids = graph.assign(gaps, found.centroids, missing='partial').ids.numpy()
    pairs, counts = np.unique(np.stack([heaps, ids]), axis=1, return_counts=True)
    assert np.sum(np.sort(counts)[-8:]) >= 0.9 * len(points), pairs


@pytest.mark.parametrize('init', ['k-means++', 'random'])
def test_clusters_are_numbered_by_falling_weight_and_hold_the_rows_that_assign_gives_them(init):
    points, weights, _ = sample(0)
    found = graph.fit(points, 5, weights=weights, init=init, missing='partial')
    placed = graph.assign(points, found.centroids, missing='partial')
    assert np.all(np.diff(found.cluster_weights) <= 0)
    np.testing.assert_allclose(found.cluster_weights, np.bincount(placed.ids, weights, 5))
    np.testing.assert_allclose(
        found.inertia, np.sum(placed.distances * weights, dtype=np.float64), rtol=1e-5
    )


def test_rows_of_gaps_alone_are_left_out_and_counted():
    points, _, init = sample(0)
    more = np.insert(points, [0, 7, 400], NAN, axis=0)
    found = graph.fit(more, 5, init=init, missing='partial')
    assert found.rows_left_out == 3
    wanted = graph.fit(points, 5, init=init, missing='partial')
    assert_same_fit(found[:-1], wanted[:-1])
    assert wanted.rows_left_out == 0


def test_compatible_rows_may_be_fewer_places_than_clusters():
    points = [[1, NAN], [1, 2], [NAN, 2]]
    found = graph.fit(points, 3, missing='partial')
    assert found.inertia == 0
    np.testing.assert_allclose(found.centroids, [[1, 2]] * 3, atol=1e-6)


@pytest.mark.parametrize('init', ['k-means++', 'random', 'array'])
def test_inside_a_tf_function_every_bit_is_the_same(init):
    start = sample(0)[2]
    init = start if init == 'array' else init

    @tf.function(input_signature=[tf.TensorSpec([None, 4]), tf.TensorSpec([None])])
    def call(points, weights):
        return graph.fit(points, 5, weights=weights, init=init, missing='partial', n_init=1)

    for points in (sample(0)[0], reference.sample(0)[0]):
        weights = np.ones(400, np.float32)
        inside = call(points, weights)
        assert_same_fit(inside, graph.fit(points, 5, weights=weights, init=init, missing='partial'))


def test_on_iteration_is_told_of_every_iteration():
    points, _, init = sample(0)
    told = []
    found = graph.fit(
        points, 5, init=init, missing='partial', on_iteration=lambda *args: told.append(args)
    )
    assert [iteration for _, iteration, _ in told] == list(range(int(found.n_iter) + 1))
    np.testing.assert_array_equal([inertia for *_, inertia in told], found.inertia_history)


# fits without the rows that have gaps


@pytest.mark.parametrize('weighted', [False, True])
def test_drop_equals_a_fit_of_the_whole_rows(weighted):
    points, weights, _ = sample(0)
    whole = ~np.isnan(points).any(axis=1)
    weights = weights if weighted else None
    found = graph.fit(points, 5, weights=weights, missing='drop')
    wanted = graph.fit(points[whole], 5, weights=None if weights is None else weights[whole])
    assert_same_fit(found[:-1], wanted[:-1])
    assert found.rows_left_out == 400 - whole.sum()


# what is refused

REFUSED = {
    'infinite under drop': (
        {'points': [[1.0], [NAN], [np.inf]], 'missing': 'drop'},
        'points: 1 rows hold infinite values, the first is row 2; only NaN says',
    ),
    'infinite under partial': (
        {'points': [[1.0], [-np.inf], [np.inf]], 'missing': 'partial'},
        'points: 2 rows hold infinite values, the first is row 1; only NaN says',
    ),
    'infinite beside a gap': (
        {'points': [[1.0, 2.0], [NAN, np.inf]], 'missing': 'drop'},
        'points: 1 rows hold infinite values, the first is row 1',
    ),
    'nothing left by drop': (
        {'points': [[NAN, 1.0]] * 3, 'missing': 'drop'},
        r'points: values are missing \(NaN\) in all 3 rows',
    ),
    'nothing left by partial': (
        {'points': [[NAN, NAN]] * 3, 'missing': 'partial'},
        r'points: values are missing \(NaN\) in all 3 rows',
    ),
    'no rows': (
        {'points': np.zeros([0, 2]), 'missing': 'drop'},
        'points: there are no rows, nothing to cluster',
    ),
    'a column of gaps': (
        {'points': [[1.0, NAN, NAN], [2.0, NAN, NAN]], 'missing': 'partial'},
        r'points: 2 columns have no observed value \(of positive weight\), the first is column 1',
    ),
    'a column of gaps where rows count': (
        {'points': [[1.0, NAN], [2.0, 3.0]], 'weights': [1, 0], 'missing': 'partial'},
        'points: 1 columns have no observed value',
    ),
    'bad weights': (
        {'points': [[1.0, NAN], [2.0, 3.0]], 'weights': [1, -1], 'missing': 'partial'},
        'weights: 1 of them are negative, NaN or infinite',
    ),
    'too few distinct rows': (
        {'points': [[1.0, NAN]] * 9 + [[1.0, 0.0]], 'n_clusters': 3, 'missing': 'partial'},
        r'n_clusters=3 is more than the 2 distinct rows',
    ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_unfit_data_is_refused_with_the_reason(case):
    arguments, message = REFUSED[case]
    arguments = {'n_clusters': 1, **arguments}
    with pytest.raises(ValueError, match=message):
        graph.fit(**arguments)


@pytest.mark.parametrize('case', ['infinite under drop', 'nothing left by partial', 'bad weights'])
def test_a_tf_function_refuses_in_the_same_words(case):
    arguments, message = REFUSED[case]
    points = np.asarray(arguments['points'], np.float32)
    options = {key: value for key, value in arguments.items() if key != 'points'}
    call = tf.function(
        lambda points: graph.fit(points, 1, **options).centroids,
        input_signature=[tf.TensorSpec([None, points.shape[1]])],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(points)


@pytest.mark.parametrize(
    'function',
    [
        lambda **options: graph.fit([[1.0, NAN]], 1, **options),
        lambda **options: graph.assign([[1.0, NAN]], [[1.0, 2.0]], **options),
        lambda **options: graph.pairwise_distances([[1.0, NAN]], [[1.0, 2.0]], **options),
        lambda **options: graph.soft_assign([[1.0, NAN]], [[1.0, 2.0]], **options),
    ],
)
def test_every_function_refuses_other_words_partial_cosines_and_gaps_under_error(function):
    with pytest.raises(ValueError, match=r"missing must be one of \('error', .*, not 'ignore'"):
        function(missing='ignore')
    with pytest.raises(ValueError, match="missing='partial' goes with distance='squared_eucl"):
        function(missing='partial', distance='cosine')
    with pytest.raises(ValueError, match='points: 1 rows hold NaN'):
        function(missing='error')


def test_a_tf_function_refuses_to_place_gaps_under_error():
    call = tf.function(lambda points: graph.assign(points, [[1.0, 2.0]], missing='error').ids)
    assert call(tf.constant([[1.0, 2.0]])).numpy().tolist() == [0]
    with pytest.raises(tf.errors.InvalidArgumentError, match='points: 1 rows hold NaN'):
        call(tf.constant([[1.0, NAN]]))


# placing


@EITHER_DTYPE
@pytest.mark.parametrize('seed', SEEDS)
def test_distances_are_those_of_scikit_learn(seed, dtype):
    points, _, centroids = sample(seed)
    points, centroids = points.astype(dtype), centroids.astype(dtype)
    exact = points.astype(float), centroids.astype(float)
    table = pairwise.nan_euclidean_distances(*exact, squared=True)
    found = graph.assign(points, centroids, missing='partial')
    np.testing.assert_array_equal(found.ids, table.argmin(axis=1))
    np.testing.assert_allclose(found.distances, table.min(axis=1), rtol=1e-5, atol=1e-6)
    distances = graph.pairwise_distances(points, centroids, missing='partial')
    np.testing.assert_allclose(distances, table, rtol=1e-5, atol=1e-5)
    soft = graph.soft_assign(points, centroids, temperature=3.0, missing='partial')
    weights = np.exp(-table / 3)
    np.testing.assert_allclose(soft, weights / weights.sum(axis=1, keepdims=True), atol=1e-5)


def test_whole_rows_are_placed_as_without_missing_values():
    points, _, centroids = reference.sample(0)
    found = graph.assign(points, centroids, missing='partial')
    wanted = graph.assign(points, centroids)
    np.testing.assert_array_equal(found.ids, wanted.ids)
    np.testing.assert_allclose(found.distances, wanted.distances, rtol=1e-5)


def test_rows_that_are_infinite_or_all_gaps_have_no_place():
    points = [[NAN, NAN], [1.0, np.inf], [NAN, -np.inf], [NAN, 2.0]]
    centroids = [[0.0, 0.0], [1.0, 2.0], [5.0, 5.0]]
    found = graph.assign(points, centroids, missing='partial')
    assert found.ids.numpy().tolist() == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.isnan(found.distances), [True, True, True, False])
    for function in (graph.pairwise_distances, graph.soft_assign):
        table = function(points, centroids, missing='partial')
        np.testing.assert_array_equal(np.isnan(table)[:, 0], [True, True, True, False])


@pytest.mark.parametrize('function', [graph.pairwise_distances, graph.soft_assign])
def test_gradients_are_finite_and_none_flows_to_a_gap_or_from_one(function):
    points = tf.constant([[1.0, NAN, 3.0], [NAN, NAN, NAN], [np.inf, 0, 0], [1.0, 2.0, 3.0]])
    centroids = tf.constant([[0.0, 1.0, 2.0], [3.0, 1.0, 0.5]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([points, centroids])
        table = function(points, centroids, missing='partial')
        first, last = tf.reduce_sum(table[0] ** 2), tf.reduce_sum(table[3] ** 2)
    to_points = tape.gradient(first, points).numpy()
    assert np.all(np.isfinite(to_points))
    np.testing.assert_array_equal(to_points != 0, [[1, 0, 1], [0] * 3, [0] * 3, [0] * 3])
    to_centroids = tape.gradient(first, centroids).numpy()
    np.testing.assert_array_equal(to_centroids != 0, [[1, 0, 1]] * 2)
    assert np.all(np.isfinite(tape.gradient(last, centroids)))


@pytest.mark.parametrize('n', [0, 1, 4095, 4097])
def test_a_tf_function_places_any_number_of_rows(n):
    centroids = sample(0)[2]
    call = tf.function(
        lambda points: graph.assign(points, centroids, missing='partial'),
        input_signature=[tf.TensorSpec([None, 4])],
    )
    points = sample(1, n=n)[0] if n > 4 else reference.with_gaps(sample(0)[2][:n], 0)
    wanted = graph.assign(points, centroids, missing='partial')
    np.testing.assert_array_equal(call(points).ids, wanted.ids)
    np.testing.assert_array_equal(call(points).distances, wanted.distances)


# any data at all

NUMBERS = strategies.floats(-1000, 1000, width=32).map(lambda x: x if abs(x) > 1e-6 else 0.0)
GAPPY = strategies.one_of(strategies.just(NAN), NUMBERS)


@hypothesis.settings(deadline=None, derandomize=True, max_examples=60)
@hypothesis.given(data=strategies.data())
@pytest.mark.parametrize(('k', 'd'), [(1, 2), (2, 3), (3, 2)])
def test_any_fit_keeps_what_every_fit_must(k, d, data):
    n = data.draw(strategies.integers(k, 25))
    points = data.draw(numpy_strategies.arrays(np.float32, [n, d], elements=GAPPY))
    observed = ~np.isnan(points)
    kept = observed.any(axis=1)
    hypothesis.assume(observed.any(axis=0).all())
    hypothesis.assume(len(np.unique(np.nan_to_num(points[kept], nan=1e9) + 0.0, axis=0)) >= k)
    seed = data.draw(strategies.integers(0, 2**63 - 1))
    found = graph.fit(points, k, seed=seed, missing='partial')
    centroids = found.centroids.numpy()
    scale = np.nanmax(np.abs(points - np.nanmean(points, axis=0, dtype=float)))
    slack = 1e-5 * n * d * max(scale, 1e-6) ** 2
    assert found.rows_left_out == n - kept.sum()
    assert found.cluster_weights.numpy().sum() == kept.sum()
    assert np.all(centroids >= np.nanmin(points, axis=0) - 1e-5 * scale)
    assert np.all(centroids <= np.nanmax(points, axis=0) + 1e-5 * scale)
    table = reference.distances(points[kept], centroids)
    np.testing.assert_allclose(found.inertia, table.min(axis=1).sum(), rtol=1e-4, atol=slack)
    if found.converged and d == 2:  # the sum of squares over observed values cannot fall further
        again = graph.fit(points, k, init=centroids, missing='partial', tol=0.0)
        unscaled = (table * observed[kept].sum(axis=1, keepdims=True) / d).min(axis=1).sum()
        better = reference.distances(points[kept], again.centroids.numpy())
        better = (better * observed[kept].sum(axis=1, keepdims=True) / d).min(axis=1).sum()
        assert better <= unscaled + slack
