"""`graph.fit_minibatch`: quality beside the exact fit, streams of any batching, bounded memory."""

import hashlib
import inspect
import os

import numpy as np
import pytest
import tensorflow as tf
from sklearn import cluster, datasets

from support import processes, reference
from tfx_kmeans import graph
from tfx_kmeans.graph import epochs, streams

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
def test_inertia_is_within_3_percent_of_the_exact_fit_and_of_scikit_learn(make):
    points, k = make()
    inertias = []
    for seed in range(3):
        exact = graph.fit(points, k, seed=seed, max_iter=50)
        found = graph.fit_minibatch(stream(points), k, batch_size=1024, init_size=3000, seed=seed)
        rival = cluster.MiniBatchKMeans(k, batch_size=1024, n_init=1, random_state=seed)
        theirs = -rival.fit(points).score(points)
        inertias.append([float(found.inertia), float(exact.inertia), theirs])
    found, exact, theirs = np.mean(inertias, axis=0)
    assert found < 1.03 * exact
    assert found < 1.03 * theirs


@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_a_data_set_that_fits_the_sample_is_fitted_as_well_as_in_memory(distance):
    points, weights, _ = reference.sample(0, n=3000)
    exact = graph.fit(points, 5, weights=weights, distance=distance)
    found = graph.fit_minibatch(stream(points, weights), 5, distance=distance)
    np.testing.assert_allclose(found.inertia, exact.inertia, rtol=2e-3)


@pytest.mark.parametrize('seed', range(3))
def test_separate_heaps_are_found_from_a_sample(seed):
    points, heaps = reference.blobs(seed, per_blob=1000)
    found = graph.fit_minibatch(stream(points), 8, n_init=4, seed=seed, **SMALL)
    np.testing.assert_array_equal(found.cluster_weights, np.full(8, 1000))
    pairs = set(zip(heaps, graph.assign(points, found.centroids).ids.numpy(), strict=True))
    assert len(pairs) == 8


# what comes out


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_result_has_the_types_and_shapes_of_graph_fit(dtype):
    points, weights, _ = reference.sample(0)
    points = points.astype(dtype)
    wanted = graph.fit(points, 5, weights=weights)
    found = graph.fit_minibatch(stream(points, weights), 5, **SMALL)
    for name in set(found._fields) - {'inertia_history'}:
        one, other = getattr(found, name), getattr(wanted, name)
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
    assert found.inertia_history.shape == [found.n_iter + 1]


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_inertia_and_weights_are_those_of_all_the_rows(distance, weighted):
    points, weights, _ = reference.sample(0, n=5000)
    weights = weights if weighted else None
    found = graph.fit_minibatch(stream(points, weights), 5, distance=distance, **SMALL)
    wanted = reference.inertia_of(points, found.centroids.numpy(), weights, distance)
    np.testing.assert_allclose(found.inertia, wanted, rtol=1e-5)
    ids = graph.assign(points, found.centroids, distance=distance).ids.numpy()
    np.testing.assert_allclose(found.cluster_weights, np.bincount(ids, weights, 5), rtol=1e-6)
    assert found.inertia_history[-1] == found.inertia


def test_clusters_are_numbered_by_falling_weight():
    points, weights, _ = reference.sample(0, n=5000)
    found = graph.fit_minibatch(stream(points, weights), 5, **SMALL)
    assert np.all(np.diff(found.cluster_weights) <= 0)


def test_an_array_as_init_keeps_its_numbering():
    points, _ = reference.blobs(0, per_blob=400)
    init = points[reference.blobs(0, per_blob=400)[1].argsort()[::400]]
    found = graph.fit_minibatch(stream(points), 8, init=init, **SMALL)
    np.testing.assert_allclose(found.centroids, init, atol=5)
    assert found.inertia < 2.2 * len(points)


def test_cosine_centroids_are_unit_vectors():
    points, _, _ = reference.sample(0, n=5000)
    found = graph.fit_minibatch(stream(points), 5, distance='cosine', **SMALL)
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, rtol=1e-6)


def test_on_iteration_is_told_of_every_epoch():
    points, _, _ = reference.sample(0, n=5000)
    told = []
    found = graph.fit_minibatch(
        stream(points), 5, on_iteration=lambda *args: told.append(args), **SMALL
    )
    _, iterations, inertias = zip(*told, strict=True)
    assert iterations == tuple(range(int(found.n_iter) + 1))
    np.testing.assert_allclose(inertias[1:], found.inertia_history[:-1])
    assert inertias[0] == pytest.approx(inertias[1], rel=0.2)  # what the sample lets expect


# when it ends


def test_max_iter_ends_the_fit_and_says_so():
    points, k = without_structure()
    options = {'max_iter': 2, 'tol': 0.0, 'max_no_improvement': None}
    found = graph.fit_minibatch(stream(points), k, batch_size=1024, **options)
    assert (int(found.n_iter), bool(found.converged)) == (2, False)


