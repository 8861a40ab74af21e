"""The backend's contract, on quick nodes: what they are given, and what is taken from them."""

import json
import os

import pytest

from support import handmade
from tfx_kmeans import errors
from tfx_kmeans.kubeflow import local_run, rehearsal, stores

WRITE = """
os.makedirs(stage(outputs('model')['uri']) + '/empty')
open(stage(outputs('model')['uri']) + '/weights', 'w').write('1 2 3')
"""
SHOW = 'print(json.dumps(told))'


@pytest.fixture
def rehearse(tmp_path):
    """Rehearses nodes; returns the Result and the lines that were reported."""

    def run(nodes, parameters=None, given=None, **options):
        lines = []
        path = handmade.write(tmp_path / 'pipeline.yaml', nodes, parameters)
        options = {'workdir': tmp_path / 'work', 'report': lines.append, **options}
        return local_run(path, given, **options), lines

    return run


def shown(result, node):
    """The executor input that a node with the code SHOW was given."""
    return json.loads((result.logs / f'{node}.log').read_text())


def test_files_and_metadata_go_from_node_to_node_but_no_empty_directory(rehearse):
    leave = "leave(artifacts={'model': {'artifacts': [{'metadata': {'auc': 0.9}}]}})"
    read = """
root = stage(inputs('model')['uri'])
print(sorted(os.listdir(root)), open(root + '/weights').read(), inputs('model')['metadata']['auc'])
"""
    result, _ = rehearse(
        {
            'Trainer': handmade.node(WRITE + leave),
            'Evaluator': handmade.node(read, {'model': ('Trainer', 'model')}, outputs=()),
        }
    )
    assert (result.logs / 'Evaluator.log').read_text() == "['weights'] 1 2 3 0.9\n"
    assert result.outputs['Trainer']['model'].metadata['auc'] == 0.9
    assert result.store.path(result.outputs['Trainer']['model'].uri).name == 'model'


def test_a_node_sees_nothing_that_another_left_beside_its_outputs(rehearse):
    code = "where = stage('minio://elsewhere'); print(os.path.exists(where)); os.makedirs(where)"
    result, _ = rehearse({'A': handmade.node(code), 'B': handmade.node(code)})
    assert (result.logs / 'A.log').read_text() == (result.logs / 'B.log').read_text() == 'False\n'


@pytest.mark.parametrize(
    ('backend', 'logs', 'beside'),
    [
        ('2.0', False, False),
        ('2.4.1', False, False),
        ('2.5', True, False),
        ('2.15', True, True),
        ('2.17', True, True),
    ],
)
def test_a_node_is_told_what_its_backend_tells(rehearse, backend, logs, beside):
    result, _ = rehearse(
        {
            'Trainer': handmade.node(WRITE),
            'Pusher': handmade.node(SHOW, {'model': ('Trainer', 'model')}, outputs=('pushed',)),
        },
        backend=backend,
        pipeline_root='s3://bucket/root/',
    )
    told = shown(result, 'Pusher')
    (given,) = told['inputs']['artifacts']['model']['artifacts']
    assert given['type'] == {'instanceSchema': ''}
    assert given['name'].isdigit()
    assert given['metadata']['display_name'] == 'model'
    assert given['uri'].startswith('s3://bucket/root/by-hand/')
    (made,) = told['outputs']['artifacts']['pushed']['artifacts']
    assert made['type'] == handmade.SCHEMA['artifactType']
    assert ('executor-logs' in told['outputs']['artifacts']) is logs
    assert ('/s3/bucket/root/' in told['outputs']['outputFile']) is beside
    assert told['outputs']['outputFile'].endswith(
        'output_metadata.json' if beside else '/tmp/kfp_outputs/output_metadata.json'
    )


def test_the_log_is_an_artifact_too(rehearse):
    result, _ = rehearse({'A': handmade.node("print('hello'); print('there', file=sys.stderr)")})
    log = result.outputs['A']['executor-logs']
    assert sorted(result.store.path(log.uri).read_text().split()) == ['hello', 'there']


