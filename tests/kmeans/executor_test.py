import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from sklearn import cluster
from tfx.utils import path_utils

from support import reference
from support.building import (
    N_CLUSTERS,
    SIZES,
    parse_examples,
    read_examples,
    run_kmeans,
    write_examples,
)
from tfx_kmeans import Clustering, graph
from tfx_kmeans.kmeans import ordering
from tfx_kmeans.transform import features as features_lib

# run in a process of its own, which has nothing but TensorFlow
SERVE = """
import sys
import numpy as np
import tensorflow as tf
model, data, output = sys.argv[1:]
signatures = tf.saved_model.load(model).signatures
data = dict(np.load(data, allow_pickle=False))
examples = tf.constant([bytes.fromhex(text) for text in data.pop('examples').tolist()])
served = signatures['serving_default'](examples=examples)
dense = signatures['features'](**{k: tf.constant(v) for k, v in data.items()})
results = {f's_{k}': v for k, v in served.items()} | {f'd_{k}': v for k, v in dense.items()}
np.savez(output, **results)
"""


def write_row(**features):
    floats = {k: tf.train.FloatList(value=[v]) for k, v in features.items()}
    features = {k: tf.train.Feature(float_list=v) for k, v in floats.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def placed_rows(transformed, split='train', names=('x', 'y')):
    data = parse_examples(
        transformed['transformed_examples'], split, transformed['transform_graph']
    )
    matrix = np.stack([data[name] for name in names], axis=1)
    return matrix[~np.isnan(matrix).any(axis=1)]


def test_centroids_are_those_that_scikit_learn_finds(transformed, fitted):
    clustering = Clustering.read(fitted['centroids'].uri)
    points = placed_rows(transformed)
    expected = cluster.KMeans(N_CLUSTERS, n_init=10, random_state=0).fit(points)
    assert clustering.inertia == pytest.approx(expected.inertia_, rel=1e-4)
    order = np.argsort(-np.bincount(expected.labels_))
    np.testing.assert_allclose(
        clustering.centroids, expected.cluster_centers_[order], rtol=1e-3, atol=1e-3
    )


def test_clusters_are_numbered_by_falling_weight_and_hold_every_placed_row(transformed, fitted):
    clustering = Clustering.read(fitted['centroids'].uri)
    assert list(clustering.cluster_weights) == sorted(clustering.cluster_weights, reverse=True)
    assert clustering.total_weight == len(placed_rows(transformed)) == sum(SIZES['train']) - 20


def test_eval_inertia_is_that_of_the_placed_rows_of_the_eval_split(transformed, fitted):
    clustering = Clustering.read(fitted['centroids'].uri)
    points = placed_rows(transformed, 'eval')
    distances = np.square(points[:, None] - clustering.centroids).sum(axis=2).min(axis=1)
    assert clustering.eval_weight == len(points)
    assert clustering.eval_inertia == pytest.approx(distances.sum(), rel=1e-5)


@pytest.fixture(scope='module')
def partial(transformed, tmp_path_factory):
    """What KMeans makes of `transformed` by partial distances."""
    directory = tmp_path_factory.mktemp('partial')
    options = {'features': '["x", "y"]', 'missing': 'partial', 'standardize': 1}
    return run_kmeans(directory, *transformed.values(), **options)


def test_the_artifact_says_what_the_fit_was_told_of_missing_values(
    transformed, fitted, partial, tmp_path
):
    def told(artifact):
        clustering = Clustering.read(artifact.uri)
        return clustering.fit_missing, clustering.missing

    assert told(fitted['centroids']) == ('drop', 'drop')
    assert told(partial['centroids']) == ('partial', 'partial')
    for engine in ('tensorflow', 'beam'):
        options = {'features': '["x"]', 'missing': 'error', 'engine': engine}
        outputs = run_kmeans(tmp_path / engine, *transformed.values(), **options)
        assert told(outputs['centroids']) == ('error', 'drop')


def matrix_of(transformed, split):
    data = parse_examples(
        transformed['transformed_examples'], split, transformed['transform_graph']
    )
    return np.stack([data['x'], data['y']], axis=1)


def test_rows_with_gaps_take_part_by_the_values_that_they_have(transformed, partial):
    clustering = Clustering.read(partial['centroids'].uri)
    assert clustering.missing == 'partial'
    assert clustering.total_weight == sum(SIZES['train'])
    points = matrix_of(transformed, 'train').astype(np.float64)
    mean, scale = np.nanmean(points, axis=0), np.nanstd(points, axis=0)
    np.testing.assert_allclose(clustering.standardization.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(clustering.standardization.scale, scale, rtol=1e-9)
    wanted = reference.lloyd((points - mean) / scale, clustering.centroids)
    np.testing.assert_allclose(clustering.centroids, wanted.centroids, atol=1e-3)
    assert clustering.inertia == pytest.approx(wanted.inertia, rel=1e-4)


def test_rows_with_gaps_are_scored_and_served_by_the_values_that_they_have(transformed, partial):
    clustering = Clustering.read(partial['centroids'].uri)
    points = matrix_of(transformed, 'eval')
    scaled = (points - clustering.standardization.mean) / clustering.standardization.scale
    table = reference.distances(scaled, clustering.centroids)
    assert clustering.eval_weight == len(points)
    assert clustering.eval_inertia == pytest.approx(table.min(axis=1).sum(), rel=1e-4)
    model = tf.saved_model.load(path_utils.serving_model_path(partial['model'].uri))
    served = model.signatures['features'](
        x=tf.constant([*points[:, 0], np.nan]), y=tf.constant([*points[:, 1], np.nan])
    )
    ids = served['cluster_id'].numpy().tolist()
    assert ids == [*table.argmin(axis=1), N_CLUSTERS]
    assert len({i for i, row in zip(ids, points, strict=False) if np.isnan(row[1])}) == 2
    distances = [*np.sqrt(table.min(axis=1)), -1]
    np.testing.assert_allclose(served['cluster_distance'], distances, rtol=1e-4, atol=1e-4)


def test_a_column_of_gaps_is_refused_though_parts_of_rows_are_taken(transformed, tmp_path):
    rows = [write_row(x=float(x), y=np.nan) for x in range(50)]
    examples = write_examples(tmp_path / 'examples', {'train': rows, 'eval': rows})
    with pytest.raises(ValueError, match=r"split 'train', .*'y'.*1 columns have no observed value"):
        run_kmeans(
            tmp_path / 'out', examples, transformed['transform_graph'],
            features='["x", "y"]', missing='partial', standardize=1,
        )  # fmt: skip
    assert not (tmp_path / 'out').exists()


def test_key_figures_are_custom_properties(fitted):
    clustering = Clustering.read(fitted['centroids'].uri)
    artifact = fitted['centroids']
    assert artifact.get_int_custom_property('n_clusters') == N_CLUSTERS
    assert artifact.get_int_custom_property('n_features') == 2
    assert artifact.get_int_custom_property('converged') == 1
    assert artifact.get_int_custom_property('n_iter') == clustering.n_iter
    assert artifact.get_float_custom_property('inertia') == clustering.inertia
    assert artifact.get_float_custom_property('inertia_per_row') == clustering.inertia_per_row
    share = clustering.cluster_weights[-1] / clustering.total_weight
    assert artifact.get_float_custom_property('smallest_cluster_share') == share
    eval_value = artifact.get_float_custom_property('eval_inertia_per_row')
    assert eval_value == clustering.eval_inertia_per_row


@pytest.mark.parametrize('kind', ['property', 'custom property'])
def test_span_of_the_examples_is_carried_over(transformed, tmp_path, kind):
    examples = transformed['transformed_examples']
    data = {split: read_examples(examples, split) for split in ('train', 'eval')}
    with_span = write_examples(tmp_path / 'examples', data)
    if kind == 'property':
        with_span.span = 7
    else:
        with_span.set_int_custom_property('span', 7)
    graph_artifact = transformed['transform_graph']
    outputs = run_kmeans(tmp_path, with_span, graph_artifact, features='["x"]')
    assert outputs['centroids'].get_int_custom_property('span') == 7


def test_examples_without_a_span_give_none(fitted):
    assert not fitted['centroids'].has_custom_property('span')


def test_both_signatures_place_rows_like_the_graph_in_a_fresh_process(
    transformed, fitted, tmp_path
):
    examples = transformed['transformed_examples']
    parsed = parse_examples(examples, 'eval', transformed['transform_graph'])
    serialized = [record.hex() for record in read_examples(examples, 'eval')]
    np.savez(tmp_path / 'data.npz', examples=serialized, x=parsed['x'], y=parsed['y'])
    model = path_utils.serving_model_path(fitted['model'].uri)
    command = [sys.executable, '-c', SERVE, model, tmp_path / 'data.npz', tmp_path / 'out.npz']
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    served = np.load(tmp_path / 'out.npz')

    clustering = Clustering.read(fitted['centroids'].uri)
    expected = features_lib.cluster_features(parsed, clustering)
    assert (expected['cluster_id'].numpy() == N_CLUSTERS).sum() == 2
    for signature in ('s', 'd'):
        for name in ('cluster_id', 'cluster_distance'):
            np.testing.assert_array_equal(served[f'{signature}_{name}'], expected[name])


def test_tensorboard_has_the_inertia_of_every_iteration(fitted):
    clustering = Clustering.read(fitted['centroids'].uri)
    (log,) = tf.io.gfile.glob(fitted['model_run'].uri + '/events.*')
    inertia = {}
    for record in tf.data.TFRecordDataset(log).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            if value.tag == 'inertia':
                inertia[event.step] = float(tf.make_ndarray(value.tensor))
    assert sorted(inertia) == list(range(clustering.n_iter + 1))
    assert inertia[clustering.n_iter] == pytest.approx(clustering.inertia)


def test_progress_is_logged(transformed, tmp_path, caplog):
    logging.set_verbosity(logging.INFO)
    logging.get_absl_logger().propagate = True
    with caplog.at_level('INFO'):
        run_kmeans(tmp_path, *transformed.values(), features='["x", "y"]', missing='drop')
    assert "Read split 'train': 980 rows x 2 columns" in caplog.text
    assert '20 rows left out for missing values' in caplog.text
    assert 'Run 0, iteration 1: inertia' in caplog.text
    assert 'Fitted 4 clusters in' in caplog.text


@pytest.mark.parametrize('seed', range(3))
def test_order_and_shards_of_the_files_change_nothing(transformed, tmp_path, seed):
    graph_artifact = transformed['transform_graph']
    examples = transformed['transformed_examples']
    data = {split: read_examples(examples, split) for split in ('train', 'eval')}
    rng = np.random.default_rng(seed)
    shuffled = {split: [s[i] for i in rng.permutation(len(s))] for split, s in data.items()}
    others = write_examples(tmp_path / 'examples', shuffled, shards=7)
    options = {'features': '["x", "y"]', 'missing': 'drop', 'seed': seed, 'n_clusters': 9}
    one = run_kmeans(tmp_path / 'one', examples, graph_artifact, **options)
    seven = run_kmeans(tmp_path / 'seven', others, graph_artifact, **options)
    a, b = (Clustering.read(outputs['centroids'].uri) for outputs in (one, seven))
    np.testing.assert_array_equal(a.centroids, b.centroids)
    assert (a.cluster_weights, a.inertia) == (b.cluster_weights, b.inertia)


def test_weights_count_rows_as_often_as_they_say(transformed, tmp_path):
    options = {'features': '["x", "y"]', 'missing': 'drop', 'max_iter': 50, 'tol': 0.0}
    outputs = run_kmeans(tmp_path, *transformed.values(), weight_feature='weight', **options)
    clustering = Clustering.read(outputs['centroids'].uri)
    data = parse_examples(
        transformed['transformed_examples'], 'train', transformed['transform_graph']
    )
    points = np.repeat(np.stack([data['x'], data['y']], 1), data['weight'].astype(int), axis=0)
    points = points[~np.isnan(points).any(axis=1)]
    assert clustering.total_weight == len(points)
    repeated = graph.fit(points, N_CLUSTERS, init=clustering.centroids, tol=0.0)
    np.testing.assert_allclose(repeated.centroids, clustering.centroids, atol=1e-5)
    assert clustering.inertia == pytest.approx(float(repeated.inertia), rel=1e-5)


def test_standardised_clusters_are_those_of_standardised_rows(transformed, tmp_path):
    outputs = run_kmeans(
        tmp_path, *transformed.values(), features='["x", "y"]', missing='drop', standardize=1
    )
    clustering = Clustering.read(outputs['centroids'].uri)
    points = placed_rows(transformed).astype(np.float64)
    scaled = (points - points.mean(axis=0)) / points.std(axis=0)
    np.testing.assert_allclose(clustering.standardization.mean, points.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(clustering.standardization.scale, points.std(axis=0), rtol=1e-5)
    refitted = graph.fit(scaled, N_CLUSTERS, init=clustering.centroids)
    np.testing.assert_allclose(refitted.centroids, clustering.centroids, atol=1e-3)
    features = {'x': points[:, 0], 'y': points[:, 1]}
    placed = features_lib.cluster_features(features, clustering)
    expected = graph.assign(scaled, clustering.centroids)
    np.testing.assert_array_equal(placed['cluster_id'], expected.ids)
    np.testing.assert_allclose(placed['cluster_distance'] ** 2, expected.distances, atol=1e-4)


def test_cosine_centroids_are_unit_vectors(transformed, tmp_path):
    outputs = run_kmeans(
        tmp_path, *transformed.values(), features='["x", "y"]', missing='drop', distance='cosine'
    )
    clustering = Clustering.read(outputs['centroids'].uri)
    np.testing.assert_allclose(np.linalg.norm(clustering.centroids, axis=1), 1.0, rtol=1e-6)


def test_vector_features_take_as_many_columns_as_they_are_wide(transformed, tmp_path):
    options = {'features': '["pair", "x"]', 'output_prefix': 'wide', 'n_init': 2}
    outputs = run_kmeans(tmp_path, *transformed.values(), **options)
    clustering = Clustering.read(outputs['centroids'].uri)
    assert clustering.feature_widths == (2, 1)
    assert clustering.output_prefix == 'wide'
    np.testing.assert_allclose(clustering.centroids[:, 0], -clustering.centroids[:, 1], rtol=1e-5)
    np.testing.assert_allclose(clustering.centroids[:, 0], clustering.centroids[:, 2], rtol=1e-5)


REFUSED = {
    'unknown feature': ({'features': '["x_scald"]'}, r"no transformed feature 'x_scald'.*x_scaled"),
    'string feature': ({'features': '["word"]'}, "'word' is a string feature"),
    'sparse feature': ({'features': '["tags"]'}, "'tags' is sparse or of variable length"),
    'matrix feature': ({'features': '["square"]'}, r"'square' has shape \[2, 2\]"),
    'missing values': ({'features': '["x", "y"]'}, r"split 'train': 'y' \(20 values\)"),
    'infinite values': (
        {'features': '["infinite"]', 'missing': 'drop'},
        r"infinite values in split 'train': 'infinite' \(1000 values\)",
    ),
    'bad weights': (
        {'features': '["x"]', 'weight_feature': 'negative'},
        "weight_feature 'negative': 1000 weights of split 'train'",
    ),
    'vector weight': (
        {'features': '["x"]', 'weight_feature': 'pair'},
        r"weight_feature: 'pair' has shape \[2\]; a scalar is needed",
    ),
    'too many clusters': (
        {'features': '["word_id"]', 'n_clusters': 4},
        r"split 'train', features \['word_id'\]: n_clusters=4 is more than the 3 distinct rows",
    ),
    'no such split': (
        {'train_split': 'tran'},
        r"train_split: .* no split 'tran', only \['eval', 'train'\]",
    ),
    'no such eval split': (
        {'features': '["x"]', 'eval_split': 'test'},
        "eval_split: the examples have no split 'test'",
    ),
    'weights that are missing': (
        {'features': '["x"]', 'weight_feature': 'y', 'missing': 'drop'},
        r"weight_feature 'y': \d+ weights of split 'train' are negative, NaN or infinite",
    ),
    'weights that are no numbers': (
        {'features': '["x"]', 'weight_feature': 'word'},
        "weight_feature: 'word' is a string feature",
    ),
    'more clusters than rows': (
        {'features': '["x"]', 'n_clusters': 1001},
        r"split 'train', features \['x'\]: n_clusters=1001 is more than the 1000 distinct rows",
    ),
    'bad parameter': ({'n_clusters': 0}, 'n_clusters must be at least 1, not 0'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_be_fitted_is_refused_and_nothing_is_written(transformed, tmp_path, case):
    properties, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        run_kmeans(tmp_path, *transformed.values(), **properties)
    assert not list(tmp_path.rglob('*'))


@pytest.mark.parametrize('shards', [0, 1, 3])
def test_an_empty_split_is_refused_by_name(transformed, tmp_path, shards):
    data = {'train': [], 'eval': []}
    examples = write_examples(tmp_path / 'examples', data, shards)
    with pytest.raises(ValueError, match=f"split 'train' has no rows to use: {shards} files"):
        run_kmeans(tmp_path / 'out', examples, transformed['transform_graph'], features='["x"]')
    assert not (tmp_path / 'out').exists()


def test_a_split_of_which_every_row_is_left_out_is_refused_with_the_count(transformed, tmp_path):
    rows = [write_row(x=np.nan) for _ in range(5)]
    examples = write_examples(tmp_path / 'examples', {'train': rows, 'eval': []})
    with pytest.raises(
        ValueError, match=r"split 'train' has no rows .* 5 rows with missing values"
    ):
        run_kmeans(
            tmp_path / 'out', examples, transformed['transform_graph'],
            features='["x"]', missing='drop',
        )  # fmt: skip


@pytest.mark.parametrize('standardize', [0, 1])
def test_weights_that_are_all_zero_are_refused(transformed, tmp_path, standardize):
    rows = [write_row(x=x, weight=0.0) for x in range(50)]
    examples = write_examples(tmp_path / 'examples', {'train': rows, 'eval': rows})
    with pytest.raises(ValueError, match=r"split 'train', .* 'weight': weights: none is"):
        run_kmeans(
            tmp_path / 'out', examples, transformed['transform_graph'],
            features='["x"]', weight_feature='weight', standardize=standardize,
        )  # fmt: skip
    assert not (tmp_path / 'out').exists()


UNUSABLE = {
    'weights of 0': (
        [write_row(x=x, weight=0.0) for x in range(7)] + [write_row(x=np.nan, weight=1.0)] * 2,
        "split 'eval', weight_feature 'weight': weights: none is above 0 in 9 rows, 2 of which "
        'have missing values',
    ),
    'missing values': (
        [write_row(x=np.nan, weight=weight) for weight in range(7)],
        "split 'eval', weight_feature 'weight': weights: none is above 0 in 7 rows, 6 of which "
        'have missing values',
    ),
    'missing values of weight 1': (
        [write_row(x=np.nan, weight=1.0)] * 7,
        "split 'eval' has no rows to use: 1 files, 7 rows with missing values",
    ),
    'no rows': ([], "split 'eval' has no rows to use: 1 files, 0 rows with missing values"),
}


@pytest.mark.parametrize('missing', ['drop', 'partial'])
@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
@pytest.mark.parametrize('name', UNUSABLE)
def test_an_eval_split_without_a_row_to_use_is_refused_alike_by_both_engines(
    transformed, tmp_path, name, engine, missing
):
    rows, message = UNUSABLE[name]
    sound = [write_row(x=x, weight=1.0) for x in range(50)]
    examples = write_examples(tmp_path / 'examples', {'train': sound, 'eval': rows})
    with pytest.raises(ValueError, match=f'^{message}$'):
        run_kmeans(
            tmp_path / 'out', examples, transformed['transform_graph'], engine=engine,
            features='["x"]', weight_feature='weight', missing=missing,
        )  # fmt: skip
    assert not (tmp_path / 'out' / 'centroids' / 'clustering.json').exists()


def test_values_too_large_to_measure_leave_nothing_behind(transformed, tmp_path):
    rows = [write_row(x=(x - 25) * 1e37) for x in range(50)]
    examples = write_examples(tmp_path / 'examples', {'train': rows, 'eval': rows})
    with pytest.raises(ValueError, match=r'centroids hold values up to .*: rescale the features'):
        run_kmeans(tmp_path / 'out', examples, transformed['transform_graph'], features='["x"]')
    assert not (tmp_path / 'out').exists()


def test_parquet_files_are_refused(transformed, tmp_path):
    examples = write_examples(tmp_path / 'examples', {'train': [], 'eval': []})
    examples.set_string_custom_property('file_format', 'FILE_FORMAT_PARQUET')
    with pytest.raises(ValueError, match='FILE_FORMAT_PARQUET files; KMeans reads'):
        run_kmeans(
            tmp_path / 'out', examples, transformed['transform_graph'],
            features='["x"]', engine='tensorflow',
        )  # fmt: skip


def test_other_payloads_than_tf_example_are_refused(transformed, tmp_path):
    examples = write_examples(tmp_path / 'examples', {'train': [], 'eval': []})
    examples.set_string_custom_property('payload_format', 'FORMAT_PROTO')
    with pytest.raises(ValueError, match=r'are FORMAT_PROTO in .* files; KMeans reads tf.Example'):
        run_kmeans(tmp_path / 'out', examples, transformed['transform_graph'], features='["x"]')


@pytest.mark.parametrize('seed', [0, 5])
def test_centroids_are_those_of_the_fit_in_the_order_of_the_hashes(transformed, tmp_path, seed):
    options = {'features': '["x", "y"]', 'missing': 'drop', 'seed': seed, 'n_clusters': 7}
    outputs = run_kmeans(tmp_path, *transformed.values(), **options)
    clustering = Clustering.read(outputs['centroids'].uri)
    points = placed_rows(transformed)
    expected = graph.fit(ordering.sort_rows(points), 7, seed=seed)
    np.testing.assert_array_equal(clustering.centroids, expected.centroids)
    np.testing.assert_array_equal(clustering.cluster_weights, expected.cluster_weights)
    assert (clustering.seed, clustering.n_iter) == (seed, int(expected.n_iter))


def test_eval_inertia_is_weighted(transformed, tmp_path):
    options = {'features': '["x", "y"]', 'missing': 'drop', 'weight_feature': 'weight'}
    outputs = run_kmeans(tmp_path, *transformed.values(), **options)
    clustering = Clustering.read(outputs['centroids'].uri)
    rows = placed_rows(transformed, 'eval', ('x', 'y', 'weight'))
    points, weights = rows[:, :2], rows[:, 2]
    distances = np.square(points[:, None] - clustering.centroids).sum(axis=2).min(axis=1)
    assert clustering.eval_weight == weights.sum() > len(weights)
    assert clustering.eval_inertia == pytest.approx(distances @ weights, rel=1e-5)


def test_without_an_eval_split_nothing_is_scored(transformed, tmp_path):
    options = {'features': '["x"]', 'eval_split': None}
    centroids = run_kmeans(tmp_path, *transformed.values(), **options)['centroids']
    assert Clustering.read(centroids.uri).eval_weight == 0
    assert not centroids.has_custom_property('eval_inertia_per_row')


def test_a_fit_that_max_iter_ended_says_so(transformed, tmp_path, caplog):
    logging.get_absl_logger().propagate = True
    options = {'features': '["x"]', 'max_iter': 1, 'tol': 0.0, 'n_clusters': 9}
    with caplog.at_level('WARNING'):
        centroids = run_kmeans(tmp_path, *transformed.values(), **options)['centroids']
    clustering = Clustering.read(centroids.uri)
    assert (clustering.n_iter, clustering.converged) == (1, False)
    assert centroids.get_int_custom_property('converged') == 0
    assert 'ended by max_iter=1 before it converged' in caplog.text


@pytest.mark.parametrize('options', [{'standardize': 1}, {'distance': 'cosine'}], ids=str)
def test_the_model_places_rows_in_the_space_of_the_fit(transformed, tmp_path, options):
    outputs = run_kmeans(
        tmp_path, *transformed.values(), features='["x", "y"]', missing='drop', **options
    )
    clustering = Clustering.read(outputs['centroids'].uri)
    rows = placed_rows(transformed, 'eval')
    if 'standardize' in options:
        train = placed_rows(transformed).astype(np.float64)
        points = (rows - train.mean(axis=0)) / train.std(axis=0)
    else:
        points = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    squares = np.square(points[:, None] - clustering.centroids).sum(axis=2)
    distances = np.sqrt(squares) if 'standardize' in options else squares / 2
    model = tf.saved_model.load(path_utils.serving_model_path(outputs['model'].uri))
    served = model.signatures['features'](x=tf.constant(rows[:, 0]), y=tf.constant(rows[:, 1]))
    np.testing.assert_array_equal(served['cluster_id'], distances.argmin(axis=1))
    np.testing.assert_allclose(served['cluster_distance'], distances.min(axis=1), atol=1e-5)