def test_a_tolerance_ends_the_fit():
    points, k = clustered()
    options = {'batch_size': 1024, 'max_no_improvement': None}
    loose = graph.fit_minibatch(stream(points), k, tol=0.01, **options)
    tight = graph.fit_minibatch(stream(points), k, tol=1e-4, **options)
    assert loose.converged
    assert tight.converged
    assert loose.n_iter < tight.n_iter


def test_inertia_that_has_ceased_to_fall_ends_the_fit():
    points, k = without_structure()
    options = {'batch_size': 1024, 'tol': 0.0}
    found = graph.fit_minibatch(stream(points), k, max_no_improvement=3, **options)
    patient = graph.fit_minibatch(stream(points), k, max_no_improvement=12, **options)
    assert found.converged
    assert 1 < found.n_iter < patient.n_iter


def test_the_smoothed_inertia_settles_only_after_the_first_epoch():
    smoothed = epochs.Smoothed(0.01, max_no_improvement=3)
    for _ in range(10):
        smoothed.add(1.0, 1.0)
    assert not smoothed.has_settled
    smoothed.end_of_epoch()
    smoothed.add(1.0, 1.0)
    smoothed.add(0.5, 1.0)  # a new low
    for settled in (False, False, True):
        smoothed.add(1.0, 1.0)
        assert smoothed.has_settled == settled


# starved centroids


def test_a_starved_centroid_is_moved_to_where_rows_are_far_from_all():
    points, heaps = reference.blobs(0, per_blob=400)
    init = np.stack([points[heaps == heap].mean(axis=0) for heap in range(8)])
    init[3] = 1000.0, 1000.0  # nearest to no row
    moved = graph.fit_minibatch(stream(points), 8, init=init, **SMALL)
    assert np.all(moved.cluster_weights > 0)
    np.testing.assert_allclose(moved.cluster_weights, np.full(8, 400))
    stays = graph.fit_minibatch(stream(points), 8, init=init, max_iter=1, **SMALL)
    assert stays.cluster_weights[3] == 0


def test_a_small_cluster_on_its_place_is_not_starved():
    rng = np.random.default_rng(0)
    points = rng.permutation(
        np.concatenate([rng.normal(size=(9900, 2)), rng.normal(size=(100, 2)) + 30])
    ).astype(np.float32)
    found = graph.fit_minibatch(stream(points), 3, n_init=3, **SMALL)
    assert np.abs(found.centroids.numpy() - 30).max(axis=1).min() < 1


# weights


def test_weights_count_rows_as_often_as_they_say():
    points, k = without_structure()
    weights = np.random.default_rng(0).integers(0, 4, size=len(points))
    repeated = np.repeat(points, weights, axis=0)
    rng = np.random.default_rng(1)
    wanted = graph.fit_minibatch(stream(rng.permutation(repeated)), k, batch_size=1024)
    found = graph.fit_minibatch(stream(points, weights), k, batch_size=1024)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=0.03)
    assert tf.reduce_sum(found.cluster_weights) == len(repeated)


@pytest.mark.parametrize('factor', [2.0**-80, 2.0**80])
def test_scaling_all_weights_changes_nothing_else(factor):
    points, weights, _ = reference.sample(0, n=5000)
    wanted = graph.fit_minibatch(stream(points, weights), 5, **SMALL)
    found = graph.fit_minibatch(stream(points, weights.astype(float) * factor), 5, **SMALL)
    np.testing.assert_allclose(found.centroids, wanted.centroids, rtol=1e-5)
    np.testing.assert_allclose(found.inertia, wanted.inertia * factor, rtol=1e-5)


def test_weight_zero_equals_a_row_that_is_not_there():
    points, _ = reference.blobs(0, per_blob=400)
    weights = np.ones(len(points), np.float32)
    points[::7] += 500
    weights[::7] = 0
    found = graph.fit_minibatch(stream(points, weights), 8, n_init=4, **SMALL)
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
@pytest.mark.parametrize('batch', [1, 37, 256, 5000])
def test_how_the_data_set_is_batched_does_not_matter(batch, distance):
    points, weights, _ = reference.sample(0, n=2000)
    wanted = graph.fit_minibatch(stream(points, weights), 5, distance=distance, **SMALL)
    other = stream(points, weights, batch)
    assert_same(graph.fit_minibatch(other, 5, distance=distance, **SMALL), wanted)


def test_a_seed_gives_the_same_fit_again_and_another_one_another():
    points, k = clustered()
    first, again, *others = (
        float(graph.fit_minibatch(stream(points), k, seed=seed, max_iter=2).inertia)
        for seed in (0, 0, 1, 2**62)
    )
    assert first == again
    assert len({first, *others}) == 3


@pytest.mark.parametrize('unit', [1e-20, 1e20])
def test_the_unit_of_the_data_does_not_matter(unit):
    points, _, _ = reference.sample(0, n=3000)
    wanted = graph.fit_minibatch(stream(points), 5, **SMALL)
    found = graph.fit_minibatch(stream(points * np.float32(unit)), 5, **SMALL)
    np.testing.assert_allclose(found.centroids / np.float32(unit), wanted.centroids, atol=1e-3)
    np.testing.assert_allclose(found.inertia / unit / unit, wanted.inertia, rtol=1e-4)


