"""`graph.score_clusters`, `graph.score_parts` and `graph.elbow`."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics, preprocessing

from support import reference
from tfx_kmeans import graph

SEEDS = range(4)
EITHER_DISTANCE = pytest.mark.parametrize('distance', reference.DISTANCES)
INDICES = ('silhouette', 'davies_bouldin', 'calinski_harabasz')


def sample(seed, n=3000, d=5, k=7):
    """Rows about some centres away from the origin, and centroids near them; float64."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(3, 2, size=(k, d))
    points = centres[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    return points, centres + rng.normal(0, 0.2, size=(k, d))


def placed(points, centroids, distance='squared_euclidean'):
    return reference.distances(points, centroids, distance).argmin(axis=1)


def simplified_silhouettes(points, centroids, metric):
    """What scikit-learn makes of each row when it is shown with the centroids alone."""
    ids = placed(points, centroids, {'euclidean': 'squared_euclidean'}.get(metric, metric))
    labels = range(len(centroids))
    return np.array(
        [
            metrics.silhouette_samples([point, *centroids], [own, *labels], metric=metric)[0]
            for point, own in zip(points, ids, strict=True)
        ]
    )


def plain(scores):
    return {name: getattr(scores, name).numpy() for name in scores._fields}


def assert_alike(some, others, names=graph.ClusterScores._fields, rtol=1e-6):
    for name in names:
        np.testing.assert_allclose(
            getattr(some, name), getattr(others, name), rtol=rtol, err_msg=name
        )


# against scikit-learn


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize(('d', 'k'), [(1, 2), (2, 12), (32, 5)])
def test_davies_bouldin_and_calinski_harabasz_are_those_of_scikit_learn(seed, dtype, d, k):
    points, centroids = (array.astype(dtype) for array in sample(seed, d=d, k=k))
    scores = graph.score_clusters(points, centroids)
    ids = placed(points, centroids)
    for name in ('davies_bouldin', 'calinski_harabasz'):
        wanted = getattr(metrics, f'{name}_score')(points.astype(np.float64), ids)
        np.testing.assert_allclose(getattr(scores, name), wanted, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize('seed', SEEDS)
def test_under_the_cosine_distance_they_are_those_of_the_rows_on_the_unit_sphere(seed):
    points, centroids = sample(seed)
    scores = graph.score_clusters(points, centroids, distance='cosine')
    ids, points = placed(points, centroids, 'cosine'), preprocessing.normalize(points)
    for name in ('davies_bouldin', 'calinski_harabasz'):
        wanted = getattr(metrics, f'{name}_score')(points, ids)
        np.testing.assert_allclose(getattr(scores, name), wanted, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize('metric', ['euclidean', 'cosine'])
@pytest.mark.parametrize('seed', SEEDS)
def test_the_silhouette_of_a_row_is_scikit_learns_among_the_centroids(seed, metric):
    points, centroids = sample(seed, n=300)
    wanted = simplified_silhouettes(points, centroids, metric).mean()
    distance = {'euclidean': 'squared_euclidean'}.get(metric, metric)
    scores = graph.score_clusters(points, centroids, distance=distance)
    np.testing.assert_allclose(scores.silhouette, wanted, rtol=1e-5)


@pytest.mark.parametrize('seed', SEEDS)
def test_the_silhouette_is_scikit_learns_where_rows_lie_on_their_centroids(seed):
    rng = np.random.default_rng(seed)
    centroids = rng.normal(size=(5, 3))
    ids = np.repeat(np.arange(5), [1, 2, 3, 4, 5])  # one row is alone, and counts for nothing
    scores = graph.score_clusters(centroids[ids], centroids)
    wanted = metrics.silhouette_score(centroids[ids], ids)
    np.testing.assert_allclose(scores.silhouette, wanted, rtol=1e-5)
    np.testing.assert_allclose(scores.cluster_silhouettes, [0, 1, 1, 1, 1], rtol=1e-5)


@EITHER_DISTANCE
def test_inertia_weights_and_silhouettes_of_the_clusters_are_those_of_their_rows(distance):
    points, centroids = sample(0, n=400)
    scores = graph.score_clusters(points, centroids, distance=distance)
    table = reference.distances(points, centroids, distance)
    ids = table.argmin(axis=1)
    metric = 'euclidean' if distance == 'squared_euclidean' else distance
    silhouettes = simplified_silhouettes(points, centroids, metric)
    np.testing.assert_allclose(scores.inertia, table.min(axis=1).sum(), rtol=1e-6)
    np.testing.assert_array_equal(scores.cluster_weights, np.bincount(ids))
    means = np.bincount(ids, silhouettes) / np.bincount(ids)
    np.testing.assert_allclose(scores.cluster_silhouettes, means, rtol=1e-5)


# weights, parts, offsets


@EITHER_DISTANCE
def test_a_weight_counts_as_so_many_rows(distance):
    points, centroids = sample(1)
    weights = np.random.default_rng(1).integers(4, size=len(points))
    weighted = graph.score_clusters(points, centroids, weights=weights, distance=distance)
    repeated = graph.score_clusters(points.repeat(weights, 0), centroids, distance=distance)
    assert_alike(weighted, repeated)


@pytest.mark.parametrize('missing', ['drop', 'partial'])
def test_parts_score_as_the_whole_does(missing):
    points, centroids = sample(2)
    points[::7, 2] = np.nan
    weights = np.random.default_rng(2).uniform(size=len(points))
    parts = [(points[a:b], weights[a:b]) for a, b in [(0, 10), (10, 2500), (2500, 3000)]]
    whole = graph.score_clusters(points, centroids, weights=weights, missing=missing)
    assert_alike(graph.score_parts(lambda: parts, centroids, missing=missing), whole)


def test_rows_more_than_a_block_are_all_scored():
    points, centroids = sample(3, n=20_000, d=2)
    scores = graph.score_clusters(points, centroids)
    wanted = metrics.davies_bouldin_score(points, placed(points, centroids))
    np.testing.assert_allclose(scores.davies_bouldin, wanted, rtol=1e-5)


@pytest.mark.parametrize('unit', [1e-20, 1e15])
def test_the_indices_do_not_depend_on_the_unit(unit):
    points, centroids = (array.astype(np.float32) for array in sample(0))
    scores = graph.score_clusters(points, centroids)
    scaled = graph.score_clusters(points * np.float32(unit), centroids * np.float32(unit))
    assert_alike(scores, scaled, INDICES, rtol=1e-4)


def test_an_offset_of_the_data_costs_no_digits():
    points, centroids = (np.round(array, 2) for array in sample(0))
    assert_alike(
        graph.score_clusters(points, centroids),
        graph.score_clusters(points + 1e7, centroids + 1e7),
        INDICES,
        rtol=1e-4,
    )


def test_it_runs_inside_a_graph():
    points, centroids = sample(0)
    score = tf.function(lambda points: graph.score_clusters(points, centroids))
    assert_alike(score(tf.constant(points)), graph.score_clusters(points, centroids))


# what cannot be placed, and what has no score


def test_rows_that_cannot_be_placed_count_for_nothing_but_their_weight():
    points, centroids = sample(0)
    weights = np.ones(len(points))
    gaps = points.copy()
    gaps[5, 1], gaps[9, 0], weights[9] = np.nan, np.inf, 2.5
    scores = graph.score_clusters(gaps, centroids, weights=weights)
    assert float(scores.unplaced_weight) == 3.5
    rest = graph.score_clusters(np.delete(points, [5, 9], axis=0), centroids)
    names = set(graph.ClusterScores._fields) - {'unplaced_weight'}
    assert_alike(scores, rest, names)


def test_partial_scores_of_a_column_of_gaps_are_those_of_the_others_rescaled():
    points, centroids = sample(0)
    points[:, 2] = np.nan
    partial = graph.score_clusters(points, centroids, missing='partial')
    kept = [0, 1, 3, 4]
    others = graph.score_clusters(points[:, kept], centroids[:, kept])
    assert_alike(partial, others, ('silhouette', 'cluster_weights'))
    wanted = others.davies_bouldin * (5 / 4) ** 0.5
    np.testing.assert_allclose(partial.davies_bouldin, wanted, rtol=1e-6)
    np.testing.assert_allclose(partial.inertia, others.inertia * 5 / 4, rtol=1e-6)


def test_partial_scores_of_whole_rows_are_the_scores():
    points, centroids = sample(0)
    whole = graph.score_clusters(points, centroids)
    assert_alike(graph.score_clusters(points, centroids, missing='partial'), whole)


def test_a_cluster_without_rows_is_left_out_of_davies_bouldin_and_calinski_harabasz():
    points, centroids = sample(0)
    far = np.vstack([centroids, np.full([1, 5], 30.0)])
    scores = graph.score_clusters(points, far)
    ids = placed(points, centroids)
    for name in ('davies_bouldin', 'calinski_harabasz'):
        wanted = getattr(metrics, f'{name}_score')(points, ids)
        np.testing.assert_allclose(getattr(scores, name), wanted, rtol=1e-5)
    assert np.isnan(scores.cluster_silhouettes[-1])


def test_one_cluster_has_no_index():
    points, centroids = sample(0)
    scores = plain(graph.score_clusters(points, centroids[:1]))
    assert all(np.isnan(scores[name]) for name in INDICES)
    assert scores['cluster_weights'] == len(points)


def test_rows_that_weigh_less_than_the_clusters_have_no_calinski_harabasz():
    points, centroids = sample(0)
    scores = graph.score_clusters(points, centroids, weights=np.full(len(points), 1e-3))
    assert np.isnan(scores.calinski_harabasz)
    assert np.isfinite(scores.silhouette)
    assert np.isfinite(scores.davies_bouldin)


def test_no_part_is_refused():
    with pytest.raises(ValueError, match='parts: there are none'):
        graph.score_parts(list, [[0.0]])


def test_an_unknown_distance_is_refused():
    with pytest.raises(ValueError, match=r"distance must be one of .* not 'manhattan'"):
        graph.score_clusters([[0.0]], [[0.0]], distance='manhattan')


def test_rows_with_nan_are_refused_eagerly_where_missing_is_an_error():
    points, centroids = sample(0)
    points[5, 1] = np.nan
    with pytest.raises(ValueError, match='points: 1 rows hold NaN'):
        graph.score_clusters(points, centroids, missing='error')


def test_a_graph_refuses_rows_with_nan_in_the_same_words():
    points, centroids = sample(0)
    score = tf.function(lambda points: graph.score_clusters(points, centroids, missing='error'))
    points[5, 1] = np.nan
    with pytest.raises(tf.errors.InvalidArgumentError, match='points: 1 rows hold NaN'):
        score(tf.constant(points))


# elbows


@pytest.mark.parametrize('elbow', [3, 7, 12])
def test_the_elbow_is_where_the_inertia_stops_falling(elbow):
    ks = np.arange(2, 16)
    inertias = np.where(ks < elbow, 1e4 / ks, 30.0 / ks)
    assert ks[graph.elbow(ks, inertias)] == elbow


def test_an_elbow_may_have_no_inertia():
    assert graph.elbow([1, 2, 4, 5], [7.0, 5.0, 0.0, 0.0]) == 2


@pytest.mark.parametrize(
    ('ks', 'inertias', 'message'),
    [
        ([2, 3], [2.0, 1.0], 'at least 3 increasing numbers'),
        ([2, 4, 3], [3.0, 2.0, 1.0], 'at least 3 increasing numbers'),
        ([2, 3, 4], [3.0, 2.0], 'of one length'),
    ],
)
def test_a_curve_without_elbow_is_refused(ks, inertias, message):
    with pytest.raises(ValueError, match=message):
        graph.elbow(ks, inertias)
