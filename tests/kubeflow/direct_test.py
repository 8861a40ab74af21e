"""Nodes that write gs:// URIs themselves, by TensorFlow's own layer, to a store on loopback."""

import os
import pathlib

import pytest

from support import gcs_server, nodes, pipelines
from tfx_kmeans import errors, kubeflow
from tfx_kmeans.kubeflow import staging

TESTS = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def server(tmp_path):
    with gcs_server.Server(tmp_path) as running:
        yield running


def rehearse(tmp_path, server):
    """Save writes to the store itself; the launcher stages its model for Load."""
    save = nodes.Save()
    pipeline = pipelines.make(
        save, nodes.Load(model=save.outputs['model']), root='gs://bucket/root'
    )
    direct = kubeflow.Settings(env={staging.DIRECT_VARIABLE: 'gs'})
    kubeflow.compile(pipeline, tmp_path / 'p.yaml', 'image', nodes={'Save': direct})
    path = os.pathsep.join([str(TESTS), os.environ.get('PYTHONPATH', '')])
    return kubeflow.local_run(
        tmp_path / 'p.yaml',
        workdir=tmp_path / 'work',
        store=server,
        env={**server.environment, 'PYTHONPATH': path},
        report=lambda line: None,
    )


def test_a_node_reads_what_another_wrote_to_the_store_itself(tmp_path, server):
    result = rehearse(tmp_path, server)
    assert 'the value is 7.0' in (result.logs / 'Load.log').read_text()
    model = result.outputs['Save']['model'].uri.removeprefix('gs://bucket/')
    assert f'{model}/Format-Serving/saved_model.pb' in server.names()
    assert not [name for name in server.names(model) if name.endswith('/')]


def test_without_the_mend_the_launcher_of_the_reader_fails(tmp_path, server, monkeypatch):
    """The store does keep what TensorFlow makes for directories, and that is what it fails on."""
    (tmp_path / 'sitecustomize.py').write_text(
        'from tfx.dsl.io import fileio\nfileio.walk = lambda uri: ()\n'
    )
    monkeypatch.setenv(
        'PYTHONPATH', os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    )
    with pytest.raises(errors.NodeFailedError, match=r'Load: .*(Not a directory|File exists)'):
        rehearse(tmp_path, server)
    assert [name for name in server.names() if name.endswith('model/')]
