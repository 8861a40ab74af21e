"""Against a backend on loopback, with the kfp SDK beside TFX and one in its own environment."""

import functools
import json
import os
import pathlib
import socket
import subprocess
import sys

import kfp
import kfp_server_api
import pytest
import yaml

from support import handmade, kubeflow_backend, packages
from tfx_kmeans import versions
from tfx_kmeans.errors import PipelineError
from tfx_kmeans.kubeflow import submission

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# `make test` says where it has made the environment
KFP_VENV = os.environ.get('TFX_KMEANS_KFP_VENV', REPOSITORY / '.venv-kfp')
KFP_PYTHON = pathlib.Path(KFP_VENV, 'bin', 'python')
# the compiled taxi pipeline, which has Kubernetes settings
TAXI = pathlib.Path(__file__).parent / 'golden' / 'taxi-kmeans.yaml'
DATA = {'data_root': '/data/trips'}


@pytest.fixture
def backend():
    with kubeflow_backend.Backend() as running:
        yield running


@pytest.fixture
def package(tmp_path):
    return packages.write(tmp_path / 'zones.yaml')


@pytest.fixture
def submit(backend):
    """submission.submit to `backend`, with the SDK beside TFX."""
    return functools.partial(submission.submit, host=backend.url, parameters=DATA)


@pytest.fixture(params=[None, str(KFP_PYTHON)], ids=['beside TFX', 'in its own environment'])
def submit_with(request, submit):
    """The same with either SDK, for what they send and get."""
    return functools.partial(submit, kfp_python=request.param)


def only(things):
    [thing] = things.values()
    return thing


def task(name, state, message=None, **fields):
    return {
        'display_name': name,
        'state': state,
        'error': message and {'message': message},
    } | fields


def test_a_run_of_the_uploaded_pipeline_is_started(submit_with, backend, package):
    submitted = submit_with(package)
    assert only(backend.pipelines)['display_name'] == 'zones'
    version = only(backend.versions)
    assert [version['pipeline_spec'], version['platform_spec']] == list(
        yaml.safe_load_all(package.read_text())
    )
    run = only(backend.runs)
    assert run['pipeline_version_reference'] == {
        'pipeline_id': submitted.pipeline_id,
        'pipeline_version_id': submitted.pipeline_version_id,
    }
    assert run['runtime_config'] == {'parameters': DATA}
    assert only(backend.experiments)['display_name'] == 'zones'
    assert submitted.run_id in backend.runs
    assert submitted.url == f'{backend.url}/#/runs/details/{submitted.run_id}'


def test_parameters_root_experiment_and_namespace_arrive(submit_with, backend, package):
    parameters = {'data_root': 's3://trips', 'n_clusters': 7, 'tol': 1, 'standardize': True}
    submit_with(
        package,
        parameters=parameters,
        pipeline_root='s3://bucket/root',
        experiment='nightly',
        namespace='team-a',
    )
    assert only(backend.runs)['runtime_config'] == {
        'parameters': parameters,
        'pipeline_root': 's3://bucket/root',
    }
    assert only(backend.experiments) == {
        'display_name': 'nightly',
        'namespace': 'team-a',
        'experiment_id': only(backend.runs)['experiment_id'],
    }
    assert only(backend.pipelines)['namespace'] == 'team-a'


def test_the_same_package_is_uploaded_once_and_a_changed_one_is_a_new_version(
    submit_with, backend, package
):
    first, again = submit_with(package), submit_with(package)
    assert again.pipeline_version_id == first.pipeline_version_id
    packages.write(package, sdkVersion='tfx-1.21.0')
    changed, twice = submit_with(package), submit_with(package)
    assert changed.pipeline_id == first.pipeline_id
    assert changed.pipeline_version_id != first.pipeline_version_id
    assert twice.pipeline_version_id == changed.pipeline_version_id
    assert backend.uploads == 2
    assert len(backend.runs) == 4
    assert len(backend.experiments) == 1


def test_a_version_is_named_as_asked(submit, backend, package):
    submit(package, run=False)
    packages.write(package, sdkVersion='tfx-1.21.0')
    submit(package, run=False, version='spring')
    assert {v['display_name'] for v in backend.versions.values()} == {'zones', 'spring'}


def test_the_name_of_a_version_is_taken_once(submit, package):
    for number in range(2):
        packages.write(package, sdkVersion=f'tfx-{number}')
        submit(package, run=False, version='spring')
    packages.write(package, sdkVersion='tfx-2')
    with pytest.raises(RuntimeError, match=r'refused uploading the version spring .* 409'):
        submit(package, run=False, version='spring')


