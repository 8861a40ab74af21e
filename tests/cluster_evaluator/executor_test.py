import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial import distance
from sklearn import metrics
from tfx.types import standard_artifacts

from support import building, reference
from support.evaluating import run_evaluator
from tfx_kmeans import Centroids, Clustering, report
from tfx_kmeans.cluster_evaluator import gates

N_CLUSTERS = building.N_CLUSTERS


def matrix_of(transformed, split, names=('x', 'y')):
    data = building.parse_examples(
        transformed['transformed_examples'], split, transformed['transform_graph']
    )
    return np.stack([data[name] for name in names], axis=1)


def placed_rows(transformed, split):
    points = matrix_of(transformed, split)
    return points[~np.isnan(points).any(axis=1)]


def ids_of(points, clustering):
    return reference.distances(points, clustering.centroids).argmin(axis=1)


def write(directory, clustering):
    """The Centroids artifact of a clustering."""
    clustering.write(str(directory))
    centroids = Centroids()
    centroids.uri = str(directory)
    centroids.id = 7
    return centroids


@pytest.fixture(scope='module')
def baseline(tmp_path_factory):
    """Centroids of yesterday: two ids exchanged, one cluster of today missing, other sizes."""
    clustering = Clustering.from_array(
        building.CENTRES[[1, 0, 2]] + np.float32(0.25),
        ['x', 'y'],
        cluster_weights=[500, 300, 200],
        inertia=4000.0,
    )
    return write(tmp_path_factory.mktemp('baseline'), clustering)


@pytest.fixture(scope='module')
def evaluated(transformed, fitted, baseline, tmp_path_factory):
    """Evaluation and artifacts of `fitted` against `baseline`."""
    directory = tmp_path_factory.mktemp('evaluated')
    return run_evaluator(directory, transformed, fitted['centroids'], baseline_centroids=baseline)


# figures


def test_figures_of_the_splits_are_those_of_scikit_learn(transformed, fitted, evaluated):
    clustering = Clustering.read(fitted['centroids'].uri)
    for split in ('train', 'eval'):
        points = placed_rows(transformed, split)
        ids, made = ids_of(points, clustering), getattr(evaluated[0], split)
        assert made.split == split
        assert made.cluster_weights == tuple(np.bincount(ids))
        assert made.davies_bouldin == pytest.approx(
            metrics.davies_bouldin_score(points, ids), rel=1e-5
        )
        assert made.calinski_harabasz == pytest.approx(
            metrics.calinski_harabasz_score(points, ids), rel=1e-5
        )


def test_inertias_are_those_of_the_rows_of_each_cluster(transformed, fitted, evaluated):
    clustering = Clustering.read(fitted['centroids'].uri)
    table = reference.distances(placed_rows(transformed, 'eval'), clustering.centroids)
    wanted = np.bincount(table.argmin(axis=1), table.min(axis=1))
    np.testing.assert_allclose(evaluated[0].eval.cluster_inertias, wanted, rtol=1e-5)
    assert evaluated[0].eval.inertia_per_row == pytest.approx(clustering.eval_inertia_per_row)
    assert evaluated[0].train.inertia_per_row == pytest.approx(clustering.inertia_per_row)


def test_rows_with_gaps_count_as_unplaced(evaluated):
    assert (evaluated[0].eval.n_rows, evaluated[0].eval.n_unplaced) == (100, 2)
    assert (evaluated[0].train.n_rows, evaluated[0].train.n_unplaced) == (1000, 20)


def test_shift_against_the_training_is_that_of_the_sizes_of_clusters(evaluated):
    made = evaluated[0].training_shift
    before, now = (
        np.array(part.cluster_shares) for part in (evaluated[0].train, evaluated[0].eval)
    )
    np.testing.assert_allclose(made.expected_shares, before)
    np.testing.assert_allclose(made.actual_shares, now)
    assert made.psi == pytest.approx(np.sum((now - before) * np.log(now / before)))
    assert made.jensen_shannon == pytest.approx(distance.jensenshannon(before, now, 2) ** 2)


def test_shift_against_the_baseline_is_among_its_own_clusters(transformed, baseline, evaluated):
    clustering = Clustering.read(baseline.uri)
    points = placed_rows(transformed, 'eval')
    now = np.bincount(ids_of(points, clustering)) / len(points)
    made = evaluated[0].baseline_shift
    assert made.expected_shares == (0.5, 0.3, 0.2)
    np.testing.assert_allclose(made.actual_shares, now)
    assert made.jensen_shannon == pytest.approx(
        distance.jensenshannon(made.expected_shares, now, 2) ** 2
    )


