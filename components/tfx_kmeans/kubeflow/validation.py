"""Checks, before anything is submitted, that a pipeline can run on Kubeflow Pipelines v2."""

import difflib
import os
import re

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tfx_kmeans import errors
from tfx_kmeans.kubeflow import argo, backend, conditions, ir, kubernetes

IMPORTER_IN_A_CONDITION = (
    'the backend runs an Importer whatever the condition; take it out of tfx.dsl.Cond and keep '
    'what consumes it there'
)
_TYPES = {
    'NUMBER_INTEGER': (int, 'an integer'),
    'NUMBER_DOUBLE': ((int, float), 'a number'),
    'STRING': (str, 'a string'),
    'BOOLEAN': (bool, 'True or False'),
}
_CONDITION_KEY = re.compile(r"inputs\.artifacts\['([^']*)'\]")


def validate(pipeline, *, vertex=False, parameters=None, pipeline_root=None):
    """Refuses a pipeline that the backend would refuse or run wrongly.

    >>> kubeflow.validate('taxi.yaml', parameters={'n_clusters': 24})  # doctest: +SKIP

    Args:
        pipeline: tfx.dsl.Pipeline, or a compiled one: the path of its file, or ir.Compiled.
        vertex: whether a tfx.dsl.Pipeline is to run on Vertex; a compiled one says so itself.
        parameters: dict of the values of RuntimeParameters that the run is to have; None if they
            are not known yet.
        pipeline_root: URI below which the run is to write; None if it is that of the pipeline.

    Raises:
        PipelineError: with all problems at once; each names the node and what to do instead.
        ValueError: the file is no compiled pipeline.
    """
    if isinstance(pipeline, str | os.PathLike):
        pipeline = ir.Compiled.read(pipeline)
    problems = []
    if not isinstance(pipeline, ir.Compiled):
        # imports TFX, which a compiled pipeline does without
        from tfx_kmeans.kubeflow import compiler, pipeline_checks

        declared = pipeline_checks.declared_parameters(pipeline)
        problems = pipeline_checks.problems_of(pipeline, vertex=vertex)
        # compiling packages module files and uploads them, which is for `compile` to do
        if not problems and not pipeline_checks.has_module_file(pipeline):
            pipeline = compiler.to_ir(pipeline, 'image', vertex)
    if isinstance(pipeline, ir.Compiled):
        declared = pipeline.spec.get('root', {}).get('inputDefinitions', {}).get('parameters', {})
        problems = [*_problems_of_compiled(pipeline, parameters, pipeline_root)]
    if parameters is not None:
        problems += _problems_of_parameters(declared, parameters)
    if problems:
        raise errors.PipelineError(problems)


