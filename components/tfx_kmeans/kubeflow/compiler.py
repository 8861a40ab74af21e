"""Compiles a TFX pipeline for Kubeflow Pipelines v2, or for Vertex AI Pipelines."""

import os

from tfx.dsl.components.base import base_component
from tfx.dsl.io import fileio
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

from tfx_kmeans import errors
from tfx_kmeans.kubeflow import ir, kubernetes, mends, pipeline_checks, validation
from tfx_kmeans.kubeflow.settings import Settings

# the container's entrypoint on an open-source backend; on Vertex it is TFX's own
COMMAND = ('python', '-m', 'tfx_kmeans.kubeflow.run_executor')


def compile(pipeline, output, image, *, settings=None, nodes=None, vertex=False):
    """Compiles a pipeline into a file that Kubeflow Pipelines v2, or Vertex, runs.

    What TFX's compiler gets wrong is mended, and what the backend would refuse or run wrongly is
    refused before anything is written.

    >>> kubeflow.compile(  # doctest: +SKIP
    ...     pipeline,
    ...     'taxi.yaml',
    ...     image='registry.example/taxi:1',
    ...     settings=kubeflow.Settings(retries=2, env={'TF_CPP_MIN_LOG_LEVEL': '1'}),
    ...     nodes={'Trainer': kubeflow.Settings(gpus=1, memory_limit='16Gi')},
    ... )

    Args:
        pipeline: tfx.dsl.Pipeline. If its `pipeline_root` is a URL, that becomes the default root
            of the runs.
        output: path of the file to write: `*.yaml` for an open-source backend, `*.json` for Vertex.
        image: container image of the nodes. The backend's cache knows an image by its name, so a
            tag that is moved to another image brings stale results.
        settings: Settings of every node, or None.
        nodes: dict from node id to Settings that are laid over `settings`, or None.
        vertex: whether to compile a job for Vertex AI Pipelines instead.

    Returns:
        ir.Compiled: what was written.

    Raises:
        PipelineError: the pipeline cannot run there; all problems at once, each with what to do.
        ValueError: `output` ends otherwise.
    """
    output = os.fspath(output)
    suffixes = ('.json',) if vertex else ('.yaml', '.yml')
    if not output.endswith(suffixes):
        raise ValueError(
            f'output must end in {" or ".join(suffixes)} with vertex={vertex}, not {output!r}'
        )
    by_node = _lay_over(pipeline, Settings(image=image), settings, nodes or {})
    volumes = {node_id: laid.volumes or () for node_id, laid in by_node.items()}
    problems = pipeline_checks.problems_of(pipeline, vertex=vertex, volumes=volumes)
    problems += _problems_of_settings(pipeline, by_node, nodes or {}, vertex)
    if problems:
        raise errors.PipelineError(problems)

    compiled = to_ir(pipeline, image, vertex)
    _apply_settings(compiled, pipeline, by_node, vertex)
    if not vertex:
        _tell_containers_apart(compiled.spec)
    validation.validate(compiled)
    _write(output, compiled.to_text())
    return compiled


def _lay_over(pipeline, image, settings, nodes):
    """Settings by node id: those of the node over those of all nodes over the image."""
    for_all = (settings or Settings()).over(image)
    return {
        node.id: nodes[node.id].over(for_all) if node.id in nodes else for_all
        for node in pipeline.components
    }


def _problems_of_settings(pipeline, by_node, nodes, vertex):
    by_id = {node.id: node for node in pipeline.components}
    for node_id in nodes:
        if node_id not in by_id:
            yield f'nodes has settings for {node_id!r}; the pipeline has {sorted(by_id)}'
        elif not isinstance(by_id[node_id], base_component.BaseComponent):
            yield f'{node_id}: it runs no container and takes no settings; leave it out of nodes'
    for node_id, settings in by_node.items():
        if vertex and settings.kubernetes_only():
            names = ', '.join(settings.kubernetes_only())
            yield f'{node_id}: {names}: Vertex runs no Kubernetes pods; leave it out'
        if vertex and settings.gpus and not settings.gpu_type:
            yield f"{node_id}: gpus needs a gpu_type on Vertex, such as 'NVIDIA_TESLA_T4'"


def to_ir(pipeline, image='', vertex=False):
    """Returns what TFX's compiler makes of a pipeline, mended: ir.Compiled without any Settings."""
    config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=image,
        default_commands=None if vertex else list(COMMAND),
        use_pipeline_spec_2_1=True,
    )
    with mends.compiling(pipeline):
        runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(config)
        job = runner.run(pipeline, write_out=False)
    spec = job.pop('pipelineSpec')
    mends.mend(spec, pipeline)
    if vertex:
        return ir.Compiled(spec, job=job)
    root = str(pipeline.pipeline_info.pipeline_root or '')
    if '://' in root:
        spec['defaultPipelineRoot'] = root
    return ir.Compiled(spec)


def _apply_settings(compiled, pipeline, by_node, vertex):
    executors = {}
    for node in pipeline.components:
        if not isinstance(node, base_component.BaseComponent):
            continue
        settings = by_node[node.id]
        container = ir.container(compiled.spec, node.id)
        container['image'] = settings.image
        if resources := settings.resources():
            container['resources'] = {**container.get('resources', {}), **resources}
        if settings.env:
            container['env'] = [{'name': k, 'value': v} for k, v in sorted(settings.env.items())]
        task = ir.task(compiled.spec, node.id)
        if retries := settings.retry_policy():
            task['retryPolicy'] = retries
        task['cachingOptions'] = {'enableCache': _may_cache(node, pipeline, settings, vertex)}
        if config := kubernetes.executor_config(settings):
            executors[ir.executor_label(node.id)] = config
    if executors:
        compiled.platforms['kubernetes'] = {'deploymentSpec': {'executors': executors}}


def _may_cache(node, pipeline, settings, vertex):
    """Whether the outputs of an earlier run may be reused."""
    if settings.cache is not None:
        return settings.cache
    # data that arguments merely name can change; Vertex runs the driver that looks at it
    return bool(pipeline.enable_cache and (vertex or node.inputs))


def _tell_containers_apart(spec):
    """Makes containers differ whose nodes do: the backend keeps one component for equal ones.

    Two Transforms of which one materializes no examples have equal containers, and the outputs of
    the second would be those of the first.
    """
    interfaces = {}
    for name, component in sorted(spec['components'].items()):
        container = spec['deploymentSpec']['executors'][component['executorLabel']].get('container')
        if container:
            interface = {**component, 'executorLabel': None}
            if interfaces.setdefault(ir.to_json(container), interface) != interface:
                container.setdefault('env', []).append({'name': 'KFP_COMPONENT', 'value': name})


def _write(path, text):
    directory = os.path.dirname(path)
    if directory:
        fileio.makedirs(directory)
    with fileio.open(path, 'w') as file:
        file.write(text)