def test_stability_is_that_of_the_ids_of_each_row(transformed, fitted, baseline, evaluated):
    points = placed_rows(transformed, 'eval')
    now, before = (
        ids_of(points, Clustering.read(artifact.uri))
        for artifact in (fitted['centroids'], baseline)
    )
    made = evaluated[0].stability
    assert made.n_rows == len(points)
    assert made.kept_share == pytest.approx(np.mean(now == before))
    assert made.adjusted_rand == pytest.approx(metrics.adjusted_rand_score(before, now), abs=1e-5)
    for cluster, share in enumerate(made.kept_shares):
        assert share == pytest.approx(np.mean(now[before == cluster] == cluster))
    wanted = np.zeros((3, N_CLUSTERS))
    np.add.at(wanted, (before, now), 1)
    np.testing.assert_array_equal(evaluated[0].transitions, wanted)


def test_moves_are_the_distances_between_centroids_of_one_id(fitted, baseline, evaluated):
    now, before = (Clustering.read(a.uri).centroids for a in (fitted['centroids'], baseline))
    wanted = np.linalg.norm(now[:3] - before, axis=1)
    np.testing.assert_allclose(evaluated[0].stability.moves, wanted, rtol=1e-5)
    np.testing.assert_array_equal(evaluated[0].baseline_points, before)


def test_the_baseline_is_measured_on_the_same_rows(transformed, baseline, evaluated):
    points = placed_rows(transformed, 'eval')
    table = reference.distances(points, Clustering.read(baseline.uri).centroids)
    made = evaluated[0]
    assert made.baseline.inertia_per_row == pytest.approx(table.min(axis=1).mean(), rel=1e-5)
    assert made.figures['baseline_inertia_ratio'] == pytest.approx(
        made.eval.inertia_per_row / made.baseline.inertia_per_row
    )
    assert made.figures['silhouette_drop'] == made.baseline.silhouette - made.eval.silhouette


def test_clusters_compared_with_themselves_are_the_same(transformed, fitted, tmp_path):
    centroids = fitted['centroids']
    made, _ = run_evaluator(tmp_path, transformed, centroids, baseline_centroids=centroids)
    assert (made.stability.kept_share, made.stability.adjusted_rand) == (1, 1)
    assert made.stability.moves == (0,) * N_CLUSTERS
    assert made.figures['baseline_inertia_ratio'] == 1
    assert made.training_shift == made.baseline_shift


def test_rows_count_by_their_weights(transformed, fitted, baseline, tmp_path):
    made, _ = run_evaluator(
        tmp_path, transformed, fitted['centroids'],
        baseline_centroids=baseline, weight_feature='weight',
    )  # fmt: skip
    rows = matrix_of(transformed, 'eval', ('x', 'y', 'weight'))
    rows = rows[~np.isnan(rows).any(axis=1)]
    points, weights = rows[:, :2], rows[:, 2]
    now, before = (
        ids_of(points, Clustering.read(artifact.uri))
        for artifact in (fitted['centroids'], baseline)
    )
    assert made.eval.cluster_weights == tuple(np.bincount(now, weights))
    assert made.stability.kept_share == pytest.approx(weights[now == before].sum() / weights.sum())
    assert made.eval.davies_bouldin == pytest.approx(
        metrics.davies_bouldin_score(
            np.repeat(points, weights.astype(int), axis=0), np.repeat(now, weights.astype(int))
        ),
        rel=1e-5,
    )
    profiled = matrix_of(transformed, 'train', ('x', 'y', 'weight'))
    assert made.column_means[0] == pytest.approx(
        np.average(profiled[:, 0], weights=profiled[:, 2]), rel=1e-6
    )


OPTIONS = {
    'cosine': {'distance': 'cosine', 'missing': 'drop'},
    'standardised': {'standardize': 1, 'missing': 'drop'},
    'partial': {'missing': 'partial', 'standardize': 1},
    'cosine of standardised': {'distance': 'cosine', 'standardize': 1, 'missing': 'drop'},
    'one cluster': {'n_clusters': 1, 'missing': 'drop'},
}


