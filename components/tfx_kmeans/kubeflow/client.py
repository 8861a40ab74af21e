"""Talks to a Kubeflow Pipelines backend through the kfp SDK; needs nothing else.

`submission` calls `submit` in its own process or, where kfp and TFX do not go together, runs this
file with the interpreter of another environment:

    python -I client.py < request.json > answer.json
"""

import contextlib
import datetime
import json
import logging
import os
import socket
import sys
import time
import types
import urllib.parse
import warnings

import kfp
import kfp_server_api
import urllib3

# a run is asked for its state this often at first, and ever less often
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 15
# while waiting, so many failing requests in a row are put down to the network
_PATIENCE = 10
_ENDED = {'SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED'}

_LOGGER = logging.getLogger(__name__)


def submit(request):
    """Carries out a request of `submission.submit`.

    Args:
        request: dict of plain values; see `submission.submit` for what they mean.

    Returns:
        dict: the fields of `submission.Submission`.

    Raises:
        ConnectionError: the host cannot be reached, or is no Kubeflow Pipelines backend.
        PermissionError: the backend wants a (another) token.
        RuntimeError: the backend refused a request, or the run failed.
        TimeoutError: the run did not end in time.
    """
    # the SDK prints links; standard output is for the answer
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)
        backend = _Backend(request)
        answer = backend.upload()
        if request['cron']:
            answer |= backend.schedule(answer)
        elif request['run']:
            answer |= backend.run(answer)
            if request['wait'] is not None:
                answer |= backend.wait(answer)
    return answer


class _Client(kfp.Client):
    def get_kfp_healthz(self, *_, **__):
        """Spares the constructor's question for the backend's health, up to five times with pauses.

        It asks only to guess a namespace; the first request proper fails sooner and says more.
        """
        return types.SimpleNamespace(multi_user=False)


