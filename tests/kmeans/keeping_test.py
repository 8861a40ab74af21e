"""`previous_centroids`: where a fit starts, which ids are kept, and what is recorded of it."""

import csv
import dataclasses

import numpy as np
import pytest
from tfx.types import standard_artifacts

import local_runner
from support import building
from tfx_kmeans import Centroids, Clustering, graph
from tfx_kmeans.errors import CentroidsError
from tfx_kmeans.kmeans import executor, keeping, settings

OPTIONS = {'features': '["x", "y"]', 'missing': 'drop', 'n_clusters': 4, 'eval_split': None}


def artifact(uri):
    made = Centroids()
    made.uri = str(uri)
    return made


def run(directory, transformed, previous, **properties):
    """Runs KMeans after `previous`, a list of Clusterings; returns its Centroids artifact."""
    outputs = building.artifacts(
        directory,
        centroids=Centroids,
        model=standard_artifacts.Model,
        model_run=standard_artifacts.ModelRun,
    )
    inputs = {key: [value] for key, value in transformed.items()}
    inputs = {'examples': inputs['transformed_examples'], **inputs}
    inputs['previous_centroids'] = []
    for number, clustering in enumerate(previous):
        clustering.write(str(directory / f'previous-{number}'))
        inputs['previous_centroids'].append(artifact(directory / f'previous-{number}'))
    executor.Executor().Do(inputs, outputs, {**OPTIONS, **properties})
    return outputs['centroids'][0]


def rerun(directory, transformed, previous, **properties):
    return Clustering.read(run(directory, transformed, [previous], **properties).uri)


def others(clustering, order, **changes):
    """The same clusters in another order."""
    order = list(order)
    return dataclasses.replace(
        clustering,
        centroids=clustering.centroids[order],
        cluster_weights=tuple(clustering.cluster_weights[i] for i in order),
        **changes,
    )


@pytest.fixture(scope='module')
def first(transformed, tmp_path_factory):
    """The clustering of a first run, without a predecessor."""
    directory = tmp_path_factory.mktemp('first')
    return Clustering.read(run(directory, transformed, []).uri)


def points_of(transformed):
    data = building.parse_examples(
        transformed['transformed_examples'], 'train', transformed['transform_graph']
    )
    matrix = np.stack([data['x'], data['y']], axis=1)
    return matrix[~np.isnan(matrix).any(axis=1)]


def ids(points, centroids):
    return np.square(points[:, None] - centroids).sum(axis=2).argmin(axis=1)


def test_without_a_predecessor_clusters_are_numbered_by_falling_weight(first):
    assert list(first.cluster_weights) == sorted(first.cluster_weights, reverse=True)
    assert first.continuation is None


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_clusters_keep_the_numbers_of_the_predecessor(first, transformed, tmp_path, engine):
    previous = others(first, [2, 0, 3, 1])
    again = rerun(tmp_path, transformed, previous, engine=engine)
    np.testing.assert_allclose(again.centroids, previous.centroids, atol=1e-5)
    assert again.cluster_weights == previous.cluster_weights
    assert again.continuation.n_clusters == 4
    assert again.continuation.old_numbers == (0, 1, 2, 3)
    assert again.continuation.changed_share == 0
    assert max(again.continuation.movements) < 1e-4


def test_the_fit_starts_where_the_predecessor_ended(first, transformed, tmp_path):
    assert rerun(tmp_path, transformed, first, init='random', n_init=7).n_iter == 1


@pytest.mark.parametrize('solver', ['streaming', 'sklearn.cluster.KMeans'])
def test_with_other_solvers_clusters_keep_their_numbers_too(first, transformed, tmp_path, solver):
    previous = others(first, [2, 0, 3, 1])
    again = rerun(tmp_path, transformed, previous, solver=solver)
    np.testing.assert_allclose(again.centroids, previous.centroids, atol=0.1)


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_what_moved_and_who_changed_clusters_is_recorded(first, transformed, tmp_path, engine):
    moved = first.centroids + np.float32([[6, 0], [0, 0], [0, 0], [0, 0]])
    previous = dataclasses.replace(first, centroids=moved)
    again = rerun(tmp_path, transformed, previous, engine=engine)
    continuation, points = again.continuation, points_of(transformed)
    np.testing.assert_allclose(
        continuation.movements,
        np.linalg.norm(moved - again.centroids, axis=1),
        rtol=1e-4,
        atol=1e-6,
    )
    before, after = ids(points, moved), ids(points, again.centroids)
    assert continuation.changed_share == pytest.approx(np.mean(before != after))
    shares = [np.mean(before[after == cluster] != cluster) for cluster in range(4)]
    np.testing.assert_allclose(continuation.changed_shares, shares)
    assert continuation.changed_share > 0


