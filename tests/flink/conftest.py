"""What the tests on Flink share: its jars, clusters, and what the local runner makes of it all."""

import os
import sys

import pytest

from support import flink_cluster, flink_jars, flink_runs
from tfx_kmeans import Clustering


@pytest.fixture(autouse=True, scope='session')
def bare_command_line():
    """TFX reads the command line for flags of its own, and takes pytest's for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', sys.argv[:1])
        yield


@pytest.fixture(scope='session')
def jars():
    """The directory of the jars, and the job server; without them there is nothing to test."""
    try:
        return flink_jars.fetch()
    except flink_jars.MissingError as error:
        if os.environ.get('FLINK') == 'required':
            raise
        pytest.skip(f'no Flink here: {error}')


@pytest.fixture
def job_server(jars):
    return jars[1]


@pytest.fixture(scope='module')
def start(jars, tmp_path_factory):
    """Describes a cluster, as flink_cluster.FlinkCluster does."""

    def describe(**options):
        directory = tmp_path_factory.mktemp('flink')
        return flink_cluster.FlinkCluster(jars[0], directory, **options)

    return describe


@pytest.fixture(scope='session')
def local(transformed, tmp_path_factory):
    """What KMeans(engine='beam') makes of the data in this process: a Clustering."""
    directory = tmp_path_factory.mktemp('local')
    flink_runs.run_kmeans(directory, transformed, [])
    (uri,) = flink_runs.published(directory)
    return Clustering.read(uri)