def test_uploading_alone_starts_no_run(submit, backend, package):
    submitted = submit(package, run=False, parameters=DATA)
    assert backend.runs == {}
    assert (submitted.run_id, submitted.recurring_run_id) == (None, None)
    assert submitted.url == f'{backend.url}/#/pipelines/details/{submitted.pipeline_id}'


def test_without_caching_no_node_of_the_version_takes_cached_results(submit, backend, package):
    submit(package, run=False)
    submit(package, run=False, caching=False)
    cached, uncached = (
        v['pipeline_spec']['root']['dag']['tasks'] for v in backend.versions.values()
    )
    assert all(task['cachingOptions'] == {'enableCache': True} for task in cached.values())
    assert all('cachingOptions' not in task for task in uncached.values())
    assert [v['platform_spec'] for v in backend.versions.values()] == [packages.PLATFORMS] * 2


def test_a_crontab_line_runs_at_its_hour(submit_with, backend, package):
    submitted = submit_with(package, cron='30 2 * * *')
    scheduled = only(backend.recurring_runs)
    assert scheduled['trigger'] == {'cron_schedule': {'cron': '0 30 2 * * *'}}
    assert scheduled['hour'] == {2}
    assert scheduled['mode'] == 'ENABLE'
    assert scheduled['no_catchup'] is True
    assert int(scheduled['max_concurrency']) == 1
    assert scheduled['runtime_config'] == {'parameters': DATA}
    assert backend.runs == {}
    assert submitted.recurring_run_id in backend.recurring_runs
    assert submitted.url.endswith(f'/#/recurringrun/details/{submitted.recurring_run_id}')


def test_a_new_schedule_replaces_the_one_of_the_same_pipeline_and_experiment(
    submit_with, backend, package
):
    submit_with(package, cron='0 2 * * *', experiment='staging')
    first = submit_with(package, cron='0 2 * * *')
    packages.write(package, sdkVersion='tfx-1.21.0')
    second = submit_with(package, cron='0 3 * * *')
    assert first.recurring_run_id not in backend.recurring_runs
    assert backend.recurring_runs[second.recurring_run_id]['hour'] == {3}
    assert len(backend.recurring_runs) == 2


def test_a_schedule_that_is_refused_leaves_the_old_one(submit, backend, package):
    first = submit(package, cron='0 2 * * *')
    with pytest.raises(RuntimeError, match=r'400 .* 25 out of range'):
        submit(package, cron='0 25 * * *')
    assert statuses(backend) == {first.recurring_run_id: 'ENABLED'}


def test_no_two_schedules_are_at_work_although_the_old_one_cannot_be_deleted(
    submit_with, backend, package, caplog, capfd
):
    first = submit_with(package, cron='0 2 * * *')
    backend.failing = [('DELETE', first.recurring_run_id)]
    second = submit_with(package, cron='0 3 * * *')
    told = caplog.text + capfd.readouterr().err
    assert 'The earlier schedule is disabled and still there: ' in told
    assert statuses(backend) == {
        first.recurring_run_id: 'DISABLED',
        second.recurring_run_id: 'ENABLED',
    }
    # the next submission puts that right
    backend.failing = []
    third = submit_with(package, cron='0 4 * * *')
    assert statuses(backend) == {third.recurring_run_id: 'ENABLED'}


def statuses(backend):
    return {key: recurring['status'] for key, recurring in backend.recurring_runs.items()}


def test_a_schedule_that_cannot_be_disabled_stays_the_only_one(submit, backend, package):
    first = submit(package, cron='0 2 * * *')
    backend.failing = [('POST', ':disable')]
    with pytest.raises(RuntimeError, match=r'refused disabling the earlier schedule .* 500'):
        submit(package, cron='0 3 * * *')
    assert statuses(backend) == {first.recurring_run_id: 'ENABLED'}


def test_a_schedule_that_cannot_be_enabled_again_is_told(submit, backend, package):
    first = submit(package, cron='0 2 * * *')
    backend.failing = [('POST', 'recurringruns'), ('POST', ':enable')]
    told = f'refused scheduling runs.* the earlier schedule {first.recurring_run_id} is disabled'
    with pytest.raises(RuntimeError, match=told):
        submit(package, cron='0 3 * * *')


def test_the_old_schedule_is_found_among_hundreds(submit_with, backend, package):
    first = submit_with(package, cron='0 2 * * *')
    old = backend.recurring_runs.pop(first.recurring_run_id)
    others = {
        f'id-{number}': {**old, 'recurring_run_id': f'id-{number}', 'display_name': f'{number}'}
        for number in range(230)
    }
    backend.recurring_runs |= {**others, first.recurring_run_id: old}
    second = submit_with(package, cron='0 3 * * *')
    assert set(backend.recurring_runs) == {*others, second.recurring_run_id}


