"""What a machine that lacks something is told, by the script behind `make venv`."""

import os
import pathlib
import shutil
import subprocess

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
LOCK = REPOSITORY / 'requirements' / 'tfx-1.16.txt'


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
        [str(part) for part in (script, directory / 'venv', LOCK, version)],
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
    (bare / 'python3.10').write_text('#!/bin/sh\nexit 0\n')
    (bare / 'python3.10').chmod(0o755)
    assert_one_sentence(make_venv(tmp_path, bare), "install a C++ compiler (Debian's g++)")
    assert not (tmp_path / 'venv').exists()


def test_the_lock_pins_every_version():
    lines = LOCK.read_text().split('\n')
    assert len(lines) > 200
    assert all(line == '' or '==' in line for line in lines)
