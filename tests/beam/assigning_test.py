import numpy as np
import pytest

from support import clustering as runs
from support import reference
from tfx_kmeans import Clustering
from tfx_kmeans.artifacts import Standardization
from tfx_kmeans.beam import assigning


def centroids_of(**options):
    return Clustering.from_array([[0, 0], [9, 8]], ['x', 'y'], **options)


def test_batches_come_back_with_ids_and_squared_distances(tmp_path):
    keyed = (np.array([[0.0, 3.0], [9.0, 9.0], [np.nan, 1.0]]), ['a', 'b', 'c'])
    (found,) = runs.assign(tmp_path, [keyed], centroids_of())
    assert found.batch[1] == ['a', 'b', 'c']
    assert found.ids.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found.distances, [9, 1, np.nan])


@pytest.mark.parametrize('seed', range(2))
def test_rows_are_placed_in_the_space_of_the_centroids(seed, tmp_path):
    rows, _, init = reference.sample(seed)
    names = [f'x{i}' for i in range(rows.shape[1])]
    space = Standardization((1.0,) * len(names), (0.5,) * len(names))
    clustering = Clustering.from_array(init, names, standardization=space)
    found = runs.assign(tmp_path, runs.batches(rows, parts=3), clustering)
    table = reference.distances((rows - 1) / 0.5, clustering.centroids)
    by_batch = np.array_split(table, 3)
    order = {part[0].tobytes(): i for i, part in enumerate(np.array_split(rows, 3))}
    for assigned in found:
        wanted = by_batch[order[assigned.batch[0].tobytes()]]
        np.testing.assert_array_equal(assigned.ids, wanted.argmin(axis=1))
        np.testing.assert_allclose(assigned.distances, wanted.min(axis=1), rtol=1e-4, atol=1e-5)


def test_gaps_are_bridged_where_the_clustering_does_so(tmp_path):
    rows = np.array([[np.nan, 1.0], [9.0, np.nan]])
    (found,) = runs.assign(tmp_path, [rows], centroids_of(missing='partial'))
    assert found.ids.tolist() == [0, 1]


REFUSED = {
    'another width': (np.zeros((4, 1)), ValueError, r'\[rows, 2\], as there are .* not \[4, 1\]'),
    'a vector': (np.zeros(2), ValueError, r'\[rows, 2\], as there are .* not \[2\]'),
    'complex numbers': (np.zeros((4, 2), complex), TypeError, 'numeric array, not .*complex'),
    'dates': (np.zeros((4, 2), 'datetime64[s]'), TypeError, 'numeric array, not .*datetime64'),
    'a mask': (np.ma.masked_equal([[0.0, 1.0]], 0), TypeError, 'masked .*put NaN'),
}


@pytest.mark.parametrize('name', REFUSED)
@pytest.mark.parametrize('standardised', [False, True])
def test_what_is_no_matrix_of_the_width_of_the_clustering_is_refused(standardised, name):
    rows, error, message = REFUSED[name]
    space = Standardization((1.0, 2.0), (0.5, 0.5)) if standardised else None
    with pytest.raises(error, match=message):
        assigning.place(rows, centroids_of(standardization=space))