def test_a_version_is_found_among_hundreds(submit, backend, package):
    first = submit(package, run=False)
    version = only(backend.versions)
    for number in range(230):
        key = f'id-{number}'
        fields = {'pipeline_version_id': key, 'display_name': key, 'description': key}
        backend.versions[key] = {**version, **fields}
    assert submit(package, run=False) == first
    assert backend.uploads == 1


def test_the_end_of_a_run_is_waited_for(submit_with, backend, package):
    backend.script = [
        {'state': 'PENDING'},
        {'state': 'RUNNING', 'run_details': {'task_details': [task('KMeans', 'RUNNING')]}},
        {'state': 'SUCCEEDED', 'run_details': {'task_details': [task('KMeans', 'SUCCEEDED')]}},
    ]
    assert submit_with(package, wait=60).state == 'SUCCEEDED'


def test_a_backend_that_is_away_for_a_moment_does_not_end_the_wait(submit, backend, package):
    backend.interruptions = 1
    assert submit(package, wait=60).state == 'SUCCEEDED'


def test_a_failed_run_names_the_node_and_what_the_api_says_of_it(submit_with, backend, package):
    message = "feature 'latitude' of split 'train' has 7 NaN"
    details = [
        task('root', 'FAILED', 'child failed'),
        task('KMeans', 'FAILED', child_tasks=[{'task_id': 'pod-1'}]),
        task('executor', 'FAILED', message, task_id='pod-1'),
        task('Trainer', 'SKIPPED'),
    ]
    backend.script = [{'state': 'FAILED', 'run_details': {'task_details': details}}]
    with pytest.raises(RuntimeError) as raised:
        submit_with(package, wait=60)
    assert f'the run ended as FAILED: KMeans: {message}: {backend.url}' in str(raised.value)


def test_a_failed_node_without_a_message_is_named_all_the_same(submit, backend, package):
    details = [task('KMeans', 'FAILED'), task('root', 'FAILED')]
    backend.script = [{'state': 'FAILED', 'run_details': {'task_details': details}}]
    with pytest.raises(RuntimeError, match='FAILED: KMeans: see its log, the API has no message: '):
        submit(package, wait=60)


def test_tasks_of_backends_after_the_metadata_store_are_read(submit_with, backend, package):
    def native(name, task_id, state, message=None, **fields):
        told = message and {'message': message}
        return {'name': name, 'task_id': task_id, 'state': state, 'status_metadata': told} | fields

    tasks = [
        native('root', '1', 'FAILED', 'child failed'),
        native('KMeans', '2', 'FAILED', parent_task_id='1'),
        native('pod', '3', 'FAILED', 'out of memory', parent_task_id='2'),
        native('Trainer', '4', 'SKIPPED', parent_task_id='1'),
    ]
    backend.script = [{'state': 'FAILED', 'tasks': tasks}]
    with pytest.raises(RuntimeError, match=f'FAILED: KMeans: out of memory: {backend.url}'):
        submit_with(package, wait=60)
    assert backend.views == {'FULL'}


def test_a_run_that_failed_before_its_nodes_says_why(submit, backend, package):
    backend.script = [{'state': 'FAILED', 'error': {'message': 'quota of pods exceeded'}}]
    with pytest.raises(RuntimeError, match='the run ended as FAILED: quota of pods exceeded: '):
        submit(package, wait=60)


def test_a_cancelled_run_ends_the_wait(submit, backend, package):
    backend.script = [{'state': 'CANCELED'}]
    with pytest.raises(RuntimeError, match='the run ended as CANCELED'):
        submit(package, wait=60)


def test_the_wait_has_an_end(submit, backend, package):
    details = [task('KMeans', 'RUNNING')]
    backend.script = [{'state': 'RUNNING', 'run_details': {'task_details': details}}]
    with pytest.raises(TimeoutError, match=r'within 1 seconds and goes on .KMeans RUNNING.: http'):
        submit(package, wait=1)


def test_the_token_is_sent(submit, backend, package):
    backend.token = 'secret'
    assert submit(package, token='secret').run_id in backend.runs


