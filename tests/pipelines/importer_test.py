"""Centroids that NumPy, scikit-learn and faiss computed, imported into a pipeline of a user's."""

import importlib.util

import numpy as np
import pytest
from ml_metadata import metadata_store
from sklearn import cluster
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from support import building, reference
from tfx_kmeans import Centroids, Clustering, ClusterTransform

NAMES = ['x', 'pair']  # x, x, -x


def numpy_clustering(points, directory):
    quantiles = np.quantile(points[:, :1], [0.1, 0.5, 0.9], axis=0)
    np.save(directory / 'centroids.npy', quantiles * [1, 1, -1])
    array = np.load(directory / 'centroids.npy')
    return Clustering.from_array(array, NAMES, [1, 2], output_prefix='numpy')


def scikit_learn_clustering(points, _):
    model = cluster.KMeans(3, n_init=1, random_state=0).fit(points)
    return Clustering.from_array(
        model.cluster_centers_,
        NAMES,
        [1, 2],
        output_prefix='sklearn',
        cluster_weights=np.bincount(model.labels_),
        inertia=model.inertia_,
    )


def faiss_clustering(points, _):
    import faiss

    model = faiss.Kmeans(3, 3, niter=10)
    model.train(points)
    return Clustering.from_array(model.centroids, NAMES, [1, 2], output_prefix='faiss')


MAKERS = {'numpy': numpy_clustering, 'sklearn': scikit_learn_clustering}
if importlib.util.find_spec('faiss'):
    MAKERS['faiss'] = faiss_clustering


@pytest.fixture(scope='module')
def imported(raw, transformed, tmp_path_factory):
    """The root of a pipeline that imports foreign centroids, and the clusterings by prefix."""
    directory = tmp_path_factory.mktemp('imported')
    examples, schema = raw
    rows = building.rows('train')[:, :1]
    points = np.concatenate([rows, rows, -rows], axis=1)
    clusterings = {name: make(points, directory) for name, make in MAKERS.items()}
    importers = []
    for name, clustering in clusterings.items():
        clustering.write(str(directory / name))
        importers.append(
            tfx.dsl.Importer(
                source_uri=str(directory / name), artifact_type=Centroids
            ).with_id(f'Centroids.{name}')
        )  # fmt: skip
    upstream = [
        tfx.dsl.Importer(source_uri=artifact.uri, artifact_type=type(artifact)).with_id(name)
        for name, artifact in (('Schema', schema), ('Graph', transformed['transform_graph']))
    ]
    example_gen = tfx.components.ImportExampleGen(
        input_base=examples.uri,
        input_config=tfx.proto.Input(
            splits=[tfx.proto.Input.Split(name='train', pattern='Split-eval/*')]
        ),
    )
    cluster_transform = ClusterTransform(
        examples=example_gen.outputs['examples'],
        schema=upstream[0].outputs['result'],
        transform_graph=upstream[1].outputs['result'],
        centroids=[importer.outputs['result'] for importer in importers],
        disable_statistics=True,
    )
    pipeline = tfx.dsl.Pipeline(
        pipeline_name='imported',
        pipeline_root=str(directory / 'root'),
        components=[example_gen, *upstream, *importers, cluster_transform],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(directory / 'metadata.sqlite')
        ),
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)
    return directory, clusterings


def output(directory, key, artifact_type):
    (path,) = (directory / 'root' / 'ClusterTransform' / key).iterdir()
    artifact = artifact_type()
    artifact.uri = str(path)
    return artifact


@pytest.mark.parametrize('name', MAKERS)
def test_rows_are_placed_among_foreign_centroids(imported, name):
    directory, clusterings = imported
    graph = output(directory, 'transform_graph', standard_artifacts.TransformGraph)
    examples = output(directory, 'transformed_examples', standard_artifacts.Examples)
    rows = building.parse_examples(examples, 'train', graph)
    points = np.concatenate([rows['x'][:, np.newaxis], rows['pair']], axis=1)
    table = reference.distances(points, clusterings[name].centroids)
    ids, distances = rows[f'{name}_id'], rows[f'{name}_distance']
    assert set(ids) == {0, 1, 2}
    np.testing.assert_array_equal(ids, table.argmin(axis=1))
    np.testing.assert_allclose(distances**2, table.min(axis=1), rtol=1e-4, atol=1e-4)


def test_the_centroids_are_in_the_metadata_of_the_pipeline(imported):
    directory, clusterings = imported
    config = tfx.orchestration.metadata.sqlite_metadata_connection_config(
        str(directory / 'metadata.sqlite')
    )
    store = metadata_store.MetadataStore(config)
    known = store.get_artifacts_by_type(Centroids.TYPE_NAME)
    assert {artifact.uri for artifact in known} == {str(directory / name) for name in clusterings}
