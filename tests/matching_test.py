import doctest

import numpy as np
import pytest

from tfx_kmeans import graph, matching


def distances(old, new):
    """Squared distances of centroids on a line."""
    old, new = (np.reshape(np.float32(side), [-1, 1]) for side in (old, new))
    return graph.pairwise_distances(old, new).numpy()


def numbers(old, new):
    """The new centroids by their numbers."""
    return [new[index] for index in matching.match(distances(old, new)).order]


def overlap(old_ids, new_ids, n_old, n_new):
    table = np.zeros([n_old, n_new])
    np.add.at(table, (old_ids, new_ids), 1)
    return table


def test_the_example_of_the_docstring_runs():
    assert doctest.testmod(matching).attempted > 0
    assert doctest.testmod(matching).failed == 0


def test_clusters_that_moved_a_little_keep_their_numbers():
    assert numbers([5, 1, 9], [0.8, 5.2, 9.5]) == [5.2, 0.8, 9.5]


@pytest.mark.parametrize('seed', range(20))
def test_any_permutation_is_undone(seed):
    rng = np.random.default_rng(seed)
    old = rng.normal(size=(12, 3)).astype(np.float32)
    permutation = rng.permutation(12)
    found = matching.match(graph.pairwise_distances(old, old[permutation]).numpy())
    np.testing.assert_array_equal(permutation[list(found.order)], np.arange(12))
    assert found.old_numbers == tuple(range(12))


def test_one_cluster_jumps_rather_than_all_of_a_chain_shift():
    assert numbers([0, 10, 20, 30], [10.1, 20.1, 30.1, 42]) == [42, 10.1, 20.1, 30.1]


def test_more_clusters_take_the_numbers_behind():
    found = matching.match(distances([0, 10], [5, 9, 1]))
    assert found.order == (2, 1, 0)
    assert found.old_numbers == (0, 1, None)


def test_fewer_clusters_leave_the_numbers_that_are_too_high():
    # of the old clusters 0 to 3 two go on: 0 can keep its number, 3 takes that of one that is gone
    found = matching.match(distances([0, 10, 20, 30], [29, 1]))
    assert found.order == (1, 0)
    assert found.old_numbers == (0, 3)


def test_most_rows_stay_where_centroids_alone_would_mislead():
    # nearly all rows of cluster 0 are in the new cluster 1, although its centroid went far
    table = overlap([0] * 9 + [1] * 9 + [0], [1] * 9 + [0] * 9 + [0], 2, 2)
    found = matching.match(distances([0, 10], [1, 9]), table)
    assert found.order == (1, 0)


def test_a_cluster_of_new_rows_takes_the_number_that_became_free():
    # no row of cluster 0 is left, and cluster 2 as fitted has none that was placed before
    table = overlap([1] * 5 + [2] * 5, [0] * 5 + [1] * 5, 3, 3)
    found = matching.match(distances([0, 10, 20], [10, 20, 90]), table)
    assert found.order == (2, 0, 1)
    assert found.old_numbers == (None, 1, 2)


def test_where_no_rows_tell_the_nearer_centroid_takes_the_number():
    found = matching.match(distances([0, 10], [9, 1]), np.zeros([2, 2]))
    assert found.order == (1, 0)
    assert found.old_numbers == (None, None)


def test_a_split_cluster_goes_on_in_its_larger_part():
    table = overlap([0] * 10 + [1] * 3, [1] * 6 + [2] * 4 + [0] * 3, 2, 3)
    found = matching.match(distances([0, 10], [10, 1, -1]), table)
    assert found.order == (1, 0, 2)
    assert found.old_numbers == (0, 1, None)


def test_one_cluster_after_one():
    assert matching.match([[0.0]], [[3.0]]) == matching.Matching((0,), (0,))
