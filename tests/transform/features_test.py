import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans import Clustering
from tfx_kmeans.artifacts import Standardization
from tfx_kmeans.transform import features as features_lib
from tfx_kmeans.transform import placing

CENTROIDS = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 3], [1, 1, 1]], np.float32)


def make(**changes):
    fields = {
        'centroids': CENTROIDS,
        'feature_names': ('pair', 'one'),
        'feature_widths': (2, 1),
        'cluster_weights': (4.0, 3.0, 2.0, 1.0),
        'inertia': 20.0,
        'n_iter': 1,
        'seed': 0,
    }
    return Clustering(**(fields | changes))


def sample(seed):
    points = np.random.default_rng(seed).normal(size=(50, 3)).astype(np.float32)
    return points, {'one': points[:, 2], 'pair': points[:, :2], 'other': points[:, 0]}


def euclidean(points, centroids):
    return np.linalg.norm(points[:, None].astype(np.float64) - centroids, axis=2)


@pytest.mark.parametrize('seed', range(3))
def test_features_equal_a_plain_reference(seed):
    points, features = sample(seed)
    found = features_lib.cluster_features(features, make(), placing.EMITTABLE)
    distances = euclidean(points, CENTROIDS)
    weights = np.exp(-np.square(distances) / 2.0)  # inertia 20 over a weight of 10
    np.testing.assert_array_equal(found['cluster_id'], distances.argmin(axis=1))
    np.testing.assert_allclose(found['cluster_distance'], distances.min(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found['cluster_distances'], distances, rtol=1e-4)
    similarity = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found['cluster_similarity'], similarity, rtol=1e-4)
    assert found['cluster_id'].dtype == tf.int64
    assert found['cluster_distance'].dtype == tf.float32


def test_standardised_features_are_measured_in_standard_deviations():
    points, features = sample(0)
    mean, scale = (1.0, -2.0, 0.5), (2.0, 3.0, 0.25)
    clustering = make(standardization=Standardization(mean, scale))
    found = features_lib.cluster_features(features, clustering)
    distances = euclidean((points - mean) / scale, CENTROIDS)
    np.testing.assert_array_equal(found['cluster_id'], distances.argmin(axis=1))
    np.testing.assert_allclose(found['cluster_distance'], distances.min(axis=1), rtol=1e-4)


def test_cosine_distance_is_one_less_the_cosine():
    points, features = sample(0)
    units = CENTROIDS / np.linalg.norm(CENTROIDS, axis=1, keepdims=True)
    clustering = make(centroids=units, distance='cosine')
    found = features_lib.cluster_features(features, clustering, ['id', 'distance', 'distances'])
    cosines = points @ units.T / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_array_equal(found['cluster_id'], cosines.argmax(axis=1))
    np.testing.assert_allclose(found['cluster_distance'], 1 - cosines.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(found['cluster_distances'], 1 - cosines, atol=1e-6)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_a_row_that_cannot_be_placed_gets_the_extra_id_and_nothing_that_poisons_a_model(value):
    features = {'one': np.float32([0, value]), 'pair': np.zeros((2, 2), np.float32)}
    found = features_lib.cluster_features(features, make(), placing.EMITTABLE)
    assert found['cluster_id'].numpy().tolist() == [0, 4]
    assert found['cluster_distance'][1] == -1.0
    np.testing.assert_array_equal(found['cluster_distances'][1], -1.0)
    np.testing.assert_array_equal(found['cluster_similarity'][1], 0.0)


def test_a_row_with_gaps_is_placed_by_what_is_observed_where_the_clustering_says_so():
    nan = float('nan')
    features = {
        'one': np.float32([nan, 3, nan]),
        'pair': np.float32([[0, 2.5], [nan, nan], [nan, nan]]),
    }
    found = features_lib.cluster_features(features, make(missing='partial'), placing.EMITTABLE)
    assert found['cluster_id'].numpy().tolist() == [1, 2, 4]
    np.testing.assert_allclose(found['cluster_distance'], [np.sqrt(0.25 * 3 / 2), 0, -1])
    np.testing.assert_allclose(found['cluster_distances'][1], np.sqrt([27, 27, 0, 12]), rtol=1e-5)
    np.testing.assert_allclose(np.sum(found['cluster_similarity'], axis=1), [1, 1, 0], rtol=1e-5)


def test_similarity_to_clusters_of_unknown_inertia_is_refused():
    clustering = make(inertia=None)
    _, features = sample(0)
    with pytest.raises(ValueError, match="'similarity' to the clusters 'cluster' needs their in"):
        features_lib.cluster_features(features, clustering, ['similarity'])
    assert set(features_lib.cluster_features(features, clustering)) == {
        'cluster_id', 'cluster_distance',
    }  # fmt: skip


def test_rows_all_on_their_centroids_are_wholly_similar_to_them():
    features = {'one': CENTROIDS[:, 2], 'pair': CENTROIDS[:, :2]}
    found = features_lib.cluster_features(features, make(inertia=0.0), ['similarity'])
    np.testing.assert_array_equal(found['cluster_similarity'], np.eye(4))


def test_names_begin_with_the_prefix_and_only_what_is_asked_for_is_there():
    _, features = sample(0)
    clustering = make(output_prefix='zone')
    found = features_lib.cluster_features(features, clustering, ['distances', 'id'])
    assert set(found) == {'zone_distances', 'zone_id'}
    assert set(features_lib.output_names(clustering, ['id']).values()) == {'zone_id'}


def test_integer_features_are_read_as_numbers():
    features = {'one': np.array([3, 0]), 'pair': np.array([[0, 0], [1, 0]])}
    assert features_lib.cluster_features(features, make())['cluster_id'].numpy().tolist() == [2, 0]
