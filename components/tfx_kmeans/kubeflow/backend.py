"""What an open-source backend does around a node: the contract of its driver and its launcher.

Read from kubeflow/pipelines, backend/src/v2 (driver, component, metadata), versions 2.0 to 2.17.
"""

import dataclasses
import json
import os
import re

from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from tfx_kmeans.kubeflow import staging

NEWEST = '2.17'
_LOGS = 'executor-logs'
# the kind of protobuf value that the backend takes for a parameter of each type
_KINDS = {
    'STRING': 'string_value',
    'NUMBER_INTEGER': 'number_value',
    'NUMBER_DOUBLE': 'number_value',
    'BOOLEAN': 'bool_value',
    'LIST': 'list_value',
    'STRUCT': 'struct_value',
}


@dataclasses.dataclass(frozen=True)
class Artifact:
    """An artifact as the backend's metadata store holds it.

    Attributes:
        id: int, the number under which later nodes get it.
        uri: str, in the object store.
        metadata: dict of the properties, as a later node gets them.
    """

    id: int
    uri: str
    metadata: dict


class Backend:
    """The behaviour that depends on the version.

    Args:
        version: e.g. '2.5'; any from 2.0 on.

    Raises:
        ValueError: `version` is not of this form.
    """

    def __init__(self, version=NEWEST):
        match = re.fullmatch(r'2\.(\d+)(\.\d+)?', version)
        if not match:
            raise ValueError(
                f"backend must be a version such as '2.5' or '{NEWEST}', got {version!r}"
            )
        minor = int(match[1])
        self.version = version
        # from here on a node is asked for its log, as one more artifact
        self._asks_for_log = minor >= 5
        # from here on the output file is beside the artifacts
        self._output_file_beside_artifacts = minor >= 15
        # seen of this one, and not looked for in those before
        self._imports_from_its_bucket_alone = minor >= 17

    def check_import(self, uri, root):
        """Refuses an artifact that the launcher could not read.

        Args:
            uri: of the artifact.
            root: URI below which the run writes.

        Raises:
            ValueError: naming `uri` and the bucket that it should be in.
        """
        bucket = staging.bucket(root)
        if self._imports_from_its_bucket_alone and staging.bucket(uri) != bucket:
            raise ValueError(
                f'it imports {uri!r}, and the backend reads artifacts only from the bucket that '
                f'the run writes to, {bucket}; copy it there, or choose a pipeline_root in the '
                'bucket that has it'
            )

    def outputs(self, component, task_root, root):
        """What a node is told about its outputs: ExecutorInput.Outputs.

        Args:
            component: ComponentSpec.
            task_root: URI below which the outputs of this node go.
            root: what stands for `/` in the node's container.
        """
        outputs = pipeline_spec_pb2.ExecutorInput.Outputs()
        definitions = component.output_definitions
        for name, declared in definitions.artifacts.items():
            artifact = outputs.artifacts[name].artifacts.add()
            artifact.uri = f'{task_root}/{name}'
            artifact.type.CopyFrom(declared.artifact_type)
            if declared.HasField('metadata'):
                artifact.metadata.CopyFrom(declared.metadata)
        if self._asks_for_log:
            artifact = outputs.artifacts[_LOGS].artifacts.add()
            artifact.uri = f'{task_root}/{_LOGS}'
            artifact.type.schema_title = 'system.Artifact'
        if self._output_file_beside_artifacts:
            for name, made in outputs.artifacts.items():
                made.artifacts[0].name = name
        for name in definitions.parameters:
            outputs.parameters[name].output_file = os.path.join(root, 'tmp/kfp/outputs', name)
        directory = os.path.join(root, 'tmp/kfp_outputs')
        if self._output_file_beside_artifacts:
            directory = staging.Staging(root).path(task_root)
        outputs.output_file = os.path.join(directory, 'output_metadata.json')
        return outputs


def log_path(executor_input, staged):
    """Where the launcher writes the log for the backend to keep; None for backends before 2.5."""
    if _LOGS not in executor_input.outputs.artifacts:
        return None
    return staged.path(executor_input.outputs.artifacts[_LOGS].artifacts[0].uri)


def pipeline_parameters(declared, given):
    """The values of a run's parameters, checked as the backend's API server checks them.

    Args:
        declared: ParameterSpec by name, the inputs of the pipeline.
        given: values by name.

    Returns:
        struct_pb2.Value by name; parameters that are optional and have no value are left out.

    Raises:
        ValueError: a parameter is missing, unknown, or not of its type.
    """
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ValueError(
            f'parameters {unknown} are none of the pipeline, which has {sorted(declared)}'
        )
    missing = sorted(
        name
        for name, spec in declared.items()
        if name not in given and not spec.is_optional and not spec.HasField('default_value')
    )
    if missing:
        raise ValueError(f'parameters {missing} have no default: give their values')
    values = {}
    for name, spec in declared.items():
        if name in given:
            values[name] = _checked(name, _to_value(given[name]), spec)
        elif spec.HasField('default_value'):
            values[name] = spec.default_value
    return values


