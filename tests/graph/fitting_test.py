"""`graph.fit` as a whole: weights, precision, scale, cosine, restarts, numbering, tf.function."""

import os

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies
from sklearn import cluster, datasets

from support import paths, processes, reference
from tfx_kmeans import graph

SEEDS = range(3)
EXACT = {'rtol': 0, 'atol': 0}


def assert_same_fit(found, wanted, **tolerance):
    tolerance = tolerance or {'rtol': 1e-5, 'atol': 1e-6}
    np.testing.assert_allclose(found.centroids, wanted.centroids, **tolerance)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, **tolerance)
    np.testing.assert_allclose(found.inertia, wanted.inertia, **tolerance)
    assert found.n_iter == wanted.n_iter


# what comes out


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_result_has_the_documented_types_and_shapes(dtype):
    points, _, _ = reference.sample(0)
    found = graph.fit(points.astype(dtype), 5)
    assert found.centroids.dtype == dtype
    assert found.centroids.shape == (5, 4)
    assert found.cluster_weights.dtype == tf.float64
    assert found.cluster_weights.shape == (5,)
    assert (found.inertia.dtype, found.inertia.shape) == (tf.float64, ())
    assert (found.n_iter.dtype, found.n_iter.shape) == (tf.int32, ())
    assert (found.converged.dtype, found.converged.shape) == (tf.bool, ())
    assert found.inertia_history.dtype == tf.float64


@pytest.mark.parametrize('dtype', [np.int8, np.uint8, np.int32, np.int64, np.float16])
def test_other_numeric_types_are_read_as_float32(dtype):
    points = np.random.default_rng(0).integers(0, 100, size=(400, 4))
    init = points[:5]
    found = graph.fit(points.astype(dtype), 5, init=init.astype(dtype))
    assert found.centroids.dtype == tf.float32
    wanted = graph.fit(points.astype(np.float32), 5, init=init.astype(np.float32))
    assert_same_fit(found, wanted, **EXACT)


def test_lists_tensors_and_arrays_in_any_order_are_the_same_points():
    points, weights, _ = reference.sample(0)
    wanted = graph.fit(points, 5, weights=weights)
    fortran = graph.fit(np.asfortranarray(points), 5, weights=weights)
    tensor = graph.fit(tf.constant(points), 5, weights=tf.constant(weights, tf.float64))
    lists = graph.fit(points.tolist(), 5, weights=weights.tolist())
    for found in (fortran, tensor, lists):
        assert_same_fit(found, wanted, **EXACT)


def test_numpy_integers_are_integers():
    points, _, _ = reference.sample(0)
    found = graph.fit(points, np.int64(5), max_iter=np.int32(300), seed=np.uint8(0))
    assert_same_fit(found, graph.fit(points, 5), **EXACT)


# weights


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('seed', SEEDS)
def test_integer_weights_equal_repeated_rows(seed, distance):
    points, _, init = reference.sample(seed)
    weights = np.random.default_rng(seed).integers(1, 5, size=len(points))
    found = graph.fit(points, 5, init=init, weights=weights, distance=distance)
    wanted = graph.fit(np.repeat(points, weights, axis=0), 5, init=init, distance=distance)
    assert_same_fit(found, wanted)


@pytest.mark.parametrize('factor', [2.0**-80, 1e-6, 1e6, 2.0**80])
def test_scaling_all_weights_changes_nothing_else(factor):
    points, weights, _ = reference.sample(0)
    wanted = graph.fit(points, 5, weights=weights)
    found = graph.fit(points, 5, weights=weights.astype(np.float64) * factor)
    np.testing.assert_allclose(found.centroids, wanted.centroids, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights * factor, rtol=1e-6)
    np.testing.assert_allclose(found.inertia, wanted.inertia * factor, rtol=1e-6)


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('seed', SEEDS)
def test_weight_zero_equals_a_row_left_out(seed, distance):
    points, weights, init = reference.sample(seed)
    weights[::3] = 0
    points[::3] += 5  # rows that would matter
    kept = weights > 0
    found = graph.fit(points, 5, init=init, weights=weights, distance=distance)
    wanted = graph.fit(points[kept], 5, init=init, weights=weights[kept], distance=distance)
    assert_same_fit(found, wanted)


@pytest.mark.parametrize('init', ['k-means++', 'random'])
def test_unit_weights_equal_no_weights(init):
    points, _, _ = reference.sample(0)
    found = graph.fit(points, 5, weights=np.ones(len(points)), init=init)
    assert_same_fit(found, graph.fit(points, 5, init=init), **EXACT)


