"""Command lines of the container's entrypoint, as a backend makes them for a TFX component."""

import os
import pathlib
import subprocess
import sys

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.types import channel_utils

from tfx_kmeans.kubeflow import backend, staging
from tfx_kmeans.kubeflow.backend import Artifact

TASK_ROOT = 'minio://bucket/root/pipeline/run/Node/salt'
TESTS = pathlib.Path(__file__).resolve().parent.parent


class Invocation:
    """A node about to be run.

    Args:
        component: the TFX component.
        inputs: URIs by input; their files are taken to be staged.
        root: what stands for `/`.
        version: of the backend.
        metadata: of each input.
    """

    def __init__(self, component, inputs, root, version='2.17', metadata=None):
        self.root = root
        spec = pipeline_spec_pb2.ComponentSpec()
        told = pipeline_spec_pb2.ExecutorInput()
        for name, channel in component.inputs.items():
            declared = compiler_utils.build_input_artifact_spec(channel)
            spec.input_definitions.artifacts[name].CopyFrom(declared)
            artifact = backend.as_input(Artifact(1, inputs[name], metadata or {}))
            told.inputs.artifacts[name].artifacts.append(artifact)
        for name, channel in component.outputs.items():
            declared = compiler_utils.build_output_artifact_spec(channel)
            spec.output_definitions.artifacts[name].CopyFrom(declared)
        for name, value in component.exec_properties.items():
            if value is not None:
                kind = compiler_utils.build_parameter_type_spec(value)
                spec.input_definitions.parameters[name].CopyFrom(kind)
                value = compiler_utils.value_converter(value).constant
                told.inputs.parameter_values[name].CopyFrom(value)
        told.outputs.CopyFrom(backend.Backend(version).outputs(spec, TASK_ROOT, root))
        self.told = told
        self.component = component
        self.inputs_spec = spec.input_definitions
        for made in told.outputs.artifacts.values():
            path = staging.Staging(root).path(made.artifacts[0].uri)
            os.makedirs(os.path.dirname(path), exist_ok=True)

    @property
    def output_file(self):
        return pathlib.Path(self.told.outputs.output_file)

    def arguments(self):
        executor = self.component.executor_spec.executor_class
        return [
            '--executor_class_path',
            f'{executor.__module__}.{executor.__qualname__}',
            '--json_serialized_invocation_args',
            json_format.MessageToJson(self.told),
            '--json_serialized_inputs_spec_args',
            json_format.MessageToJson(self.inputs_spec),
        ]

    def run(self):
        """Runs it in a process of its own, as the container does."""
        return subprocess.run(
            [sys.executable, '-m', 'tfx_kmeans.kubeflow.run_executor', *self.arguments()],
            env={**os.environ, staging.ROOT_VARIABLE: str(self.root), 'PYTHONPATH': str(TESTS)},
            capture_output=True,
            text=True,
            check=False,
        )


def channel(artifact):
    return channel_utils.as_channel([artifact])