def test_key_figures_are_custom_properties(first, transformed, tmp_path):
    centroids = run(tmp_path, transformed, [others(first, [3, 2, 1])])
    continuation = Clustering.read(centroids.uri).continuation
    for name in ('changed_share', 'new_clusters', 'largest_movement'):
        assert centroids.has_custom_property(name)
    assert centroids.get_float_custom_property('changed_share') == continuation.changed_share
    assert centroids.get_float_custom_property('new_clusters') == 1


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_a_new_cluster_takes_the_number_behind(first, transformed, tmp_path, engine):
    previous = others(first, [3, 1, 0])
    again = rerun(tmp_path, transformed, previous, engine=engine)
    assert again.continuation.old_numbers == (0, 1, 2, None)
    assert again.continuation.movements[3] is None
    assert again.continuation.changed_shares[3] == 1
    np.testing.assert_allclose(again.centroids, first.centroids[[3, 1, 0, 2]], atol=0.01)


def test_fewer_clusters_keep_the_numbers_that_there_are(first, transformed, tmp_path):
    again = rerun(tmp_path, transformed, others(first, [3, 2, 1, 0]), n_clusters=2)
    old = again.continuation.old_numbers
    assert set(old) <= {0, 1, 2, 3}
    assert len(set(old)) == 2
    assert all(number == before for number, before in enumerate(old) if before < 2)


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_rows_with_gaps_had_a_cluster_where_the_predecessor_gave_them_one(
    first, transformed, tmp_path, engine
):
    options = {'missing': 'partial', 'engine': engine}
    plain = rerun(tmp_path / 'plain', transformed, others(first, [2, 0, 3, 1]), **options)
    assert plain.continuation.old_numbers == (0, 1, 2, 3)
    n_rows = sum(building.SIZES['train'])
    assert plain.total_weight == n_rows
    # those that had no cluster count as changed
    share = (n_rows - len(points_of(transformed))) / n_rows
    assert plain.continuation.changed_share == pytest.approx(share)
    again = rerun(tmp_path / 'again', transformed, plain, **options)
    np.testing.assert_allclose(again.centroids, plain.centroids, atol=1e-5)
    assert again.continuation.changed_share == 0


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_the_standardisation_is_the_predecessors(first, transformed, tmp_path, engine):
    plain = run(tmp_path / 'first', transformed, [], standardize=1)
    plain = Clustering.read(plain.uri)
    scaled = tuple(2 * scale for scale in plain.standardization.scale)
    previous = dataclasses.replace(
        plain,
        standardization=dataclasses.replace(plain.standardization, scale=scaled),
        centroids=plain.centroids / 2,
    )
    again = rerun(tmp_path / 'again', transformed, previous, standardize=1, engine=engine)
    assert again.standardization == previous.standardization
    np.testing.assert_allclose(again.centroids, previous.centroids, atol=1e-4)
    assert again.continuation.changed_share == 0


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_under_the_cosine_distance_clusters_keep_their_numbers(transformed, tmp_path, engine):
    options = {'distance': 'cosine', 'n_clusters': 3}
    plain = Clustering.read(run(tmp_path / 'first', transformed, [], **options).uri)
    previous = others(plain, [1, 2, 0])
    again = rerun(tmp_path / 'again', transformed, previous, engine=engine, **options)
    np.testing.assert_allclose(again.centroids, plain.centroids[[1, 2, 0]], atol=0.05)
    assert again.continuation.changed_share < 0.05


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_a_number_of_clusters_is_chosen_and_ids_are_kept(first, transformed, tmp_path, engine):
    previous = others(first, [2, 0, 3, 1])
    options = {'n_clusters': None, 'candidates': '[3, 4, 5]', 'engine': engine}
    again = rerun(tmp_path, transformed, previous, **options)
    assert again.n_clusters == 4
    assert [row.n_clusters for row in again.selection.table] == [3, 4, 5]
    np.testing.assert_allclose(again.centroids, previous.centroids, atol=1e-4)


def test_centroids_from_elsewhere_can_be_continued(first, transformed, tmp_path):
    previous = Clustering.from_array(first.centroids[[1, 0, 3, 2]], ['x', 'y'])
    again = rerun(tmp_path, transformed, previous)
    np.testing.assert_allclose(again.centroids, previous.centroids, atol=1e-4)


# what cannot be continued