@pytest.mark.parametrize('init', ['k-means++', 'random'])
def test_weights_matter_to_the_seeding(init):
    points, weights, _ = reference.sample(0)
    options = {'init': init, 'search': 'none', 'max_iter': 1}
    found = [graph.fit(points, 5, weights=w, **options) for w in (weights, None)]
    assert found[0].inertia_history[0] != found[1].inertia_history[0]


# extremes of n_clusters


@pytest.mark.parametrize('init', ['k-means++', 'random'])
def test_as_many_clusters_as_rows_leave_no_inertia(init):
    points = reference.sample(0)[0][:5]
    found = graph.fit(points, 5, init=init)
    assert found.inertia == 0
    np.testing.assert_array_equal(found.cluster_weights, np.ones(5))
    np.testing.assert_allclose(
        np.sort(found.centroids, axis=0), np.sort(points, axis=0), rtol=1e-6, atol=1e-6
    )


def test_as_many_clusters_as_distinct_rows_leave_no_inertia():
    points = np.repeat(reference.sample(0)[0][:5], 80, axis=0)
    for seed in range(5):
        found = graph.fit(points, 5, seed=seed)
        # a difference of sums: what float64 cannot tell of them may be left
        np.testing.assert_allclose(found.inertia, 0, atol=1e-15 * np.sum(points**2))
        np.testing.assert_array_equal(found.cluster_weights, np.full(5, 80))
        np.testing.assert_array_equal(np.unique(found.centroids, axis=0), np.unique(points, axis=0))


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('seed', SEEDS)
def test_one_cluster_lies_on_the_mean(seed, weighted):
    points, weights, _ = reference.sample(seed)
    weights = weights if weighted else np.ones(len(points))
    found = graph.fit(points.astype(np.float64), 1, weights=weights)
    mean = np.average(points.astype(np.float64), axis=0, weights=weights)
    np.testing.assert_allclose(found.centroids, [mean], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        found.inertia, reference.inertia_of(points, [mean], weights), rtol=1e-6
    )


def test_identical_rows_make_one_cluster():
    found = graph.fit(np.full([400, 4], 0.1), 1)
    np.testing.assert_array_equal(found.centroids, np.full([1, 4], 0.1))
    assert found.inertia == 0
    assert found.converged


# what must not matter


@pytest.mark.parametrize('seed', SEEDS)
def test_the_order_of_the_rows_does_not_matter(seed):
    points, weights, init = reference.sample(seed)
    order = np.random.default_rng(seed).permutation(len(points))
    found = graph.fit(points[order], 5, init=init, weights=weights[order])
    assert_same_fit(found, graph.fit(points, 5, init=init, weights=weights))


def test_float32_and_float64_agree():
    points, weights, _ = reference.sample(0)
    found = graph.fit(points.astype(np.float64), 5, weights=weights)
    assert_same_fit(found, graph.fit(points, 5, weights=weights))


def assert_unit_changes_no_bit(exponent):
    points, _, _ = reference.sample(0)
    unit = np.float32(2.0**exponent)
    found, wanted = graph.fit(points * unit, 5), graph.fit(points, 5)
    np.testing.assert_array_equal(found.centroids, wanted.centroids * unit)
    np.testing.assert_array_equal(found.inertia_history, wanted.inertia_history * float(unit) ** 2)


@pytest.mark.parametrize('exponent', [-10, 10])
def test_a_power_of_two_as_unit_changes_no_bit_of_rows_that_serve_as_they_are(exponent):
    assert_unit_changes_no_bit(exponent)


@pytest.mark.parametrize('exponent', [-66, -10, 10, 66])
def test_a_power_of_two_as_unit_changes_no_bit_of_rows_that_are_centred(exponent):
    with paths.prepared_copy():
        assert_unit_changes_no_bit(exponent)


@pytest.mark.parametrize(
    ('unit', 'dtype'),
    [
        (1e-20, np.float32),
        (1e20, np.float32),
        (1e-20, np.float64),
        (1e20, np.float64),
        (1e-100, np.float64),
        (1e100, np.float64),
    ],
)
def test_the_unit_of_the_data_does_not_matter(unit, dtype):
    points, _, init = reference.sample(0)
    points, init = points.astype(dtype), init.astype(dtype)
    scaled = points * dtype(unit)
    wanted = graph.fit(points, 5, init=init)
    found = graph.fit(scaled, 5, init=init * dtype(unit))
    np.testing.assert_allclose(found.centroids / dtype(unit), wanted.centroids, atol=2e-6)
    np.testing.assert_allclose(found.inertia / unit / unit, wanted.inertia, rtol=1e-6)
    assert found.n_iter == wanted.n_iter
    np.testing.assert_array_equal(
        graph.assign(scaled, found.centroids).ids, graph.assign(points, wanted.centroids).ids
    )


