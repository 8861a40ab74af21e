"""Talks to a Kubeflow Pipelines backend through the kfp SDK; needs nothing else.

`submission` calls `submit` in its own process or, where kfp and TFX do not go together, runs this
file with the interpreter of another environment:

    python -I client.py < request.json > answer.json
"""

import contextlib
import datetime
import functools
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
        """Schedules runs of the uploaded version, in place of an earlier schedule of that name.

        The API changes no schedule. The earlier one is therefore disabled first, so that no two
        are ever at work, enabled again if the new one is refused, and deleted at last.
        """
        name, experiment_id = self._request['name'], self._experiment_id()
        list_page = functools.partial(self._client.list_recurring_runs, experiment_id=experiment_id)
        listed = self._all('listing the schedules', list_page, 'recurring_runs')
        old = [run for run in listed if run.display_name == name]
        at_work = [run.recurring_run_id for run in old if run.status != 'DISABLED']
        stopped = []
        try:
            for run_id in at_work:
                stopped.append(run_id)
                with self._asking(f'disabling the earlier schedule {run_id}'):
                    self._client.disable_recurring_run(run_id)
            recurring_run_id = self._create_schedule(name, experiment_id, uploaded)
        except BaseException as error:
            self._enable(stopped, error)
            raise
        for run in old:
            self._delete(run.recurring_run_id)
        _LOGGER.info('Scheduled %s%s', name, ', in place of an earlier schedule' if old else '')
        url = self._url(f'recurringrun/details/{recurring_run_id}')
        return {'recurring_run_id': recurring_run_id, 'url': url}

    def _create_schedule(self, name, experiment_id, uploaded):
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
        return self._known(recurring.recurring_run_id)

    def _enable(self, run_ids, reason):
        """Sets schedules to work again; if that fails, the error of `reason`'s type says so."""
        for run_id in run_ids:
            try:
                with self._asking(f'enabling the earlier schedule {run_id} again'):
                    self._client.enable_recurring_run(run_id)
            except (OSError, RuntimeError) as error:
                raise type(reason)(
                    f'{reason}; the earlier schedule {run_id} is disabled now: {error}'
                ) from error

    def _delete(self, run_id):
        """Deletes a disabled schedule; if that fails it stays disabled, which is told."""
        try:
            with self._asking(f'deleting the earlier schedule {run_id}'):
                self._client.delete_recurring_run(run_id)
        except (OSError, RuntimeError) as error:
            _LOGGER.warning('The earlier schedule is disabled and still there: %s', error)

    def _all(self, deed, list_page, field):
        """All that a listing has, page by page."""
        token = ''
        while token is not None:
            with self._asking(deed):
                page = list_page(page_token=token, page_size=100)
            yield from getattr(page, field) or []
            token = page.next_page_token or None

    def wait(self, started):
        """Waits for the end of a run; returns its state or raises what went wrong."""
        run_id, url = started['run_id'], started['url']
        deadline = time.monotonic() + self._request['wait']
        pause, failures, seen = _FIRST_PAUSE_SECONDS, 0, {}
        while True:
            try:
                run = self._run(run_id)
                failures = 0
            except ConnectionError:
                failures += 1
                if failures == _PATIENCE:
                    raise
            else:
                seen = _log_changes(run, seen)
                if run.get('state') in _ENDED:
                    break
            if time.monotonic() + pause > deadline:
                raise TimeoutError(
                    f'the run did not end within {self._request["wait"]:g} seconds and goes on '
                    f'({_nodes(run, "RUNNING") or "no node is running"}): {url}'
                )
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE_SECONDS)
        if run['state'] != 'SUCCEEDED':
            raise RuntimeError(self._post_mortem(run, url))
        return {'state': run['state']}

    def _run(self, run_id):
        """A run as the API tells it, a dict: the SDK drops what it does not know, such as tasks."""
        with self._asking('waiting for the run'):
            run = self._client._run_api.api_client.call_api(
                '/apis/v2beta1/runs/{run_id}',
                'GET',
                path_params={'run_id': run_id},
                # backends after 2.17 leave the tasks out otherwise, those before do not know it
                query_params=[('view', 'FULL')],
                header_params={'Accept': 'application/json'},
                response_type='object',
                auth_settings=['Bearer'],
                _return_http_data_only=True,
            )
        return self._known(run if isinstance(run, dict) else None)

    def _post_mortem(self, run, url):
        failed = _tasks(run, 'FAILED')
        # beside the nodes of the pipeline the backend lists drivers, executors and the graph itself
        nodes = [task for task in failed if _name(task) in self._request['nodes']]
        reports = [_report(task, failed) for task in nodes or failed]
        reports += _messages(run)
        reports = reports or ['the backend gave no reason']
        return f'the run ended as {run["state"]}: {"; ".join(reports)}: {url}'

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
        list_page = functools.partial(
            self._client.list_pipeline_versions, pipeline_id, sort_by='created_at desc'
        )
        for version in self._all('looking for the version', list_page, 'pipeline_versions'):
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
    # backends after 2.17 have the first, those before the second
    tasks = run.get('tasks') or (run.get('run_details') or {}).get('task_details') or []
    return [task for task in tasks if task.get('state') in states]


def _name(task):
    return task.get('display_name') or task.get('name', '')


def _nodes(run, state):
    return ', '.join(f'{_name(task)} {state}' for task in _tasks(run, state))


def _messages(thing):
    """What the API says went wrong with a run or a task, if it says anything."""
    said = [thing.get('error'), thing.get('status_metadata')]
    return [each['message'] for each in said if each and each.get('message')]


def _report(task, failed):
    """Names a failed node with what the API says of it or of its pods."""
    children = {child.get('task_id') for child in task.get('child_tasks') or []}
    family = [
        other
        for other in failed
        if other is task
        or other.get('task_id') in children - {None}
        or task.get('task_id', '') == other.get('parent_task_id')
    ]
    # most backends leave it empty
    messages = [message for member in family for message in _messages(member)]
    return f'{_name(task)}: {"; ".join(messages) or "see its log, the API has no message"}'


def _log_changes(run, seen):
    states = {_name(task): task['state'] for task in _tasks(run, 'RUNNING', *_ENDED)}
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