def test_the_token_is_not_among_the_arguments_of_the_other_process(
    submit, backend, package, tmp_path
):
    wrapper = tmp_path / 'python'
    wrapper.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nexec {KFP_PYTHON} "$@"\n')
    wrapper.chmod(0o755)
    backend.token = 'secret'
    assert submit(package, token='secret', kfp_python=wrapper).run_id in backend.runs
    arguments = (tmp_path / 'arguments').read_text()
    assert 'client.py' in arguments
    assert 'secret' not in arguments


def test_a_missing_token_is_asked_for(submit_with, backend, package):
    backend.token = 'secret'
    with pytest.raises(
        PermissionError, match=r'401 .* Pass a token; .* kubectl -n team-a create token'
    ):
        submit_with(package, namespace='team-a')


def test_a_token_that_may_not_is_told_so(submit, backend, package):
    backend.forbidden = True
    with pytest.raises(PermissionError, match=r'403 .*not authorized to list.* Pass another token'):
        submit(package, token='secret')


def test_a_login_page_is_not_taken_for_a_backend(submit_with, backend, package):
    backend.page = '<html>Log in to your account</html>'
    with pytest.raises(ConnectionError, match='did not answer as a Kubeflow Pipelines backend'):
        submit_with(package)


@pytest.mark.parametrize('python', [None, KFP_PYTHON])
def test_a_host_that_is_not_there_cannot_be_reached(package, python):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        host = f'http://127.0.0.1:{unused.getsockname()[1]}'
        with pytest.raises(ConnectionError, match=f'{host} cannot be reached: .*refused'):
            submission.submit(package, host, parameters=DATA, kfp_python=python and str(python))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'schemaVersion': '2.0.0'}, 'only supports schema version 2.1.0'),
        ({'owner': 'team-a'}, 'neither a pipeline spec nor a platform spec: .*owner'),
        ({'pipelineInfo': {}}, 'neither a pipeline spec nor a platform spec'),
        ({'root': {'dag': {'tasks': {'KMeans': {'retries': 2}}}}}, 'neither a pipeline spec'),
    ],
)
def test_the_backend_on_loopback_is_as_strict_as_a_real_one(backend, package, changes, message):
    packages.write(package, **changes)
    client = kfp.Client(host=backend.url, namespace='team-a')
    with pytest.raises(kfp_server_api.ApiException, match=f'(?s)400.*{message}'):
        client.upload_pipeline(str(package), pipeline_name='zones')


@pytest.mark.parametrize('changes', [{'schemaVersion': '2.0.0'}, {'owner': 'team-a'}])
def test_what_the_backend_would_refuse_is_not_sent(submit, backend, package, changes):
    packages.write(package, **changes)
    with pytest.raises(PipelineError, match='|'.join(changes)):
        submit(package)
    assert backend.pipelines == {}


def test_an_import_is_checked_against_the_root_of_the_run(submit, backend, tmp_path):
    path = handmade.write(
        tmp_path / 'warm.yaml', {'warm': handmade.importer({'constant': 's3://a/model'})}
    )
    with pytest.raises(PipelineError, match=r'imports .s3://a/model., and the backend reads'):
        submit(path, parameters={}, pipeline_root='s3://b/root')
    assert backend.pipelines == {}
    submit(path, parameters={}, pipeline_root='s3://a/root')
    assert len(backend.runs) == 1


def test_a_job_for_vertex_is_not_sent(submit, tmp_path):
    path = tmp_path / 'zones.json'
    path.write_text(json.dumps({'pipelineSpec': packages.PIPELINE, 'labels': {}}))
    with pytest.raises(ValueError, match='a job for Vertex AI Pipelines: submit it with'):
        submit(path)


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({'parameters': {}}, ValueError, "'data_root' has no value"),
        ({'parameters': {**DATA, 'k': 3}}, ValueError, "'k' is none of the pipeline"),
        ({'parameters': {'data_root': 3}}, ValueError, "'data_root' must be a string, not 3"),
        ({'cron': '0 2 * *'}, ValueError, "five fields .* or six .*, not '0 2 ...'"),
        ({'cron': '0 2 * * *', 'run': False}, ValueError, 'run=False wants none'),
        ({'cron': '0 2 * * *', 'wait': 5}, ValueError, 'wait=5 needs a run'),
        ({'run': False, 'wait': 5}, ValueError, 'wait=5 needs a run'),
        ({'wait': 0}, ValueError, 'wait must be a positive number of seconds, not 0'),
        ({'wait': 'long'}, ValueError, "wait must be a positive number of seconds, not 'long'"),
        ({'kfp_python': '/no/python'}, ValueError, 'kfp_python /no/python cannot be run'),
    ],
)
def test_bad_arguments_are_named_before_anything_is_sent(backend, package, options, error, message):
    with pytest.raises(error, match=message):
        submission.submit(package, backend.url, **{'parameters': DATA, **options})
    assert backend.pipelines == {}


