"""What in a TFX pipeline an open-source backend, or Vertex, would refuse or run wrongly."""

import pathlib
import re

from tfx import components, types
from tfx.dsl.component.experimental import executor_specs
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.components.common import importer, resolver
from tfx.dsl.experimental.conditionals import conditional
from tfx.dsl.placeholder import placeholder
from tfx.orchestration import pipeline as pipeline_lib
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.types import channel_utils
from tfx.utils import import_utils, json_utils, name_utils

from tfx_kmeans.kubeflow import argo, mends, validation

# TFX's compiler has these two as well: one message is broken, the other gives no advice
_PIPELINE_NAME = re.compile(r'[a-z0-9][a-z0-9-]{0,127}')
_TYPE_NAME = re.compile(r'[a-z][a-z0-9-_]{2,20}[.][A-Z][a-zA-Z0-9-_]{2,49}')
_PARAMETER_TYPES = {
    int: 'NUMBER_INTEGER', float: 'NUMBER_DOUBLE', str: 'STRING', None: 'STRING',
}  # fmt: skip
_NESTED_PARAMETER = re.compile(r'"__class__\\*": \\*"RuntimeParameter')


def problems_of(pipeline, *, vertex=False, volumes=None):
    """Finds what keeps a pipeline from running.

    Args:
        pipeline: tfx.dsl.Pipeline.
        vertex: whether it is to run on Vertex.
        volumes: dict from node id to the PersistentVolumes that the node mounts, or None.

    Returns:
        A list of sentences, empty for a pipeline that can run.
    """
    problems = [*_problems_of_pipeline(pipeline, vertex)]
    for node in pipeline.components:
        mounts = [volume.mount_path for volume in (volumes or {}).get(node.id, ())]
        for find in _CHECKS:
            for problem in find(node, pipeline, vertex, mounts):
                problems.append(f'{node.id}: {problem}')
    return problems


def declared_parameters(pipeline):
    """The RuntimeParameters of a pipeline as the IR declares them: a dict by name."""
    declared = {}
    for node in pipeline.components:
        for value in node.exec_properties.values():
            if isinstance(value, RuntimeParameter):
                declaration = {'parameterType': _PARAMETER_TYPES[value.ptype]}
                if value.default is not None:
                    declaration['defaultValue'] = value.default
                declared.setdefault(value.name, declaration)
    return declared


def has_module_file(pipeline):
    """Whether a node of the pipeline has a module file, which is packaged on compiling."""
    return any(node.exec_properties.get('module_file') for node in pipeline.components)


def _problems_of_pipeline(pipeline, vertex):
    name = pipeline.pipeline_info.pipeline_name
    if not _PIPELINE_NAME.fullmatch(name):
        advice = re.sub('[^a-z0-9-]+', '-', name.lower()).strip('-')
        yield (
            f'pipeline_name {name!r} must have lower-case letters, digits and hyphens alone, at '
            f'most 128; call it {advice!r}'
        )
    root = str(pipeline.pipeline_info.pipeline_root or '')
    if vertex and not root.startswith('gs://'):
        yield f'pipeline_root {root!r} must be on gs:// for Vertex'
    yield from _contradicting_parameters(pipeline)


def _contradicting_parameters(pipeline):
    """Finds RuntimeParameters of one name that differ: the backend has one value for both."""
    seen = {}
    for node in pipeline.components:
        for parameter in node.exec_properties.values():
            if not isinstance(parameter, RuntimeParameter):
                continue
            declared = (parameter.ptype, parameter.default)
            other, other_id = seen.setdefault(parameter.name, (declared, node.id))
            if other != declared:
                yield (
                    f'{node.id}: RuntimeParameter {parameter.name!r} has type and default '
                    f'{declared} here and {other} in {other_id}; declare it once and pass that'
                )


def _bad_id(node, pipeline, vertex, mounts):
    if not vertex:
        yield from argo.problems_of_id(node.id, {other.id for other in pipeline.components})


def _unsupported_node(node, pipeline, vertex, mounts):
    if isinstance(node, pipeline_lib.Pipeline):
        yield 'a pipeline in a pipeline does not compile; add its components to the outer one'
    elif isinstance(node, components.InfraValidator):
        yield (
            'InfraValidator does not compile for Kubeflow; leave it out, or load the model in a '
            'component of your own before Pusher'
        )
    elif isinstance(node, resolver.Resolver) and not vertex:
        yield (
            'the backend has no Resolver; use tfx.dsl.Importer with the URI of the artifact, '
            'which may be a RuntimeParameter (a warm start from the centroids of an earlier run)'
        )