def test_a_common_offset_of_float64_does_not_matter():
    points = reference.sample(0, n=3000)[0].astype(np.float64)
    wanted = graph.fit_minibatch(stream(points), 5, **SMALL)
    found = graph.fit_minibatch(stream(points + 1e9), 5, **SMALL)
    np.testing.assert_allclose(found.centroids - 1e9, wanted.centroids, atol=1e-3)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=1e-4)


def fit_to_20_000_rows(graph, tf, reference):
    points, weights, _ = reference.sample(0, n=20_000, d=8)
    data = tf.data.Dataset.from_tensor_slices((points, weights)).batch(1000)
    found = graph.fit_minibatch(data, 5, batch_size=2048, init_size=3000, max_iter=3)
    return hashlib.sha256(b''.join(tensor.numpy().tobytes() for tensor in found)).hexdigest()


ONE_THREAD = """
import hashlib
from support import reference
import tensorflow as tf
from tfx_kmeans import graph
tf.config.threading.set_intra_op_parallelism_threads(1)
"""


def test_the_number_of_threads_does_not_matter():
    fit = inspect.getsource(fit_to_20_000_rows)
    alone = processes.run_python(
        f'{ONE_THREAD}\n{fit}\nprint(fit_to_20_000_rows(graph, tf, reference))'
    )
    assert alone.split()[-1] == fit_to_20_000_rows(graph, tf, reference)


# extremes


def test_as_many_clusters_as_rows_leave_no_inertia():
    points = reference.sample(0)[0][:5]
    found = graph.fit_minibatch(stream(points), 5)
    np.testing.assert_allclose(found.inertia, 0, atol=1e-10)
    np.testing.assert_array_equal(found.cluster_weights, np.ones(5))


def test_as_many_clusters_as_distinct_rows_leave_no_inertia():
    points = np.tile(reference.sample(0)[0][:5], (800, 1))
    found = graph.fit_minibatch(stream(points), 5, **SMALL)
    np.testing.assert_allclose(found.inertia, 0, atol=1e-7)
    np.testing.assert_array_equal(found.cluster_weights, np.full(5, 800))


@pytest.mark.parametrize('weighted', [False, True])
def test_one_cluster_lies_on_the_mean(weighted):
    points, weights, _ = reference.sample(0, n=20_000)
    weights = weights if weighted else None
    found = graph.fit_minibatch(stream(points, weights), 1, batch_size=512)
    mean = np.average(points.astype(np.float64), axis=0, weights=weights)
    np.testing.assert_allclose(found.centroids, [mean], atol=0.02)


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
        return graph.fit_minibatch(data, 64, max_iter=1)

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
        scan = streams.scan(streams.Stream(stream(points, weights), 700), 1000, seed)
        assert len(scan.points) == 1000
        totals.append(scan.weights.numpy().sum())
        means.append(np.average(scan.points, axis=0, weights=scan.weights))
    total = len(points) if weights is None else weights.sum()
    mean = np.average(points, axis=0, weights=weights)
    assert np.mean(totals) == pytest.approx(total, rel=0.02)
    np.testing.assert_allclose(np.mean(means, axis=0), mean, atol=0.03)


def test_the_summary_of_a_stream_is_that_of_the_rows():
    points, weights, _ = reference.sample(0, n=5000)
    found = streams.scan(streams.Stream(stream(points, weights), 700), 100, 0).summary
    exact = points.astype(np.float64)
    mean = np.average(exact, axis=0, weights=weights)
    variance = np.average((exact - mean) ** 2, axis=0, weights=weights).mean()
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(found.variance * found.largest**2, variance, rtol=1e-6)
    np.testing.assert_allclose(found.largest, np.abs(exact - mean).max(), rtol=1e-6)
    assert (found.n_rows, found.bad_rows) == (5000, 0)
    assert found.total_weight == pytest.approx(weights.sum(dtype=float))


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
    'no patience': (
        lambda: stream(POINTS), {'max_no_improvement': 0}, ValueError, 'max_no_improvement must',
    ),
    'negative ratio': (
        lambda: stream(POINTS), {'reassignment_ratio': -0.1}, ValueError, 'reassignment_ratio must',
    ),
    'init of another shape': (
        lambda: stream(POINTS), {'init': POINTS[:4]}, ValueError, r'init must have shape \(5, 2\)',
    ),
    'init with NaN': (
        lambda: stream(POINTS), {'init': np.full((5, 2), np.nan)}, ValueError, 'init: 5 rows hold',
    ),
}  # fmt: skip


def test_inside_a_tf_function_it_is_refused():
    with pytest.raises(RuntimeError, match=r'inside a tf\.function; graph\.fit can'):
        tf.function(lambda: graph.fit_minibatch(stream(POINTS), 5))()


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_be_fitted_is_refused_by_name(case):
    data, options, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        graph.fit_minibatch(data(), **{'n_clusters': 5, **options})