@pytest.mark.parametrize('host', ['localhost:8080', 'ftp://localhost', '', 'http://', None])
def test_a_host_that_is_no_address_is_refused(package, host):
    with pytest.raises(ValueError, match='host must be an address like'):
        submission.submit(package, host, parameters=DATA)


def test_the_address_of_a_page_of_the_user_interface_will_do(backend, package):
    submission.submit(package, f'{backend.url}/#/pipelines', parameters=DATA)
    assert len(backend.runs) == 1


@pytest.mark.parametrize('text', ['', 'a: [', '[1]', 'kind: Workflow'])
def test_what_is_no_package_is_refused(submit, tmp_path, text):
    path = tmp_path / 'pipeline.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'no compiled pipeline|schemaVersion is None'):
        submit(path)


def test_an_environment_without_the_sdk_is_told_how_to_get_it(package, backend):
    code = (
        'import sys; sys.modules["kfp"] = None; from tfx_kmeans.kubeflow import submission; '
        f'submission.submit({str(package)!r}, {backend.url!r}, parameters={DATA!r})'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().split('\n')[-1]
    assert last.startswith('ImportError: submitting needs the kfp SDK')
    assert f'pip install {versions.kfp_requirement()!r}' in last
    assert "kfp_python='kfp-env/bin/python'" in last


def test_an_interpreter_without_the_sdk_is_named(package, backend, tmp_path):
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', tmp_path / 'bare'], check=True)
    python = str(tmp_path / 'bare' / 'bin' / 'python')
    with pytest.raises(ImportError, match=f'kfp_python {python} cannot run the kfp SDK'):
        submission.submit(package, backend.url, parameters=DATA, kfp_python=python)


def command_line(*arguments, python=sys.executable, **environment):
    return subprocess.run(
        [python, '-m', 'tfx_kmeans.kubeflow.submission', *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize('python', [sys.executable, KFP_PYTHON], ids=['with TFX', 'without TFX'])
def test_the_command_line_prints_the_submission(backend, package, python):
    backend.token = 'secret'
    done = command_line(
        package,
        f'--host={backend.url}',
        '--parameter=data_root=7',
        '--parameter=n_clusters=7',
        '--wait=60',
        python=python,
        KFP_TOKEN='secret',
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed['state'] == 'SUCCEEDED'
    assert backend.runs[printed['run_id']]['runtime_config']['parameters'] == {
        'data_root': '7',
        'n_clusters': 7,
    }


def test_the_command_line_ends_with_one_line_on_what_is_wrong(backend, package):
    done = command_line(package, f'--host={backend.url}', '--parameter=data_root')
    assert done.returncode == 1
    assert done.stdout == ''
    assert (
        done.stderr.strip()
        .split('\n')[-1]
        .endswith("--parameter must be NAME=VALUE, not 'data_root'")
    )


def test_the_compiled_taxi_pipeline_is_taken(submit_with, backend):
    parameters = {'n_clusters': 12, 'data_root': '/mnt/taxi/data'}
    submitted = submit_with(TAXI, parameters=parameters, cron='0 2 * * *')
    version = only(backend.versions)
    assert version['pipeline_spec']['pipelineInfo']['name'] == 'taxi-kmeans'
    executors = version['platform_spec']['platforms']['kubernetes']['deploymentSpec']['executors']
    assert 'CsvExampleGen_executor' in executors
    scheduled = backend.recurring_runs[submitted.recurring_run_id]
    assert scheduled['runtime_config']['parameters'] == parameters


def test_the_newer_sdk_parses_both_documents():
    """Kubernetes settings, too, into the message that the backend's driver reads."""
    code = (
        'import sys; from google.protobuf import json_format; '
        'from kfp.kubernetes import kubernetes_executor_config_pb2 as messages; '
        'from kfp.client import client; '
        'document = client._extract_pipeline_yaml(sys.argv[1]).to_dict(); '
        'spec = document["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]; '
        '[json_format.ParseDict(executor, messages.KubernetesExecutorConfig()) '
        'for executor in spec["executors"].values()]; '
        'print(document["pipeline_spec"]["pipelineInfo"]["name"], *spec["executors"])'
    )
    done = subprocess.run(
        [KFP_PYTHON, '-c', code, TAXI], capture_output=True, text=True, check=True
    )
    name, *labels = done.stdout.split()
    assert name == 'taxi-kmeans'
    assert {'CsvExampleGen_executor', 'Pusher_executor'} <= set(labels)
