import subprocess
import sys

import apache_beam as beam
import numpy as np
import pytest

from support import clustering as runs
from support import reference
from tfx_kmeans import Clustering, graph
from tfx_kmeans.beam import FitKMeans, metrics

# what a notebook or script does: the pipeline is made in __main__, of which workers know nothing
SCRIPT = """
import operator
import sys
import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions
from tfx_kmeans.beam import AssignClusters, FitKMeans
rows, weights = np.load(sys.argv[1])['rows'], np.load(sys.argv[1])['weights']
with beam.Pipeline(options=PipelineOptions(sys.argv[3:])) as pipeline:
    parts = list(zip(np.array_split(rows, 23), np.array_split(weights, 23)))
    batches = pipeline | beam.Create(parts) | beam.Reshuffle()
    fit = FitKMeans(8, list('abcde'), sample_size=500, max_passes=3, spool=sys.argv[2] + '/spool')
    clustering = batches | fit
    batches | AssignClusters(clustering)
    clustering | beam.Map(operator.methodcaller('write', sys.argv[2]))
"""


def overlapping(seed, n=6000, d=5, k=8):
    """Rows of clusters that overlap: passes over all of them go on for a while."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=2, size=(k, d))
    return (centres[rng.integers(k, size=n)] + rng.normal(size=(n, d))).astype(np.float32)


def fit_few(directory, rows, weights=None, *, parts=5, **options):
    """Fits 8 clusters to a sample that is much smaller than the data, and 5 passes."""
    options = {'sample_size': 500, 'max_passes': 5, 'n_init': 2, 'tol': 0.0, **options}
    return runs.fit(directory, runs.batches(rows, weights, parts), 8, **options)


@pytest.mark.parametrize('seed', range(2))
def test_passes_end_where_lloyd_ends(seed, tmp_path):
    rows = overlapping(seed)
    found, _ = fit_few(tmp_path, rows, max_passes=20, tol=1e-3)
    assert found.converged
    expected = reference.lloyd(rows, found.centroids, tol=1e-3)
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=0.02, atol=0.02)
    assert found.inertia == pytest.approx(expected.inertia, rel=1e-4)


@pytest.mark.parametrize(('passes', 'share'), [(10, 1.01), (0, 1.02)])
@pytest.mark.parametrize('seed', range(2))
def test_inertia_is_near_that_of_a_fit_of_all_rows(seed, passes, share, tmp_path):
    rows = overlapping(seed, n=40_000, d=4, k=10)
    options = {'sample_size': 4000, 'max_passes': passes, 'seed': seed}
    found, _ = runs.fit(tmp_path, runs.batches(rows), 10, **options)
    assert found.inertia <= share * float(graph.fit(rows, 10, seed=seed).inertia)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_weights_and_inertia_are_those_of_the_centroids_on_all_rows(distance, weighted, tmp_path):
    rows = overlapping(0)
    weights = None
    if weighted:
        weights = np.random.default_rng(0).gamma(1, size=len(rows)).astype(np.float32)
    found, _ = fit_few(tmp_path, rows, weights, max_passes=2, distance=distance)
    placed = graph.assign(rows, found.centroids, distance=distance)
    weights = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
    wanted = np.bincount(placed.ids, weights, 8)
    np.testing.assert_allclose(found.cluster_weights, wanted, rtol=1e-9)
    assert found.inertia == pytest.approx(placed.distances.numpy() @ weights, rel=1e-5)
    assert (found.n_iter, found.converged) == (2, False)


@pytest.mark.parametrize('missing', ['error', 'partial'])
@pytest.mark.parametrize('seed', range(3))
def test_order_bundles_and_spool_change_nothing(seed, missing, tmp_path):
    rows, options = overlapping(seed), {'seed': seed, 'missing': missing}
    if missing == 'partial':
        rows = reference.with_gaps(rows, seed)
        rows[::17] = np.nan
    one, _ = fit_few(tmp_path, rows, **options)
    order = np.random.default_rng(seed).permutation(len(rows))
    two, _ = fit_few(tmp_path, rows[order], parts=37, spool=str(tmp_path / 'spool'), **options)
    np.testing.assert_array_equal(one.centroids, two.centroids)
    assert (one.cluster_weights, one.inertia) == (two.cluster_weights, two.inertia)
    assert list((tmp_path / 'spool').iterdir())


@pytest.mark.parametrize('weighted', [False, True])
def test_batches_in_the_order_of_columns_are_read_as_what_they_are(weighted, tmp_path):
    rows = overlapping(0)
    weights = np.ones(len(rows), np.float32) if weighted else None
    one, _ = fit_few(tmp_path, rows, weights)
    parts = runs.batches(np.asfortranarray(rows), weights)
    turned = [
        (np.asfortranarray(part[0]), *part[1:]) if weighted else np.asfortranarray(part)
        for part in parts
    ]
    options = {'sample_size': 500, 'max_passes': 5, 'n_init': 2, 'tol': 0.0}
    two, _ = runs.fit(tmp_path, turned, 8, spool=str(tmp_path / 'spool'), **options)
    np.testing.assert_array_equal(one.centroids, two.centroids)
    assert (one.cluster_weights, one.inertia) == (two.cluster_weights, two.inertia)


@pytest.mark.parametrize('spooled', [False, True])
@pytest.mark.parametrize('value', [9.97e36, np.nan, np.inf])
@pytest.mark.parametrize('missing', ['error', 'partial'])
def test_a_row_of_weight_zero_counts_for_nothing(missing, value, spooled, tmp_path):
    rows = overlapping(0)
    weights = np.random.default_rng(0).integers(1, 4, len(rows)).astype(np.float32)
    spool = str(tmp_path / 'spool') if spooled else None
    without, _ = fit_few(tmp_path, rows, weights, missing=missing)
    more = np.insert(rows, [7, 900], np.float32(value), axis=0)
    weights = np.insert(weights, [7, 900], 0)
    found, _ = fit_few(tmp_path, more, weights, missing=missing, spool=spool)
    np.testing.assert_array_equal(found.centroids, without.centroids)
    assert found.cluster_weights == without.cluster_weights
    assert found.inertia == without.inertia


def with_far_row(far, name='x1'):
    """Two heaps of 200 rows, and one row far away in one column."""
    rng = np.random.default_rng(0)
    heaps = [rng.normal(centre, 0.1, size=(200, 2)) for centre in (0, 5)]
    row = np.where([name == 'x0', name == 'x1'], far, 0.0)[np.newaxis]
    return np.concatenate([*heaps, row]).astype(np.float32)


@pytest.mark.parametrize('far', [1e6, 1e8, -1e10, 3e11])
def test_one_row_far_from_all_others_leaves_these_their_clusters(far, tmp_path):
    rows = with_far_row(far)
    init = rows[[0, 200, 400]]
    found, _ = runs.fit(tmp_path, runs.batches(rows), 3, init=init)
    exact = rows[:400].astype(np.float64)
    means = np.stack([exact[:200].mean(axis=0), exact[200:].mean(axis=0)])
    centroids = found.centroids[found.centroids[:, 0].argsort(kind='stable')]
    centroids = centroids[np.abs(centroids[:, 1]) < 10]
    np.testing.assert_allclose(centroids, means, rtol=1e-6, atol=1e-7)
    assert sorted(found.cluster_weights) == [1, 200, 200]
    offsets = exact.reshape(2, 200, 2) - centroids[:, np.newaxis].astype(np.float64)
    assert found.inertia == pytest.approx(np.square(offsets).sum(), rel=1e-6)


@pytest.mark.parametrize('name', ['x0', 'x1'])
@pytest.mark.parametrize(
    ('far', 'standardize'), [(1e15, False), (-1e25, False), (1e8, True), (1e15, True)]
)
def test_a_row_too_far_for_float32_is_refused_by_column_and_value(far, standardize, name, tmp_path):
    message = rf'column {name!r} has the value {far:.6g}'.replace('+', r'\+')
    with pytest.raises(ValueError, match=message):
        runs.fit(tmp_path, runs.batches(with_far_row(far, name)), 3, standardize=standardize)


@pytest.mark.parametrize('spooled', [False, True])
def test_batches_with_weights_and_others_without_are_refused(spooled, tmp_path):
    rows = overlapping(0)
    parts = [(rows[:1000], np.ones(1000)), rows[1000:]]
    options = {'sample_size': 500, 'spool': str(tmp_path / 'spool') if spooled else None}
    with pytest.raises(ValueError, match=r'1000 rows of .* weights, and 5000 have none: give'):
        runs.fit(tmp_path, parts, 8, **options)


def test_two_worker_processes_that_know_nothing_of_main_give_the_centroids_of_one(tmp_path):
    rows = overlapping(0)
    weights = np.random.default_rng(0).gamma(1, size=len(rows)).astype(np.float32)
    np.savez(tmp_path / 'data.npz', rows=rows, weights=weights)
    command = [sys.executable, '-c', SCRIPT, str(tmp_path / 'data.npz'), str(tmp_path / 'fit')]
    done = subprocess.run(
        [*command, *runs.TWO_PROCESSES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    two = Clustering.read(str(tmp_path / 'fit'))
    parts = runs.batches(rows, weights)
    one, _ = runs.fit(tmp_path, parts, 8, sample_size=500, max_passes=3)
    np.testing.assert_allclose(one.centroids, two.centroids, rtol=1e-6)
    assert two.cluster_weights == pytest.approx(one.cluster_weights, rel=1e-6)


def test_passes_after_convergence_place_no_row(tmp_path):
    rows, _ = reference.blobs(0, k=3)
    for spool in (None, str(tmp_path / 'spool')):
        found, told = runs.fit(tmp_path, [rows], 3, max_passes=4, spool=spool)
        assert (found.converged, found.n_iter, told['passes']) == (True, 1, 1)
        # one bundle for the pass, one for the weights and the inertia
        assert told['bundle_milliseconds'].count == 2


def test_without_passes_a_sample_of_all_rows_is_the_fit(tmp_path):
    rows, _ = reference.blobs(1, k=3)
    found, _ = runs.fit(tmp_path, [rows], 3, max_passes=0)
    expected = graph.fit(rows, 3)
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-5)
    assert found.n_iter == 0


def test_cluster_i_begins_at_row_i_of_an_array(tmp_path):
    rows, _ = reference.blobs(0, k=3)
    first, _ = runs.fit(tmp_path, [rows], 3)
    init = first.centroids[[2, 0, 1]] + 0.1
    found, _ = runs.fit(tmp_path, [rows], 3, init=init)
    np.testing.assert_allclose(found.centroids, first.centroids[[2, 0, 1]], rtol=1e-5)


def test_columns_are_standardised_and_rows_with_gaps_left_out(tmp_path):
    rows = overlapping(0) * np.float32([1, 10, 100, 1, 1]) + 7
    rows[::100, 1] = np.nan
    sound = rows[~np.isnan(rows).any(axis=1)].astype(np.float64)
    found, told = fit_few(tmp_path, rows, missing='drop', standardize=True)
    np.testing.assert_allclose(found.standardization.mean, sound.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.standardization.scale, sound.std(axis=0), rtol=1e-5)
    scaled = (sound - sound.mean(axis=0)) / sound.std(axis=0)
    placed = graph.assign(scaled, found.centroids)
    assert found.inertia == pytest.approx(placed.distances.numpy().sum(), rel=1e-4)
    assert told['rows_left_out'] == 60


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('seed', range(2))
def test_rows_with_gaps_are_fitted_as_in_memory_from_the_same_array(seed, weighted, tmp_path):
    rng = np.random.default_rng(seed)
    heaps = 20.0 * np.stack([rng.permutation(8) for _ in range(4)], axis=1)  # apart in each column
    rows = np.repeat(heaps, 50, axis=0) + rng.normal(size=(400, 4))
    rows = reference.with_gaps(rows.astype(np.float32), seed)
    rows[::50] = np.nan
    init = heaps + rng.normal(size=heaps.shape)
    weights = rng.gamma(1, size=400).astype(np.float32) if weighted else None
    options = {'init': init, 'missing': 'partial', 'tol': 0.0}
    found, told = runs.fit(tmp_path, runs.batches(rows, weights), 8, max_passes=20, **options)
    expected = graph.fit(rows, 8, weights=weights, **options)
    assert (found.converged, found.missing) == (True, 'partial')
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.cluster_weights, expected.cluster_weights, rtol=1e-6)
    assert found.inertia == pytest.approx(float(expected.inertia), rel=1e-5)
    assert told['rows_left_out'] == 8


@pytest.mark.parametrize('seed', range(2))
def test_passes_over_rows_with_gaps_end_where_lloyd_ends(seed, tmp_path):
    rows = reference.with_gaps(overlapping(seed), seed)
    options = {'missing': 'partial', 'standardize': True, 'sample_size': 1000}
    found, _ = fit_few(tmp_path, rows, max_passes=30, tol=1e-3, **options)
    assert found.converged
    mean, scale = np.nanmean(rows, axis=0, dtype=float), np.nanstd(rows, axis=0, dtype=float)
    np.testing.assert_allclose(found.standardization.mean, mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.standardization.scale, scale, rtol=1e-5)
    expected = reference.lloyd((rows - mean) / scale, found.centroids, tol=1e-3)
    np.testing.assert_allclose(found.centroids, expected.centroids, atol=0.03)
    assert found.inertia == pytest.approx(expected.inertia, rel=1e-3)
    (placed,) = runs.assign(tmp_path, [rows], found)
    assert found.inertia == pytest.approx(placed.distances.sum(dtype=float), rel=1e-4)
    np.testing.assert_array_equal(np.bincount(placed.ids), found.cluster_weights)


@pytest.mark.parametrize('seed', range(2))
def test_weights_count_rows_with_gaps_as_often_as_they_say(seed, tmp_path):
    rows = reference.with_gaps(overlapping(seed), seed)
    counts = np.random.default_rng(seed).integers(1, 4, len(rows))
    options = {'missing': 'partial', 'init': rows[~np.isnan(rows).any(axis=1)][:8], 'seed': seed}
    options |= {'sample_size': 20_000, 'n_init': 1}
    weighted, _ = fit_few(tmp_path, rows, counts.astype(np.float32), **options)
    repeated, _ = fit_few(tmp_path, np.repeat(rows, counts, axis=0), **options)
    np.testing.assert_allclose(weighted.centroids, repeated.centroids, rtol=1e-5, atol=1e-5)
    assert weighted.cluster_weights == pytest.approx(repeated.cluster_weights)
    assert weighted.inertia == pytest.approx(repeated.inertia, rel=1e-5)


@pytest.mark.parametrize('seed', range(2))
def test_rows_without_a_gap_give_every_bit_of_a_fit_that_drops_others(seed, tmp_path):
    partial, _ = fit_few(tmp_path, overlapping(seed), missing='partial')
    drop, _ = fit_few(tmp_path, overlapping(seed), missing='drop')
    np.testing.assert_array_equal(partial.centroids, drop.centroids)
    assert (partial.cluster_weights, partial.inertia) == (drop.cluster_weights, drop.inertia)


def test_too_few_rows_without_gaps_are_refused(tmp_path):
    rows = overlapping(0)
    rows[5:, 0] = np.nan
    with pytest.raises(
        ValueError, match=r'than the 5 distinct rows .*5 of 6000 rows have no missing'
    ):
        fit_few(tmp_path, rows, missing='partial')


def test_rows_batches_and_passes_are_counted(tmp_path):
    _, told = fit_few(tmp_path, overlapping(0), parts=7)
    assert (told['rows'], told['batches'], told['passes']) == (6000, 7, 5)
    assert (told['rows_per_batch'].count, told['rows_per_batch'].sum) == (7, 6000)
    assert told['pass_milliseconds'].count == 5
    assert metrics.NAMESPACE == 'tfx_kmeans'


def test_features_may_be_wider_than_a_column(tmp_path):
    rows = overlapping(0)
    found, _ = fit_few(tmp_path, rows, feature_names=['a', 'b'], feature_widths=[4, 1])
    assert (found.feature_names, found.feature_widths) == (('a', 'b'), (4, 1))


DATA = [[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]
REFUSED = {
    'missing values': ([[[0.0, np.nan], *DATA]], r"missing values .*FitKMeans.*'x1' \(1 values\)"),
    'infinite values': ([[[np.inf, 0.0], *DATA]], r"infinite values .*'x0' \(1 values\)"),
    'few rows': ([DATA[:2]], 'n_clusters=3 is more than the 2 distinct rows'),
    'no rows': ([np.zeros((0, 2))], 'there is nothing to cluster: there are no rows'),
    'another width': ([DATA, [[1.0]]], r'shape \[rows, 2\], as there are names .* not \[1, 1\]'),
    'bad weights': ([(DATA, [1, -1, 1])], '1 weights of FitKMeans.* are negative'),
    'few weights': ([(DATA, [1, 1])], r'weights of shape \[3\], not of \[\[2\]\] beside'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_clustered_is_refused(name, tmp_path):
    parts, message = REFUSED[name]
    parts = [tuple(map(np.array, p)) if isinstance(p, tuple) else np.array(p) for p in parts]
    with pytest.raises(ValueError, match=message):
        runs.fit(tmp_path, parts, 3)


def test_rows_without_direction_are_refused_under_the_cosine_distance(tmp_path):
    rows = overlapping(0)
    rows[123] = 0
    with pytest.raises(ValueError, match=r'direction|zeros'):
        fit_few(tmp_path, rows, distance='cosine')


def test_batches_of_words_are_refused(tmp_path):
    with pytest.raises(TypeError, match='a batch must be a numeric array'):
        runs.fit(tmp_path, [np.array([['a', 'b']])], 1)


WRONG = {
    'n_clusters': [0, 2.5, 10**12],
    'feature_names': ['x', [], [1]],
    'feature_widths': [[1], [1, 0], [1, 1.5]],
    'max_passes': [-1, 1.5],
    'sample_size': [1],
    'missing': ['ignore', None],
    'init': ['best', [[1.0, 2.0]]],
    'seed': [-1],
    'distance': ['euclidean'],
}


@pytest.mark.parametrize(('name', 'value'), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_a_wrong_argument_is_refused_by_name(name, value):
    arguments = {'n_clusters': 3, 'feature_names': ['x', 'y'], name: value}
    with pytest.raises((TypeError, ValueError), match=name):
        FitKMeans(**arguments)


def test_partial_distances_are_not_cosines():
    with pytest.raises(ValueError, match="missing='partial' goes with distance='squared_eucl"):
        FitKMeans(3, ['x', 'y'], missing='partial', distance='cosine')


def test_the_transform_can_be_used_twice_in_a_pipeline():
    pipeline = beam.Pipeline()
    rows = pipeline | beam.Create([np.array(DATA)])
    for n_clusters in (1, 2):
        rows | f'Fit{n_clusters}' >> FitKMeans(n_clusters, ['x', 'y'])