class _Backend:
    """One submission to one backend."""

    def __init__(self, request):
        self._request = request
        self._host, self._namespace = request['host'], request['namespace']
        _connect(self._host)
        self._client = _Client(
            host=self._host,
            # an empty one, so that none is taken from ~/.config/kfp
            namespace=self._namespace or '',
            existing_token=request['token'],
            ssl_ca_cert=request['ca_cert'],
        )

    def upload(self):
        """Uploads the package as a new pipeline or as a new version of it, once."""
        name, package = self._request['name'], self._request['package']
        pipeline_id = self._pipeline_id(name)
        if pipeline_id is None:
            # the backend names the first version like the pipeline, so the description marks it
            with self._asking(f'uploading the pipeline {name}'):
                pipeline = self._client.upload_pipeline(
                    package,
                    pipeline_name=name,
                    description=self._request['mark'],
                    namespace=self._namespace,
                )
            pipeline_id = self._known(pipeline.pipeline_id)
            version = self._version(pipeline_id)
            _LOGGER.info('Uploaded the pipeline %s', name)
        else:
            version = self._version(pipeline_id)
            if version is None:
                version = self._upload_version(pipeline_id)
        return {
            'pipeline_id': pipeline_id,
            'pipeline_version_id': self._known(version and version.pipeline_version_id),
            'url': self._url(f'pipelines/details/{pipeline_id}'),
        }

    def _upload_version(self, pipeline_id):
        name, version = self._request['name'], self._request['version']
        with self._asking(f'uploading the version {version} of the pipeline {name}'):
            uploaded = self._client.upload_pipeline_version(
                self._request['package'],
                pipeline_version_name=version,
                pipeline_id=pipeline_id,
                description=self._request['mark'],
            )
        _LOGGER.info('Uploaded the version %s of the pipeline %s', version, name)
        return uploaded

    def run(self, uploaded):
        """Starts a run of the uploaded version."""
        now = datetime.datetime.now(datetime.timezone.utc)
        with self._asking('starting a run'):
            run = self._client.run_pipeline(
                experiment_id=self._experiment_id(),
                job_name=f'{self._request["name"]} {now:%Y-%m-%d %H:%M:%S}',
                **self._job(uploaded),
            )
        run_id = self._known(run.run_id)
        url = self._url(f'runs/details/{run_id}')
        _LOGGER.info('Started a run: %s', url)
        return {'run_id': run_id, 'url': url}

    def schedule(self, uploaded):
        """Schedules runs of the uploaded version, in place of an earlier schedule of that name."""
        name, experiment_id = self._request['name'], self._experiment_id()
        with self._asking('listing the schedules'):
            listed = self._client.list_recurring_runs(experiment_id=experiment_id, page_size=100)
        old = [run for run in listed.recurring_runs or [] if run.display_name == name]
        with self._asking('scheduling runs'):
            recurring = self._client.create_recurring_run(
                experiment_id=experiment_id,
                job_name=name,
                cron_expression=self._request['cron'],
                # a night that was missed is not made up for, nor are two runs of it wanted
                max_concurrency=1,
                no_catchup=True,
                **self._job(uploaded),
            )
        recurring_run_id = self._known(recurring.recurring_run_id)
        for run in old:
            with self._asking(f'deleting the earlier schedule {run.recurring_run_id}'):
                self._client.delete_recurring_run(run.recurring_run_id)
        _LOGGER.info('Scheduled %s%s', name, ', in place of an earlier schedule' if old else '')
        url = self._url(f'recurringrun/details/{recurring_run_id}')
        return {'recurring_run_id': recurring_run_id, 'url': url}

    def wait(self, started):
        """Waits for the end of a run; returns its state or raises what went wrong."""
        run_id, url = started['run_id'], started['url']
        deadline = time.monotonic() + self._request['wait']
        pause, failures, seen = _FIRST_PAUSE_SECONDS, 0, {}
        while True:
            try:
                with self._asking('waiting for the run'):
                    run = self._client.get_run(run_id)
                failures = 0
            except ConnectionError:
                failures += 1
                if failures == _PATIENCE:
                    raise
            else:
                seen = _log_changes(run, seen)
                if run.state in _ENDED:
                    break
            if time.monotonic() + pause > deadline:
                raise TimeoutError(
                    f'the run did not end within {self._request["wait"]:g} seconds and goes on '
                    f'({_nodes(run, "RUNNING") or "no node is running"}): {url}'
                )
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE_SECONDS)
        if run.state != 'SUCCEEDED':
            raise RuntimeError(self._post_mortem(run, url))
        return {'state': run.state}

    def _post_mortem(self, run, url):
        failed = _tasks(run, 'FAILED')
        # beside the nodes of the pipeline the backend lists drivers, executors and the graph itself
        nodes = [task for task in failed if task.display_name in self._request['nodes']]
        reports = [_report(task, failed) for task in nodes or failed]
        if run.error and run.error.message:
            reports.append(run.error.message)
        reports = reports or ['the backend gave no reason']
        return f'the run ended as {run.state}: {"; ".join(reports)}: {url}'

    def _job(self, uploaded):
        return {
            'pipeline_id': uploaded['pipeline_id'],
            'version_id': uploaded['pipeline_version_id'],
            'params': self._request['parameters'],
            'pipeline_root': self._request['pipeline_root'],
        }

    def _pipeline_id(self, name):
        with self._asking('looking for the pipeline'):
            listed = self._client.list_pipelines(
                namespace=self._namespace, filter=_named(name), page_size=10
            )
        for pipeline in listed.pipelines or []:
            if pipeline.display_name == name:
                return pipeline.pipeline_id
        return None

    def _version(self, pipeline_id):
        """The version that has the package of the request, if it was uploaded before."""
        with self._asking('looking for the version'):
            listed = self._client.list_pipeline_versions(
                pipeline_id, page_size=100, sort_by='created_at desc'
            )
        for version in listed.pipeline_versions or []:
            if version.description == self._request['mark']:
                return version
        return None

    def _experiment_id(self):
        with self._asking('making the experiment'):
            experiment = self._client.create_experiment(
                self._request['experiment'], namespace=self._namespace
            )
        return self._known(experiment.experiment_id)

    def _known(self, identifier):
        if not identifier:
            raise ConnectionError(
                f'{self._host} did not answer as a Kubeflow Pipelines backend does; is it the '
                "address of the backend's API, and does a login stand before it (pass token)?"
            )
        return identifier

    def _url(self, page):
        return f'{os.environ.get("KF_PIPELINES_UI_ENDPOINT", self._host)}/#/{page}'

    @contextlib.contextmanager
    def _asking(self, deed):
        """Says in plain words what went wrong with a request."""
        try:
            yield
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(f'{self._host} broke off while {deed}: {error}') from error
        except kfp_server_api.ApiException as error:
            message = f'{error.status} {error.reason}: {_message(error)}'
            if error.status in (401, 403):
                raise PermissionError(self._advice(deed, message)) from error
            if error.status == 0 or error.status in (502, 503, 504):
                raise ConnectionError(f'{self._host} failed while {deed}: {message}') from error
            raise RuntimeError(f'{self._host} refused {deed}: {message}') from error

    def _advice(self, deed, message):
        wanted = 'another token' if self._request['token'] else 'a token'
        namespace = self._namespace or 'NAMESPACE'
        return (
            f'{self._host} refused {deed}: {message}. Pass {wanted}; one of a service account that '
            f'may run pipelines in {namespace}: kubectl -n {namespace} create token '
            'default-editor --audience=pipelines.kubeflow.org'
        )