@pytest.mark.parametrize('case', OPTIONS)
def test_rows_are_placed_as_the_clustering_places_them(transformed, tmp_path, case):
    fitted = building.run_kmeans(
        tmp_path / 'kmeans', *transformed.values(), features='["x", "y"]', **OPTIONS[case]
    )
    centroids = fitted['centroids']
    clustering = Clustering.read(centroids.uri)
    made, _ = run_evaluator(
        tmp_path / 'evaluated', transformed, centroids, baseline_centroids=centroids
    )
    assert made.train.cluster_weights == clustering.cluster_weights
    assert made.train.inertia_per_row == pytest.approx(clustering.inertia_per_row, rel=1e-5)
    assert made.eval.inertia_per_row == pytest.approx(clustering.eval_inertia_per_row, rel=1e-5)
    np.testing.assert_allclose(made.stability.moves, 0, atol=1e-6)
    assert made.eval.n_unplaced == (0 if case == 'partial' else 2)
    assert (made.eval.silhouette is None) == (case == 'one cluster')


# what is there to show


def test_profiles_are_in_the_unit_of_the_features(transformed, tmp_path):
    fitted = building.run_kmeans(
        tmp_path / 'kmeans', *transformed.values(), features='["x", "y"]', **OPTIONS['partial']
    )
    made, _ = run_evaluator(tmp_path / 'evaluated', transformed, fitted['centroids'])
    clustering = Clustering.read(fitted['centroids'].uri)
    points = matrix_of(transformed, 'train').astype(np.float64)
    scaled = (points - clustering.standardization.mean) / clustering.standardization.scale
    ids = ids_of(scaled, clustering)
    np.testing.assert_allclose(made.column_means, np.nanmean(points, axis=0), rtol=1e-9)
    np.testing.assert_allclose(made.column_stds, np.nanstd(points, axis=0), rtol=1e-9)
    np.testing.assert_allclose(
        made.column_quantiles, np.nanquantile(points, made.quantile_levels, axis=0), rtol=1e-9
    )
    for cluster in range(N_CLUSTERS):
        mine = points[ids == cluster]
        np.testing.assert_allclose(made.cluster_means[cluster], np.nanmean(mine, axis=0), rtol=1e-6)
        np.testing.assert_allclose(made.cluster_stds[cluster], np.nanstd(mine, axis=0), rtol=1e-6)


def test_bins_hold_every_placed_row_of_both_splits(evaluated):
    made = evaluated[0]
    assert made.distance_edges[0] == 0
    assert (np.diff(made.distance_edges) > 0).all()
    assert made.train_distances.sum() == made.train.total_weight
    assert made.eval_distances.sum() == made.eval.total_weight
    middles = (made.distance_edges[1:] + made.distance_edges[:-1]) / 2
    inertia = made.train_distances @ np.square(middles) / made.train.total_weight
    assert inertia == pytest.approx(made.train.inertia_per_row, rel=0.02)


def test_examples_are_the_rows_nearest_to_each_centroid(transformed, fitted, evaluated):
    clustering = Clustering.read(fitted['centroids'].uri)
    points = placed_rows(transformed, 'train')
    table = reference.distances(points, clustering.centroids)
    for cluster in range(N_CLUSTERS):
        nearest = np.argsort(table[:, cluster])[:5]
        np.testing.assert_array_equal(evaluated[0].example_points[cluster], points[nearest])
        np.testing.assert_allclose(
            evaluated[0].example_distances[cluster], np.sqrt(table[nearest, cluster]), rtol=1e-4
        )


def test_the_sample_has_rows_of_both_splits_with_their_ids(transformed, fitted, evaluated):
    made = evaluated[0]
    clustering = Clustering.read(fitted['centroids'].uri)
    assert (np.sum(~made.sample_is_eval), np.sum(made.sample_is_eval)) == (1000, 100)
    placed = ~np.isnan(made.sample_points).any(axis=1)
    np.testing.assert_array_equal(
        made.sample_ids[placed], ids_of(made.sample_points[placed], clustering)
    )
    assert set(made.sample_ids[~placed]) == {N_CLUSTERS}
    shown, wanted = made.sample_points[made.sample_is_eval], matrix_of(transformed, 'eval')
    assert sorted(shown[:, 0]) == sorted(wanted[:, 0])


def test_the_report_lies_beside_the_evaluation(fitted, evaluated):
    made, artifacts = evaluated
    written = pathlib.Path(artifacts['evaluation'].uri, 'report.html').read_text()
    assert written == report.render(Clustering.read(fitted['centroids'].uri), made)


# splits and baselines of other kinds