STANDARD = ((0.0, 0.0), (1.0, 1.0))
DIFFERENT = {
    'order': ({'feature_names': ('y', 'x')}, r"features was \['y\[1\]', 'x\[1\]'\] and is \['x"),
    'other': ({'feature_names': ('x', 'z')}, 'features was .*z'),
    'widths': ({'feature_names': ('x',), 'feature_widths': (2,)}, r"features was \['x\[2\]'\]"),
    'distance': ({'distance': 'cosine'}, 'distance was cosine and is squared_euclidean'),
}


@pytest.mark.parametrize('case', DIFFERENT)
def test_another_kind_of_clustering_cannot_be_continued(first, transformed, tmp_path, case):
    changes, message = DIFFERENT[case]
    with pytest.raises(ValueError, match=f'previous_centroids cannot be continued: {message}'):
        run(tmp_path, transformed, [dataclasses.replace(first, **changes)])
    assert not (tmp_path / 'centroids').exists()


def test_a_standardised_fit_does_not_continue_one_that_was_not(first, transformed, tmp_path):
    with pytest.raises(ValueError, match='standardize was False and is True'):
        run(tmp_path, transformed, [first], standardize=1)


def test_a_damaged_predecessor_is_refused_with_its_uri(first, transformed, tmp_path):
    class Damaged:
        @staticmethod
        def write(uri):
            first.write(uri)
            (tmp_path / 'previous-0' / 'centroids.npy').unlink()

    with pytest.raises(
        CentroidsError, match=r'Centroids at .*previous-0: centroids.npy is missing'
    ):
        run(tmp_path, transformed, [Damaged])


def test_two_predecessors_are_refused(first, transformed, tmp_path):
    with pytest.raises(ValueError, match='previous_centroids must be one artifact, not 2'):
        run(tmp_path, transformed, [first, first])


# trips


@pytest.fixture(scope='module')
def spans():
    """Where trips of two spans that overlap by 90 % begin and end, in km, float32 `[n, 4]`."""
    (path,) = local_runner.DATA.glob('*.csv')
    with open(path, newline='') as file:
        trips = sorted(csv.DictReader(file), key=lambda trip: int(trip['trip_start_timestamp']))
    names = [f'{end}_{axis}' for end in ('pickup', 'dropoff') for axis in ('longitude', 'latitude')]
    degrees = np.array([[trip[name] or 'nan' for name in names] for trip in trips], float)
    size = len(degrees) * 10 // 11
    kilometres = degrees - np.nanmean(degrees, axis=0)
    kilometres = np.float32(kilometres * 111.2 * [0.745, 1, 0.745, 1])
    whole = ~np.isnan(kilometres).any(axis=1)
    return kilometres[:size][whole[:size]], kilometres[-size:][whole[-size:]]


def clustering_of(fitted):
    names = ['pickup_east', 'pickup_north', 'dropoff_east', 'dropoff_north']
    weights = fitted.cluster_weights.numpy()
    return Clustering.from_array(fitted.centroids.numpy(), names, cluster_weights=weights)


@pytest.mark.parametrize('seed', range(3))
def test_95_percent_of_the_trips_keep_their_id_where_spans_overlap_by_90(spans, seed):
    first, second = spans
    parameters = settings.Settings(24, seed=seed)
    previous = clustering_of(graph.fit(first, 24, n_init=5, seed=seed))
    initial = keeping.start(previous, 24, building.Matrix(second), parameters)
    continued = clustering_of(graph.fit(second, 24, init=initial, seed=seed))
    continued = keeping.renumber(continued, previous, building.Matrix(second))
    assert continued.continuation.changed_share < 0.05
    before = graph.assign(second, previous.centroids).ids.numpy()
    after = graph.assign(second, continued.centroids).ids.numpy()
    assert np.mean(before != after) == pytest.approx(continued.continuation.changed_share)
    # fitted and numbered anew from a seeding, most trips are in a cluster of another number
    anew = graph.fit(second, 24, n_init=5, seed=seed, search='none')
    assert np.mean(before == graph.assign(second, anew.centroids).ids.numpy()) < 0.7


def test_even_a_fit_from_another_seeding_keeps_most_ids_by_its_numbering(spans):
    first, second = spans
    previous = clustering_of(graph.fit(first, 24, n_init=5))
    anew = clustering_of(graph.fit(second, 24, n_init=5))
    before = graph.assign(second, previous.centroids).ids.numpy()
    by_weight = np.mean(before == graph.assign(second, anew.centroids).ids.numpy())
    renumbered = keeping.renumber(anew, previous, building.Matrix(second))
    assert 1 - renumbered.continuation.changed_share > by_weight + 0.1