def _problems_of_parameters(declared, values):
    for name, declaration in declared.items():
        if name not in values:
            if 'defaultValue' not in declaration:
                yield f'parameter {name!r} has no value and no default; give it one'
            continue
        kinds, words = _TYPES.get(declaration.get('parameterType'), (object, ''))
        value = values[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            yield f'parameter {name!r} must be {words}, not {value!r}'
        yield from argo.problems_of_texts(f'parameter {name!r}', value)
    for name in values:
        if name not in declared:
            close = difflib.get_close_matches(name, declared, n=1)
            hint = f'did you mean {close[0]!r}?' if close else f'it has {sorted(declared)}'
            yield f'parameter {name!r} is none of the pipeline; {hint}'


def _problems_of_compiled(compiled, parameters, pipeline_root):
    spec, vertex = compiled.spec, compiled.job is not None
    version = spec.get('schemaVersion')
    if version != ir.SCHEMA_VERSION:
        yield (
            f'schemaVersion is {version!r} and must be {ir.SCHEMA_VERSION!r}; compile with '
            "tfx_kmeans.kubeflow.compile, or TFX's runner with use_pipeline_spec_2_1=True"
        )
    yield from _unknown_fields(spec)
    tasks = spec.get('root', {}).get('dag', {}).get('tasks', {})
    if not spec.get('pipelineInfo', {}).get('name'):
        yield 'pipelineInfo.name is empty; give the pipeline a name'
    if not tasks:
        yield 'there is no task; give the pipeline components'
    executors = spec.get('deploymentSpec', {}).get('executors', {})
    for node_id, task in tasks.items():
        for problem in _problems_of_task(task, spec, executors, vertex):
            yield f'{node_id}: {problem}'
    if not vertex:
        yield from _problems_on_open_source(spec, tasks, executors)
        root = pipeline_root or spec.get('defaultPipelineRoot', '')
        yield from _problems_of_imports(spec, root, parameters)
    yield from _problems_of_platforms(compiled.platforms, executors)


def _problems_on_open_source(spec, tasks, executors):
    """Finds what Argo, CEL and Kubernetes would refuse or change."""
    for node_id, task in tasks.items():
        problems = [*argo.problems_of_id(node_id, tasks), *_problems_of_condition(task)]
        problems += argo.problems_of_texts('its task', task)
        yield from (f'{node_id}: {problem}' for problem in problems)
    for label, executor in executors.items():
        problems = [*argo.problems_of_texts('its executor', executor)]
        try:
            variables = executor.get('container', {}).get('env', ())
            kubernetes.check_variables('env', [variable['name'] for variable in variables])
        except ValueError as error:
            problems.append(str(error))
        yield from (f'{label}: {problem}' for problem in problems)
    yield from argo.problems_of_texts('root', spec.get('root', {}).get('inputDefinitions', {}))


def _problems_of_condition(task):
    condition = task.get('triggerPolicy', {}).get('condition')
    try:
        if condition:
            conditions.check(condition)
    except ValueError as error:
        yield f'{error}; compile with tfx_kmeans.kubeflow.compile'


def _problems_of_imports(spec, root, parameters):
    """Finds artifacts that the launcher cannot read: it has access to the bucket of the run."""
    declared = spec.get('root', {}).get('inputDefinitions', {}).get('parameters', {})
    for node_id, task in spec.get('root', {}).get('dag', {}).get('tasks', {}).items():
        importer = _executor(spec, task).get('importer')
        if not importer:
            continue
        if task.get('triggerPolicy', {}).get('condition'):
            yield f'{node_id}: {IMPORTER_IN_A_CONDITION}'
        source = importer.get('artifactUri', {})
        uri = source.get('constant')
        if 'runtimeParameter' in source and parameters is not None:
            given = task['inputs']['parameters'][source['runtimeParameter']]
            name = given.get('componentInputParameter')
            uri = parameters.get(name, declared.get(name, {}).get('defaultValue'))
        try:
            if '://' in root and isinstance(uri, str):
                backend.Backend().check_import(uri, root)
        except ValueError as error:
            yield f'{node_id}: {error}'


def _executor(spec, task):
    component = spec.get('components', {}).get(task.get('componentRef', {}).get('name'), {})
    executors = spec.get('deploymentSpec', {}).get('executors', {})
    return executors.get(component.get('executorLabel'), {})


def _unknown_fields(spec):
    """Finds what the backend's strict parser would not take."""
    messages = (
        (spec, pipeline_spec_pb2.PipelineSpec()),
        (spec.get('deploymentSpec', {}), pipeline_spec_pb2.PipelineDeploymentConfig()),
    )
    for fields, message in messages:
        try:
            json_format.ParseDict(fields, message)
        except json_format.ParseError as error:
            yield f'the backend does not parse it ({error}); compile it again'


def _problems_of_task(task, spec, executors, vertex):
    component = spec.get('components', {}).get(task.get('componentRef', {}).get('name'))
    if component is None:
        yield f'its component {task.get("componentRef")} is missing; compile it again'
        return
    executor = executors.get(component.get('executorLabel'), {})
    if 'resolver' in executor and not vertex:
        yield (
            'the backend has no Resolver; use tfx.dsl.Importer with the URI of the artifact, which '
            'may be a RuntimeParameter'
        )
    elif not executor:
        yield f'its executor {component.get("executorLabel")!r} is missing; compile it again'
    elif 'container' in executor and not executor['container'].get('image'):
        yield 'its container has no image; name one'
    yield from _problems_of_inputs(task, component, spec)


def _problems_of_inputs(task, component, spec):
    inputs = task.get('inputs', {})
    declared = component.get('inputDefinitions', {})
    for name, source in inputs.get('artifacts', {}).items():
        producer = source.get('taskOutputArtifact', {})
        if not _gives(spec, producer, 'Artifact'):
            yield f'its input {name} comes from {producer}, which no task gives'
    for name, source in inputs.get('parameters', {}).items():
        producer = source.get('taskOutputParameter')
        if producer and not _gives(spec, producer, 'Parameter'):
            yield (
                f'its parameter {name} comes from {producer}, which no task gives; instead of '
                '`future()[0].value`, make the value an input artifact'
            )
    for key in _CONDITION_KEY.findall(task.get('triggerPolicy', {}).get('condition', '')):
        if key not in declared.get('artifacts', {}):
            yield (
                f'its condition looks for the input {key!r}, and it has '
                f'{sorted(declared.get("artifacts", {}))}; compile with tfx_kmeans.kubeflow.compile'
            )


def _gives(spec, producer, kind):
    """Whether there is the output that `producer` names, an Artifact or a Parameter."""
    task = spec['root']['dag']['tasks'].get(producer.get('producerTask'), {})
    component = spec['components'].get(task.get('componentRef', {}).get('name'), {})
    outputs = component.get('outputDefinitions', {}).get(f'{kind.lower()}s', {})
    return producer.get(f'output{kind}Key') in outputs


def _problems_of_platforms(platforms, executors):
    for name in platforms:
        if name != 'kubernetes':
            yield f'the platform {name!r} is unknown to the backend; it has kubernetes'
    configs = platforms.get('kubernetes', {}).get('deploymentSpec', {}).get('executors', {})
    for label, config in configs.items():
        for problem in kubernetes.problems_of_config(config):
            yield f'{label}: {problem}'
        if label not in executors:
            yield f'Kubernetes settings name the executor {label!r}; there is {sorted(executors)}'
