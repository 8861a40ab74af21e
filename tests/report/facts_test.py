import dataclasses

import numpy as np
import pytest

from support import judged
from tfx_kmeans import Clustering
from tfx_kmeans.report import facts


@pytest.fixture(scope='module')
def evaluated():
    """A Clustering of four clusters, its rows, and its Evaluation."""
    clustering, train = judged.fit(['a', 'b', 'c'], 4)
    return clustering, train, judged.judge(clustering, train, train[:500])


def test_differences_are_in_standard_deviations_of_the_rows(evaluated):
    clustering, train, evaluation = evaluated
    scaled = (train[:, np.newaxis] - clustering.points) / clustering.standardization.scale
    ids = np.square(np.nan_to_num(scaled)).sum(axis=2).argmin(axis=1)
    there = ~np.isnan(train).any(axis=1)
    mean, scale = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
    wanted = [(train[there & (ids == i)].mean(axis=0) - mean) / scale for i in range(4)]
    found = facts.differences(clustering, evaluation)
    np.testing.assert_allclose(found.values, wanted, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.overall, mean, rtol=1e-5)


def test_without_an_evaluation_a_standardised_clustering_knows_the_rows_all_the_same(evaluated):
    clustering, _, evaluation = evaluated
    alone = facts.differences(clustering, None).values
    judged_by_rows = facts.differences(clustering, evaluation).values
    np.testing.assert_allclose(alone, judged_by_rows, atol=0.02)


def test_columns_that_do_not_vary_make_no_difference():
    clustering = Clustering.from_array([[1, 7], [3, 7]], ['a', 'b'])
    found = facts.differences(clustering, None)
    np.testing.assert_allclose(found.values, [[-1, 0], [1, 0]])


def test_a_cluster_without_rows_has_no_differences(evaluated):
    clustering, _, evaluation = evaluated
    means = evaluation.cluster_means.copy()
    means[2] = np.nan
    found = facts.differences(clustering, dataclasses.replace(evaluation, cluster_means=means))
    np.testing.assert_array_equal(np.isnan(found.values).any(axis=1), [False, False, True, False])


def test_the_map_keeps_the_distances_of_two_columns():
    clustering = Clustering.from_array([[0, 0], [3, 4], [6, 0]], ['a', 'b'])
    found = facts.view(clustering, None)
    gaps = np.linalg.norm(found.centroids[:, np.newaxis] - found.centroids, axis=2)
    np.testing.assert_allclose(gaps, [[0, 5, 6], [5, 0, 5], [6, 5, 0]], atol=1e-9)
    assert found.shares.sum() == pytest.approx(1)


def test_rows_lie_around_the_centroid_of_their_cluster(evaluated):
    clustering, _, evaluation = evaluated
    found = facts.view(clustering, evaluation)
    for cluster in range(4):
        middle = found.rows[found.ids == cluster].mean(axis=0)
        gaps = np.linalg.norm(found.centroids - middle, axis=1)
        assert gaps.argmin() == cluster
        assert gaps.min() < 0.1


def test_under_the_cosine_distance_rows_are_shown_as_directions():
    clustering = Clustering.from_array([[1, 0], [0, 1]], ['a', 'b'], distance='cosine')
    rows = np.array([[5, 0], [0, 0.1], [0, 0]], np.float32)
    evaluation = judged.judge(clustering, np.repeat(rows, 10, axis=0), rows)
    found = facts.view(clustering, evaluation)
    for cluster in (0, 1):
        at = found.rows[found.ids == cluster]
        np.testing.assert_allclose(
            at, np.broadcast_to(found.centroids[cluster], at.shape), atol=1e-6
        )
