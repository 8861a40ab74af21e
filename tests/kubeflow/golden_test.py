"""What the taxi pipeline compiles to, held in golden/ so that a review shows what a change does.

RENEW_GOLDEN=1 .venv-1.16/bin/python -m pytest tests/kubeflow/golden_test.py

writes the files anew. They are the same on every supported line of TFX but for its version, which
is not compared.
"""

import importlib.util
import os
import pathlib
import re

import pytest

from support import demos
from tfx_kmeans import kubeflow
from tfx_kmeans.kubeflow import ir

GOLDEN = pathlib.Path(__file__).with_name('golden')
OPTIONS = {
    'taxi-kmeans.yaml': [],
    'taxi-kmeans.json': ['--vertex', '--pipeline_root', 'gs://bucket/taxi'],
}


def without_versions(text):
    """The file without the versions of TFX and Python that compiled it."""
    text = re.sub(r'(sdkVersion"?: "?)tfx-[\w.]+', r'\1tfx', text)
    return re.sub(r'("tfx_(py_)?version": )"[\w-]+"', r'\1""', text)


@pytest.fixture(scope='module')
def compiled(tmp_path_factory):
    """The directory of the files that kubeflow_runner.py writes."""
    directory = tmp_path_factory.mktemp('compiled')
    path = demos.REPOSITORY / 'kubeflow' / 'kubeflow_runner.py'
    module = importlib.util.spec_from_file_location('kubeflow_runner', path)
    runner = importlib.util.module_from_spec(module)
    module.loader.exec_module(runner)
    for name, options in OPTIONS.items():
        runner.main(['--image', 'tfx-kmeans:1', '--output', str(directory / name), *options])
        if os.environ.get('RENEW_GOLDEN'):
            (GOLDEN / name).write_text((directory / name).read_text())
    return directory


@pytest.mark.parametrize('name', OPTIONS)
def test_taxi_pipeline_compiles_to_the_golden_file(compiled, name):
    actual = without_versions((compiled / name).read_text())
    assert actual == without_versions((GOLDEN / name).read_text())


@pytest.mark.parametrize('name', OPTIONS)
def test_golden_files_are_valid_with_defaults_for_every_parameter(name):
    kubeflow.validate(GOLDEN / name, parameters={})


def test_data_root_clusters_and_training_steps_are_parameters():
    parameters = {'data_root': '/d', 'n_clusters': 5, 'train_args': '{"num_steps": 10}'}
    kubeflow.validate(GOLDEN / 'taxi-kmeans.yaml', parameters=parameters)


def test_both_targets_run_the_same_tasks_on_the_same_inputs():
    tasks = [ir.Compiled.read(GOLDEN / name).spec['root']['dag']['tasks'] for name in OPTIONS]
    assert len(tasks[0]) == 12
    for task in [*tasks[0].values(), *tasks[1].values()]:
        task.pop('cachingOptions')
        task.pop('retryPolicy', None)
    assert tasks[0] == tasks[1]
