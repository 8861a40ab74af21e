"""Runs a Beam worker in this Python, for runners that start workers as processes.

With `--environment_type=PROCESS` a runner calls the command `tfx-kmeans-beam-worker`, which is this
module, on each machine that is to work. It does what Beam's container images do: it asks the runner
for the options of the job, installs packages that were staged with `--extra_package` or
`--setup_file` for this worker alone, and works until the runner ends it.
"""

import argparse
import logging
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import grpc
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
)
from apache_beam.runners.worker import log_handler, sdk_worker_main
from google.protobuf import json_format, text_format

_SECONDS_TO_CONNECT = 120
_PACKAGES = ('.whl', '.tar.gz', '.zip')
# TFX stages a copy of itself where it knows of no image; who has this package has TFX
_COPY_OF_TFX = 'tfx_ephemeral-'
_REQUIREMENTS = 'requirements.txt'


def main(arguments=None):
    """Works for the runner that the command line names, until that ends the worker."""
    parser = argparse.ArgumentParser(prog='tfx-kmeans-beam-worker', description=__doc__)
    parser.add_argument('--id', required=True, help='what the runner calls this worker')
    parser.add_argument('--provision_endpoint', required=True, help='host:port of the runner')
    flags, _ = parser.parse_known_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the runner is done with this worker
    metadata = [('worker_id', flags.id)]
    information = _provision(flags.provision_endpoint, metadata)
    with tempfile.TemporaryDirectory(prefix='tfx-kmeans-beam-worker-') as directory:
        os.environ.update(_environment(information, flags.id, directory))
        try:
            staged = _fetch(information, pathlib.Path(directory, 'staged'), metadata)
            _install(staged, pathlib.Path(directory, 'packages'))
        except Exception:
            _tell_runner(information, 'What was staged for the workers cannot be installed')
            raise
        sdk_worker_main.main([])


def _provision(endpoint, metadata):
    """Asks the runner what there is to know of the job."""
    with grpc.insecure_channel(endpoint) as channel:
        grpc.channel_ready_future(channel).result(timeout=_SECONDS_TO_CONNECT)
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        return service.GetProvisionInfo(request, metadata=metadata).info


def _environment(information, worker_id, directory):
    """The variables that Beam's worker reads."""
    environment = {
        'WORKER_ID': worker_id,
        'PIPELINE_OPTIONS': json_format.MessageToJson(information.pipeline_options),
        'SEMI_PERSISTENT_DIRECTORY': directory,
        'RUNNER_CAPABILITIES': ' '.join(information.runner_capabilities),
    }
    for name in ('logging', 'control', 'status'):
        endpoint = getattr(information, f'{name}_endpoint')
        if endpoint.url:
            variable = f'{name.upper()}_API_SERVICE_DESCRIPTOR'
            environment[variable] = text_format.MessageToString(endpoint)
    return environment


def _fetch(information, directory, metadata):
    """Writes what was staged to a directory; returns the paths of the files."""
    directory.mkdir()
    paths = []
    if not information.dependencies:
        return paths
    with grpc.insecure_channel(information.artifact_endpoint.url) as channel:
        service = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
        request = beam_artifact_api_pb2.ResolveArtifactsRequest(artifacts=information.dependencies)
        for artifact in service.ResolveArtifacts(request, metadata=metadata).replacements:
            name = _name(artifact)
            if name.startswith(_COPY_OF_TFX):
                continue
            request = beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact)
            paths.append(directory / name)
            with open(paths[-1], 'wb') as file:
                for chunk in service.GetArtifact(request, metadata=metadata):
                    file.write(chunk.data)
    return paths


def _name(artifact):
    """The name of a file that was staged, never a path."""
    role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload)
    return pathlib.PurePath(role.staged_name).name


def _install(staged, target):
    """Installs staged packages into a folder that this worker looks for modules in first."""
    if any(path.name == _REQUIREMENTS for path in staged):
        raise ValueError(
            '--requirements_file is for workers in containers: install what it lists into '
            f'the environment of {sys.executable}, on every machine that works'
        )
    packages = [str(path) for path in staged if path.name.endswith(_PACKAGES)]
    if packages:
        # what they require is in the worker's environment
        options = ['--no-deps', '--no-build-isolation', '--target', str(target), *packages]
        pip = [sys.executable, '-m', 'pip', 'install', '--disable-pip-version-check', *options]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f'pip says: {done.stderr.strip()}')
        sys.path.insert(0, str(target))


def _tell_runner(information, message):
    """Logs the exception that is being handled where the runner logs: it hears nothing else."""
    handler = log_handler.FnApiLogRecordHandler(information.logging_endpoint)
    logger = logging.getLogger(__name__)
    logger.addHandler(handler)
    logger.exception(message)
    handler.close()


if __name__ == '__main__':
    main()