def test_parameters_have_the_types_and_defaults_that_the_pipeline_declares(rehearse):
    declared = {
        'steps': {'parameterType': 'NUMBER_INTEGER', 'defaultValue': 10},
        'root': {'parameterType': 'STRING'},
    }
    node = handmade.node(
        SHOW,
        parameters={
            'steps': ('STRING', {'componentInputParameter': 'steps'}),
            'root': ('STRING', {'componentInputParameter': 'root'}),
            'rate': ('NUMBER_DOUBLE', handmade.constant(0.5)),
        },
    )
    result, _ = rehearse({'A': node}, declared, {'root': '/data'})
    assert shown(result, 'A')['inputs']['parameterValues'] == {
        'steps': '10',
        'root': '/data',
        'rate': 0.5,
    }


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({}, r"parameters \['root'\] have no default: give their values"),
        ({'root': 3}, "parameter 'root' must be of type STRING, got 3"),
        ({'root': '/', 'rot': 1}, r"parameters \['rot'\] are none of the pipeline, which has"),
    ],
)
def test_parameters_that_the_backend_refuses_are_refused_before_anything_runs(
    rehearse, tmp_path, given, message
):
    with pytest.raises(ValueError, match=message):
        rehearse({'A': handmade.node('')}, {'root': {'parameterType': 'STRING'}}, given)
    assert not (tmp_path / 'work').exists()


def test_a_node_whose_parameter_is_not_of_its_type_fails(rehearse):
    node = handmade.node('', parameters={'steps': ('NUMBER_INTEGER', handmade.constant('ten'))})
    with pytest.raises(errors.NodeFailedError, match=r'A: parameter .steps. must be of type'):
        rehearse({'A': node})


@pytest.mark.parametrize(
    ('leave', 'message'),
    [
        ('leave(artefacts={})', 'A: the backend cannot read the output file .*artefacts'),
        (
            "leave(artifacts={'model': {'artifacts': [{'metadata': {'auc': None}}]}})",
            r"A: metadata \['auc'\] of output 'model' is null, which the backend refuses",
        ),
        (
            "leave(artifacts={'model': {'artifacts': [{'uri': '/minio/x'}]}})",
            "A: output 'model' came back as /minio/x, which is not below minio://",
        ),
    ],
)
def test_an_output_file_that_the_backend_refuses_fails_the_node(rehearse, leave, message):
    with pytest.raises(errors.NodeFailedError, match=message):
        rehearse({'A': handmade.node(leave)})


def test_a_failing_node_ends_the_run_with_its_own_message_last(rehearse, tmp_path):
    code = "try:\n  1 / 0\nexcept ZeroDivisionError:\n  raise ValueError('split is\\nempty')"
    with pytest.raises(errors.NodeFailedError) as caught:
        rehearse(
            {
                'A': handmade.node(code),
                'B': handmade.node('', {'model': ('A', 'model')}),
            }
        )
    log = tmp_path / 'work' / 'logs' / 'A.log'
    assert str(caught.value) == (
        f'A failed: exit code 1, log in {log}\nValueError: split is\nempty'
    )
    assert not (tmp_path / 'work' / 'logs' / 'B.log').exists()
    assert not list((tmp_path / 'work').rglob('output_metadata.json'))


def test_a_failing_node_without_a_traceback_shows_the_end_of_its_log(rehearse):
    code = "print(*range(100), sep='\\n'); sys.exit(3)"
    with pytest.raises(errors.NodeFailedError, match=r'exit code 3(?s:.*)\n98\n99$'):
        rehearse({'A': handmade.node(code)})


def test_retries_begin_with_an_empty_root_and_are_told(rehearse, tmp_path):
    code = f"""
count = {str(tmp_path / 'count')!r}
attempt = len(open(count).read()) if os.path.exists(count) else 0
open(count, 'a').write('x')
os.makedirs(stage(outputs('model')['uri']))
if attempt < 2:
    raise RuntimeError('not yet')
"""
    result, lines = rehearse({'A': handmade.node(code, retryPolicy={'maxRetryCount': 2})})
    assert sum('trying again' in line for line in lines) == 2
    assert list(result.seconds) == ['A']


def test_nodes_that_do_not_depend_on_each_other_run_at_once(rehearse, tmp_path):
    # each waits for the other
    code = """
import pathlib, time
pathlib.Path({mine!r}).touch()
while not os.path.exists({other!r}):
    time.sleep(0.01)
"""
    a, b = str(tmp_path / 'a'), str(tmp_path / 'b')
    nodes = {
        'A': handmade.node(code.format(mine=a, other=b)),
        'B': handmade.node(code.format(mine=b, other=a)),
    }
    assert set(rehearse(nodes, jobs=2)[0].seconds) == {'A', 'B'}


