"""What TFX's compiler for Kubeflow gets wrong, mended.

Two functions of it are replaced while it compiles; the one that fails on properties, for the lines
of TFX alone that are known to need it. All else is put right in what it is given or gives: where a
TFX does it right, nothing changes.
"""

import contextlib
import itertools
import threading

import yaml
from google.protobuf import json_format
from tfx import components
from tfx.dsl.experimental.conditionals import conditional
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.types.artifact import PropertyType
from tfx.types.channel import ChannelWrappedPlaceholder

from tfx_kmeans import versions
from tfx_kmeans.kubeflow import conditions, ir

_PROPERTY_TYPES = {
    PropertyType.INT: 'integer',
    PropertyType.FLOAT: 'number',
    PropertyType.STRING: 'string',
    PropertyType.BOOLEAN: 'boolean',
}
_INPUTS_SPEC_FLAG = '--json_serialized_inputs_spec_args'


# whoever compiles has the compiler, and what a pipeline's conditions remember, to themselves
_COMPILING = threading.RLock()


@contextlib.contextmanager
def compiling(pipeline):
    """TFX's compiler as `pipeline` needs it; one thread at a time, all as it was afterwards."""
    with _COMPILING, contextlib.ExitStack() as stack:
        stack.enter_context(forgotten_condition_keys(pipeline))
        stack.enter_context(_replaced('placeholder_to_cel', _quote_strings))
        if versions.kubeflow_compiler_forgets_properties():
            stack.enter_context(_replaced('get_artifact_schema', _name_properties))
        yield


@contextlib.contextmanager
def forgotten_condition_keys(pipeline):
    """Within it, TFX's compiler itself names the channels in conditions of `pipeline`.

    Mends: a Cond comes with a key of its own for its channel, which the first node compiled under
    it keeps. Where that node also consumes the channel, under the name of its input, no input has
    the key and the backend fails. Without it the compiler finds the right one.
    """
    with _COMPILING:
        parts = {
            id(part): part
            for node in pipeline.components
            for predicate in conditional.get_predicates(node, pipeline.dsl_context_registry)
            for part in predicate.traverse()
            if isinstance(part, ChannelWrappedPlaceholder)
        }.values()
        kept = [(part, part.key) for part in parts]
        try:
            for part in parts:
                part.set_key(None)
            yield
        finally:
            for part, key in kept:
                part.set_key(None)
                part.set_key(key)


@contextlib.contextmanager
def _replaced(name, better):
    """Replaces a function of TFX's compiler by `better(function)` for a while."""
    original = getattr(compiler_utils, name)
    setattr(compiler_utils, name, better(original))
    try:
        yield
    finally:
        setattr(compiler_utils, name, original)


def _quote_strings(placeholder_to_cel):
    """Mends: a string in a condition is written between quotes as it is, quotes and all."""

    def quoting(expression):
        if expression.value.WhichOneof('value') == 'string_value':
            return conditions.quote(expression.value.string_value)
        if expression.operator.WhichOneof('operator_type') == 'artifact_property_op':
            found = expression.operator.artifact_property_op
            return f'{quoting(found.expression)}.metadata[{conditions.quote(found.key)}]'
        return placeholder_to_cel(expression)

    return quoting


def _name_properties(get_artifact_schema):
    """Mends: TFX fails on artifact types that have PROPERTIES.

    The schema that it writes for such a type leaves the properties out, and its own check of that
    schema then raises KeyError.
    """

    def naming(artifact_type):
        schema = get_artifact_schema(artifact_type)
        fields = yaml.safe_load(schema)
        properties = artifact_type.PROPERTIES or {}
        if not properties or 'properties' in fields:
            return schema
        fields['properties'] = {
            name: {'type': _PROPERTY_TYPES.get(declared.type, 'object')}
            for name, declared in properties.items()
        }
        return yaml.safe_dump(fields, sort_keys=False)

    return naming


def mend(spec, pipeline):
    """Puts right, in place, what TFX's compiler made of `pipeline`.

    Args:
        spec: the PipelineSpec, a dict.
        pipeline: the tfx.dsl.Pipeline that it was compiled from.
    """
    for node in pipeline.components:
        if node.id in spec['components']:
            _give_defaults(spec, node)
            _keep_booleans(spec, node)
            _keep_example_gen_resources(spec, node)
    for name in spec['components']:
        _serialize_inputs_again(spec, name)


def _give_defaults(spec, node):
    """Mends: a RuntimeParameter loses its default and its description."""
    for parameter in node.exec_properties.values():
        if not isinstance(parameter, RuntimeParameter):
            continue
        declared = spec['root']['inputDefinitions']['parameters'][parameter.name]
        if parameter.default is not None:
            declared.setdefault('defaultValue', parameter.default)
            declared.setdefault('isOptional', True)
        if parameter.description:
            declared.setdefault('description', parameter.description)


def _keep_booleans(spec, node):
    """Mends: True and False arrive as 1 and 0."""
    for name, value in node.exec_properties.items():
        if isinstance(value, bool):
            declared = spec['components'][node.id]['inputDefinitions']['parameters'][name]
            declared['parameterType'] = 'BOOLEAN'
            given = ir.task(spec, node.id)['inputs']['parameters'][name]['runtimeValue']
            given['constant'] = value


def _keep_example_gen_resources(spec, node):
    """Mends: `with_platform_config` of a file-based ExampleGen is forgotten."""
    resources = getattr(node, 'platform_config', None)
    if resources and isinstance(node, components.FileBasedExampleGen):
        container = spec['deploymentSpec']['executors'][ir.executor_label(node.id)]['container']
        container.setdefault('resources', json_format.MessageToDict(resources))


def _serialize_inputs_again(spec, name):
    """Writes the inputs of a component, which its container is told as an argument, once more."""
    component = spec['components'][name]
    executor = spec['deploymentSpec']['executors'].get(component.get('executorLabel'), {})
    container = executor.get('container', {})
    hook = container.get('lifecycle', {}).get('preCacheCheck', {})
    for arguments in (container.get('args', []), hook.get('args', [])):
        for flag, position in zip(arguments, itertools.count(1)):
            if flag == _INPUTS_SPEC_FLAG:
                arguments[position] = ir.to_json(component.get('inputDefinitions', {})).strip()
