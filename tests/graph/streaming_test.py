"""`graph.fit_dataset`: quality beside graph.fit, streams of any batching, bounded memory."""

import os

import numpy as np
import pytest
import tensorflow as tf
from sklearn import cluster, datasets

from support import processes, reference
from tfx_kmeans import graph
from tfx_kmeans.graph import streaming

SMALL = {'batch_size': 256, 'init_size': 500}  # a sample that is far from all of the data


def stream(points, weights=None, batch=1000):
    arrays = points if weights is None else (points, weights)
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch)


def tiled_digits():
    rng = np.random.default_rng(0)
    rows = np.tile(datasets.load_digits().data, (8, 1))
    return rng.permutation(rows + rng.normal(size=rows.shape)).astype(np.float32), 10


def clustered():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 8))
    rows = centres[rng.integers(40, size=15_000)] + rng.normal(scale=0.4, size=(15_000, 8))
    return rows.astype(np.float32), 40


def without_structure():
    return np.random.default_rng(0).normal(size=(15_000, 16)).astype(np.float32), 60


def skewed():
    """Two coordinates in few places of very different weight, as stops of taxis are."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(150, 2))
    shares = rng.permutation(1 / np.arange(1, 151) ** 1.2)
    rows = places[rng.choice(150, size=15_000, p=shares / shares.sum())]
    return (rows + rng.normal(scale=0.01, size=rows.shape)).astype(np.float32), 24


DATA = (tiled_digits, clustered, without_structure, skewed)


# quality


@pytest.mark.parametrize('make', DATA)
def test_inertia_is_below_that_of_a_plain_fit_and_of_mini_batches(make):
    points, k = make()
    inertias = []
    for seed in range(2):
        plain = graph.fit(points, k, search='none', seed=seed)
        found = graph.fit_dataset(stream(points), k, batch_size=4096, init_size=3000, seed=seed)
        rival = cluster.MiniBatchKMeans(k, batch_size=1024, n_init=1, random_state=seed)
        theirs = -rival.fit(points).score(points)
        inertias.append([float(found.inertia), float(plain.inertia), theirs])
    found, plain, theirs = np.mean(inertias, axis=0)
    assert found < 1.005 * plain
    assert found < theirs


@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_a_data_set_that_fits_the_sample_is_fitted_as_well_as_in_memory(distance):
    points, weights, _ = reference.sample(0, n=3000)
    exact = graph.fit(points, 5, weights=weights, distance=distance)
    found = graph.fit_dataset(stream(points, weights), 5, distance=distance)
    assert found.inertia <= 1.0001 * exact.inertia


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('seed', range(3))
def test_every_pass_is_an_iteration_of_the_reference(seed, weighted, distance):
    points, weights, init = reference.sample(seed, n=700)
    weights = weights if weighted else None
    wanted = reference.lloyd(points, init, weights, distance=distance)
    found = graph.fit_dataset(
        stream(points, weights), 5, init=init, distance=distance, batch_size=100, init_size=700
    )
    np.testing.assert_allclose(found.inertia_history, wanted.inertia_history, rtol=1e-6)
    np.testing.assert_allclose(found.centroids, wanted.centroids, atol=1e-5)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, rtol=1e-9)
    assert (int(found.n_iter), bool(found.converged)) == (wanted.n_iter, True)


def test_the_sample_settles_nothing_but_the_start():
    points, _, init = reference.sample(0, n=3000)
    few, many = (
        graph.fit_dataset(stream(points), 5, init=init, init_size=size) for size in (50, 3000)
    )
    np.testing.assert_allclose(few.centroids, many.centroids, atol=1e-5)
    np.testing.assert_allclose(few.inertia_history, many.inertia_history, rtol=1e-5)


def test_few_passes_are_needed_after_the_fit_of_the_sample():
    points, k = clustered()
    found = graph.fit_dataset(stream(points), k, init_size=5000)
    plain = graph.fit_dataset(stream(points), k, init=points[:k], init_size=5000)
    assert found.converged
    assert 2 * found.n_iter < plain.n_iter


@pytest.mark.parametrize('seed', range(3))
def test_separate_heaps_are_found_from_a_sample(seed):
    points, heaps = reference.blobs(seed, per_blob=1000)
    found = graph.fit_dataset(stream(points), 8, n_init=4, seed=seed, **SMALL)
    np.testing.assert_array_equal(found.cluster_weights, np.full(8, 1000))
    pairs = set(zip(heaps, graph.assign(points, found.centroids).ids.numpy(), strict=True))
    assert len(pairs) == 8


# what comes out


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_result_has_the_types_and_shapes_of_graph_fit(dtype):
    points, weights, _ = reference.sample(0)
    points = points.astype(dtype)
    wanted = graph.fit(points, 5, weights=weights)
    found = graph.fit_dataset(stream(points, weights), 5, **SMALL)
    for name in set(found._fields) - {'inertia_history'}:
        one, other = getattr(found, name), getattr(wanted, name)
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
    assert found.inertia_history.shape == [found.n_iter + 1]


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_inertia_and_weights_are_those_of_all_the_rows(distance, weighted):
    points, weights, _ = reference.sample(0, n=5000)
    weights = weights if weighted else None
    found = graph.fit_dataset(stream(points, weights), 5, distance=distance, **SMALL)
    wanted = reference.inertia_of(points, found.centroids.numpy(), weights, distance)
    np.testing.assert_allclose(found.inertia, wanted, rtol=1e-5)
    ids = graph.assign(points, found.centroids, distance=distance).ids.numpy()
    np.testing.assert_allclose(found.cluster_weights, np.bincount(ids, weights, 5), rtol=1e-6)
    assert found.inertia_history[-1] == found.inertia


def test_clusters_are_numbered_by_falling_weight():
    points, weights, _ = reference.sample(0, n=5000)
    found = graph.fit_dataset(stream(points, weights), 5, **SMALL)
    assert np.all(np.diff(found.cluster_weights) <= 0)


def test_an_array_as_init_keeps_its_numbering():
    points, _ = reference.blobs(0, per_blob=400)
    init = points[reference.blobs(0, per_blob=400)[1].argsort()[::400]]
    found = graph.fit_dataset(stream(points), 8, init=init, **SMALL)
    np.testing.assert_allclose(found.centroids, init, atol=5)
    assert found.inertia < 2.2 * len(points)


def test_cosine_centroids_are_unit_vectors():
    points, _, _ = reference.sample(0, n=5000)
    found = graph.fit_dataset(stream(points), 5, distance='cosine', **SMALL)
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, rtol=1e-6)


def test_on_iteration_is_told_of_every_pass():
    points, _, _ = reference.sample(0, n=5000)
    told = []
    found = graph.fit_dataset(
        stream(points), 5, on_iteration=lambda *args: told.append(args), **SMALL
    )
    _, iterations, inertias = zip(*told, strict=True)
    assert iterations == tuple(range(int(found.n_iter) + 1))
    np.testing.assert_allclose(inertias, found.inertia_history)
    assert {run for run, _, _ in told} == {0}


# when it ends


def test_max_iter_ends_the_fit_and_says_so():
    points, k = without_structure()
    found = graph.fit_dataset(stream(points), k, max_iter=2, tol=0.0, **SMALL)
    assert (int(found.n_iter), bool(found.converged)) == (2, False)


def test_a_tolerance_ends_the_fit():
    points, k = clustered()
    init = points[:k]
    loose = graph.fit_dataset(stream(points), k, init=init, tol=0.01)
    tight = graph.fit_dataset(stream(points), k, init=init, tol=1e-4)
    assert loose.converged
    assert tight.converged
    assert loose.n_iter < tight.n_iter


# clusters that have no rows


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('weighted', [False, True])
def test_empty_clusters_are_given_the_farthest_rows_of_all_batches(weighted, distance):
    points, weights, init = reference.sample(1, n=700)
    init[1:4] = init[0]  # three begin where another does, so they have no row
    weights = weights if weighted else None
    wanted = reference.lloyd(points, init, weights, distance=distance)
    found = graph.fit_dataset(
        stream(points, weights), 5, init=init, distance=distance, batch_size=64
    )
    np.testing.assert_allclose(found.inertia_history, wanted.inertia_history, rtol=1e-6)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, rtol=1e-9)
    assert np.all(found.cluster_weights > 0)


def test_a_centroid_nearest_to_no_row_is_moved_to_where_rows_are_far_from_all():
    points, heaps = reference.blobs(0, per_blob=400)
    init = np.stack([points[heaps == heap].mean(axis=0) for heap in range(8)])
    init[3] = 1000.0, 1000.0
    found = graph.fit_dataset(stream(points), 8, init=init, **SMALL)
    np.testing.assert_allclose(found.cluster_weights, np.full(8, 400))


def test_a_small_cluster_is_found():
    rng = np.random.default_rng(0)
    points = rng.permutation(
        np.concatenate([rng.normal(size=(9900, 2)), rng.normal(size=(100, 2)) + 30])
    ).astype(np.float32)
    found = graph.fit_dataset(stream(points), 3, n_init=3, **SMALL)
    assert np.abs(found.centroids.numpy() - 30).max(axis=1).min() < 1


# weights


def test_weights_count_rows_as_often_as_they_say():
    points, k = without_structure()
    weights = np.random.default_rng(0).integers(0, 4, size=len(points))
    repeated = np.repeat(points, weights, axis=0)
    rng = np.random.default_rng(1)
    wanted = graph.fit_dataset(stream(rng.permutation(repeated)), k, batch_size=1024)
    found = graph.fit_dataset(stream(points, weights), k, batch_size=1024)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=0.01)
    assert tf.reduce_sum(found.cluster_weights) == len(repeated)


@pytest.mark.parametrize('factor', [2.0**-80, 2.0**80])
def test_scaling_all_weights_changes_nothing_else(factor):
    points, weights, _ = reference.sample(0, n=5000)
    wanted = graph.fit_dataset(stream(points, weights), 5, **SMALL)
    found = graph.fit_dataset(stream(points, weights.astype(float) * factor), 5, **SMALL)
    np.testing.assert_allclose(found.centroids, wanted.centroids, rtol=1e-5)
    np.testing.assert_allclose(found.inertia, wanted.inertia * factor, rtol=1e-5)


def test_weight_zero_equals_a_row_that_is_not_there():
    points, _ = reference.blobs(0, per_blob=400)
    weights = np.ones(len(points), np.float32)
    points[::7] += 500
    weights[::7] = 0
    found = graph.fit_dataset(stream(points, weights), 8, n_init=4, **SMALL)
    kept = weights > 0
    np.testing.assert_allclose(
        found.inertia,
        reference.inertia_of(points[kept], found.centroids.numpy()),
        rtol=1e-5,
    )
    assert found.inertia < 2.2 * kept.sum()


# what must not matter


def assert_same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('batch', [1, 37, 5000])
def test_how_the_data_set_is_batched_does_not_matter(batch, distance):
    points, weights, _ = reference.sample(0, n=2000)
    wanted = graph.fit_dataset(stream(points, weights), 5, distance=distance, **SMALL)
    other = stream(points, weights, batch)
    assert_same(graph.fit_dataset(other, 5, distance=distance, **SMALL), wanted)


def test_a_seed_gives_the_same_fit_again_and_another_one_another():
    points, k = clustered()
    first, again, *others = (
        float(graph.fit_dataset(stream(points), k, seed=seed, max_iter=2).inertia)
        for seed in (0, 0, 1, 2**62)
    )
    assert first == again
    assert len({first, *others}) == 3


def test_a_value_far_out_in_the_sample_is_refused_and_elsewhere_alone():
    points = np.tile(POINTS, (5, 1))
    points[123, 1] = 1e15
    with pytest.raises(ValueError, match='column 1 holds 999999986991104'):
        graph.fit_dataset(stream(points), 5)
    points[123, 1] = 1e10
    found = graph.fit_dataset(stream(points), 6, **SMALL)
    wanted = graph.fit(points, 6)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=0.02)
    assert found.cluster_weights[5] == wanted.cluster_weights[5] == 1


@pytest.mark.parametrize('value', [9.96921e36, np.nan])
def test_what_rows_of_weight_0_hold_does_not_matter(value):
    points, weights, init = reference.sample(0, n=3000)
    kept = np.arange(3000) % 3 > 0
    wanted = graph.fit_dataset(stream(points[kept], weights[kept]), 5, init=init, **SMALL)
    points[~kept], weights[~kept] = value, 0
    found = graph.fit_dataset(stream(points, weights), 5, init=init, **SMALL)
    np.testing.assert_allclose(found.centroids, wanted.centroids, atol=1e-5)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=1e-6)
    assert found.n_iter == wanted.n_iter


@pytest.mark.parametrize('unit', [1e-20, 1e20])
def test_the_unit_of_the_data_does_not_matter(unit):
    points, _, _ = reference.sample(0, n=3000)
    wanted = graph.fit_dataset(stream(points), 5, **SMALL)
    found = graph.fit_dataset(stream(points * np.float32(unit)), 5, **SMALL)
    np.testing.assert_allclose(found.centroids / np.float32(unit), wanted.centroids, atol=1e-3)
    np.testing.assert_allclose(found.inertia / unit / unit, wanted.inertia, rtol=1e-4)


def test_a_common_offset_of_float64_does_not_matter():
    points = reference.sample(0, n=3000)[0].astype(np.float64)
    wanted = graph.fit_dataset(stream(points), 5, **SMALL)
    found = graph.fit_dataset(stream(points + 1e9), 5, **SMALL)
    np.testing.assert_allclose(found.centroids - 1e9, wanted.centroids, atol=1e-3)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=1e-4)


# extremes


def test_as_many_clusters_as_rows_leave_no_inertia():
    points = reference.sample(0)[0][:5]
    found = graph.fit_dataset(stream(points), 5)
    np.testing.assert_allclose(found.inertia, 0, atol=1e-10)
    np.testing.assert_array_equal(found.cluster_weights, np.ones(5))


def test_as_many_clusters_as_distinct_rows_leave_no_inertia():
    points = np.tile(reference.sample(0)[0][:5], (800, 1))
    found = graph.fit_dataset(stream(points), 5, **SMALL)
    np.testing.assert_allclose(found.inertia, 0, atol=1e-7)
    np.testing.assert_array_equal(found.cluster_weights, np.full(5, 800))


@pytest.mark.parametrize('weighted', [False, True])
def test_one_cluster_lies_on_the_mean(weighted):
    points, weights, _ = reference.sample(0, n=20_000)
    weights = weights if weighted else None
    found = graph.fit_dataset(stream(points, weights), 1, **SMALL)
    mean = np.average(points.astype(np.float64), axis=0, weights=weights)
    np.testing.assert_allclose(found.centroids, [mean], atol=1e-6)


# memory

MEMORY = """
    import re
    import numpy as np
    import tensorflow as tf
    from tfx_kmeans import graph

    def peak():
        with open('/proc/self/status') as status:
            return int(re.search(r'VmHWM:\\s+(\\d+) kB', status.read())[1]) / 1024

    def rows(n_batches):
        for index in range(n_batches):
            yield np.random.default_rng(index).normal(size=(8192, 16)).astype(np.float32)

    def fit(n_batches):
        data = tf.data.Dataset.from_generator(
            lambda: rows(n_batches), output_signature=tf.TensorSpec([None, 16])
        )
        return graph.fit_dataset(data, 64, max_iter=1)

    fit(10)
    before = peak()
    fit(400)
    print(peak() - before)