def test_a_node_gets_no_secret_of_the_host_and_no_home_of_a_user(rehearse, monkeypatch, tmp_path):
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', 'secret')
    monkeypatch.setenv('KFP_TOKEN', 'secret')
    node = handmade.node('print(json.dumps(dict(os.environ)))')
    result, _ = rehearse({'A': node}, env={'ASKED_FOR': 'yes'})
    environment = json.loads((result.logs / 'A.log').read_text())
    assert 'secret' not in environment.values()
    assert environment['ASKED_FOR'] == 'yes'
    assert environment['HOME'] == str(tmp_path / 'work/nodes/A/home')
    assert environment['PATH'] == os.environ['PATH']


@pytest.mark.parametrize('name', ['..', '../../elsewhere', '.', '/tmp/a', 'a/b'])
def test_names_of_nodes_cannot_leave_the_work_directory(rehearse, tmp_path, name):
    (tmp_path / 'work' / 'mine').mkdir(parents=True)
    with pytest.raises(ValueError, match='a node id takes letters, digits and hyphens alone'):
        rehearse({name: handmade.node('')})
    assert (tmp_path / 'work' / 'mine').exists()


@pytest.mark.parametrize('name', ['..', '../../../elsewhere', '/tmp/a'])
def test_names_of_outputs_and_pipelines_cannot_leave_the_work_directory(rehearse, name):
    with pytest.raises(ValueError, match='cannot be a part of a URI'):
        rehearse({'A': handmade.node('', outputs=(name,))})


def test_the_name_of_a_pipeline_cannot_leave_the_work_directory(tmp_path):
    fields = {'pipelineInfo': {'name': '../../elsewhere'}}
    path = handmade.write(tmp_path / 'p.yaml', {'A': handmade.node('')}, **fields)
    with pytest.raises(ValueError, match=r"'../../elsewhere' is no name of a pipeline"):
        local_run(path)


def test_a_uri_that_a_node_gives_cannot_leave_the_store(rehearse):
    leave = """
leave(artifacts={'model': {'artifacts': [{'uri': outputs('model')['uri'] + '/../../../../../x'}]}})
"""
    with pytest.raises(errors.NodeFailedError, match=r'leads out of where it is by "\.\."'):
        rehearse({'A': handmade.node(leave)})


def test_an_import_from_another_bucket_fails_as_the_launcher_fails_it(rehearse):
    nodes = {'Importer': handmade.importer({'constant': 's3://models/old'})}
    with pytest.raises(errors.NodeFailedError, match="Importer: it imports 's3://models/old'"):
        rehearse(nodes)
    result, _ = rehearse(nodes, backend='2.5')
    assert result.outputs['Importer']['model'].uri == 's3://models/old'


def test_environment_comes_from_the_pipeline_and_from_the_caller(rehearse):
    node = handmade.node("print(os.environ['ONE'], os.environ['TWO'])")
    node['executor']['container']['env'] = [{'name': 'ONE', 'value': '1'}]
    result, _ = rehearse({'A': node}, env={'TWO': '2'})
    assert (result.logs / 'A.log').read_text() == '1 2\n'


@pytest.mark.parametrize(('auc', 'pushed'), [(0.95, True), (0.5, False)])
def test_a_condition_decides_about_a_node_and_those_after_it(rehearse, auc, pushed):
    leave = f"leave(artifacts={{'model': {{'artifacts': [{{'metadata': {{'auc': {auc}}}}}]}}}})"
    condition = "(inputs.artifacts['model'].artifacts[0].metadata['auc'] > 0.9)"
    result, lines = rehearse(
        {
            'Trainer': handmade.node(leave),
            'Pusher': handmade.node(
                '', {'model': ('Trainer', 'model')}, triggerPolicy={'condition': condition}
            ),
            'After': handmade.node('', {'model': ('Pusher', 'model')}),
        }
    )
    assert result.skipped == (() if pushed else ('After', 'Pusher'))
    assert sum('skipped' in line for line in lines) == len(result.skipped)


def test_a_condition_that_the_backend_cannot_evaluate_fails_the_node(rehearse):
    condition = "(inputs.artifacts['model'].artifacts[0].metadata['auc'] > 0.9)"
    nodes = {
        'A': handmade.node(''),
        'B': handmade.node('', {'model': ('A', 'model')}, triggerPolicy={'condition': condition}),
    }
    with pytest.raises(errors.NodeFailedError, match=r"B: condition .* no such key: 'auc'"):
        rehearse(nodes)