@pytest.mark.parametrize(
    ('offset', 'dtype'), [(1e9, np.float64), (-1e9, np.float64), (1e4, np.float32)]
)
def test_a_common_offset_does_not_matter(offset, dtype):
    points, _, init = (array.astype(np.float64) for array in reference.sample(0))
    shifted, init = (points + offset).astype(dtype), (init + offset).astype(dtype)
    found = graph.fit(shifted, 5, init=init)
    wanted = reference.lloyd(shifted, init)
    # a centroid can be no closer than its dtype allows there
    atol = 1e-6 * reference.spread(points) + np.spacing(np.asarray(offset, dtype))
    np.testing.assert_allclose(found.centroids, wanted.centroids, rtol=0, atol=abs(atol))
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=1e-6)
    assert found.n_iter == wanted.n_iter
    ids = reference.distances(shifted, wanted.centroids).argmin(axis=1)
    np.testing.assert_array_equal(graph.assign(shifted, found.centroids).ids, ids)


@pytest.mark.parametrize('d', [1, 2])
def test_millions_of_rows_add_up_without_loss(d):
    rng = np.random.default_rng(d)
    points = rng.normal(100, 1, size=(3_000_000, d)).astype(np.float32)
    points[:1000] += 50
    found = graph.fit(points, 2, init=[[150.0] * d, [100.0] * d], max_iter=3)
    means = [points[:1000].mean(axis=0, dtype=float), points[1000:].mean(axis=0, dtype=float)]
    np.testing.assert_array_equal(found.cluster_weights, [1000, 2_999_000])
    np.testing.assert_allclose(found.centroids, means, rtol=1.5e-7)
    placed = ((points[:1000] - means[0]) ** 2).sum() + ((points[1000:] - means[1]) ** 2).sum()
    np.testing.assert_allclose(found.inertia, placed, rtol=1e-6)


# random draws and restarts


@pytest.mark.parametrize('init', ['k-means++', 'random'])
@pytest.mark.parametrize('seed', [0, 1, 2**62])
def test_a_seed_gives_the_same_fit_again(seed, init):
    points, _, _ = reference.sample(0)
    found, again = (graph.fit(points, 5, init=init, seed=seed) for _ in range(2))
    assert_same_fit(found, again, **EXACT)


@pytest.mark.parametrize('init', ['k-means++', 'random'])
def test_seeds_give_different_starts(init):
    points, _, _ = reference.sample(0)
    starts = {
        float(
            graph.fit(points, 5, init=init, search='none', seed=seed, max_iter=1).inertia_history[0]
        )
        for seed in [*range(8), 2**32, 2**62]
    }
    assert len(starts) == 10


def test_n_init_keeps_the_run_of_least_inertia():
    points, _, _ = reference.sample(0)
    last = {}

    def remember(run, _, inertia):
        last[int(run)] = inertia

    found = graph.fit(points, 5, init='random', n_init=8, on_iteration=remember)
    assert sorted(last) == list(range(8))
    assert found.inertia == min(last.values())
    assert len(set(last.values())) > 1


def test_more_runs_are_never_worse():
    points, _, _ = reference.sample(0)
    options = {'init': 'random', 'search': 'none'}
    one, many = (
        np.array([graph.fit(points, 5, n_init=n, seed=s, **options).inertia for s in range(10)])
        for n in (1, 8)
    )
    assert np.all(many <= one)
    assert np.any(many < one)


@pytest.mark.parametrize('seed', SEEDS)
def test_separate_heaps_are_found(seed):
    points, heaps = reference.blobs(seed)
    found = graph.fit(points, 8, n_init=4, seed=seed)
    np.testing.assert_array_equal(found.cluster_weights, np.full(8, 50))
    pairs = set(zip(heaps, graph.assign(points, found.centroids).ids.numpy(), strict=True))
    assert len(pairs) == 8


# against scikit-learn

DATASETS = {
    'digits': (datasets.load_digits, 10),
    'wine': (datasets.load_wine, 3),
    'breast_cancer': (datasets.load_breast_cancer, 2),
    'iris': (datasets.load_iris, 3),
}


