"""Runs a node of a compiled pipeline: the entrypoint of the container, on every v2 backend.

    python -m tfx_kmeans.kubeflow.run_executor --executor_class_path CLASS \
        --json_serialized_invocation_args JSON --json_serialized_inputs_spec_args JSON

TFX's own entrypoint does the work. It was written for Vertex AI Pipelines; what an open-source
backend hands over is first brought into the form that it knows, and what it writes is brought back.
"""

import argparse
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import traceback

import yaml
from absl import flags, logging
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.dsl.io import fileio
from tfx.orchestration.kubeflow.v2 import container
from tfx.orchestration.kubeflow.v2.container import (
    kubeflow_v2_entrypoint_utils,
    kubeflow_v2_run_executor,
)
from tfx.orchestration.kubeflow.v2.file_based_example_gen import driver as file_based_driver
from tfx.orchestration.portable import outputs_utils
from tfx.types import standard_component_specs

from tfx_kmeans.kubeflow import staging

# what tells a file-based ExampleGen from other components
_EXAMPLE_GEN_PARAMETERS = {
    name
    for name, parameter in standard_component_specs.FileBasedExampleGenSpec.PARAMETERS.items()
    if not parameter.optional
}


def main():
    """Runs the node that the command line describes, then ends the process.

    The exit code is 0 once the output file is there. Otherwise the last thing that is printed is
    the error of the component, and no output file is left.
    """
    try:
        run(sys.argv[1:])
        code = 0
    except BaseException as error:
        traceback.print_exception(type(error), error, _from_component_on(error.__traceback__))
        code = 1
    logging.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    # threads that a component or a library has left running must not keep the container alive
    os._exit(code)


def run(arguments):
    """Runs a node.

    Args:
        arguments: the command line, a list of str.

    Raises:
        ValueError: an input has no type, neither by itself nor in the inputs spec.
        Exception: whatever the component raises.
    """
    args, beam_args = _parser().parse_known_args(arguments)
    invocation = json_format.Parse(
        args.json_serialized_invocation_args,
        pipeline_spec_pb2.ExecutorInput(),
        ignore_unknown_fields=True,
    )
    if '://' in invocation.outputs.output_file:
        # Vertex: artifacts are typed and read where they are, and it has run the driver
        kubeflow_v2_run_executor.main((args, beam_args))
    else:
        _run_on_open_source_backend(args, beam_args, invocation)


def _parser():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument('--executor_class_path', required=True)
    parser.add_argument('--json_serialized_invocation_args', required=True)
    parser.add_argument('--json_serialized_inputs_spec_args')
    return parser


def _run_on_open_source_backend(args, beam_args, invocation):
    staged = staging.Staging.from_environment()
    output_file = invocation.outputs.output_file
    _set_types(invocation.inputs.artifacts, args.json_serialized_inputs_spec_args)
    _drop_what_the_component_does_not_know(invocation)
    _set_uris(invocation, staged.path)
    with tempfile.TemporaryDirectory(prefix='tfx-') as scratch:
        invocation.outputs.output_file = os.path.join(scratch, 'output_metadata.json')
        if set(invocation.inputs.parameter_values) >= _EXAMPLE_GEN_PARAMETERS:
            _run_driver(args, invocation)
        outputs_utils.make_output_dirs(
            kubeflow_v2_entrypoint_utils.parse_raw_artifact_dict(invocation.outputs.artifacts)
        )
        _call(kubeflow_v2_run_executor, args, invocation, beam_args)
        written = json.loads(pathlib.Path(invocation.outputs.output_file).read_text())
    for made in invocation.outputs.artifacts.values():
        for artifact in made.artifacts:
            _leave_as_the_backend_takes_it(artifact.uri, staged)
    _write(output_file, _to_backend(written, staged))


