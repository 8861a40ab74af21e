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
        baseline,
    ]
    examples, graph = (node.outputs['result'] for node in upstream[:2])
    kmeans = KMeans(examples, graph, n_clusters=4, features=['x', 'y'], missing='drop')
    kmeans.add_upstream_node(baseline)  # the latest centroids are those of the last run until then
    nodes = [*upstream, kmeans]
    for name, thresholds in THRESHOLDS.items():
        evaluator = ClusterEvaluator(
            examples,
            graph,
            kmeans.outputs['centroids'],
            model=kmeans.outputs['model'],
            baseline_centroids=baseline.outputs['result'],
            **thresholds,
        ).with_id(f'Evaluator-{name}')
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
        metadata_connection_config=metadata_config(directory),
    )


def make_pusher(directory, kmeans, **blessing):
    filesystem = tfx.proto.PushDestination.Filesystem(base_directory=str(directory))
    return tfx.components.Pusher(
        model=kmeans.outputs['model'],
        push_destination=tfx.proto.PushDestination(filesystem=filesystem),
        **blessing,
    )


def metadata_config(directory):
    path = str(directory / 'metadata.sqlite')
    return tfx.orchestration.metadata.sqlite_metadata_connection_config(path)


@pytest.fixture(scope='module')
def finished(transformed, tmp_path_factory):
    """The directory of a pipeline that has run twice, the first time without a baseline."""
    directory = tmp_path_factory.mktemp('blessing')
    for _ in range(2):
        baseline = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
            result=tfx.dsl.Channel(type=Centroids),
        ).with_id('Baseline')
        pipeline = create_pipeline(directory, transformed, baseline)
        tfx.orchestration.LocalDagRunner().run(pipeline)
    return directory


def evaluations(finished, name):
    """The Evaluations of both runs."""
    return [Evaluation.read(uri) for uri in outputs(finished, f'Evaluator-{name}', 'evaluation')]


def outputs(finished, node, key):
    """What both runs of a node wrote, the first one first."""
    paths = (finished / 'root' / node / key).iterdir()
    return [str(path) for path in sorted(paths, key=lambda path: int(path.name))]


@pytest.mark.parametrize('pushed', ['blessed', 'blessed-conditional'])
def test_blessed_clusters_are_pushed(finished, pushed):
    versions = list((finished / pushed).iterdir())
    assert len(versions) == 2
    assert all((version / 'saved_model.pb').exists() for version in versions)


@pytest.mark.parametrize('pushed', ['refused', 'refused-conditional'])
def test_refused_clusters_are_not_pushed(finished, pushed):
    assert not (finished / pushed).exists()


@pytest.mark.parametrize('name', THRESHOLDS)
def test_the_evaluation_says_why(finished, name):
    for evaluation in evaluations(finished, name):
        assert evaluation.blessed is (name == 'blessed')
        assert {threshold.name for threshold in evaluation.thresholds} == set(THRESHOLDS[name])


def test_the_first_run_has_no_baseline_and_the_second_has_the_first(finished):
    first, second = evaluations(finished, 'blessed')
    assert first.stability is None
    assert second.stability.kept_share == 1  # it is the same fit
    assert second.baseline_uri == outputs(finished, 'KMeans', 'centroids')[0]


def test_tfx_finds_the_latest_blessed_model_by_the_blessing(finished):
    store = metadata_store.MetadataStore(metadata_config(finished))

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
    (model,), (blessing,) = resolved['model'], resolved['model_blessing']
    assert model.id == max(model.id for model in models)
    assert pathlib.Path(blessing.uri, 'BLESSED').exists()
    assert blessing.get_string_custom_property('current_model') == model.uri


def test_kubeflow_takes_the_same_nodes(transformed, fitted, tmp_path):
    baseline = tfx.dsl.Importer(source_uri=fitted['centroids'].uri, artifact_type=Centroids)
    pipeline = create_pipeline(tmp_path, transformed, baseline.with_id('Baseline'))
    path = tmp_path / 'pipeline.yaml'
    kubeflow.compile(pipeline, path, image='image')
    kubeflow.validate(path, parameters={})
