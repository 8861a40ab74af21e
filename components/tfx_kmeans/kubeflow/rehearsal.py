"""Runs a compiled pipeline on this machine, as an open-source backend would on a cluster.

    python -m tfx_kmeans.kubeflow.rehearsal taxi-kmeans.yaml --parameter n_clusters=12

Every node is a process of its own, with a root directory of its own in place of the container's:
it sees what the launcher would have staged for it, and only what it leaves there goes on.
"""

import argparse
import concurrent.futures
import dataclasses
import graphlib
import itertools
import json
import pathlib
import shutil
import sys
import time
import uuid

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tfx_kmeans import errors
from tfx_kmeans.kubeflow import backend as backends
from tfx_kmeans.kubeflow import conditions, launcher, plan, staging, stores

# where an open-source backend puts artifacts unless it is told otherwise
_DEFAULT_ROOT = 'minio://mlpipeline/v2/artifacts'


@dataclasses.dataclass(frozen=True)
class Result:
    """What a rehearsal left.

    Attributes:
        outputs: by node and key, the backend.Artifact, which has `uri` and `metadata`.
        seconds: by node, how long it ran; without those that were skipped.
        skipped: names of the nodes that a condition, theirs or one before them, kept from running.
        logs: pathlib.Path of the directory with a log for each node.
        store: where the artifacts are, a stores.DirectoryStore unless another was given.
    """

    outputs: dict
    seconds: dict
    skipped: tuple
    logs: pathlib.Path
    store: object


def local_run(
    ir_path,
    parameters=None,
    workdir=None,
    pipeline_root=None,
    backend=backends.NEWEST,
    store=None,
    env=None,
    jobs=2,
    report=print,
):
    """Runs a compiled pipeline on this machine, without a cluster: a dress rehearsal.

    Each node runs under this Python with what the backend would give it: staged files, untyped
    inputs, no empty directories. What it leaves is read as strictly as the backend reads it.
    Kubernetes settings, resources and caching are not rehearsed.

    Args:
        ir_path: file that `compile` wrote, for an open-source backend.
        parameters: values of the pipeline's parameters by name: those without a default, and those
            that shall differ from it.
        workdir: directory for artifacts and logs; `rehearsal/<pipeline>` if None.
        pipeline_root: URI (minio://, s3:// or gs://) to keep artifacts below; the pipeline's own if
            None.
        backend: the version to be like, from '2.0' on.
        store: where the artifacts are kept, e.g. a stores.S3Store; if None, a directory below
            `workdir` plays the object store.
        env: further environment variables of the nodes, by name. They get none of this process's
            but those that this Python needs, and a home directory of their own: what a pod has to
            be given, such as credentials, has to be given here.
        jobs: how many nodes may run at once.
        report: called with each line that tells how far the run is.

    Returns:
        Result.

    Raises:
        ValueError: the file is no such pipeline, or an argument or a parameter is missing, unknown
            or not of its type.
        tfx_kmeans.errors.NodeFailedError: a node failed; the message ends with the node's own.
    """
    pipeline = plan.read(ir_path)
    values = backends.pipeline_parameters(pipeline.parameters, parameters or {})
    root = pipeline_root or pipeline.pipeline_root or _DEFAULT_ROOT
    if not staging.Staging().is_staged(root):
        schemes = ', '.join(f'{scheme}://' for scheme in staging.DIRECTORIES)
        raise ValueError(f'pipeline_root must begin with one of {schemes}; got {root!r}')
    if jobs < 1:
        raise ValueError(f'jobs must be at least 1, got {jobs}')
    workdir = pathlib.Path(workdir or pathlib.Path('rehearsal', pipeline.name)).resolve()
    run = _Run(
        values=values,
        root=f'{root.rstrip("/")}/{pipeline.name}/{uuid.uuid4()}',
        workdir=workdir,
        backend=backends.Backend(backend),
        store=store or stores.DirectoryStore(workdir / 'store'),
        env=env or {},
        report=report,
    )
    return run.run(pipeline, jobs)