def _set_types(artifacts, inputs_spec):
    """Gives the inputs the types that the component declares: the backend passes none on."""
    declared = pipeline_spec_pb2.ComponentInputsSpec()
    if inputs_spec:
        json_format.Parse(inputs_spec, declared, ignore_unknown_fields=True)
    for name, found in artifacts.items():
        for artifact in found.artifacts:
            if name in declared.artifacts:
                artifact.type.CopyFrom(declared.artifacts[name].artifact_type)
            elif not _title(artifact):
                raise ValueError(
                    f'input {name!r} has no type, and --json_serialized_inputs_spec_args has none '
                    'for it; compile the pipeline with tfx_kmeans.kubeflow.compile'
                )


def _title(artifact):
    """The name of the artifact's type, '' if it has none."""
    if artifact.type.schema_title:
        return artifact.type.schema_title
    return (yaml.safe_load(artifact.type.instance_schema) or {}).get('title', '')


def _drop_what_the_component_does_not_know(invocation):
    inputs, outputs = invocation.inputs.artifacts, invocation.outputs.artifacts
    for name in list(inputs):
        # what only a condition on the node reads; TFX names it _Node.output
        if name.startswith('_'):
            del inputs[name]
    for name, made in list(outputs.items()):
        # backends from 2.5 on ask for the log
        if any(_title(artifact).startswith('system.') for artifact in made.artifacts):
            del outputs[name]


def _set_uris(invocation, path):
    for artifacts in (invocation.inputs.artifacts, invocation.outputs.artifacts):
        for found in artifacts.values():
            for artifact in found.artifacts:
                artifact.uri = path(artifact.uri)


def _run_driver(args, invocation):
    """Lets ExampleGen's driver find the span: Vertex calls it before the container starts."""
    _call(file_based_driver, args, invocation)
    # the executor will find the parameters in this file, but not the examples' properties
    found = json_format.Parse(
        pathlib.Path(invocation.outputs.output_file).read_text(),
        pipeline_spec_pb2.ExecutorOutput(),
    )
    for name, made in found.artifacts.items():
        target = invocation.outputs.artifacts[name].artifacts[0]
        target.metadata.update(json_format.MessageToDict(made.artifacts[0].metadata))


def _call(module, args, invocation, beam_args=None):
    """Calls `main` of a module of TFX with the invocation as it is now."""
    changed = {'json_serialized_invocation_args': json_format.MessageToJson(invocation)}
    namespace = argparse.Namespace(**{**vars(args), **changed})
    module.main(namespace if beam_args is None else (namespace, beam_args))


def _leave_as_the_backend_takes_it(uri, staged):
    """Puts right what the component has written to a store by itself.

    For each directory TensorFlow makes an object without content, named `dir/`, in whose place the
    launcher of whoever reads the artifact would make a file and then fail on what is below it
    (https://github.com/kubeflow/pipelines/issues/13476). And backends after 2.17 want each output
    where they would have staged it: an empty directory will do.
    """
    if '://' not in uri:
        return
    for directory, _, _ in fileio.walk(uri):
        with contextlib.suppress(fileio.NotFoundError):
            fileio.remove(directory.rstrip('/') + '/')
    os.makedirs(staging.Staging(staged.root).path(uri), exist_ok=True)


def _to_backend(written, staged):
    """The output file as the backend takes it: URIs that it knows, and no null."""
    for made in written.get('artifacts', {}).values():
        for artifact in made['artifacts']:
            artifact['uri'] = staged.uri(artifact['uri'])
            artifact['metadata'] = {
                key: staged.uri(value) if isinstance(value, str) else value
                for key, value in artifact.get('metadata', {}).items()
                if value is not None
            }
    return written


def _write(path, content):
    """Writes a JSON file that is either whole or not there."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = f'{path}.partial'
    with open(partial, 'w') as file:
        json.dump(content, file)
    os.replace(partial, path)


def _from_component_on(tb):
    """The traceback without its first part, which is in this module and in TFX's entrypoint."""
    ours = (__file__, os.path.dirname(container.__file__) + os.sep)
    while tb and tb.tb_frame.f_code.co_filename.startswith(ours):
        tb = tb.tb_next
    return tb


if __name__ == '__main__':
    # as absl.app.run does it: logs go to stderr, and flags have their defaults
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    flags.FLAGS(sys.argv[:1])
    main()
