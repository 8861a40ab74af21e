"""The guide: what can be told of its examples without a cluster."""

import pathlib
import re
import subprocess
import sys

import pytest
import yaml

GUIDE = pathlib.Path(__file__).resolve().parents[2] / 'kubeflow' / 'README.md'
TEXT = GUIDE.read_text()


def fences(language):
    return re.findall(rf'^```{language}\n(.*?)^```$', TEXT, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize('example', fences('python'))
def test_python_is_python(example):
    # a fragment of a call stands for the whole of it
    compile(f'f({example})' if example.startswith('nodes=') else example, 'README.md', 'exec')


@pytest.mark.parametrize('example', fences('sh'))
def test_shell_is_shell(example):
    subprocess.run(['bash', '-n'], input=example, text=True, check=True)


def test_manifests_are_yaml():
    manifests = [*fences('yaml'), *re.findall('<<YAML\n(.*?)^YAML$', TEXT, flags=re.S | re.M)]
    kinds = [document['kind'] for text in manifests for document in yaml.safe_load_all(text)]
    assert sorted(kinds) == ['ConfigMap', 'PersistentVolumeClaim', 'Pod']


def test_files_that_are_named_exist():
    for target in re.findall(r'\]\((?!http)(.*?)\)', TEXT):
        assert (GUIDE.parent / target).exists(), target
    for path in re.findall(r'requirements/[a-z.-]+\.txt', TEXT):
        assert (GUIDE.parent.parent / path).exists(), path


@pytest.mark.parametrize('module', ['submission', 'rehearsal'])
def test_options_of_the_commands_are_known(module):
    known = subprocess.run(
        [sys.executable, '-m', f'tfx_kmeans.kubeflow.{module}', '--help'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    commands = re.findall(rf'kubeflow\.{module} ((?:.*\\\n)*.*)', '\n'.join(fences('sh')))
    assert commands
    for option in re.findall(r'(?<= )--[a-z-]+', ' '.join(commands)):
        assert option in known, option
