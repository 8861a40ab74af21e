"""`n_clusters` as a sequence: which number is kept, and what is told of the others."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from sklearn import cluster, metrics

from support import building
from tfx_kmeans import Clustering, graph
from tfx_kmeans.kmeans import choosing, reading, settings

ON_X_AND_Y = {'features': '["x", "y"]', 'missing': 'drop'}


def run(directory, transformed, candidates, **properties):
    properties = {**ON_X_AND_Y, 'candidates': candidates, 'n_clusters': None, **properties}
    return building.run_kmeans(directory, *transformed.values(), **properties)


def training_rows(transformed):
    data = building.parse_examples(
        transformed['transformed_examples'], 'train', transformed['transform_graph']
    )
    matrix = np.stack([data['x'], data['y']], axis=1)
    return matrix[~np.isnan(matrix).any(axis=1)]


# the true number


def separated_clusters(seed, d):
    """3 to 12 normal clusters whose centres are 6 root mean squared radii apart or more."""
    rng = np.random.default_rng(seed)
    k, apart = 3 + seed % 10, 6 * np.sqrt(d)
    centres = []
    while len(centres) < k:
        drawn = rng.uniform(size=d) * apart * 1.6 * k ** (1 / d)
        if all(np.linalg.norm(drawn - other) >= apart for other in centres):
            centres.append(drawn)
    points = np.repeat(centres, rng.integers(50, 300, size=k), axis=0)
    return building.Matrix(np.float32(points + rng.normal(size=points.shape))), k


@pytest.fixture(scope='module')
def chosen():
    """The true and, by criterion, the chosen number of clusters of 20 data sets."""
    found = []
    for seed in range(20):
        rows, k = separated_clusters(seed, d=(2, 7, 32)[seed // 7])

        @functools.cache
        def fit(n_clusters, rows=rows):
            return graph.fit(rows.points, n_clusters)

        found.append({'true': k})
        for criterion in choosing.CRITERIA:
            parameters = settings.Settings(tuple(range(2, 15)), selection=criterion)
            fitted, _ = choosing.fit_and_choose(rows, parameters, fit)
            found[-1][criterion] = len(fitted.centroids)
    return found


@pytest.mark.parametrize('criterion', choosing.CRITERIA)
def test_the_true_number_of_separated_clusters_is_chosen_in_19_of_20(chosen, criterion):
    right = [found[criterion] == found['true'] for found in chosen]
    assert sum(right) >= 19, chosen


# what is kept, and told


@pytest.fixture(scope='module')
def outputs(transformed, tmp_path_factory):
    """What KMeans makes of `transformed` with a choice of numbers of clusters, out of order."""
    return run(tmp_path_factory.mktemp('chosen'), transformed, '[5, 2, 4, 3]')


def test_the_clusters_are_those_of_the_number_that_is_chosen(transformed, outputs, tmp_path):
    kept = Clustering.read(outputs['centroids'].uri)
    assert kept.n_clusters == 4
    alone = building.run_kmeans(tmp_path, *transformed.values(), **ON_X_AND_Y, n_clusters=4)
    np.testing.assert_array_equal(kept.centroids, Clustering.read(alone['centroids'].uri).centroids)


def test_the_artifact_holds_the_scores_of_every_number(transformed, outputs):
    selection = Clustering.read(outputs['centroids'].uri).selection
    assert selection.criterion == 'silhouette'
    assert [row.n_clusters for row in selection.table] == [2, 3, 4, 5]
    points = training_rows(transformed)
    for row in selection.table[:3]:  # of 5 there may be several optima
        expected = cluster.KMeans(row.n_clusters, n_init=10, random_state=0).fit(points)
        assert row.inertia == pytest.approx(expected.inertia_, rel=1e-3)
        wanted = metrics.davies_bouldin_score(points, expected.labels_)
        assert row.davies_bouldin == pytest.approx(wanted, rel=1e-2)
        wanted = metrics.calinski_harabasz_score(points, expected.labels_)
        assert row.calinski_harabasz == pytest.approx(wanted, rel=1e-2)


def test_the_scores_of_the_number_that_is_kept_are_custom_properties(outputs):
    row = Clustering.read(outputs['centroids'].uri).selection.table[2]
    artifact = outputs['centroids']
    assert artifact.get_int_custom_property('n_clusters') == 4
    for name in ('silhouette', 'davies_bouldin', 'calinski_harabasz'):
        assert artifact.get_float_custom_property(name) == getattr(row, name)


def test_a_number_that_was_given_has_no_scores(fitted):
    assert Clustering.read(fitted['centroids'].uri).selection is None
    assert not fitted['centroids'].has_custom_property('silhouette')


def test_tensorboard_has_the_scores_by_number_of_clusters(outputs):
    table = Clustering.read(outputs['centroids'].uri).selection.table
    (log,) = tf.io.gfile.glob(outputs['model_run'].uri + '/events.*')
    found = {}
    for record in tf.data.TFRecordDataset(log).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            if value.tag == 'by_n_clusters/silhouette':
                found[event.step] = float(tf.make_ndarray(value.tensor))
    assert found == pytest.approx({row.n_clusters: row.silhouette for row in table})


def test_the_rows_are_read_once_for_all_numbers(transformed, tmp_path, monkeypatch):
    splits = []
    read = reading.read

    def reading_of(examples, split, *arguments):
        splits.append(split)
        return read(examples, split, *arguments)

    monkeypatch.setattr(reading, 'read', reading_of)
    run(tmp_path, transformed, '[2, 3, 4]')
    assert splits == ['train', 'eval']


def test_rows_are_standardised_once_for_all_numbers(transformed, tmp_path):
    kept = run(tmp_path / 'several', transformed, '[4, 3, 2]', standardize=1)
    kept = Clustering.read(kept['centroids'].uri)
    options = {**ON_X_AND_Y, 'standardize': 1, 'n_clusters': kept.n_clusters}
    alone = building.run_kmeans(tmp_path / 'alone', *transformed.values(), **options)
    alone = Clustering.read(alone['centroids'].uri)
    np.testing.assert_array_equal(kept.centroids, alone.centroids)
    assert kept.standardization == alone.standardization


@pytest.mark.parametrize('solver', ['streaming', 'sklearn.cluster.BisectingKMeans'])
def test_other_solvers_fit_every_number_too(transformed, tmp_path, solver):
    outputs = run(tmp_path, transformed, '[2, 4, 6]', solver=solver, standardize=1)
    assert Clustering.read(outputs['centroids'].uri).n_clusters == 4


def test_rows_with_gaps_are_judged_by_the_values_that_they_have(transformed, tmp_path):
    outputs = run(tmp_path, transformed, '[3, 4, 5]', missing='partial')
    clustering = Clustering.read(outputs['centroids'].uri)
    assert (clustering.n_clusters, clustering.total_weight) == (4, sum(building.SIZES['train']))


def test_the_elbow_may_be_sought_from_one_cluster_on(transformed, tmp_path):
    outputs = run(tmp_path, transformed, '[1, 2, 3, 4, 5, 6]', selection='elbow')
    clustering = Clustering.read(outputs['centroids'].uri)
    assert clustering.n_clusters == 4
    assert clustering.selection.table[0].silhouette is None


def test_more_clusters_than_distinct_rows_are_refused_before_any_other_number_is_fitted(caplog):
    logging.get_absl_logger().propagate = True
    fitted = []

    def fit(n_clusters):
        fitted.append(n_clusters)
        return graph.fit(np.eye(5), n_clusters)

    parameters = settings.Settings((2, 3, 9))
    with pytest.raises(ValueError, match='n_clusters=9 is more than the 5 distinct rows'):
        choosing.fit_and_choose(building.Matrix(np.eye(5)), parameters, fit)
    assert fitted == [9]


def test_a_criterion_that_no_fit_has_is_refused_with_what_to_do():
    points = np.random.default_rng(0).normal(size=(100, 2))
    weights = np.full(100, 1e-3)
    parameters = settings.Settings((2, 3), selection='calinski_harabasz')
    with pytest.raises(ValueError, match=r'rows weigh 0.1 in all, .* scale the weights up'):
        choosing.fit_and_choose(
            building.Matrix(points, weights),
            parameters,
            lambda k: graph.fit(points, k, weights=weights),
        )
