"""Reads a compiled pipeline and puts its nodes in order."""

import dataclasses
import graphlib
import re
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tfx_kmeans.kubeflow import argo, ir

_AFTER_ALL = pipeline_spec_pb2.PipelineTaskSpec.TriggerPolicy.ALL_UPSTREAM_TASKS_COMPLETED


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of the pipeline: its PipelineTaskSpec, ComponentSpec and ExecutorSpec."""

    name: str
    task: Any
    component: Any
    executor: Any

    @property
    def upstream(self):
        """Names of the nodes that have to be done before, sorted."""
        inputs = self.task.inputs
        names = {*self.task.dependent_tasks}
        names |= {
            source.task_output_artifact.producer_task
            for source in inputs.artifacts.values()
            if source.HasField('task_output_artifact')
        }
        names |= {
            source.task_output_parameter.producer_task
            for source in inputs.parameters.values()
            if source.HasField('task_output_parameter')
        }
        return sorted(names)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A compiled pipeline.

    Attributes:
        name: of the pipeline.
        pipeline_root: URI that is its default, or ''.
        parameters: ParameterSpec by name.
        nodes: list of Node, each after those it depends on.
        has_kubernetes_settings: whether a second document holds some.
    """

    name: str
    pipeline_root: str
    parameters: Any
    nodes: list
    has_kubernetes_settings: bool


def read(path):
    """Reads IR YAML as strictly as the backend does.

    Args:
        path: of the file that tfx_kmeans.kubeflow.compile wrote.

    Returns:
        Plan.

    Raises:
        ValueError: the file is not such IR, or has what TFX never compiles to.
    """
    compiled = ir.Compiled.read(path)
    if compiled.job is not None:
        raise ValueError(f'{path} is a job for Vertex; compile the pipeline without vertex=True')
    version = compiled.spec.get('schemaVersion')
    if version != ir.SCHEMA_VERSION:
        raise ValueError(
            f'{path} has schemaVersion {version!r}, and the backend wants {ir.SCHEMA_VERSION!r}; '
            'compile the pipeline with tfx_kmeans.kubeflow.compile'
        )
    try:
        spec = json_format.ParseDict(compiled.spec, pipeline_spec_pb2.PipelineSpec())
        deployment = json_format.ParseDict(
            json_format.MessageToDict(spec.deployment_spec),
            pipeline_spec_pb2.PipelineDeploymentConfig(),
        )
    except json_format.ParseError as error:
        raise ValueError(f'the backend cannot read {path}: {error}') from error
    if not re.fullmatch(r'\w[-.\w]*', spec.pipeline_info.name):
        raise ValueError(f'{path}: {spec.pipeline_info.name!r} is no name of a pipeline')
    return Plan(
        name=spec.pipeline_info.name,
        pipeline_root=spec.default_pipeline_root,
        parameters=spec.root.input_definitions.parameters,
        nodes=_in_order(path, spec, deployment),
        has_kubernetes_settings=bool(compiled.platforms),
    )


def _in_order(path, spec, deployment):
    nodes = {}
    for name, task in sorted(spec.root.dag.tasks.items()):
        component = spec.components[task.component_ref.name]
        if task.trigger_policy.strategy == _AFTER_ALL or component.HasField('dag'):
            raise ValueError(
                f'{path}: node {name!r} is an exit handler or a pipeline within the pipeline, '
                'which a rehearsal does not run'
            )
        _check_names(path, name, spec.root.dag.tasks, component)
        nodes[name] = Node(name, task, component, deployment.executors[component.executor_label])
    graph = {name: node.upstream for name, node in nodes.items()}
    absent = sorted({above for upstream in graph.values() for above in upstream} - set(graph))
    if absent:
        raise ValueError(f'{path}: nodes depend on {absent}, which are not there')
    try:
        return [nodes[name] for name in graphlib.TopologicalSorter(graph).static_order()]
    except graphlib.CycleError as error:
        raise ValueError(f'{path}: nodes wait for each other: {error.args[1]}') from error


def _check_names(path, node_id, node_ids, component):
    """Refuses names that the backend has no place for; they name directories here."""
    problems = [*argo.problems_of_id(node_id, node_ids)]
    outputs = component.output_definitions
    problems += [
        f'the output {name!r} cannot be a part of a URI'
        for name in [*outputs.artifacts, *outputs.parameters]
        if '/' in name or name in ('', '.', '..')
    ]
    if problems:
        raise ValueError(f'{path}: {node_id}: {problems[0]}')
