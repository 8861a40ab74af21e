"""`graph.assign`, `graph.pairwise_distances` and `graph.soft_assign`."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies
from sklearn import cluster

from support import reference
from tfx_kmeans import graph

SEEDS = range(3)
EITHER_DISTANCE = pytest.mark.parametrize('distance', reference.DISTANCES)
EITHER_DTYPE = pytest.mark.parametrize('dtype', [np.float32, np.float64])


def sample(seed, n=500, d=4, k=7):
    """Rows and centroids, float64."""
    rng = np.random.default_rng(seed)
    return rng.normal(1, 1, size=(n, d)), rng.normal(1, 1, size=(k, d))


def assert_equals_brute_force(points, centroids, distance, **options):
    table = reference.distances(points, centroids, distance)
    found = graph.assign(points, centroids, distance=distance)
    np.testing.assert_array_equal(found.ids, table.argmin(axis=1))
    tolerance = {'rtol': 1e-5, 'atol': 1e-7, **options}
    np.testing.assert_allclose(found.distances, table.min(axis=1), **tolerance)


# hard


@EITHER_DISTANCE
@EITHER_DTYPE
@pytest.mark.parametrize('seed', SEEDS)
def test_assign_equals_brute_force(seed, dtype, distance):
    points, centroids = sample(seed)
    assert_equals_brute_force(points.astype(dtype), centroids.astype(dtype), distance)


@pytest.mark.parametrize('k', [1, 2, 31, 300, 5000])
def test_assign_equals_brute_force_for_any_number_of_centroids(k):
    assert_equals_brute_force(*sample(0, n=300, d=3, k=k), 'squared_euclidean', atol=1e-6)


@pytest.mark.parametrize('n', [1, 255, 256, 257, 4095, 4096, 4097, 8192])
def test_rows_about_the_ends_of_blocks_are_placed(n):
    points, centroids = sample(0, n=n)
    assert_equals_brute_force(points, centroids, 'squared_euclidean')


@pytest.mark.parametrize('n', [511, 512, 513])
def test_rows_about_the_ends_of_narrow_blocks_are_placed(n):
    points, centroids = sample(0, n=n, d=2, k=4096)  # many centroids make blocks of 256 rows
    assert_equals_brute_force(points, centroids, 'squared_euclidean', atol=1e-6)


@EITHER_DISTANCE
@pytest.mark.parametrize('n', [0, 1, 5000])
def test_assign_gives_int64_and_float32(n, distance):
    points, centroids = sample(0, n=n)
    found = graph.assign(points, centroids, distance=distance)
    assert (found.ids.dtype, found.distances.dtype) == (tf.int64, tf.float32)
    assert found.ids.shape == found.distances.shape == (n,)


@pytest.mark.parametrize('dtype', [np.int8, np.uint8, np.int32, np.int64])
def test_integer_rows_are_placed(dtype):
    points = np.random.default_rng(0).integers(0, 100, size=(500, 4)).astype(dtype)
    assert_equals_brute_force(points, sample(0)[1] * 40, 'squared_euclidean')


@pytest.mark.parametrize('seed', SEEDS)
def test_labels_are_those_of_scikit_learn(seed):
    points, _ = sample(seed)
    model = cluster.KMeans(7, n_init=1, random_state=seed).fit(points)
    found = graph.assign(points, model.cluster_centers_)
    np.testing.assert_array_equal(found.ids, model.labels_)
    np.testing.assert_array_equal(found.ids, model.predict(points))
    distances = model.transform(points).min(axis=1) ** 2
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5, atol=1e-7)


def test_ties_go_to_the_lowest_id():
    centroids = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    points = np.array([[0, 0], [1, 1], [-1, 1], [-1, -1], [1, -1], [0, -5]])
    found = graph.assign(points, centroids)
    np.testing.assert_array_equal(found.ids, [0, 0, 1, 2, 0, 3])


@EITHER_DISTANCE
@pytest.mark.parametrize('k', [2, 17, 37])
def test_equal_centroids_give_the_lowest_id(k, distance):
    points, centroids = sample(0, n=5000, k=k)
    centroids[-1] = centroids[0]
    ids = graph.assign(points, centroids, distance=distance).ids.numpy()
    assert np.any(ids == 0)
    assert not np.any(ids == k - 1)


@EITHER_DTYPE
@pytest.mark.parametrize('offset', [0.0, 1e4])
def test_a_row_on_its_centroid_has_distance_0(offset, dtype):
    centroids = (sample(0)[1] + offset).astype(dtype)
    found = graph.assign(centroids, centroids)
    np.testing.assert_array_equal(found.ids, np.arange(7))
    np.testing.assert_array_equal(found.distances, np.zeros(7))


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@EITHER_DISTANCE
@EITHER_DTYPE
def test_a_row_that_is_not_finite_has_no_place(dtype, distance, bad):
    points, centroids = (array.astype(dtype) for array in sample(0))
    wanted = graph.assign(points, centroids, distance=distance)
    points[[3, 40], [0, 3]] = bad
    found = graph.assign(points, centroids, distance=distance)
    np.testing.assert_array_equal(found.ids.numpy()[[3, 40]], [7, 7])
    np.testing.assert_array_equal(found.distances.numpy()[[3, 40]], [np.nan, np.nan])
    others = np.delete(np.arange(500), [3, 40])
    np.testing.assert_array_equal(found.ids.numpy()[others], wanted.ids.numpy()[others])
    np.testing.assert_array_equal(found.distances.numpy()[others], wanted.distances.numpy()[others])


def test_a_row_of_zeros_has_no_place_under_the_cosine_distance_alone():
    points, centroids = sample(0, n=3)
    points[1] = 0
    found = graph.assign(points, centroids, distance='cosine')
    assert found.ids[1] == 7
    assert np.isnan(found.distances[1])
    assert np.all(np.isfinite(found.distances.numpy()[[0, 2]]))
    assert graph.assign(points, centroids).ids[1] < 7


@pytest.mark.parametrize('factor', [1e-30, 1e-3, 1e3, 1e30])
def test_cosine_ignores_the_lengths_of_rows_and_centroids(factor):
    points, centroids = (array.astype(np.float32) for array in sample(0))
    wanted = graph.assign(points, centroids, distance='cosine')
    found = graph.assign(points * np.float32(factor), centroids * 7, distance='cosine')
    np.testing.assert_array_equal(found.ids, wanted.ids)
    np.testing.assert_allclose(found.distances, wanted.distances, atol=1e-6)


def test_cosine_distances_run_from_0_to_2():
    points = np.array([[3.0, 0], [0, 2], [-5, 0]])
    found = [graph.assign(row[np.newaxis], [[2.0, 0]], distance='cosine') for row in points]
    np.testing.assert_allclose(np.concatenate([one.distances for one in found]), [0, 1, 2])


@pytest.mark.parametrize(
    ('unit', 'dtype'), [(1e-18, np.float32), (1e18, np.float32), (1e150, np.float64)]
)
def test_the_unit_of_the_data_does_not_change_the_ids(unit, dtype):
    points, centroids = (array.astype(dtype) for array in sample(0))
    found = graph.assign(points * dtype(unit), centroids * dtype(unit))
    wanted = graph.assign(points, centroids)
    np.testing.assert_array_equal(found.ids, wanted.ids)
    with np.errstate(over='ignore'):
        scaled = (wanted.distances.numpy() * np.float64(unit) ** 2).astype(np.float32)
    np.testing.assert_allclose(found.distances, scaled, rtol=1e-5)


@pytest.mark.parametrize(('offset', 'dtype'), [(1e9, np.float64), (1e4, np.float32)])
def test_a_common_offset_does_not_change_the_ids(offset, dtype):
    points, centroids = ((array + offset).astype(dtype) for array in sample(0))
    assert_equals_brute_force(points, centroids, 'squared_euclidean')


# all distances


@EITHER_DISTANCE
@EITHER_DTYPE
def test_pairwise_distances_equal_brute_force(dtype, distance):
    points, centroids = (array.astype(dtype) for array in sample(0))
    found = graph.pairwise_distances(points, centroids, distance=distance)
    assert found.dtype == tf.float32
    wanted = reference.distances(points, centroids, distance)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert np.all(found >= 0)


@EITHER_DISTANCE
def test_the_least_pairwise_distance_is_that_of_assign(distance):
    points, centroids = sample(0)
    table = graph.pairwise_distances(points, centroids, distance=distance)
    found = graph.assign(points, centroids, distance=distance)
    np.testing.assert_allclose(np.min(table, axis=1), found.distances, atol=1e-5)
    np.testing.assert_array_equal(np.argmin(table, axis=1), found.ids)


@EITHER_DISTANCE
def test_soft_and_pairwise_rows_without_a_place_are_nan(distance):
    points, centroids = sample(0, n=4)
    points[1, 0] = np.nan
    points[2] = 0
    lost = [False, True, distance == 'cosine', False]
    for function in (graph.pairwise_distances, graph.soft_assign):
        found = np.isnan(function(points, centroids, distance=distance))
        np.testing.assert_array_equal(found, np.repeat(np.transpose([lost]), 7, axis=1))


def test_pairwise_distances_too_great_for_float32_are_infinite():
    points = np.array([[0.0, 0], [1e20, 0], [0, 3e20]])
    found = graph.pairwise_distances(points, points)
    np.testing.assert_array_equal(found, np.where(np.eye(3), 0, np.inf))


@pytest.mark.parametrize('function', [graph.pairwise_distances, graph.soft_assign])
def test_no_rows_give_an_empty_table(function):
    assert function(np.zeros([0, 4]), sample(0)[1]).shape == (0, 7)


# soft


@EITHER_DISTANCE
@pytest.mark.parametrize('temperature', [1e-3, 0.5, 1, np.float64(2), 1e3])
def test_soft_assign_is_the_softmax_of_distances(temperature, distance):
    points, centroids = sample(0)
    found = graph.soft_assign(points, centroids, temperature=temperature, distance=distance)
    logits = -reference.distances(points, centroids, distance) / temperature
    wanted = np.exp(logits - logits.max(axis=1, keepdims=True))
    wanted /= wanted.sum(axis=1, keepdims=True)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(np.sum(found, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found, wanted, atol=2e-6 * max(1, 1 / temperature))


@EITHER_DISTANCE
@pytest.mark.parametrize(('unit', 'temperature'), [(1, 1e-6), (1, 1e-30), (1e18, 1e-30)])
def test_a_low_temperature_gives_the_hard_assignment(unit, temperature, distance):
    points, centroids = (array * unit for array in sample(0))
    found = graph.soft_assign(points, centroids, temperature=temperature, distance=distance)
    ids = graph.assign(points, centroids, distance=distance).ids
    np.testing.assert_allclose(found, np.eye(7)[ids], atol=1e-3)


def test_a_high_temperature_gives_equal_shares():
    found = graph.soft_assign(*sample(0), temperature=1e9)
    np.testing.assert_allclose(found, np.full([500, 7], 1 / 7), rtol=1e-5)


@pytest.mark.parametrize('kind', [tf.constant, tf.Variable])
def test_the_temperature_may_be_a_tensor_of_a_tf_function(kind):
    points, centroids = sample(0)
    temperature = kind(0.3)
    call = tf.function(lambda: graph.soft_assign(points, centroids, temperature=temperature))
    wanted = graph.soft_assign(points, centroids, temperature=0.3)
    np.testing.assert_allclose(call(), wanted, rtol=1e-5, atol=1e-7)


# gradients


@EITHER_DISTANCE
@pytest.mark.parametrize('function', [graph.pairwise_distances, graph.soft_assign])
@pytest.mark.parametrize('seed', SEEDS)
def test_gradients_equal_numerical_differences(seed, function, distance):
    points, centroids = sample(seed, n=6, k=3)
    factors = np.random.default_rng(seed).normal(size=(6, 3))

    def loss(points, centroids):
        return tf.reduce_sum(
            tf.constant(factors)
            * tf.cast(function(points, centroids, distance=distance), tf.float64)
        )

    for which in (0, 1):
        arguments = [tf.constant(points), tf.constant(centroids)]
        with tf.GradientTape() as tape:
            tape.watch(arguments[which])
            value = loss(*arguments)
        gradient = tape.gradient(value, arguments[which]).numpy()
        numerical = np.zeros_like(gradient)
        step = 1e-2  # float32 within: a large step, whose error falls with its square
        for place in np.ndindex(*gradient.shape):
            around = []
            for sign in (1, -1):
                moved = [points.copy(), centroids.copy()]
                moved[which][place] += sign * step
                around.append(loss(*moved).numpy())
            numerical[place] = (around[0] - around[1]) / (2 * step)
        largest = np.abs(numerical).max()
        assert largest > 0.02
        np.testing.assert_allclose(gradient, numerical, rtol=0, atol=0.01 * largest)


@EITHER_DISTANCE
@pytest.mark.parametrize('function', [graph.pairwise_distances, graph.soft_assign])
def test_rows_on_a_centroid_and_rows_without_a_place_leave_gradients_finite(function, distance):
    points, centroids = (array.astype(np.float32) for array in sample(0, n=10))
    points[0] = centroids[0]
    points[[1, 2, 3]] = [[np.nan], [np.inf], [0]]
    kept = [0, 4, 5, 6, 7, 8, 9]
    points, centroids = tf.constant(points), tf.constant(centroids)
    with tf.GradientTape() as tape:
        tape.watch([points, centroids])
        table = tf.gather(function(points, centroids, distance=distance), kept)
        value = tf.reduce_sum(table * table)
    for gradient in tape.gradient(value, [points, centroids]):
        assert np.all(np.isfinite(gradient))
        assert np.any(gradient != 0)


# in graphs


@EITHER_DISTANCE
def test_assign_in_a_tf_function_takes_any_number_of_rows(distance):
    _, centroids = sample(0)
    call = tf.function(
        lambda points: graph.assign(points, centroids, distance=distance),
        input_signature=[tf.TensorSpec([None, 4], tf.float64)],
    )
    for n in (0, 1, 4095, 4096, 4097):
        points, _ = sample(1, n=n)
        wanted = graph.assign(points, centroids, distance=distance)
        np.testing.assert_array_equal(call(points).ids, wanted.ids)
        np.testing.assert_array_equal(call(points).distances, wanted.distances)


class Exported(tf.Module):
    """Places float32 rows."""

    def __init__(self, centroids, distance, missing='drop'):
        super().__init__()
        self.centroids = tf.Variable(centroids, dtype=tf.float32)
        self.options = {'distance': distance, 'missing': missing}
        signature = [tf.TensorSpec([None, centroids.shape[1]])]
        self.place = tf.function(self._place, input_signature=signature)

    def _place(self, points):
        ids, distances = graph.assign(points, self.centroids, **self.options)
        shares = graph.soft_assign(points, self.centroids, **self.options)
        return {'ids': ids, 'distances': distances, 'shares': shares}


@EITHER_DISTANCE
def test_a_saved_model_places_rows_alike(tmp_path, distance):
    points, centroids = (array.astype(np.float32) for array in sample(0, n=5000))
    points[17] = np.nan
    tf.saved_model.save(Exported(centroids, distance), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    found = loaded.place(points)
    wanted = graph.assign(points, centroids, distance=distance)
    np.testing.assert_array_equal(found['ids'], wanted.ids)
    np.testing.assert_array_equal(found['distances'], wanted.distances)
    shares = graph.soft_assign(points, centroids, distance=distance)
    np.testing.assert_allclose(found['shares'], shares, atol=1e-6)


# one id, whatever the batch


def halfway(seed=0, n=2000, d=37, k=6):
    """Rows half-way between two centroids, as near as float32 comes to it, and the centroids."""
    rng = np.random.default_rng(seed)
    centroids = rng.normal(size=(k, d)).astype(np.float32)
    pairs = centroids[rng.integers(k, size=n)] + centroids[rng.integers(k, size=n)]
    return pairs / 2, centroids


@pytest.mark.parametrize('offset', [0, 100])
@pytest.mark.parametrize(
    ('distance', 'missing'),
    [('squared_euclidean', 'drop'), ('squared_euclidean', 'partial'), ('cosine', 'drop')],
)
def test_a_row_has_one_id_whatever_the_rows_beside_it(distance, offset, missing, tmp_path):
    points, centroids = (part + np.float32(offset) for part in halfway())
    if missing == 'partial':
        points = reference.with_gaps(points, 0)
    options = {'distance': distance, 'missing': missing}
    whole = graph.assign(points, centroids, **options).ids.numpy()
    for size, rows in ((1, 150), (7, 700), (700, 2000)):
        parts = [
            graph.assign(points[start : start + size], centroids, **options).ids
            for start in range(0, rows, size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole[:rows])
    tf.saved_model.save(Exported(centroids, **options), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_array_equal(loaded.place(points)['ids'], whole)
    singles = [loaded.place(points[index : index + 1])['ids'] for index in range(100)]
    np.testing.assert_array_equal(np.concatenate(singles), whole[:100])


def test_no_other_centroid_is_nearer_by_more_than_a_millionth():
    points, centroids = halfway()
    table = reference.distances(points, centroids)
    ids = graph.assign(points, centroids).ids.numpy()
    taken = table[np.arange(len(points)), ids]
    np.testing.assert_allclose(taken, table.min(axis=1), rtol=1e-6)


@pytest.mark.parametrize('missing', ['drop', 'partial'])
def test_equally_near_centroids_give_the_lowest_id_in_a_batch_of_any_size(missing):
    rng = np.random.default_rng(0)
    centroids = np.repeat(rng.normal(size=(5, 23)), 2, axis=0).astype(np.float32)
    points = rng.normal(size=(5000, 23)).astype(np.float32)
    ids = graph.assign(points, centroids, missing=missing).ids.numpy()
    assert set(ids) == {0, 2, 4, 6, 8}
    singles = [
        graph.assign(points[i : i + 1], centroids, missing=missing).ids[0] for i in range(50)
    ]
    np.testing.assert_array_equal(singles, ids[:50])


def test_a_row_that_has_only_what_centroids_share_goes_to_the_lowest_of_them():
    nan = np.nan
    centroids = np.float32([[7, 0.1], [3, 0.2], [3, 0.1], [5, 0.1]])
    rows = np.float32([[nan, 0.1], [nan, 0.2], [3, nan], [4, nan]])
    assert graph.assign(rows, centroids, missing='partial').ids.numpy().tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize('scale', [1e-37, 1e37])
def test_values_at_the_ends_of_float32_are_placed(scale):
    centroids = np.float32([[0, 0], [1, 1]]) * np.float32(scale)
    rows = np.float32([[0.1, 0.2], [0.9, 0.8]]) * np.float32(scale)
    assert graph.assign(rows, centroids).ids.numpy().tolist() == [0, 1]


# centroids of a fit that has failed


@pytest.mark.parametrize('bad', [np.nan, np.inf])
@pytest.mark.parametrize(
    'function', [graph.assign, graph.pairwise_distances, graph.soft_assign, graph.score_clusters]
)
def test_centroids_that_are_not_finite_are_refused(function, bad):
    points, centroids = sample(0)
    centroids[3, 1] = bad
    with pytest.raises(ValueError, match='centroids: 1 values are NaN or infinite'):
        function(points, centroids)


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_a_graph_that_cannot_tell_leaves_rows_of_such_centroids_unassigned(bad):
    points, centroids = (array.astype(np.float32) for array in sample(0, n=30))
    exported = Exported(centroids, 'squared_euclidean')
    assert np.all(exported.place(points)['ids'] < 7)
    centroids[3, 1] = bad
    exported.centroids.assign(centroids)
    found = exported.place(points)
    np.testing.assert_array_equal(found['ids'], np.full(30, 7))
    assert np.all(np.isnan(found['distances']))
    assert np.all(np.isnan(found['shares']))


# any data at all


@hypothesis.settings(deadline=None, derandomize=True, max_examples=100)
@hypothesis.given(data=strategies.data())
@EITHER_DISTANCE
@pytest.mark.parametrize(('k', 'd'), [(1, 2), (4, 1), (3, 3)])
def test_no_centroid_is_nearer_than_the_one_assigned(k, d, distance, data):
    number = strategies.floats(-1000, 1000, width=32, allow_subnormal=False)
    n = data.draw(strategies.integers(1, 20))
    points, centroids = (
        data.draw(numpy_strategies.arrays(np.float32, [rows, d], elements=number))
        for rows in (n, k)
    )
    if distance == 'cosine':
        points, centroids = points + np.float32(2000), centroids + np.float32(2000)
    table = reference.distances(points, centroids, distance)
    found = graph.assign(points, centroids, distance=distance)
    extent = (
        1 if distance == 'cosine' else np.ptp(np.concatenate([points, centroids]), axis=0).max()
    )
    slack = 2e-6 * max(extent, 1) ** 2
    taken = table[np.arange(n), found.ids]
    assert np.all(taken <= table.min(axis=1) + slack)
    np.testing.assert_allclose(found.distances, taken, rtol=1e-5, atol=slack)
    soft = graph.soft_assign(points, centroids, distance=distance)
    np.testing.assert_allclose(np.sum(soft, axis=1), np.ones(n), rtol=1e-5)