def _to_value(python):
    return json_format.ParseDict(python, struct_pb2.Value())


def _checked(name, value, spec):
    wanted = pipeline_spec_pb2.ParameterType.ParameterTypeEnum.Name(spec.parameter_type)
    if value.WhichOneof('kind') != _KINDS.get(wanted):
        got = json_format.MessageToJson(value, indent=None)
        raise ValueError(f'parameter {name!r} must be of type {wanted}, got {got}')
    return value


def task_parameters(task, component, pipeline_values, produced):
    """The values of a node's parameters, defaults included.

    Args:
        task: PipelineTaskSpec.
        component: ComponentSpec.
        pipeline_values: struct_pb2.Value by name, of the pipeline's parameters.
        produced: struct_pb2.Value by (node, output parameter).

    Returns:
        struct_pb2.Value by name.

    Raises:
        ValueError: a value is missing or not of its type, or comes from a source that no TFX
            pipeline compiles to.
    """
    values = {}
    for name, source in task.inputs.parameters.items():
        value = _resolve(name, source, pipeline_values, produced)
        if value is not None:
            values[name] = value
    for name, spec in component.input_definitions.parameters.items():
        if name in values:
            if spec.parameter_type == pipeline_spec_pb2.ParameterType.STRING:
                values[name] = struct_pb2.Value(string_value=as_text(values[name]))
            values[name] = _checked(name, values[name], spec)
        elif spec.HasField('default_value'):
            values[name] = spec.default_value
        elif not spec.is_optional:
            raise ValueError(f'parameter {name!r} has neither a value nor a default')
    return values


def _resolve(name, source, pipeline_values, produced):
    kind = source.WhichOneof('kind')
    if source.parameter_expression_selector:
        raise ValueError(f'parameter {name!r}: expression selectors are not supported')
    if kind == 'component_input_parameter':
        return pipeline_values.get(source.component_input_parameter)
    if kind == 'runtime_value' and source.runtime_value.HasField('constant'):
        return source.runtime_value.constant
    if kind == 'task_output_parameter':
        output = source.task_output_parameter
        return produced[output.producer_task, output.output_parameter_key]
    raise ValueError(f'parameter {name!r} comes from {kind}, which the backend does not resolve')


def as_text(value):
    """A struct_pb2.Value as the backend writes it into a string."""
    kind = value.WhichOneof('kind')
    if kind == 'string_value':
        return value.string_value
    if kind == 'bool_value':
        return str(value.bool_value).lower()
    if kind == 'number_value':
        number = value.number_value
        return str(int(number)) if number == int(number) else repr(number)
    return json.dumps(json_format.MessageToDict(value))


def as_input(artifact):
    """A stored Artifact as a later node gets it: RuntimeArtifact, its type empty."""
    found = pipeline_spec_pb2.RuntimeArtifact(name=str(artifact.id), uri=artifact.uri)
    found.type.instance_schema = ''
    found.metadata.update(artifact.metadata)
    return found


def stored_metadata(name, metadata):
    """Metadata after its way through the backend's store.

    Args:
        name: key of the output.
        metadata: dict of JSON values.

    Raises:
        ValueError: a value is null, for which the backend fails the node.
    """
    nulls = sorted(key for key, value in metadata.items() if value is None)
    if nulls:
        raise ValueError(f'metadata {nulls} of output {name!r} is null, which the backend refuses')
    stored = {'display_name': name, 'store_session_info': '{}'}
    for key, value in metadata.items():
        if isinstance(value, bool):
            value = float(value)
        elif isinstance(value, list):
            value = {'list': value}
        elif isinstance(value, dict):
            value = {'struct': value}
        stored[key] = value
    return stored


def read_output_file(path):
    """Reads what a node left, as strictly as the launcher does: ExecutorOutput.

    Raises:
        ValueError: the file is not JSON, or has a field that the backend does not know.
    """
    output = pipeline_spec_pb2.ExecutorOutput()
    if not os.path.exists(path):
        return output
    with open(path) as file:
        text = file.read()
    try:
        return json_format.Parse(text, output)
    except json_format.ParseError as error:
        raise ValueError(f'the backend cannot read the output file {path}: {error}') from error


def fill_placeholders(command, executor_input, staged):
    """Fills the placeholders in a command line.

    Args:
        command: list of str.
        executor_input: ExecutorInput.
        staged: staging.Staging of the node's container.

    Returns:
        list of str.
    """
    values = {'{{$}}': json_format.MessageToJson(executor_input)}
    for side in ('inputs', 'outputs'):
        for name, found in getattr(executor_input, side).artifacts.items():
            uri = found.artifacts[0].uri
            values[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
            values[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = staged.path(uri)
    for name, value in executor_input.inputs.parameter_values.items():
        values[f"{{{{$.inputs.parameters['{name}']}}}}"] = as_text(value)
    for name, parameter in executor_input.outputs.parameters.items():
        values[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = parameter.output_file
    pattern = re.compile('|'.join(re.escape(key) for key in sorted(values, key=len, reverse=True)))
    return [pattern.sub(lambda found: values[found[0]], part) for part in command]
