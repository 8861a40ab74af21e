"""Which line of TFX a machine is given, and what one that lacks something is told."""

import ast
import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from packaging import requirements, specifiers

from tfx_kmeans import errors, versions

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
LOCKS = {line: REPOSITORY / 'requirements' / f'tfx-{line}.txt' for line in ('1.16', '1.21')}


@pytest.fixture
def bare(tmp_path):
    """A directory of commands for PATH: a shell and what it takes to look for a Python."""
    commands = tmp_path / 'bin'
    commands.mkdir()
    for command in ('sh', 'grep', 'rm', 'touch'):
        (commands / command).symlink_to(shutil.which(command))
    return commands


def make_venv(directory, path, version='3.10'):
    script = REPOSITORY / 'requirements' / 'make_venv.sh'
    environment = {'PATH': str(path), 'HOME': str(directory)}
    return subprocess.run(
        [str(part) for part in (script, directory / 'venv', LOCKS['1.16'], version)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_one_sentence(done, *parts):
    assert done.returncode == 1
    assert done.stdout == ''
    assert done.stderr.count('\n') == 1
    for part in parts:
        assert part in done.stderr


def test_without_the_right_python_it_says_in_one_sentence_what_to_install(tmp_path, bare):
    done = make_venv(tmp_path, bare)
    assert_one_sentence(done, 'install Python 3.10 with its venv module and headers')
    assert not (tmp_path / 'venv').exists()


def test_a_python_of_another_version_will_not_do(tmp_path, bare):
    (bare / 'python3.9').symlink_to(os.path.realpath(shutil.which('python3')))
    assert_one_sentence(make_venv(tmp_path, bare, '3.9'), 'install Python 3.9 with')


def test_without_a_compiler_it_says_in_one_sentence_what_to_install(tmp_path, bare):
    # a stand-in interpreter that passes every check: this test is about the compiler
    stand_in(bare / 'python3.10', 'exit 0')
    assert_one_sentence(make_venv(tmp_path, bare), "install a C++ compiler (Debian's g++)")
    assert not (tmp_path / 'venv').exists()


@pytest.mark.parametrize('line', LOCKS)
def test_a_lock_pins_every_version(line):
    lines = LOCKS[line].read_text().split('\n')
    assert len(lines) > 200
    assert f'tfx=={line}.0' in lines
    assert all(line == '' or '==' in line for line in lines)


# each Python that may install the package, and the line of TFX that it gets
PYTHONS = {'3.10': '1.16', '3.11': '1.21', '3.12': '1.21', '3.13': '1.21'}
# distributions that are not named like the module that they bring
NAMES = {'absl': 'absl-py', 'google': 'protobuf', 'grpc': 'grpcio', 'yaml': 'pyyaml'}
# the kfp SDK, in an environment of its own where it does not go with TFX; and a notebook's display
NOT_REQUIRED = {'kfp', 'kfp_server_api', 'urllib3', 'IPython'}


def setup_argument(name):
    """What setup.py tells setuptools."""
    call = ast.parse((REPOSITORY / 'setup.py').read_text()).body[-1].value
    [value] = [ast.literal_eval(k.value) for k in call.keywords if k.arg == name]
    return value


def required(python, *extras):
    """Requirements of the package on a version of Python, by name."""
    optional = setup_argument('extras_require')
    lines = [*setup_argument('install_requires'), *(r for e in extras for r in optional[e])]
    parsed = [requirements.Requirement(line) for line in lines]
    on_python = {'python_version': python}
    kept = [each for each in parsed if each.marker is None or each.marker.evaluate(on_python)]
    by_name = {each.name: each.specifier for each in kept}
    assert len(by_name) == len(kept)
    return by_name


def modules_imported():
    """Pairs of a library's module and the name of it that is imported, by the whole package."""
    for path in (REPOSITORY / 'components').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((*alias.name.split('.'), '')[:2] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((*node.module.split('.'), alias.name)[:2] for alias in node.names)


def test_every_python_that_may_install_gets_one_line_of_tfx():
    admitted = specifiers.SpecifierSet(setup_argument('python_requires'))
    assert {f'3.{minor}' for minor in range(30) if f'3.{minor}' in admitted} == set(PYTHONS)
    for python, line in PYTHONS.items():
        lines = [f'1.{minor}' for minor in range(40) if f'1.{minor}.0' in required(python)['tfx']]
        assert lines == [line], python


@pytest.mark.parametrize('python', PYTHONS)
def test_every_requirement_has_a_lower_and_an_upper_bound(python):
    for name, bounds in required(python, 'kubeflow', 'demo', 's3').items():
        operators = {bound.operator for bound in bounds}
        # an environment's own pip, of any age, is left alone
        assert operators == ({'>='} if name == 'pip' else {'>=', '<'}), name


@pytest.mark.parametrize('python', PYTHONS)
def test_what_the_package_imports_is_required(python):
    names = required(python, 'kubeflow', 's3')
    found = set()
    for module, name in modules_imported():
        if module in sys.stdlib_module_names | NOT_REQUIRED | {'tfx_kmeans'}:
            if (module, name) != ('kfp', 'pipeline_spec'):
                continue
            module = 'kfp_pipeline_spec'
        found.add(NAMES.get(module, module.replace('_', '-')))
    assert {'absl-py', 'kfp-pipeline-spec', 'pyarrow', 'tfx-bsl'} <= found
    assert found <= set(names)


@pytest.mark.parametrize('python', PYTHONS)
def test_required_beams_are_those_that_the_package_accepts_with_its_tfx(python):
    line = PYTHONS[python]
    for beam in (f'2.{minor}.0' for minor in range(40, 100)):
        try:
            versions.check(f'{line}.0', beam)
            accepted = True
        except errors.UnsupportedVersionsError:
            accepted = False
        if line == '1.16':
            assert (beam in required(python)['apache-beam']) == accepted, beam
        else:
            assert accepted or beam not in required(python)['apache-beam'], beam


@pytest.mark.parametrize('python', PYTHONS)
def test_versions_of_the_lock_are_within_the_bounds(python):
    lock = LOCKS[PYTHONS[python]].read_text().split()
    locked = dict(line.split('==') for line in lock)
    for name, bounds in required(python, 'kubeflow', 'demo', 's3').items():
        assert locked[name] in bounds, f'{name}=={locked[name]}'


def test_this_machine_runs_the_line_that_is_chosen_for_it(tmp_path):
    installed = importlib.metadata.version('tfx')
    done = choose_line(tmp_path, os.environ['PATH'], '.'.join(installed.split('.')[:2]))
    assert installed.startswith(done.stdout.split()[0])


@pytest.fixture
def machine(tmp_path, bare):
    """Makes a machine that has a version of glibc and some versions of Python."""

    def with_versions(glibc, *pythons):
        for command in ('head', 'sort'):
            (bare / command).symlink_to(shutil.which(command))
        stand_in(bare / 'getconf', f'echo glibc {glibc}')
        for version in pythons:
            # looks like a Python that has all that is needed
            stand_in(bare / f'python{version}', 'exit 0')
        return tmp_path, bare

    return with_versions


def stand_in(path, script):
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)


def choose_line(directory, path, *wanted):
    return subprocess.run(
        [str(REPOSITORY / 'requirements' / 'choose_line.sh'), *wanted],
        env={'PATH': str(path), 'HOME': str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ('glibc', 'pythons', 'line'),
    [
        ('2.36', ['3.10'], '1.16'),
        ('2.36', ['3.10', '3.13'], '1.16'),
        ('2.36', [], '1.16'),
        ('2.9', ['3.13'], '1.16'),
        ('2.39', ['3.10', '3.13'], '1.21'),
        ('2.41', ['3.13'], '1.21'),
        ('2.100', ['3.13'], '1.21'),
        ('3.0', ['3.13'], '1.21'),
        ('2.41', ['3.10'], '1.16'),
        ('2.41', [], '1.21'),
    ],
)
def test_the_line_is_the_newest_that_glibc_and_python_run(machine, glibc, pythons, line):
    done = choose_line(*machine(glibc, *pythons))
    assert done.stderr == ''
    chosen, python, *why = done.stdout.split()
    assert (chosen, python) == (line, {'1.16': '3.10', '1.21': '3.13'}[line])
    assert why


def test_the_reason_names_what_the_current_line_needs_and_this_machine_has(machine):
    done = choose_line(*machine('2.36', '3.10'))
    assert 'TFX 1.21 needs glibc 2.39 and this machine has 2.36' in done.stdout


def test_a_line_can_be_asked_for(machine):
    versions = machine('2.41', '3.10', '3.13')
    for line in LOCKS:
        assert choose_line(*versions, line).stdout.split()[0] == line


def test_a_line_that_cannot_run_here_is_refused_with_the_way_to_run_it(machine):
    done = choose_line(*machine('2.36', '3.13'), '1.21')
    assert_one_sentence(done, 'TFX 1.21 needs glibc 2.39', '2.36', 'make test-other-line')


def test_an_unknown_line_is_refused(machine):
    assert_one_sentence(choose_line(*machine('2.41'), '1.17'), "1.16 or 1.21, not '1.17'")


@pytest.fixture
def builder(tmp_path):
    """Runs debian13.sh with stand-ins for what needs root; their scripts by command are given."""
    commands, cache = tmp_path / 'bin', tmp_path / 'cache'
    commands.mkdir()
    stand_ins = {
        'id': 'echo 0',
        'sleep': 'exit 0',
        'mount': 'exit 0',
        'apt-get': 'exit 1',
        # runs the command in no namespace
        'unshare': 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
        'debootstrap': f'for a; do case $a in {cache}/*) root=$a ;; esac; done\n'
        'mkdir -p "$root/etc/ssl/certs" "$root/tmp" "$root/dev" "$root/proc" || exit\n'
        f'echo built >> {tmp_path}/built',
        'chroot': 'echo entered "$1"; ls "$1/checkout"',
    }
    environment = {
        **os.environ,
        'PATH': f'{commands}:{os.environ["PATH"]}',
        'XDG_CACHE_HOME': str(cache),
        'HOME': str(tmp_path),
    }

    def build(**scripts):
        for command, script in {**stand_ins, **scripts}.items():
            stand_in(commands / command, script)
        return subprocess.run(
            [str(REPOSITORY / 'requirements' / 'debian13.sh'), 'true'],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return build


def root_file_systems(directory):
    return list((directory / 'cache' / 'tfx-kmeans').glob('debian13-*'))


def test_who_is_not_root_is_told_how_to_make_the_root_file_system(builder, tmp_path):
    assert_one_sentence(builder(id='echo 1000'), "try 'sudo make test-other-line'")
    assert not root_file_systems(tmp_path)


def test_where_namespaces_cannot_be_made_it_says_what_it_takes(builder, tmp_path):
    assert_one_sentence(builder(unshare='exit 1'), 'CAP_SYS_ADMIN', 'privileged')
    assert not root_file_systems(tmp_path)


def test_the_root_file_system_is_made_once_and_has_a_copy_of_the_checkout(builder, tmp_path):
    for _ in range(2):
        done = builder()
        assert done.returncode == 0, done.stderr
        (root,) = root_file_systems(tmp_path)
        assert f'entered {root}\n' in done.stdout
        assert 'setup.py' in done.stdout
    assert (tmp_path / 'built').read_text() == 'built\n'


def test_a_new_root_file_system_takes_the_place_of_one_of_another_recipe(builder, tmp_path):
    old = tmp_path / 'cache' / 'tfx-kmeans' / 'debian13-0123456789ab'
    old.mkdir(parents=True)
    assert builder().returncode == 0
    (root,) = root_file_systems(tmp_path)
    assert root != old


def test_a_root_file_system_that_failed_is_tried_again_and_leaves_nothing(builder, tmp_path):
    half = f'for a; do case $a in {tmp_path}/*) mkdir -p "$a/etc" ;; esac; done'
    done = builder(debootstrap=f'{half}; echo tried >> {tmp_path}/tries; echo no network; exit 1')
    assert done.returncode == 1
    assert 'no network' in done.stderr
    assert 'debootstrap.log says more' in done.stderr
    assert (tmp_path / 'tries').read_text() == 'tried\n' * 3
    assert not root_file_systems(tmp_path)


def find_chromium(path):
    script = REPOSITORY / 'requirements' / 'find_chromium.sh'
    return subprocess.run(
        [str(script)], env={'PATH': str(path)}, capture_output=True, text=True, check=False
    )


def test_chromium_is_taken_where_it_is(bare):
    stand_in(bare / 'google-chrome', 'exit 0')
    assert find_chromium(bare).stdout == f'{bare}/google-chrome\n'


def test_without_chromium_it_says_in_one_sentence_what_to_install(bare):
    (bare / 'id').symlink_to(shutil.which('id'))
    assert_one_sentence(find_chromium(bare), "install it (Debian's chromium, or Chrome)")
