"""Uploads a compiled pipeline to a Kubeflow Pipelines backend, runs it, schedules it.

    python -m tfx_kmeans.kubeflow.submission pipeline.yaml --host=http://localhost:8080 --wait=3600
    python -m tfx_kmeans.kubeflow.submission pipeline.yaml --host=... --cron='0 2 * * *'

Needs the kfp SDK, whose pins do not go with every TFX: `kfp_python` names an interpreter that has
it. Nothing else that this package requires is needed, so this module also runs in such an
environment itself (`pip install --no-deps tfx-kmeans`).
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse

from tfx_kmeans import versions
from tfx_kmeans.kubeflow import ir

_CLIENT = pathlib.Path(__file__).with_name('client.py')
_ERRORS = {
    error.__name__: error
    for error in (ConnectionError, PermissionError, RuntimeError, TimeoutError, ValueError)
}


@dataclasses.dataclass(frozen=True)
class Submission:
    """What came of a submission.

    Attributes:
        pipeline_id, pipeline_version_id: what was uploaded, or found there already.
        run_id: the run, if one was started.
        recurring_run_id: the schedule, if one was asked for.
        state: 'SUCCEEDED' if the end of the run was waited for.
        url: the page of the run, the schedule or the pipeline in the backend's user interface.
    """

    pipeline_id: str
    pipeline_version_id: str
    url: str
    run_id: str | None = None
    recurring_run_id: str | None = None
    state: str | None = None


def submit(
    package,
    host,
    *,
    parameters=None,
    pipeline_root=None,
    run=True,
    cron=None,
    wait=None,
    caching=True,
    namespace=None,
    token=None,
    ca_cert=None,
    experiment=None,
    version=None,
    kfp_python=None,
):
    """Uploads a compiled pipeline and runs it, once or by a schedule.

    The package becomes a pipeline of the name it was compiled with, or a new version of it if there
    is one. A package that was uploaded before is not uploaded again.

    Args:
        package: path of the IR YAML that `compile` wrote.
        host: address of the backend's API, 'https://...' or 'http://...'.
        parameters: dict from the names of the pipeline's RuntimeParameters to their values.
        pipeline_root: where the nodes write, in place of the root that was compiled in.
        run: whether to start a run; False only uploads.
        cron: schedule runs instead of starting one: 'minute hour day month weekday' as in crontab,
            in the time zone of the backend (UTC unless it is set up otherwise), or with a field
            for seconds before these. An earlier schedule of this pipeline in the experiment is
            replaced. Runs do not overlap, and missed ones are not made up for.
        wait: how many seconds to wait for the end of the run; None does not wait.
        caching: False submits a version in which no node takes results from the cache. There is no
            way to switch the cache on here: it is off where the package says so for a reason.
        namespace: of the user, where the backend serves several.
        token: bearer token. A secret: the command line takes it from the environment.
        ca_cert: path of a CA bundle, if the host's certificate is not from a public one.
        experiment: name of the experiment, made if there is none; None: the pipeline's name.
        version: name of the version; None: derived from the package.
        kfp_python: path of the Python interpreter of another environment, with the kfp SDK.

    Returns:
        Submission.

    Raises:
        FileNotFoundError: there is no `package`.
        ValueError: an argument is wrong, or the backend would refuse the package or run it
            wrongly (see `validate`); found out before anything is sent.
        ImportError: the kfp SDK is missing; says how to get it.
        ConnectionError: `host` cannot be reached, or is no Kubeflow Pipelines backend.
        PermissionError: the backend wants a (another) token.
        RuntimeError: the backend refused a request, or the run failed (names the failed nodes).
        TimeoutError: the run did not end within `wait` seconds; it goes on.
    """
    _check_flags(run, cron, wait)
    compiled = _checked(package, parameters or {}, pipeline_root)
    if not caching:
        _switch_caching_off(compiled.spec)
    text = compiled.to_text()
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    name = compiled.spec['pipelineInfo']['name']
    request = {
        'host': _address(host),
        'name': name,
        'version': version or digest,
        'mark': f'Package {digest}',
        'nodes': sorted(compiled.spec['root']['dag']['tasks']),
        'parameters': parameters or {},
        'pipeline_root': pipeline_root,
        'run': run,
        'cron': cron and with_seconds(cron),
        'wait': wait,
        'namespace': namespace,
        'token': token,
        'ca_cert': ca_cert,
        'experiment': experiment or name,
    }
    with tempfile.TemporaryDirectory() as directory:
        # the backend goes by the extension
        path = pathlib.Path(directory, f'{name}.yaml')
        path.write_text(text, encoding='utf-8')
        return Submission(**_deliver({**request, 'package': str(path)}, kfp_python))


def with_seconds(cron):
    """Returns `cron` with a field for seconds.

    The backend takes five fields for seconds, minutes, hours, days and months, so that a crontab's
    '0 2 * * *' would run every hour at two minutes past.

    Raises:
        ValueError: it has neither five nor six fields.
    """
    fields = cron.split()
    if len(fields) == 5:
        fields = ['0', *fields]
    if len(fields) != 6 and not cron.startswith('@'):
        raise ValueError(
            f'cron must have five fields (minute hour day month weekday) or six (seconds first), '
            f'not {cron!r}'
        )
    return ' '.join(fields)


def _check_flags(run, cron, wait):
    if cron and not run:
        raise ValueError(f'cron={cron!r} schedules runs, run=False wants none: give one of them')
    if wait is not None and (cron or not run):
        raise ValueError(f'wait={wait!r} needs a run to wait for: leave out cron and run=False')
    if wait is not None and (not isinstance(wait, (int, float)) or not wait > 0):
        raise ValueError(f'wait must be a positive number of seconds, not {wait!r}')


def _address(host):
    parts = urllib.parse.urlsplit(host)
    if parts.scheme not in ('http', 'https') or not parts.hostname:
        raise ValueError(f"host must be an address like 'http://localhost:8080', not {host!r}")
    # people paste the address of a page of the user interface, which begins with #
    return host.split('#')[0].rstrip('/')


def _checked(package, parameters, pipeline_root):
    """The compiled pipeline in the file `package`, if the backend will run it."""
    compiled = ir.Compiled.read(package)
    if compiled.job is not None:
        raise ValueError(
            f'package {package!s} is a job for Vertex AI Pipelines: submit it with '
            'google.cloud.aiplatform.PipelineJob, or compile it to *.yaml'
        )
    with _needing_the_sdk():
        from tfx_kmeans.kubeflow import validation
    validation.validate(compiled, parameters=parameters, pipeline_root=pipeline_root)
    return compiled


def _switch_caching_off(pipeline):
    dags = [pipeline['root'], *pipeline.get('components', {}).values()]
    for dag in dags:
        for task in dag.get('dag', {}).get('tasks', {}).values():
            task.pop('cachingOptions', None)


def _deliver(request, kfp_python):
    if kfp_python is not None:
        return _deliver_from(kfp_python, request)
    with _needing_the_sdk():
        from tfx_kmeans.kubeflow import client
    return client.submit(request)


@contextlib.contextmanager
def _needing_the_sdk():
    """Says how to get the kfp SDK if it cannot be imported."""
    try:
        yield
    # a kfp of another protobuf fails in its generated code, with TypeError or AttributeError
    except (ImportError, TypeError, AttributeError) as error:
        raise ImportError(
            f'submitting needs the kfp SDK, which {sys.executable} cannot import ({error}). '
            f'Either pip install {versions.kfp_requirement()!r}, or leave this environment alone '
            "and make one of its own: 'python3 -m venv kfp-env', 'kfp-env/bin/pip install kfp', "
            "and pass kfp_python='kfp-env/bin/python'"
        ) from error


def _deliver_from(python, request):
    """Runs the client with the interpreter of another environment, isolated from this one."""
    try:
        process = subprocess.run(
            [python, '-I', str(_CLIENT)],
            input=json.dumps(request),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    except OSError as error:
        raise ValueError(f'kfp_python {python!s} cannot be run: {error}') from error
    if process.returncode:
        raise ImportError(
            f'kfp_python {python!s} cannot run the kfp SDK (see above): {python!s} -m pip install '
            'kfp'
        )
    answer = json.loads(process.stdout)
    if 'error' in answer:
        name, message = answer['error']
        raise _ERRORS.get(name, RuntimeError)(message)
    return answer['answer']


def main(arguments=None):
    """Submits as the command line says, and prints the Submission as JSON."""
    parser = argparse.ArgumentParser(
        prog='python -m tfx_kmeans.kubeflow.submission',
        description='Uploads a compiled pipeline to Kubeflow Pipelines and runs it.',
        epilog='The environment variable KFP_TOKEN has the token, if one is needed.',
    )
    parser.add_argument('package', help='the *.yaml that compile wrote')
    parser.add_argument('--host', required=True, help="address of the backend's API")
    parser.add_argument(
        '--parameter',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help='of the pipeline; as often as needed',
    )
    parser.add_argument('--pipeline-root')
    parser.add_argument('--upload-only', action='store_true')
    parser.add_argument('--cron', help="as in crontab, in the backend's time zone: '0 2 * * *'")
    parser.add_argument('--wait', type=float, metavar='SECONDS', help='for the end of the run')
    parser.add_argument('--no-caching', action='store_true')
    for option in ('--namespace', '--ca-cert', '--experiment', '--version', '--kfp-python'):
        parser.add_argument(option)
    options = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    try:
        submission = submit(
            run=not options.pop('upload_only'),
            caching=not options.pop('no_caching'),
            parameters=_assigned(options.pop('parameter'), options['package']),
            token=os.environ.get('KFP_TOKEN'),
            **options,
        )
    except (OSError, ImportError, RuntimeError, ValueError) as error:
        sys.exit(f'{parser.prog}: {error}')
    print(json.dumps(dataclasses.asdict(submission), indent=2))


def _assigned(assignments, package):
    """Parameters from NAME=VALUE; a value is JSON unless the pipeline declares a string."""
    root = ir.Compiled.read(package).spec.get('root', {})
    declared = root.get('inputDefinitions', {}).get('parameters', {})
    parameters = {}
    for assignment in assignments:
        name, equals, value = assignment.partition('=')
        if not equals:
            raise ValueError(f'--parameter must be NAME=VALUE, not {assignment!r}')
        if declared.get(name, {}).get('parameterType') != 'STRING':
            with contextlib.suppress(ValueError):  # a wrong type is reported with its parameter
                value = json.loads(value)
        parameters[name] = value
    return parameters


if __name__ == '__main__':
    main()