"""


@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='peak memory is read there')
def test_memory_does_not_grow_with_the_rows():
    grown = float(processes.run_python(MEMORY).split()[-1])
    assert grown < 60  # MiB; the rows alone would be 200


# the sample


@pytest.mark.parametrize('weighted', [False, True])
def test_the_sample_stands_for_the_weight_of_all_rows(weighted):
    points, weights, _ = reference.sample(0, n=20_000)
    weights = weights**3 if weighted else None
    totals, means = [], []
    for seed in range(20):
        scan = streaming._scan(streaming.Stream(stream(points, weights), 700), 1000, seed)
        assert len(scan.points) == 1000
        totals.append(scan.weights.numpy().sum())
        means.append(np.average(scan.points, axis=0, weights=scan.weights))
    total = len(points) if weights is None else weights.sum()
    mean = np.average(points, axis=0, weights=weights)
    assert np.mean(totals) == pytest.approx(total, rel=0.02)
    np.testing.assert_allclose(np.mean(means, axis=0), mean, atol=0.03)


def test_the_variance_of_a_stream_is_that_of_all_its_rows():
    points, weights, _ = reference.sample(0, n=5000)
    found = streaming._scan(streaming.Stream(stream(points, weights), 700), 100, 0)
    exact = points.astype(np.float64)
    mean = np.average(exact, axis=0, weights=weights)
    variance = np.average((exact - mean) ** 2, axis=0, weights=weights).mean()
    np.testing.assert_allclose(found.variance, variance, rtol=1e-6)
    assert (found.n_rows, len(found.points)) == (5000, 100)


# what is refused

POINTS = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)


def with_nan():
    points = POINTS.copy()
    points[777] = np.nan
    return points


REFUSED = {
    'no data set': (lambda: POINTS, {}, TypeError, 'must be a tf.data.Dataset, not ndarray'),
    'words': (lambda: stream(np.array([['a']])), {}, TypeError, 'points must be numeric'),
    'three parts': (
        lambda: tf.data.Dataset.from_tensors((POINTS, POINTS, POINTS)), {}, TypeError,
        'must be points',
    ),
    'single rows': (
        lambda: tf.data.Dataset.from_tensor_slices(POINTS), {}, ValueError,
        r'points must have rank 2, not shape \(2,\)',
    ),
    'no end': (lambda: stream(POINTS).repeat(), {}, ValueError, 'dataset never ends'),
    'no rows': (lambda: stream(POINTS[:0]), {}, ValueError, 'there are no rows'),
    'NaN': (
        lambda: stream(with_nan(), batch=100), {'batch_size': 100}, ValueError,
        '1 rows hold NaN or infinite values, the first is row 777',
    ),
    'bad weights': (
        lambda: stream(POINTS, -np.ones(1000)), {}, ValueError, 'weights: 1000 of them are neg',
    ),
    'weights of zero': (
        lambda: stream(POINTS, np.zeros(1000)), {}, ValueError, 'weights: none is above 0',
    ),
    'too few distinct rows': (
        lambda: stream(np.repeat(POINTS[:3], 100, axis=0)), {}, ValueError,
        'n_clusters=5 is more than the 3 distinct rows',
    ),
    'too few in the sample': (
        lambda: stream(np.repeat(POINTS[:3], 1000, axis=0)), {'init_size': 50}, ValueError,
        r'in a sample of 50 of 3000 rows \(init_size sets how many\): n_clusters=5 is more',
    ),
    'no clusters': (lambda: stream(POINTS), {'n_clusters': 0}, ValueError, 'n_clusters must be'),
    'batch of no rows': (lambda: stream(POINTS), {'batch_size': 0}, ValueError, 'batch_size must'),
    'sample too small': (lambda: stream(POINTS), {'init_size': 4}, ValueError, 'init_size must be'),
    'unknown search': (lambda: stream(POINTS), {'search': 'swaps'}, ValueError, 'search must be'),
    'init of another shape': (
        lambda: stream(POINTS), {'init': POINTS[:4]}, ValueError, r'init must have shape \(5, 2\)',
    ),
    'init with NaN': (
        lambda: stream(POINTS), {'init': np.full((5, 2), np.nan)}, ValueError, 'init: 5 rows hold',
    ),
}  # fmt: skip


def test_inside_a_tf_function_it_is_refused():
    with pytest.raises(RuntimeError, match=r'inside a tf\.function; graph\.fit can'):
        tf.function(lambda: graph.fit_dataset(stream(POINTS), 5))()


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_be_fitted_is_refused_by_name(case):
    data, options, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        graph.fit_dataset(data(), **{'n_clusters': 5, **options})
