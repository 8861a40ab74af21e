"""A Kubeflow Pipelines backend on loopback: its v2beta1 API, without anything behind it.

It parses what it gets as strictly as the real one does (protojson: an unknown field is an error),
refuses what the real one refuses in the same form, and keeps what it took.
"""

import email.parser
import http.server
import json
import re
import urllib.parse
import uuid

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from support import loopback

PREFIX = '/apis/v2beta1/'
# fields of the API's messages that a client sends; None: any JSON value
REFERENCE = {'pipeline_id': str, 'pipeline_version_id': str}
RUNTIME = {'parameters': None, 'pipeline_root': str}
RUN = {
    'experiment_id': str,
    'display_name': str,
    'description': str,
    'pipeline_spec': None,
    'pipeline_version_reference': REFERENCE,
    'runtime_config': RUNTIME,
    'service_account': str,
}
CRON = {'start_time': str, 'end_time': str, 'cron': str}
RECURRING_RUN = {
    **RUN,
    'max_concurrency': (int, str),
    'trigger': {'cron_schedule': CRON},
    'mode': str,
    'no_catchup': bool,
    'namespace': str,
}
EXPERIMENT = {'display_name': str, 'description': str, 'namespace': str}
# seconds, minutes, hours, days, months, weekdays
CRON_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


