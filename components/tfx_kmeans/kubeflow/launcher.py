"""Runs a node as a process of its own, with what the backend's launcher does before and after."""

import os
import pathlib
import shutil
import site
import subprocess
import sys

from google.protobuf import json_format

from tfx_kmeans import errors
from tfx_kmeans.kubeflow import backend, staging

_LAST_LINES = 20
# variables that are about the machine, not about who uses it
_OF_THE_IMAGE = ('PATH', 'LANG', 'TZ', 'TMPDIR', 'USER', 'LD_LIBRARY_PATH', 'VIRTUAL_ENV')
_TRACEBACK = 'Traceback (most recent call last):'


def launch(container, executor_input, *, root, run_root, store, log, env):
    """Stages the inputs, runs the node, and takes what it left.

    Args:
        container: PipelineContainerSpec.
        executor_input: ExecutorInput.
        root: pathlib.Path, a new directory that is `/` to the node.
        run_root: URI that the backend uploads below.
        store: where artifacts are kept, see stores.
        log: pathlib.Path of the file that gets all that the node prints.
        env: further environment variables, a dict; of the host's, a node gets hardly any.

    Returns:
        ExecutorOutput, and by output its (URI, metadata).

    Raises:
        tfx_kmeans.errors.NodeFailedError: the process failed; the message ends with its own.
        ValueError: the backend could not hand over an input, or take what came back.
    """
    staged = staging.Staging(root)
    _download(executor_input, staged, run_root, store)
    _make_directories(executor_input, staged)
    code = _execute(container, executor_input, staged, log, env)
    if code:
        raise errors.NodeFailedError(f'exit code {code}, log in {log}\n{last_message(log)}')
    kept_log = backend.log_path(executor_input, staged)
    if kept_log:
        shutil.copyfile(log, kept_log)
    output = backend.read_output_file(executor_input.outputs.output_file)
    return output, _upload(executor_input, output, staged, run_root, store)


def _download(executor_input, staged, run_root, store):
    for name, found in executor_input.inputs.artifacts.items():
        uri = found.artifacts[0].uri
        if not staged.is_staged(uri):
            continue
        # an output of an earlier node may be empty, what is imported may not
        if not store.download(uri, staged.path(uri)) and not uri.startswith(f'{run_root}/'):
            raise ValueError(f'input {name!r}, {uri}: nothing is at {store.place(uri)}')


def _make_directories(executor_input, staged):
    outputs = executor_input.outputs
    files = [staged.path(made.artifacts[0].uri) for made in outputs.artifacts.values()]
    files += [parameter.output_file for parameter in outputs.parameters.values()]
    for file in files:
        os.makedirs(os.path.dirname(file), exist_ok=True)
    kept_log = backend.log_path(executor_input, staged)
    if kept_log:
        pathlib.Path(kept_log).touch()


def _execute(container, executor_input, staged, log, env):
    command = backend.fill_placeholders(
        [*container.command, *container.args], executor_input, staged
    )
    if not container.command:
        raise ValueError(
            f'the entrypoint of image {container.image!r} is not known here; compile the pipeline '
            'with tfx_kmeans.kubeflow.compile, which sets the command'
        )
    if command[0] in ('python', 'python3'):
        command[0] = sys.executable
    environment = {
        **_image_environment(staged.root),
        **{variable.name: variable.value for variable in container.env},
        **env,
        staging.ROOT_VARIABLE: staged.root,
    }
    with open(log, 'wb') as file:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode


def _image_environment(root):
    """What a node has from its image: here, what this Python needs, and nothing else of the host.

    Credentials above all are not there: those in variables are left out, and `HOME` is the node's
    own, so that those in files are not found either.
    """
    home = os.path.join(root, 'home')
    os.makedirs(home, exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _OF_THE_IMAGE or name.startswith(('PYTHON', 'LC_'))
    }
    # packages that pip installed for the user alone
    return {'PYTHONUSERBASE': site.getuserbase(), **kept, 'HOME': home}


def last_message(log):
    """The error that ends a log, without the traceback before it; else the last lines."""
    lines = pathlib.Path(log).read_text(errors='replace').rstrip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(_TRACEBACK)]
    if starts:
        rest = lines[starts[-1] + 1 :]
        message = [n for n, line in enumerate(rest) if line and not line[0].isspace()]
        if message:
            return '\n'.join(rest[message[0] :])
    return '\n'.join(lines[-_LAST_LINES:])


def _upload(executor_input, output, staged, run_root, store):
    taken = {}
    for name, told in executor_input.outputs.artifacts.items():
        uri = told.artifacts[0].uri
        metadata = json_format.MessageToDict(told.artifacts[0].metadata)
        if name in output.artifacts and output.artifacts[name].artifacts:
            made = output.artifacts[name].artifacts[0]
            uri = made.uri or uri
            metadata |= json_format.MessageToDict(made.metadata)
        if not uri.startswith(f'{run_root}/'):
            raise ValueError(f'output {name!r} came back as {uri}, which is not below {run_root}')
        store.upload(staged.path(uri), uri)
        taken[name] = uri, metadata
    return taken