def _unsupported_executor(node, pipeline, vertex, mounts):
    if not isinstance(node, base_component.BaseComponent):
        return
    spec = node.executor_spec
    if isinstance(spec, executor_specs.TemplatedExecutorContainerSpec):
        return
    if not isinstance(spec, executor_spec.ExecutorClassSpec):
        yield (
            f'a {type(spec).__name__} does not compile for Kubeflow; give the component an '
            'executor class or a container'
        )
    elif spec.executor_class.__module__ == '__main__':
        yield (
            'its executor is defined in the script that is run, which the container does not '
            'have; move it into a module that is installed in the image'
        )


def _unsupported_inputs(node, pipeline, vertex, mounts):
    if isinstance(node, resolver.Resolver):
        return  # its inputs are queries
    for name, channel in node.inputs.items():
        if not isinstance(channel, types.Channel):
            yield (
                f'input {name} is a {type(channel).__name__}: the backend gives an input the '
                'output of one node; pass one channel, and give the component an input for each '
                'where there are several'
            )
        elif not channel.producer_component_id:
            yield (
                f'input {name} is a channel that no node writes; import the artifact with '
                'tfx.dsl.Importer'
            )


def _unusable_artifact_types(node, pipeline, vertex, mounts):
    channels = {**node.inputs, **node.outputs}
    for kind in dict.fromkeys(channel.type for channel in channels.values()):
        path = name_utils.get_full_name(kind, strict_check=False)
        if path in compiler_utils.TITLE_TO_CLASS_PATH.values():
            continue
        title = kind.TYPE_NAME
        if not _TYPE_NAME.fullmatch(title):
            yield (
                f'TYPE_NAME {title!r} of artifact type {kind.__name__} must be that of a package '
                'of 3 to 21 lower-case characters, a dot and a class of 3 to 50, such as '
                f"'my_package.{kind.__name__}'; the backend keeps nothing else of the type"
            )
            continue
        try:
            found = import_utils.import_class_by_path(title)
        except ImportError:
            found = None
        if found is not kind:
            package, name = title.split('.')
            yield (
                f'TYPE_NAME {title!r} of artifact type {kind.__name__} must also import it: the '
                f'container runs `from {package} import {name}`'
            )


def _unknown_values(node, pipeline, vertex, mounts):
    for name, value in node.exec_properties.items():
        if isinstance(value, placeholder.Placeholder):
            yield (
                f'{name} is known only when the pipeline runs ({type(value).__name__}): the '
                'backend gives a parameter a constant or a RuntimeParameter. Instead of '
                '`future()[0].value`, make the value an input artifact and read it in the executor'
            )
        elif _holds_parameter(value):
            yield (
                f'{name} has a RuntimeParameter within: its value would never be filled in. Make '
                f'the whole of {name} a RuntimeParameter of type str that holds JSON, such as '
                """RuntimeParameter('train_args', str, '{"num_steps": 100}')"""
            )


def _holds_parameter(value):
    if isinstance(value, RuntimeParameter):
        return False
    try:
        text = value if isinstance(value, str) else json_utils.dumps(value)
    except (TypeError, ValueError):
        return False
    return bool(_NESTED_PARAMETER.search(text))


def _unreachable_module_file(node, pipeline, vertex, mounts):
    """Finds a module file, packaged on compiling into a pipeline root that no container reads."""
    module_file = node.exec_properties.get('module_file')
    root = str(pipeline.pipeline_info.pipeline_root or '')
    if not module_file or root.startswith('gs://'):
        return
    shared = not vertex and any(pathlib.PurePath(root).is_relative_to(mount) for mount in mounts)
    if shared and '://' not in root:
        return
    yield (
        f'module_file {module_file!r} is packaged into pipeline_root {root!r} on this machine, '
        'where the container does not find it; install the module in the image and name its '
        f"function by dotted path, such as run_fn='{pathlib.Path(str(module_file)).stem}.run_fn'"
    )


def _unusable_condition(node, pipeline, vertex, mounts):
    predicates = conditional.get_predicates(node, pipeline.dsl_context_registry)
    if predicates and isinstance(node, importer.Importer) and not vertex:
        yield validation.IMPORTER_IN_A_CONDITION
    for predicate in predicates:
        try:
            with mends.forgotten_condition_keys(pipeline):
                encoded = channel_utils.encode_placeholder_with_channels(predicate, lambda _: 'x')
            compiler_utils.placeholder_to_cel(encoded)
        except (NotImplementedError, ValueError) as error:
            yield (
                f'the condition does not compile ({error}); compare a property, a custom property '
                'or the URI of an artifact, such as '
                "evaluator.outputs['blessing'].future()[0].custom_property('blessed') == 1"
            )


_CHECKS = (
    _bad_id,
    _unsupported_node,
    _unsupported_executor,
    _unsupported_inputs,
    _unusable_artifact_types,
    _unknown_values,
    _unreachable_module_file,
    _unusable_condition,
)
