"""Small pipelines, and what becomes of them when they are compiled."""

from tfx import v1 as tfx
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from support.custom_nodes import Consume, Produce
from tfx_kmeans import kubeflow


def make(*components, name='small', root='minio://bucket/root', **options):
    return tfx.dsl.Pipeline(name, root, components=list(components), **options)


def conditional():
    """A node that runs on a condition on a channel that it also consumes."""
    produce = Produce()
    blessed = produce.outputs['blessing'].future()[0].custom_property('blessed') == 1
    with tfx.dsl.Cond(blessed):
        consume = Consume(trained=produce.outputs['model'], verdict=produce.outputs['blessing'])
    return make(produce, consume)


def compile_stock(pipeline):
    """The PipelineSpec that TFX's own compiler makes."""
    config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image='image', use_pipeline_spec_2_1=True
    )
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(config)
    return runner.run(pipeline, write_out=False)['pipelineSpec']


def compile_ours(directory, pipeline, **options):
    """What kubeflow.compile makes: ir.Compiled."""
    suffix = 'json' if options.get('vertex') else 'yaml'
    return kubeflow.compile(pipeline, directory / f'pipeline.{suffix}', image='image', **options)


def parameter_of(spec, node_id, name):
    """How a component declares a parameter, and what its task gives it."""
    declared = spec['components'][node_id]['inputDefinitions']['parameters'][name]
    return declared, spec['root']['dag']['tasks'][node_id]['inputs']['parameters'][name]
