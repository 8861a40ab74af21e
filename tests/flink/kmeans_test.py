"""KMeans(engine='beam') through TFX on a Flink cluster, with workers outside this process."""

import pathlib
import sys
import sysconfig

import numpy as np
import pytest

from support import flink_runs
from tfx_kmeans import Clustering
from tfx_kmeans.beam import worker

RESTARTS = {
    'restart__strategy_type': 'fixed-delay',
    'restart__strategy_fixed__delay_attempts': 20,
    # longer than it takes to know that a task manager is dead: two heartbeats
    'restart__strategy_fixed__delay_delay': '10 s',
}


def assert_same(found, expected):
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-6)
    assert found.cluster_weights == pytest.approx(expected.cluster_weights, rel=1e-6)
    assert found.inertia == pytest.approx(expected.inertia, rel=1e-6)
    assert found.eval_inertia == pytest.approx(expected.eval_inertia, rel=1e-6)


def read(directory):
    (uri,) = flink_runs.published(directory)
    return Clustering.read(uri)


@pytest.mark.parametrize('task_managers', [1, 2])
def test_centroids_are_those_of_the_local_runner(
    task_managers, start, job_server, transformed, local, tmp_path
):
    with start(task_managers=task_managers) as cluster:
        args = flink_runs.beam_args(cluster, job_server, parallelism=task_managers)
        flink_runs.run_kmeans(tmp_path, transformed, args)
        logs = cluster.logs()
    assert_same(read(tmp_path), local)
    for number in range(task_managers):
        assert str(flink_runs.WORKER) in logs[f'task-manager-{number}']


def test_a_fit_survives_the_death_of_a_task_manager(
    start, job_server, transformed, local, tmp_path
):
    with start(task_managers=2, slots=2, **RESTARTS) as cluster:
        args = flink_runs.beam_args(cluster, job_server)
        with flink_runs.killing(cluster, 'task-manager-1') as job:
            flink_runs.run_kmeans(tmp_path, transformed, args)
        happened = cluster.get(f'jobs/{job["id"]}/exceptions')
    assert happened['exceptionHistory']['entries']
    assert_same(read(tmp_path), local)


def test_a_fit_without_restarts_fails_with_the_task_manager_and_publishes_nothing(
    start, job_server, transformed, tmp_path
):
    with start(task_managers=2) as cluster:
        args = flink_runs.beam_args(cluster, job_server)
        with (
            flink_runs.killing(cluster, 'task-manager-1'),
            pytest.raises(
                RuntimeError, match='a worker of the Beam job was lost for good'
            ) as error,
        ):
            flink_runs.run_kmeans(tmp_path, transformed, args)
    assert 'restart-strategy' in str(error.value)
    assert not flink_runs.published(tmp_path)
    assert not list(tmp_path.rglob('clustering.json'))


@pytest.fixture
def bare_worker(tmp_path):
    """A command that runs a worker in an environment that lacks nothing but this package."""
    packages = tmp_path / 'packages'
    packages.mkdir()
    # the package is found by a .pth file or folder beside its requirements: link all the others
    for path in pathlib.Path(sysconfig.get_path('purelib')).iterdir():
        if 'tfx_kmeans' not in path.name:
            (packages / path.name).symlink_to(path)
    boot = tmp_path / 'boot.py'
    boot.write_text(
        'import runpy, sys\n'
        'sys.path[:] = [path for path in sys.path if "site-packages" not in path]\n'
        f'sys.path.append({str(packages)!r})\n'
        f'runpy.run_path({worker.__file__!r}, run_name="__main__")\n'
    )
    command = tmp_path / 'worker'
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {boot} "$@"\n')
    command.chmod(0o755)
    return command


def test_workers_without_the_package_are_told_from_others(
    start, job_server, transformed, bare_worker, tmp_path
):
    with start() as cluster:
        args = flink_runs.beam_args(cluster, job_server, parallelism=1, worker=bare_worker)
        with pytest.raises(RuntimeError, match="no module 'tfx_kmeans'") as error:
            flink_runs.run_kmeans(tmp_path, transformed, args)
    assert '--extra_package' in str(error.value)
    assert not flink_runs.published(tmp_path)