def test_without_a_train_split_the_eval_split_is_shown_beside_sizes_on_record(
    transformed, fitted, tmp_path
):
    made, _ = run_evaluator(tmp_path, transformed, fitted['centroids'], train_split=None)
    clustering = Clustering.read(fitted['centroids'].uri)
    assert (made.train, made.train_distances) == (None, None)
    shares = np.array(clustering.cluster_weights) / clustering.total_weight
    np.testing.assert_allclose(made.training_shift.expected_shares, shares)
    points = matrix_of(transformed, 'eval').astype(np.float64)
    np.testing.assert_allclose(made.column_means, np.nanmean(points, axis=0), rtol=1e-9)


def test_without_a_baseline_nothing_is_compared(transformed, fitted, tmp_path):
    bounds = {name: 0.5 for name, gate in gates.GATES.items() if gate.of_baseline}
    made, _ = run_evaluator(
        tmp_path, transformed, fitted['centroids'], baseline_centroids=None, **bounds
    )
    assert (made.baseline, made.baseline_shift, made.stability, made.baseline_uri) == (None,) * 4
    assert len(made.thresholds) == len(bounds)
    assert made.blessed
    assert {threshold.note for threshold in made.thresholds} == {
        'there is no baseline to compare with'
    }


def test_a_baseline_of_other_features_is_compared_by_its_ids(transformed, fitted, tmp_path):
    other = write(
        tmp_path / 'other',
        Clustering.from_array([[0, 0, 0], [10, -10, 10]], ['pair', 'x'], [2, 1], missing='partial'),
    )
    made, _ = run_evaluator(
        tmp_path / 'evaluated', transformed, fitted['centroids'],
        baseline_centroids=other, max_baseline_inertia_ratio=2.0, max_baseline_psi=9.0,
    )  # fmt: skip
    points = placed_rows(transformed, 'eval')
    now = ids_of(points, Clustering.read(fitted['centroids'].uri))
    before = (points[:, 0] > 5).astype(int)
    assert made.stability.adjusted_rand == pytest.approx(
        metrics.adjusted_rand_score(before, now), abs=1e-5
    )
    assert (made.stability.n_rows, made.baseline.n_unplaced) == (98, 0)
    assert (made.stability.moves, made.baseline_points, made.baseline_shift) == (None,) * 3
    notes = {threshold.name: threshold.note for threshold in made.thresholds}
    assert 'other features' in notes['max_baseline_inertia_ratio']
    assert 'not known' in notes['max_baseline_psi']
    assert not made.blessed


def test_rows_that_nothing_can_place_bless_no_threshold(transformed, tmp_path):
    empty = Clustering.from_array([[0, 0], [1, 1]], ['x', 'y'])
    features = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        for name, value in (('x', 1.0), ('y', np.nan))
    }
    row = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    examples = building.write_examples(tmp_path / 'examples', {'eval': [row] * 5})
    bounds = {
        'min_silhouette': -1.0, 'max_inertia_per_row': 9.0, 'min_cluster_share': 0.0,
        'max_davies_bouldin': 9.0, 'min_calinski_harabasz': 0.0, 'max_training_psi': 9.0,
        'max_unplaced_share': 1.0,
    }  # fmt: skip
    made, _ = run_evaluator(
        tmp_path / 'evaluated', {**transformed, 'transformed_examples': examples},
        write(tmp_path / 'centroids', empty), train_split=None, **bounds,
    )  # fmt: skip
    assert made.figures == {'unplaced_share': 1.0}
    passed = {threshold.name for threshold in made.thresholds if threshold.passed}
    assert passed == {'max_unplaced_share'}
    assert all(threshold.note for threshold in made.thresholds if not threshold.passed)


# thresholds and blessing

EASY = {name: gate.least if name.startswith('min_') else min(gate.most, 1e9)
        for name, gate in gates.GATES.items()}  # fmt: skip


@pytest.mark.parametrize('name', gates.GATES)
def test_each_threshold_blesses_up_to_its_bound_and_not_beyond(evaluated, name):
    figure = evaluated[0].figures[gates.GATES[name].figure]
    towards = 1 if name.startswith('min_') else -1
    beyond = figure + towards * 1e-3
    for bound, blessed in ((figure, True), (beyond, False)):
        thresholds = gates.judge(evaluated[0], EASY | {name: bound})
        judged = dataclasses.replace(evaluated[0], thresholds=thresholds)
        assert judged.blessed is blessed
        assert [t.name for t in thresholds if not t.passed] == ([] if blessed else [name])
    (missed,) = (threshold for threshold in thresholds if not threshold.passed)
    assert missed.missed_by == pytest.approx(1e-3)