@pytest.mark.parametrize('name', DATASETS)
def test_same_start_gives_the_inertia_of_scikit_learn(name):
    load, k = DATASETS[name]
    points = load().data
    for seed in range(5):
        init = points[np.random.default_rng(seed).choice(len(points), k, replace=False)]
        theirs = cluster.KMeans(k, init=init, n_init=1).fit(points)
        ours = graph.fit(points, k, init=init)
        np.testing.assert_allclose(ours.inertia, theirs.inertia_, rtol=1e-4)
        ids = graph.assign(points, theirs.cluster_centers_).ids
        np.testing.assert_array_equal(ids, theirs.predict(points))


@pytest.mark.parametrize('name', DATASETS)
def test_ten_runs_are_as_good_as_those_of_scikit_learn(name):
    load, k = DATASETS[name]
    points = load().data
    theirs = cluster.KMeans(k, n_init=10, random_state=0).fit(points)
    assert graph.fit(points, k, n_init=10).inertia <= 1.01 * theirs.inertia_


# numbering


@pytest.mark.parametrize('init', ['k-means++', 'random'])
@pytest.mark.parametrize('seed', SEEDS)
def test_clusters_are_numbered_by_falling_weight(seed, init):
    points, weights, _ = reference.sample(seed)
    found = graph.fit(points, 5, weights=weights, init=init, seed=seed)
    assert np.all(np.diff(found.cluster_weights) <= 0)
    ids = graph.assign(points, found.centroids).ids
    np.testing.assert_allclose(found.cluster_weights, np.bincount(ids, weights, 5))


@pytest.mark.parametrize('seed', range(5))
def test_clusters_of_equal_weight_are_numbered_by_coordinates(seed):
    corners = np.array([[-1, 5, 0, 0], [-1, 7, 0, 0], [1, 5, 0, 0], [1, 5, 0, 2], [1, 5, 3, 0]])
    points = np.random.default_rng(seed).permutation(np.repeat(corners, 80, axis=0))
    found = graph.fit(points, 5, seed=seed)
    np.testing.assert_allclose(found.centroids, corners, atol=1e-6)


@pytest.mark.parametrize('seed', SEEDS)
def test_an_array_as_init_keeps_its_numbering(seed):
    points, _, init = reference.sample(seed)
    order = np.random.default_rng(seed).permutation(5)
    wanted = graph.fit(points, 5, init=init)
    found = graph.fit(points, 5, init=init[order])
    np.testing.assert_allclose(found.centroids, wanted.centroids.numpy()[order], atol=1e-6)
    np.testing.assert_array_equal(found.cluster_weights, wanted.cluster_weights.numpy()[order])


# cosine


@pytest.mark.parametrize('init', ['k-means++', 'random'])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_cosine_centroids_are_unit_vectors(dtype, init):
    points, _, _ = reference.sample(0)
    found = graph.fit(points.astype(dtype), 5, init=init, distance='cosine')
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize('seed', SEEDS)
def test_cosine_ignores_the_length_of_a_row(seed):
    points, _, _ = reference.sample(seed)
    exponents = np.random.default_rng(seed).integers(-60, 60, size=(len(points), 1))
    stretched = points * np.float32(2.0) ** exponents.astype(np.float32)
    found = graph.fit(stretched, 5, distance='cosine', seed=seed)
    assert_same_fit(found, graph.fit(points, 5, distance='cosine', seed=seed), **EXACT)


@pytest.mark.parametrize('seed', SEEDS)
def test_cosine_of_any_stretching_agrees_up_to_rounding(seed):
    points, _, init = reference.sample(seed)
    factors = np.random.default_rng(seed).uniform(1e-3, 1e3, size=(len(points), 1))
    found = graph.fit(points * factors.astype(np.float32), 5, init=init, distance='cosine')
    assert_same_fit(found, graph.fit(points, 5, init=init, distance='cosine'))


def test_cosine_of_one_cluster_is_the_mean_direction():
    points, weights, _ = reference.sample(0)
    found = graph.fit(points, 1, weights=weights, distance='cosine')
    mean = weights @ reference.project(points, 'cosine')
    np.testing.assert_allclose(found.centroids, [mean / np.linalg.norm(mean)], atol=1e-6)


@pytest.mark.parametrize('weighted', [False, True])
def test_opposite_rows_leave_a_cosine_centroid_where_it_was(weighted):
    points = np.array([[1, 0], [-1, 0]] * 5, np.float32)
    found = graph.fit(
        points, 1, init=[[0.0, 2.0]], weights=np.ones(10) if weighted else None, distance='cosine'
    )
    np.testing.assert_array_equal(found.centroids, [[0, 1]])
    np.testing.assert_allclose(found.inertia, 10)
    assert found.converged