def _connect(host):
    """Fails soon where the SDK would try for minutes."""
    parts = urllib.parse.urlsplit(host)
    port = parts.port or {'http': 80, 'https': 443}[parts.scheme]
    try:
        socket.create_connection((parts.hostname, port), timeout=15).close()
    except OSError as error:
        raise ConnectionError(f'{host} cannot be reached: {error}') from error


def _named(name):
    predicate = {'operation': 'EQUALS', 'key': 'display_name', 'stringValue': name}
    return json.dumps({'predicates': [predicate]})


def _message(error):
    """What the backend says: the API answers with `message`, the upload with `error_message`."""
    body = error.body.decode(errors='replace') if isinstance(error.body, bytes) else error.body
    try:
        answer = json.loads(body)
        return answer.get('message') or answer.get('error_message') or body
    except (TypeError, ValueError, AttributeError):
        return (body or 'no further word').strip()[:500]


def _tasks(run, *states):
    tasks = run.run_details.task_details if run.run_details else None
    return [task for task in tasks or [] if task.state in states]


def _nodes(run, state):
    return ', '.join(f'{task.display_name} {state}' for task in _tasks(run, state))


def _report(task, failed):
    """Names a failed node with what the API says of it or of its pods."""
    children = {child.task_id for child in task.child_tasks or []}
    family = [task, *(other for other in failed if other.task_id in children)]
    messages = [member.error.message for member in family if member.error and member.error.message]
    # most backends leave `error` empty
    return f'{task.display_name}: {"; ".join(messages) or "see its log, the API has no message"}'


def _log_changes(run, seen):
    states = {task.display_name: task.state for task in _tasks(run, 'RUNNING', *_ENDED)}
    for name, state in states.items():
        if seen.get(name) != state:
            _LOGGER.info('%s: %s', name, state)
    return states


def main():
    """Reads a request from standard input, writes the answer or the error to standard output."""
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    request = json.load(sys.stdin)
    try:
        answer = {'answer': submit(request)}
    except (OSError, RuntimeError, ValueError) as error:
        answer = {'error': [type(error).__name__, str(error)]}
    json.dump(answer, sys.stdout)


if __name__ == '__main__':
    main()