def test_failed_thresholds_are_in_the_log_and_in_the_artifact(
    transformed, fitted, tmp_path, caplog
):
    bounds = {'min_silhouette': 0.99, 'max_unplaced_share': 0.01, 'min_cluster_share': 0.01}
    with caplog.at_level('INFO', 'absl'):
        made, artifacts = run_evaluator(tmp_path, transformed, fitted['centroids'], **bounds)
    errors = [record.getMessage() for record in caplog.records if record.levelname == 'ERROR']
    assert errors == [str(threshold) for threshold in made.thresholds if not threshold.passed]
    assert 'max_unplaced_share=0.01: FAILED with 0.02, 0.01 above the bound' in errors
    assert 'Clusters are NOT blessed: 2 of 3 thresholds failed' in caplog.text
    failed = artifacts['evaluation'].get_string_custom_property('failed_thresholds')
    assert failed == 'min_silhouette, max_unplaced_share'


def test_a_blessing_without_any_threshold_is_warned_of(transformed, fitted, tmp_path, caplog):
    with caplog.at_level('WARNING'):
        evaluation, _ = run_evaluator(tmp_path, transformed, fitted['centroids'])
    assert evaluation.blessed
    assert 'ClusterEvaluator was given no threshold: it blesses whatever comes' in caplog.text


def test_the_evaluation_knows_what_was_judged(fitted, evaluated):
    evaluation, _ = evaluated
    fingerprint = Clustering.read(fitted['centroids'].uri).fingerprint
    assert evaluation.clustering_fingerprint == fingerprint


def test_key_figures_are_custom_properties(evaluated):
    made, artifacts = evaluated
    artifact = artifacts['evaluation']
    for name, figure in made.figures.items():
        assert artifact.get_float_custom_property(name) == figure
    assert len(made.figures) == len(gates.GATES)
    assert artifact.get_int_custom_property('n_clusters') == N_CLUSTERS
    assert artifact.get_int_custom_property('blessed') == 1


def files_of(artifact):
    return [path.name for path in pathlib.Path(artifact.uri).iterdir()]


def test_a_blessing_is_as_tfx_writes_it(transformed, fitted, baseline, tmp_path):
    model = standard_artifacts.Model()
    model.uri, model.id = '/model', 3
    _, artifacts = run_evaluator(
        tmp_path, transformed, fitted['centroids'], model=model, baseline_centroids=baseline
    )
    blessing = artifacts['blessing']
    assert files_of(blessing) == ['BLESSED']
    assert blessing.get_int_custom_property('blessed') == 1
    assert blessing.get_string_custom_property('current_model') == '/model'
    assert blessing.get_int_custom_property('current_model_id') == 3
    assert blessing.get_string_custom_property('baseline_model') == baseline.uri
    assert blessing.get_int_custom_property('baseline_model_id') == 7


def test_a_refusal_is_as_tfx_writes_it(transformed, fitted, tmp_path):
    _, artifacts = run_evaluator(tmp_path, transformed, fitted['centroids'], min_silhouette=1.0)
    blessing = artifacts['blessing']
    assert files_of(blessing) == ['NOT_BLESSED']
    assert blessing.get_int_custom_property('blessed') == 0
    assert blessing.get_string_custom_property('current_model') == fitted['centroids'].uri
    assert not blessing.has_custom_property('baseline_model')


# wrong input


def test_what_the_examples_lack_is_told_by_name_before_anything_is_written(
    transformed, fitted, tmp_path
):
    centroids = fitted['centroids']
    cases = {
        "eval_split: the examples have no split 'test'": (centroids, {'eval_split': 'test'}),
        "centroids: .*no transformed feature 'z'": (
            write(tmp_path / 'z', Clustering.from_array([[0.0]], ['z'])), {},
        ),
        r"centroids: features \['pair'\] have widths \[3\] there and \[2\]": (
            write(tmp_path / 'pair', Clustering.from_array([[0.0, 0, 0]], ['pair'])), {},
        ),
        "infinite values in split 'train': 'infinite'": (
            write(tmp_path / 'inf', Clustering.from_array([[0.0]], ['infinite'])), {},
        ),
        "weight_feature 'negative': 1000 weights": (centroids, {'weight_feature': 'negative'}),
    }  # fmt: skip
    for message, (judged, options) in cases.items():
        with pytest.raises(ValueError, match=message):
            run_evaluator(tmp_path / 'out', transformed, judged, **options)
        assert not (tmp_path / 'out').exists()
