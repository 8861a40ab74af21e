"""The Dockerfiles, read; `buildah bud` or `docker build` builds them where there is a builder."""

import ast
import fnmatch
import pathlib
import re
import shlex

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# every lock has its image
LINES = sorted(
    path.stem.removeprefix('tfx-') for path in (REPOSITORY / 'requirements').glob('tfx-*.txt')
)


def read(line):
    return (REPOSITORY / 'kubeflow' / f'Dockerfile.tfx-{line}').read_text()


def stages(text):
    """The instructions of each stage, as (name, argument) pairs; ARGs before them left out."""
    text = re.sub(r'^\s*#.*\n', '', text, flags=re.MULTILINE)
    instructions = re.sub(r'\\\n\s*', '', text).strip().split('\n')
    pairs = [line.split(maxsplit=1) for line in instructions if line]
    starts = [i for i, (name, _) in enumerate(pairs) if name == 'FROM']
    return [pairs[i:j] for i, j in zip(starts, [*starts[1:], None], strict=True)]


def arguments(stage, name):
    return [argument for instruction, argument in stage if instruction == name]


def copied_from_here(line):
    for stage in stages(read(line)):
        for argument in arguments(stage, 'COPY'):
            if not argument.startswith('--from='):
                yield shlex.split(argument)


def installed(line):
    """Names of the distributions that go into the image."""
    [install] = [a for a in arguments(stages(read(line))[0], 'RUN') if 'kfp-pipeline-spec' in a]
    command = shlex.split(install.split('&&')[0])
    return set(command[command.index('/lock.txt') + 1 :])


@pytest.mark.parametrize('line', LINES)
def test_every_path_that_is_copied_exists_and_is_sent_to_the_builder(line):
    ignored = (REPOSITORY / '.dockerignore').read_text().split()
    for source, target in copied_from_here(line):
        assert (REPOSITORY / source).exists(), source
        assert target.startswith('/')
        assert f'!{source.split("/")[0]}' in ignored
    assert '*' in ignored


@pytest.mark.parametrize('line', LINES)
def test_what_the_package_requires_is_installed_at_the_version_of_the_lock(line):
    call = ast.parse((REPOSITORY / 'setup.py').read_text()).body[-1].value
    [required] = [ast.literal_eval(k.value) for k in call.keywords if k.arg == 'install_requires']
    assert {re.match('[a-z-]+', name).group() for name in required} <= installed(line)
    lock = (REPOSITORY / 'requirements' / f'tfx-{line}.txt').read_text()
    assert f'requirements/tfx-{line}.txt /lock.txt' in read(line)
    for name in installed(line) | {'uv'}:
        assert f'\n{name}==' in f'\n{lock}', name


@pytest.mark.parametrize('line', LINES)
def test_neither_compiler_nor_root_is_in_the_final_stage(line):
    build, final = stages(read(line))
    assert any('g++' in run for run in arguments(build, 'RUN'))
    assert not any('apt-get' in run for run in arguments(final, 'RUN'))
    # Kubernetes can tell only from a number that a user is not root
    user, group = arguments(final, 'USER')[-1].split(':')
    assert int(user) > 0
    assert int(group) > 0
    assert final[-1][0] == 'USER'


@pytest.mark.parametrize('line', LINES)
def test_any_user_has_python_the_code_and_a_home(line):
    final = stages(read(line))[-1]
    environment = dict(pair.split('=', 1) for pair in shlex.split(arguments(final, 'ENV')[0]))
    assert environment['PATH'].startswith('/opt/venv/bin:')
    copied = [target for _, target in copied_from_here(line)]
    assert set(environment['PYTHONPATH'].split(':')) <= set(copied)
    assert f'--mode=1777 {environment["HOME"]}' in arguments(final, 'RUN')[-1]


def test_the_images_differ_in_their_versions_alone():
    versions = {'1.16': ('3.10', 'bookworm', '12'), '1.21': ('3.13', 'trixie', '13')}
    texts = []
    for line, (python, debian, number) in versions.items():
        text = read(line).replace(line, 'LINE').replace(python, 'PYTHON').replace(debian, 'DEBIAN')
        texts.append(re.sub(rf'Debian {number} or newer.*', 'Debian', text))
    assert texts[0] == texts[1]


def test_the_schema_is_where_the_compiled_pipeline_looks_for_it():
    runner = (REPOSITORY / 'kubeflow' / 'kubeflow_runner.py').read_text()
    schema = re.search("SCHEMA = '/app/(.*)'", runner).group(1)
    assert (REPOSITORY / schema).exists()
    assert ['schemas', '/app/schemas'] in list(copied_from_here(LINES[0]))


def test_nothing_but_sources_is_sent_to_the_builder():
    ignored = (REPOSITORY / '.dockerignore').read_text().split()
    for path in ('components/tfx_kmeans/__pycache__', 'components/tfx_kmeans.egg-info'):
        assert any(fnmatch.fnmatch(path, pattern) for pattern in ignored)
