"""Clusters that continue those of the last run: by a Resolver here, by an Importer on Kubeflow."""

import numpy as np
import pytest
import tensorflow as tf
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from support import building
from tfx_kmeans import Centroids, Clustering, KMeans, kubeflow

SIZES = {'first': (400, 300, 200, 100), 'second': (100, 200, 300, 400)}


def create_pipeline(directory, examples, transform_graph, previous):
    upstream = [
        tfx.dsl.Importer(
            source_uri=str(examples),
            artifact_type=standard_artifacts.Examples,
            properties={'split_names': '["train"]'},
        ).with_id('Examples'),
        tfx.dsl.Importer(
            source_uri=transform_graph.uri, artifact_type=standard_artifacts.TransformGraph
        ).with_id('Graph'),
        previous.with_id('Previous'),
    ]
    kmeans = KMeans(
        *(node.outputs['result'] for node in upstream[:2]),
        n_clusters=range(3, 6),
        features=['x', 'y'],
        eval_split=None,
        previous_centroids=previous.outputs['result'],
    )
    return tfx.dsl.Pipeline(
        pipeline_name='continuing',
        pipeline_root=str(directory / 'root'),
        components=[*upstream, kmeans],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(directory / 'metadata.sqlite')
        ),
    )


def write_span(directory, sizes):
    rng = np.random.default_rng(sizes)
    points = np.repeat(building.CENTRES, sizes, axis=0) + rng.normal(size=(sum(sizes), 2))
    building.write_examples(directory, {'train': [serialize(point) for point in points]})


def serialize(point):
    feature = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        for name, value in zip(('x', 'y'), point, strict=True)
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


@pytest.fixture(scope='module')
def clusterings(transformed, tmp_path_factory):
    """The Clustering of the first run and that of the second, by span."""
    directory = tmp_path_factory.mktemp('continuing')
    for span, sizes in SIZES.items():
        write_span(directory / span, sizes)
        previous = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
            result=tfx.dsl.Channel(type=Centroids),
        )
        pipeline = create_pipeline(
            directory, directory / span, transformed['transform_graph'], previous
        )
        tfx.orchestration.LocalDagRunner().run(pipeline)
    written = (directory / 'root' / 'KMeans' / 'centroids').iterdir()
    written = sorted(written, key=lambda path: int(path.name))
    return {s: Clustering.read(str(uri)) for s, uri in zip(SIZES, written, strict=True)}


def test_the_first_run_finds_no_predecessor_and_numbers_by_weight(clusterings):
    assert clusterings['first'].cluster_weights == pytest.approx(SIZES['first'], abs=2)
    assert clusterings['first'].continuation is None


def test_the_second_run_keeps_the_ids_though_weights_are_the_other_way_round(clusterings):
    assert clusterings['second'].cluster_weights == pytest.approx(SIZES['second'], abs=2)
    assert clusterings['second'].continuation.old_numbers == (0, 1, 2, 3)
    assert clusterings['second'].continuation.changed_share < 0.01


def test_both_runs_choose_among_several_numbers_of_clusters(clusterings):
    for clustering in clusterings.values():
        assert [row.n_clusters for row in clustering.selection.table] == [3, 4, 5]
        assert clustering.n_clusters == 4


def test_on_kubeflow_an_importer_finds_the_predecessor(tmp_path):
    uri = tfx.dsl.experimental.RuntimeParameter('previous_centroids', str)
    previous = tfx.dsl.Importer(source_uri=uri, artifact_type=Centroids, reimport=True)
    graph = standard_artifacts.TransformGraph()
    graph.uri = 'minio://bucket/graph'  # the backend imports from the run's own bucket alone
    pipeline = create_pipeline(tmp_path, 'minio://bucket/examples', graph, previous)
    pipeline.pipeline_info.pipeline_root = 'minio://bucket/root'
    path = tmp_path / 'pipeline.yaml'
    compiled = kubeflow.compile(pipeline, path, image='image')
    kubeflow.validate(path, parameters={'previous_centroids': 'minio://bucket/old/centroids'})
    task = compiled.spec['root']['dag']['tasks']['KMeans']['inputs']
    source = task['artifacts']['previous_centroids']['taskOutputArtifact']
    assert source == {'producerTask': 'Previous', 'outputArtifactKey': 'result'}
    (value,) = task['parameters']['candidates']['runtimeValue'].values()
    assert value == '[3, 4, 5]'
