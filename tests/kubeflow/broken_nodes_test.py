"""TFX components that cannot do their work, compiled and rehearsed: what a person gets to read."""

import pytest
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from tfx_kmeans import KMeans, errors, kubeflow
from tfx_kmeans.kubeflow import stores

WRONG = "ValueError: features: there is no transformed feature 'height'"


def rehearse(tmp_path, components, **options):
    pipeline = tfx.dsl.Pipeline(
        pipeline_name='broken', pipeline_root='minio://bucket/root', components=components
    )
    path = tmp_path / 'broken.yaml'
    kubeflow.compile(pipeline, path, image='any')
    with pytest.raises(errors.NodeFailedError) as caught:
        kubeflow.local_run(path, workdir=tmp_path / 'work', report=lambda line: None, **options)
    assert not list((tmp_path / 'work').rglob('output_metadata.json*'))
    return str(caught.value)


def test_missing_data_is_named_last_and_nothing_runs_after_it(tmp_path):
    example_gen = tfx.components.CsvExampleGen(input_base=str(tmp_path / 'nowhere'))
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs['examples'])
    message = rehearse(tmp_path, [example_gen, statistics_gen])
    first, last = message.splitlines()
    logs = tmp_path / 'work' / 'logs'
    assert first == f'CsvExampleGen failed: exit code 1, log in {logs / "CsvExampleGen.log"}'
    assert f'{tmp_path / "nowhere"}/*' in last
    assert [path.name for path in logs.iterdir()] == ['CsvExampleGen.log']


def test_a_wrong_feature_of_imported_examples_is_named_last(tmp_path, transformed):
    store = stores.DirectoryStore(tmp_path / 'store')
    examples, graph = transformed['transformed_examples'], transformed['transform_graph']
    store.upload(examples.uri, 'minio://bucket/old/examples')
    store.upload(graph.uri, 'minio://bucket/old/graph')
    importers = [
        tfx.dsl.Importer(
            source_uri='minio://bucket/old/examples',
            artifact_type=standard_artifacts.Examples,
            properties={'split_names': examples.split_names},
        ).with_id('OldExamples'),
        tfx.dsl.Importer(
            source_uri='minio://bucket/old/graph', artifact_type=standard_artifacts.TransformGraph
        ).with_id('OldGraph'),
    ]
    kmeans = KMeans(
        examples=importers[0].outputs['result'],
        transform_graph=importers[1].outputs['result'],
        n_clusters=3,
        features=['x', 'height'],
    )
    message = rehearse(tmp_path, [*importers, kmeans], store=store)
    assert message.splitlines()[-1].startswith(WRONG)