# inside a tf.function


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('init', ['k-means++', 'random', 'array'])
def test_inside_a_tf_function_every_bit_is_the_same(init, distance):
    points, weights, start = reference.sample(0)
    init = start if init == 'array' else init

    @tf.function(input_signature=[tf.TensorSpec([None, 4]), tf.TensorSpec([None])])
    def call(points, weights):
        return graph.fit(points, 5, weights=weights, init=init, distance=distance)

    inside = call(points, weights)
    outside = graph.fit(points, 5, weights=weights, init=init, distance=distance)
    for one, other in zip(inside, outside, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_fit_of_a_tf_function_takes_any_number_of_rows():
    call = tf.function(
        lambda points: graph.fit(points, 5, n_init=2).centroids,
        input_signature=[tf.TensorSpec([None, 4])],
    )
    for n in (5, 6, 4095, 4096, 4097, 9000):
        points = reference.sample(0, n=n)[0]
        np.testing.assert_array_equal(call(points), graph.fit(points, 5, n_init=2).centroids)


# reports


def test_on_iteration_is_told_of_every_iteration():
    points, _, init = reference.sample(0)
    told = []
    found = graph.fit(points, 5, init=init, on_iteration=lambda *args: told.append(args))
    runs, iterations, inertias = zip(*told, strict=True)
    assert set(runs) == {0}
    assert iterations == tuple(range(int(found.n_iter) + 1))
    np.testing.assert_array_equal(inertias, found.inertia_history)


@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_on_iteration_is_told_of_every_run(distance):
    points, _, _ = reference.sample(0)
    told = []
    found = graph.fit(
        points, 5, n_init=3, distance=distance, on_iteration=lambda *args: told.append(args)
    )
    histories = [[inertia for run, _, inertia in told if run == wanted] for wanted in range(3)]
    assert [run for run, _, _ in told] == sorted(run for run, _, _ in told)
    best = min(histories, key=lambda history: history[-1])
    np.testing.assert_array_equal(best, found.inertia_history)


def test_on_iteration_changes_nothing_and_need_not_be_hashable():
    class Listener:
        __hash__ = None
        calls = 0

        def __call__(self, run, iteration, inertia):
            self.calls += 1

    points, _, _ = reference.sample(0)
    listener = Listener()
    found = graph.fit(points, 5, on_iteration=listener)
    assert_same_fit(found, graph.fit(points, 5), **EXACT)
    assert listener.calls == found.n_iter + 1


# memory

MEMORY = """
    import re
    import numpy as np
    import tensorflow as tf
    from tfx_kmeans import graph

    def peak():
        with open('/proc/self/status') as status:
            return int(re.search(r'VmHWM:\\s+(\\d+) kB', status.read())[1]) / 1024

    def fit(points):
        return graph.fit(points, 64, init=points[:64], max_iter=3)

    points = tf.random.stateless_normal([2_000_000, 4], [0, 0])
    for n in (1000, 2000):
        fit(points[:n])  # traces
    before = peak()
    fit(points)
    print(peak() - before)
"""


@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='peak memory is read there')
def test_no_temporary_grows_with_rows_times_clusters():
    grown = float(processes.run_python(MEMORY).split()[-1])
    assert grown < 250  # MiB; a float32 [n, n_clusters] would be 488


# any data at all


@hypothesis.settings(deadline=None, derandomize=True, max_examples=60)
@hypothesis.given(data=strategies.data())
@pytest.mark.parametrize(('k', 'd'), [(2, 1), (3, 2)])
def test_any_fit_keeps_what_every_fit_must(k, d, data):
    number = strategies.floats(-1e6, 1e6, width=32).map(lambda x: x if abs(x) > 1e-6 else 0.0)
    rows = data.draw(
        strategies.lists(strategies.tuples(*[number] * d), min_size=k, max_size=30).filter(
            lambda rows: len(set(rows)) >= k
        )
    )
    points = np.array(rows, np.float32)
    found = graph.fit(points, k, seed=data.draw(strategies.integers(0, 2**63 - 1)))
    scale = reference.spread(points)
    history = found.inertia_history.numpy()
    slack = 1e-5 * len(points) * scale**2
    assert found.cluster_weights.numpy().sum() == len(points)
    assert np.all(np.diff(history) <= slack)
    assert np.all(found.centroids >= points.min(axis=0) - 1e-5 * scale)
    assert np.all(found.centroids <= points.max(axis=0) + 1e-5 * scale)
    np.testing.assert_allclose(
        found.inertia, reference.inertia_of(points, found.centroids), rtol=1e-4, atol=slack
    )