class _Run:
    """One run of a pipeline: the part of the backend's driver."""

    def __init__(self, values, root, workdir, backend, store, env, report):
        self._values = values
        self._root = root
        self._workdir = workdir
        self._backend = backend
        self._store = store
        self._env = env
        self._report = report
        self._ids = itertools.count(1)
        self._artifacts = {}
        self._parameters = {}
        self._seconds = {}
        self._skipped = set()

    def run(self, pipeline, jobs):
        logs = self._workdir / 'logs'
        logs.mkdir(parents=True, exist_ok=True)
        self._report(
            f'Rehearsing {pipeline.name} as backend {self._backend.version} runs it; '
            f'each node logs to {logs}'
        )
        if pipeline.has_kubernetes_settings:
            self._report('Its Kubernetes settings play no part here')
        self._run_nodes({node.name: node for node in pipeline.nodes}, jobs)
        outputs = {name: {} for name in self._seconds}
        for (name, key), artifact in self._artifacts.items():
            outputs[name][key] = artifact
        return Result(outputs, self._seconds, tuple(sorted(self._skipped)), logs, self._store)

    def _run_nodes(self, nodes, jobs):
        """Runs each node as soon as those before it are done."""
        waiting = graphlib.TopologicalSorter({n: node.upstream for n, node in nodes.items()})
        waiting.prepare()
        running = set()
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            while waiting.is_active():
                running |= {pool.submit(self._take, nodes[name]) for name in waiting.get_ready()}
                done, running = concurrent.futures.wait(
                    running, return_when=concurrent.futures.FIRST_COMPLETED
                )
                try:
                    waiting.done(*(future.result() for future in done))
                except errors.NodeFailedError:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise

    def _take(self, node):
        """Runs a node or skips it, and tells; returns its name."""
        started = time.monotonic()
        if not self._skipped.isdisjoint(node.upstream) or not self._run_node(node):
            self._skipped.add(node.name)
            self._report(f'  {node.name:20} skipped')
        else:
            self._seconds[node.name] = time.monotonic() - started
            self._report(f'  {node.name:20}{self._seconds[node.name]:6.1f} s')
        return node.name

    def _run_node(self, node):
        """Runs a node; returns whether its condition let it run."""
        try:
            executor_input = pipeline_spec_pb2.ExecutorInput(inputs=self._inputs(node))
            condition = node.task.trigger_policy.condition
            if condition and not conditions.holds(condition, executor_input):
                return False
            if node.executor.HasField('importer'):
                self._import(node)
            else:
                self._run_container(node, executor_input)
        except (ValueError, OSError) as error:
            raise errors.NodeFailedError(f'{node.name}: {error}') from error
        return True

    def _inputs(self, node):
        inputs = pipeline_spec_pb2.ExecutorInput.Inputs()
        values = backends.task_parameters(node.task, node.component, self._values, self._parameters)
        for name, value in values.items():
            inputs.parameter_values[name].CopyFrom(value)
        for name, source in node.task.inputs.artifacts.items():
            output = source.task_output_artifact
            producer, key = output.producer_task, output.output_artifact_key
            if (producer, key) not in self._artifacts:
                raise ValueError(f'input {name!r}: node {producer!r} has no output {key!r}')
            artifact = backends.as_input(self._artifacts[producer, key])
            inputs.artifacts[name].artifacts.append(artifact)
        return inputs

    def _import(self, node):
        source = node.executor.importer.artifact_uri
        if source.runtime_parameter:
            parameter = node.task.inputs.parameters[source.runtime_parameter]
            uri = self._values[parameter.component_input_parameter].string_value
        else:
            uri = source.constant.string_value
        if not uri:
            raise ValueError('the URI to import is empty')
        self._backend.check_import(uri, self._root)
        (key,) = node.component.output_definitions.artifacts
        self._keep(node, key, uri, json_format.MessageToDict(node.executor.importer.metadata))

    def _keep(self, node, key, uri, metadata):
        stored = backends.stored_metadata(key, metadata)
        self._artifacts[node.name, key] = backends.Artifact(next(self._ids), uri, stored)

    def _run_container(self, node, executor_input):
        root = self._workdir / 'nodes' / node.name
        task_root = f'{self._root}/{node.name}/{uuid.uuid4()}'
        outputs = self._backend.outputs(node.component, task_root, root)
        executor_input.outputs.CopyFrom(outputs)
        output, artifacts = self._launch(node, executor_input, root)
        for key, (uri, metadata) in artifacts.items():
            self._keep(node, key, uri, metadata)
        for key in outputs.parameters:
            self._parameters[node.name, key] = output.parameter_values[key]
        shutil.rmtree(root)

    def _launch(self, node, executor_input, root):
        retries = node.task.retry_policy.max_retry_count
        for attempt in itertools.count(1):
            shutil.rmtree(root, ignore_errors=True)
            try:
                return launcher.launch(
                    node.executor.container,
                    executor_input,
                    root=root,
                    run_root=self._root,
                    store=self._store,
                    log=self._workdir / 'logs' / f'{node.name}.log',
                    env=self._env,
                )
            except errors.NodeFailedError as error:
                if attempt > retries:
                    raise errors.NodeFailedError(f'{node.name} failed: {error}') from None
                self._report(f'  {node.name:20} failed, trying again')


def main(arguments=None):
    """Runs the pipeline that the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog='python -m tfx_kmeans.kubeflow.rehearsal',
        description='Runs a compiled pipeline on this machine, as Kubeflow Pipelines would.',
    )
    parser.add_argument('ir_path', help='file that tfx_kmeans.kubeflow.compile wrote')
    parser.add_argument(
        '--parameter',
        action='append',
        default=[],
        type=_name_and_value,
        metavar='NAME=VALUE',
        help='a parameter of the pipeline; may be given several times',
    )
    parser.add_argument('--workdir', help='directory for artifacts and logs')
    parser.add_argument('--pipeline-root', help='URI to keep artifacts below')
    parser.add_argument(
        '--jobs', type=int, default=2, help='how many nodes may run at once (default: %(default)s)'
    )
    parser.add_argument('--backend', default=backends.NEWEST, help='version to be like')
    options = vars(parser.parse_args(arguments))
    declared = plan.read(options['ir_path']).parameters
    given = dict(options.pop('parameter'))
    options['parameters'] = {
        name: _parse(value, declared.get(name)) for name, value in given.items()
    }
    try:
        local_run(**options)
    except (ValueError, errors.NodeFailedError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _name_and_value(text):
    name, equals, value = text.partition('=')
    if not equals:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form NAME=VALUE')
    return name, value


def _parse(text, spec):
    """The value that a command line gives for a parameter; only strings need no reading."""
    if spec is None or spec.parameter_type == pipeline_spec_pb2.ParameterType.STRING:
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


if __name__ == '__main__':
    sys.exit(main())
