"""Clusters that are pushed if ClusterEvaluator blesses them, and are not if it does not."""

import pathlib

import pytest
from ml_metadata import metadata_store
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from tfx_kmeans import Centroids, ClusterEvaluator, Evaluation, KMeans, kubeflow

THRESHOLDS = {
    'blessed': {'max_inertia_ratio': 2.0, 'min_cluster_share': 0.01, 'min_kept_share': 0.9},
    'refused': {'min_silhouette': 0.99},
}


def create_pipeline(directory, transformed, baseline):
    """Two evaluations of one fit, each with a Pusher and one that runs on a condition."""
    upstream = [
        tfx.dsl.Importer(
            source_uri=transformed['transformed_examples'].uri,
            artifact_type=standard_artifacts.Examples,
            properties={'split_names': '["train", "eval"]'},
        ).with_id('Examples'),
        tfx.dsl.Importer(
            source_uri=transformed['transform_graph'].uri,
            artifact_type=standard_artifacts.TransformGraph,
        ).with_id('Graph'),
        tfx.dsl.Importer(source_uri=baseline, artifact_type=Centroids).with_id('Baseline'),
    ]
    examples, graph, before = (node.outputs['result'] for node in upstream)
    kmeans = KMeans(examples, graph, n_clusters=4, features=['x', 'y'], missing='drop')
    nodes = [*upstream, kmeans]
    for name, thresholds in THRESHOLDS.items():
        evaluator = ClusterEvaluator(
            examples, graph, kmeans.outputs['centroids'], kmeans.outputs['model'], before,
            **thresholds,
        ).with_id(f'Evaluator-{name}')  # fmt: skip
        blessing = evaluator.outputs['blessing']
        pusher = make_pusher(directory / name, kmeans, model_blessing=blessing)
        with tfx.dsl.Cond(blessing.future()[0].custom_property('blessed') == 1):
            conditional = make_pusher(directory / f'{name}-conditional', kmeans)
        nodes += [
            evaluator,
            pusher.with_id(f'Pusher-{name}'),
            conditional.with_id(f'Conditional-{name}'),
        ]
    return tfx.dsl.Pipeline(
        pipeline_name='blessing',
        pipeline_root=str(directory / 'root'),
        components=nodes,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(directory / 'metadata.sqlite')
        ),
    )


def make_pusher(directory, kmeans, **blessing):
    filesystem = tfx.proto.PushDestination.Filesystem(base_directory=str(directory))
    return tfx.components.Pusher(
        model=kmeans.outputs['model'],
        push_destination=tfx.proto.PushDestination(filesystem=filesystem),
        **blessing,
    )


@pytest.fixture(scope='module')
def finished(transformed, fitted, tmp_path_factory):
    """The directory of the finished pipeline."""
    directory = tmp_path_factory.mktemp('blessing')
    pipeline = create_pipeline(directory, transformed, fitted['centroids'].uri)
    tfx.orchestration.LocalDagRunner().run(pipeline)
    return directory


@pytest.mark.parametrize('pushed', ['blessed', 'blessed-conditional'])
def test_blessed_clusters_are_pushed(finished, pushed):
    (version,) = (finished / pushed).iterdir()
    assert (version / 'saved_model.pb').exists()


@pytest.mark.parametrize('pushed', ['refused', 'refused-conditional'])
def test_refused_clusters_are_not_pushed(finished, pushed):
    assert not (finished / pushed).exists()


@pytest.mark.parametrize('name', THRESHOLDS)
def test_the_evaluation_says_why(finished, name):
    (uri,) = (finished / 'root' / f'Evaluator-{name}' / 'evaluation').iterdir()
    evaluation = Evaluation.read(str(uri))
    assert evaluation.blessed is (name == 'blessed')
    assert {threshold.name for threshold in evaluation.thresholds} == set(THRESHOLDS[name])
    assert evaluation.stability.kept_share == 1  # the baseline is the same fit


def test_tfx_finds_the_latest_blessed_model_by_the_blessing(finished):
    config = tfx.orchestration.metadata.sqlite_metadata_connection_config(
        str(finished / 'metadata.sqlite')
    )
    store = metadata_store.MetadataStore(config)

    def read(artifact_type):
        made = []
        for stored in store.get_artifacts_by_type(artifact_type.TYPE_NAME):
            made.append(artifact_type())
            made[-1].set_mlmd_artifact(stored)
        return made

    models, blessings = read(standard_artifacts.Model), read(standard_artifacts.ModelBlessing)
    resolved = tfx.dsl.experimental.LatestBlessedModelStrategy().resolve_artifacts(
        store, {'model': models, 'model_blessing': blessings}
    )
    assert [model.id for model in resolved['model']] == [model.id for model in models]
    (blessing,) = resolved['model_blessing']
    assert pathlib.Path(blessing.uri, 'BLESSED').exists()


def test_kubeflow_takes_the_same_nodes(transformed, fitted, tmp_path):
    pipeline = create_pipeline(tmp_path, transformed, fitted['centroids'].uri)
    path = tmp_path / 'pipeline.yaml'
    kubeflow.compile(pipeline, path, image='image')
    kubeflow.validate(path, parameters={})