class RefusedError(Exception):
    """What a request is answered with if it is not taken."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


class Backend(loopback.Server):
    """The server and what it was given.

    Attributes:
        pipelines, versions, experiments, runs, recurring_runs: dicts by id.
        token: if set, what requests must bear.
        script: answers to questions for a run, the last one for ever: `state`, `run_details` ...
        interruptions: so many questions for a run fail with 503.
        views: how much of a run was asked for.
        failing: method and end of the path of requests that fail with 500.
        page: if set, a login page that stands before everything.
    """

    def __init__(self):
        super().__init__(Handler)
        self.pipelines, self.versions, self.experiments = {}, {}, {}
        self.runs, self.recurring_runs = {}, {}
        self.token = self.page = None
        self.forbidden = False
        self.script = [{'state': 'SUCCEEDED'}]
        self.interruptions = 0
        self.failing = ()
        self.views = set()
        self.uploads = 0
        self.url = f'http://127.0.0.1:{self.server_port}'


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    def log_message(self, *arguments):
        """Keeps quiet."""

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def do_DELETE(self):
        self._answer()

    def _answer(self):
        self.body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        parts = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        upload = parts.path.startswith(PREFIX + 'pipelines/upload')
        try:
            if self.server.page:
                return self._send(200, self.server.page.encode(), 'text/html')
            self._authorize()
            answer = self._route(parts.path.removeprefix(PREFIX))
            self._send(200, json.dumps(answer).encode())
        except RefusedError as refusal:
            # the upload is no part of the gRPC API and answers in a form of its own
            message = {'error_message' if upload else 'message': refusal.message}
            self._send(refusal.status, json.dumps(message).encode())

    def _send(self, status, body, kind='application/json'):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _authorize(self):
        backend = self.server
        if backend.token and self.headers.get('authorization') != f'Bearer {backend.token}':
            raise RefusedError(401, 'Request header error: there is no user identity header.')
        if backend.forbidden:
            raise RefusedError(403, 'User is not authorized to list pipelines')

    def _route(self, path):
        if any(
            method == self.command and path.endswith(end) for method, end in self.server.failing
        ):
            raise RefusedError(500, f'Internal error: {self.command} {path}')
        for (method, pattern), handle in ROUTES.items():
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                return handle(self, *match.groups())
        raise RefusedError(404, f'Not Found: {self.command} {path}')

    def upload_pipeline(self):
        specs = parse_package(self._uploaded_file())
        self._take_query('name', 'description', 'namespace')
        name = self.query['name']
        namespace = self.query.get('namespace', '')
        if any(_key(p) == (name, namespace) for p in self.server.pipelines.values()):
            raise RefusedError(409, 'Failed to create a pipeline and a pipeline version')
        pipeline = {
            'pipeline_id': str(uuid.uuid4()),
            'display_name': name,
            'namespace': namespace,
            'description': self.query.get('description', ''),
        }
        self.server.pipelines[pipeline['pipeline_id']] = pipeline
        self._add_version(pipeline['pipeline_id'], name, specs)
        return pipeline

    def upload_version(self):
        specs = parse_package(self._uploaded_file())
        self._take_query('name', 'description', 'pipelineid')
        if self.query['pipelineid'] not in self.server.pipelines:
            raise RefusedError(400, 'Failed to create a pipeline version')
        return self._add_version(self.query['pipelineid'], self.query['name'], specs)

    def _add_version(self, pipeline_id, name, specs):
        versions = self.server.versions
        for version in versions.values():
            if (version['pipeline_id'], version['display_name']) == (pipeline_id, name):
                raise RefusedError(409, 'Failed to create a pipeline version')
        version = {
            'pipeline_id': pipeline_id,
            'pipeline_version_id': str(uuid.uuid4()),
            'display_name': name,
            'description': self.query.get('description', ''),
            'pipeline_spec': specs[0],
        }
        versions[version['pipeline_version_id']] = {**version, 'platform_spec': specs[1]}
        self.server.uploads += 1
        return version

    def _uploaded_file(self):
        head = f'Content-Type: {self.headers["Content-Type"]}\r\n\r\n'.encode()
        message = email.parser.BytesParser().parsebytes(head + self.body)
        if message.get_content_type() != 'multipart/form-data' or not message.is_multipart():
            raise RefusedError(400, 'Failed to read pipeline from file')
        [part] = message.get_payload()
        if part.get_param('name', header='content-disposition') != 'uploadfile':
            raise RefusedError(400, 'Failed to read pipeline from file')
        if not part.get_filename().endswith(('.yaml', '.yml', '.json')):
            raise RefusedError(
                400, 'Unexpected pipeline file format. Support .zip, .tar.gz, .json or YAML.'
            )
        return part.get_payload(decode=True)

    def _take_query(self, *names):
        unknown = set(self.query) - set(names)
        if unknown or not self.query.get('name'):
            raise RefusedError(400, f'query {self.query}')

    def list_pipelines(self):
        found = self._filtered(self.server.pipelines)
        namespace = self.query.get('namespace', '')
        return self._page('pipelines', [p for p in found if p['namespace'] in ('', namespace)])

    def list_versions(self, pipeline_id):
        found = self._filtered(self.server.versions)
        chosen = [v for v in found if v['pipeline_id'] == pipeline_id]
        if self.query.get('sort_by') == 'created_at desc':
            chosen.reverse()
        return self._page('pipeline_versions', [_without(v, 'platform_spec') for v in chosen])

    def list_experiments(self):
        found = self._filtered(self.server.experiments)
        namespace = self.query.get('namespace', '')
        chosen = [e for e in found if e.get('namespace', '') == namespace]
        return self._page('experiments', chosen)

    def create_experiment(self):
        experiment = parse(self.body, EXPERIMENT)
        experiment['experiment_id'] = str(uuid.uuid4())
        self.server.experiments[experiment['experiment_id']] = experiment
        return experiment

    def create_run(self):
        run = self._job(RUN)
        run['run_id'] = str(uuid.uuid4())
        self.server.runs[run['run_id']] = run
        return {**run, 'state': 'PENDING'}

    def get_run(self, run_id):
        backend = self.server
        if run_id not in backend.runs:
            raise RefusedError(404, f'Run {run_id} not found')
        if backend.interruptions:
            backend.interruptions -= 1
            raise RefusedError(503, 'upstream connect error')
        backend.views.add(self.query.get('view'))
        state = backend.script.pop(0) if len(backend.script) > 1 else backend.script[0]
        return {**backend.runs[run_id], **state}

    def create_recurring_run(self):
        recurring_run = self._job(RECURRING_RUN)
        if not 1 <= int(recurring_run.get('max_concurrency', 0)) <= 10:
            raise RefusedError(400, 'The max concurrency of the recurring run is out of range.')
        if recurring_run.get('mode') not in ('ENABLE', 'DISABLE'):
            raise RefusedError(400, f'mode {recurring_run.get("mode")}')
        recurring_run['hour'] = parse_cron(recurring_run['trigger']['cron_schedule']['cron'])[2]
        recurring_run['recurring_run_id'] = str(uuid.uuid4())
        recurring_run['status'] = recurring_run['mode'] + 'D'
        self.server.recurring_runs[recurring_run['recurring_run_id']] = recurring_run
        return _without(recurring_run, 'hour')

    def list_recurring_runs(self):
        found = self._filtered(self.server.recurring_runs)
        chosen = [r for r in found if r['experiment_id'] == self.query['experiment_id']]
        return self._page('recurringRuns', [_without(r, 'hour') for r in chosen])

    def set_mode(self, recurring_run_id, mode):
        recurring_run = self.server.recurring_runs.get(recurring_run_id)
        if not recurring_run:
            raise RefusedError(404, f'Recurring run {recurring_run_id} not found')
        recurring_run['status'] = mode.upper() + 'D'
        return {}

    def delete_recurring_run(self, recurring_run_id):
        if not self.server.recurring_runs.pop(recurring_run_id, None):
            raise RefusedError(404, f'Recurring run {recurring_run_id} not found')
        return {}

    def _job(self, fields):
        """A run or a recurring run of an uploaded version, its parameters checked."""
        job = parse(self.body, fields)
        if job.get('experiment_id') not in self.server.experiments:
            raise RefusedError(400, f'Experiment {job.get("experiment_id")} not found')
        reference = job.get('pipeline_version_reference', {})
        version = self.server.versions.get(reference.get('pipeline_version_id'))
        if not version or version['pipeline_id'] != reference.get('pipeline_id'):
            raise RefusedError(400, f'Pipeline version {reference} not found')
        check_inputs(version['pipeline_spec'], job.get('runtime_config', {}).get('parameters', {}))
        return job

    def _filtered(self, things):
        found = list(things.values())
        if self.query.get('filter'):
            for predicate in parse(self.query['filter'].encode(), {'predicates': None})[
                'predicates'
            ]:
                predicate = take(
                    predicate, {'operation': (int, str), 'key': str, 'string_value': str}
                )
                assert predicate['operation'] in (1, 'EQUALS'), predicate
                assert predicate['key'] == 'display_name', predicate
                found = [t for t in found if t['display_name'] == predicate['string_value']]
        return found

    def _page(self, name, things):
        """The page of `things` that the query asks for; one has 200 at most."""
        start = int(self.query.get('page_token') or 0)
        end = start + min(int(self.query.get('page_size', 10)), 200)
        return {name: things[start:end]} | ({'next_page_token': str(end)} if things[end:] else {})


ROUTES = {
    ('POST', 'pipelines/upload'): Handler.upload_pipeline,
    ('POST', 'pipelines/upload_version'): Handler.upload_version,
    ('GET', 'pipelines'): Handler.list_pipelines,
    ('GET', 'pipelines/([^/]+)/versions'): Handler.list_versions,
    ('GET', 'experiments'): Handler.list_experiments,
    ('POST', 'experiments'): Handler.create_experiment,
    ('POST', 'runs'): Handler.create_run,
    ('GET', 'runs/([^/]+)'): Handler.get_run,
    ('POST', 'recurringruns'): Handler.create_recurring_run,
    ('GET', 'recurringruns'): Handler.list_recurring_runs,
    ('POST', 'recurringruns/([^/:]+):(enable|disable)'): Handler.set_mode,
    ('DELETE', 'recurringruns/([^/]+)'): Handler.delete_recurring_run,
}


def parse(body, fields):
    """A message of the API from JSON."""
    try:
        return take(json.loads(body), fields)
    except ValueError as error:
        raise RefusedError(400, f'invalid JSON: {error}') from error


def take(message, fields, path=''):
    """Checks a message against its fields; protojson takes their names in either spelling."""
    taken = {}
    for name, value in message.items():
        field = re.sub('([A-Z])', lambda match: '_' + match.group().lower(), name)
        if field not in fields:
            raise RefusedError(400, f'proto: unknown field "{path}{name}"')
        kind = fields[field]
        if isinstance(kind, dict):
            value = take(value, kind, f'{path}{name}.')
        elif kind and not isinstance(value, kind):
            raise RefusedError(400, f'proto: invalid value for field {path}{name}: {value!r}')
        taken[field] = value
    return taken


def parse_package(text):
    """PipelineSpec and PlatformSpec of a package, as dicts, picked out as the backend does it."""
    pipeline = platform = None
    for document in yaml.safe_load_all(text):
        if not document:
            continue
        spec = _parse_proto(document, pipeline_spec_pb2.PipelineSpec())
        if spec is not None and spec.pipeline_info.name and spec.HasField('root'):
            if pipeline:
                raise RefusedError(400, 'multiple pipeline specs provided')
            if spec.schema_version != '2.1.0':
                raise RefusedError(
                    400,
                    'KFP only supports schema version 2.1.0, but the pipeline spec has version '
                    + spec.schema_version,
                )
            if not re.search('[a-z0-9]([-a-z0-9]*[a-z0-9])?', spec.pipeline_info.name):
                raise RefusedError(
                    400, 'invalid v2 pipeline spec: name should consist of lower case'
                )
            pipeline = document
            continue
        settings = _parse_proto(document, pipeline_spec_pb2.PlatformSpec())
        # the backend passes over any other document without a word; here that is an error
        if settings is None or 'kubernetes' not in settings.platforms:
            raise RefusedError(
                400, f'neither a pipeline spec nor a platform spec: {list(document)}'
            )
        platform = document
    if not pipeline:
        raise RefusedError(400, 'unknown template format: pipeline spec is invalid')
    return pipeline, platform


def _parse_proto(document, message):
    try:
        return json_format.ParseDict(document, message)
    except json_format.ParseError:
        return None


def check_inputs(pipeline, parameters):
    """Refuses parameters as the backend does when it makes a run."""
    declared = pipeline['root'].get('inputDefinitions', {}).get('parameters', {})
    for name, declaration in declared.items():
        if name not in parameters:
            if not declaration.get('isOptional') and 'defaultValue' not in declaration:
                raise RefusedError(
                    400, f'parameter {name} is not optional, yet has neither default'
                )
            continue
        kinds = {'STRING': str, 'BOOLEAN': bool, 'LIST': list, 'STRUCT': dict}
        kind = kinds.get(declaration['parameterType'], (int, float))
        if not isinstance(parameters[name], kind):
            raise RefusedError(400, f'input parameter {name} requires type {kind}')
    extra = set(parameters) - set(declared)
    if extra:
        raise RefusedError(
            400, f'parameter(s) provided are not required by pipeline: {sorted(extra)}'
        )


def parse_cron(cron):
    """The values of each field, read like github.com/robfig/cron: seconds first, weekday optional.

    Returns:
        six sets of int.
    """
    fields = cron.split()
    if len(fields) == 5:
        fields.append('*')
    if len(fields) != 6:
        raise RefusedError(
            400, f'Schedule cron is not a supported format: found {len(fields)} fields'
        )
    return [_cron_values(f, *limits) for f, limits in zip(fields, CRON_RANGES, strict=True)]


def _cron_values(field, low, high):
    values = set()
    for part in field.split(','):
        match = re.fullmatch(r'(?:([*?])|(\d+)(?:-(\d+))?)(?:/(\d+))?', part)
        if not match:
            raise RefusedError(
                400, f'Schedule cron is not a supported format: failed to parse {part}'
            )
        star, first, last, step = match.groups()
        start = low if star else int(first)
        end = int(last) if last else (high if star or step else start)
        if start < low or end > high:
            raise RefusedError(400, f'Schedule cron is not a supported format: {part} out of range')
        values |= set(range(start, end + 1, int(step or 1)))
    return values


def _without(thing, name):
    return {key: value for key, value in thing.items() if key != name}


def _key(pipeline):
    return pipeline['display_name'], pipeline['namespace']