def test_what_is_imported_comes_from_the_store_with_its_metadata(rehearse, tmp_path):
    (tmp_path / 'weights').write_text('4 5 6')
    store = stores.DirectoryStore(tmp_path / 'buckets')
    store.upload(tmp_path / 'weights', 's3://models/old/weights')
    importer = handmade.importer({'runtimeParameter': 'uri'})
    importer['task']['inputs']['parameters'] = {'uri': {'componentInputParameter': 'old'}}
    show = "print(open(stage(inputs('model')['uri']) + '/weights').read()); " + SHOW
    result, _ = rehearse(
        {
            'Importer': importer,
            'Trainer': handmade.node(show, {'model': ('Importer', 'model')}),
        },
        {'old': {'parameterType': 'STRING'}},
        {'old': 's3://models/old'},
        store=store,
        pipeline_root='s3://models/runs',
    )
    weights, told = (result.logs / 'Trainer.log').read_text().splitlines()
    assert weights == '4 5 6'
    metadata = json.loads(told)['inputs']['artifacts']['model']['artifacts'][0]['metadata']
    # the backend's store knows neither bare lists nor bools
    assert metadata['splits'] == {'list': ['train', 'eval']}
    assert (metadata['span'], metadata['good']) == (7, 1)


def test_an_import_of_nothing_fails_the_node_that_wants_it(rehearse, tmp_path):
    nodes = {
        'Importer': handmade.importer({'constant': 's3://models/old'}),
        'Trainer': handmade.node('', {'model': ('Importer', 'model')}),
    }
    place = tmp_path / 'work' / 'store' / 's3' / 'models' / 'old'
    with pytest.raises(errors.NodeFailedError, match=f'Trainer: .*nothing is at {place}'):
        rehearse(nodes, pipeline_root='s3://models/runs')


def test_placeholders_are_filled_as_the_launcher_fills_them(rehearse):
    node = handmade.node(
        'print(sys.argv[2:])', parameters={'steps': ('NUMBER_INTEGER', handmade.constant(10))}
    )
    node['executor']['container']['args'] = [
        "--steps={{$.inputs.parameters['steps']}}",
        "{{$.outputs.artifacts['model'].uri}}",
        "{{$.outputs.artifacts['model'].path}}",
    ]
    result, _ = rehearse({'A': node}, pipeline_root='gs://bucket')
    printed = (result.logs / 'A.log').read_text()
    assert printed.startswith("['--steps=10', 'gs://bucket/by-hand/")
    assert '/nodes/A/gcs/bucket/by-hand/' in printed


def test_a_node_that_relies_on_the_entrypoint_of_its_image_is_refused(rehearse):
    node = handmade.node('')
    node['executor']['container']['command'] = []
    with pytest.raises(errors.NodeFailedError, match="A: the entrypoint of image 'any' is not"):
        rehearse({'A': node})


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'backend': '1.8'}, "backend must be a version such as '2.5' or '2.17', got '1.8'"),
        ({'jobs': 0}, 'jobs must be at least 1, got 0'),
        ({'pipeline_root': '/tmp/root'}, "pipeline_root must begin with .*; got '/tmp/root'"),
    ],
)
def test_arguments_are_checked(rehearse, options, message):
    with pytest.raises(ValueError, match=message):
        rehearse({'A': handmade.node('')}, **options)


def test_command_line_reads_parameters_by_their_type_and_shows_the_way(tmp_path, capsys):
    parameters = {'steps': ('NUMBER_INTEGER', {'componentInputParameter': 'steps'})}
    path = handmade.write(
        tmp_path / 'pipeline.yaml',
        {'Trainer': handmade.node(SHOW, parameters=parameters)},
        {'steps': {'parameterType': 'NUMBER_INTEGER'}},
    )
    arguments = [str(path), '--workdir', str(tmp_path / 'work'), '--parameter']
    assert rehearsal.main([*arguments, 'steps=12']) == 0
    printed = capsys.readouterr()
    assert 'Rehearsing by-hand' in printed.out
    assert '  Trainer  ' in printed.out
    log = (tmp_path / 'work' / 'logs' / 'Trainer.log').read_text()
    assert json.loads(log)['inputs']['parameterValues'] == {'steps': 12}
    assert rehearsal.main([*arguments, 'steps=twelve']) == 1
    assert capsys.readouterr().err == (
        'parameter \'steps\' must be of type NUMBER_INTEGER, got "twelve"\n'
    )


def test_command_line_fails_with_the_message_of_the_node_last(tmp_path, capsys):
    path = handmade.write(tmp_path / 'p.yaml', {'A': handmade.node("raise ValueError('no data')")})
    assert rehearsal.main([str(path), '--workdir', str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith('\nValueError: no data\n')
