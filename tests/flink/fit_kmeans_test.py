"""FitKMeans in pipelines of one's own on a Flink cluster, and what has to be staged for these."""

import pathlib
import zipfile

import apache_beam as beam
import numpy as np
import pytest

from support import clustering, flink_runs, reference
from tfx_kmeans.beam import RequireModules

TESTS = pathlib.Path(__file__).parent.parent
PARTS = clustering.batches(*reference.sample(0, n=2000)[:2])
OPTIONS = {'n_clusters': 5, 'max_passes': 3}


@pytest.fixture(scope='module')
def cluster(start):
    with start(task_managers=2) as running:
        yield running


def test_a_fit_is_that_of_the_local_runner_and_counts_its_rows(cluster, job_server, tmp_path):
    args = flink_runs.beam_args(cluster, job_server, PYTHONPATH=str(TESTS))
    found, metrics = clustering.fit(tmp_path, PARTS, runner=args, **OPTIONS)
    expected, _ = clustering.fit(tmp_path, PARTS, **OPTIONS)
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-6)
    assert metrics['rows'] == 2000


@pytest.fixture
def zones(tmp_path, monkeypatch):
    """A wheel of a module that this process imports from elsewhere, and the workers do not."""
    monkeypatch.syspath_prepend(str(tmp_path))
    code = "def write(x, path):\n    with open(path, 'w') as file:\n        file.write(__file__)\n"
    (tmp_path / 'zones.py').write_text(code)
    wheel = tmp_path / 'zones-1-py3-none-any.whl'
    with zipfile.ZipFile(wheel, 'w') as file:
        file.writestr('zones.py', code)
        file.writestr(
            'zones-1.dist-info/METADATA', 'Metadata-Version: 2.1\nName: zones\nVersion: 1\n'
        )
        file.writestr(
            'zones-1.dist-info/WHEEL',
            'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
        )
        file.writestr('zones-1.dist-info/RECORD', '')
    return wheel


def run_zones(directory, args):
    import zones

    path = directory / 'written'
    with beam.Pipeline(argv=args) as pipeline:
        pipeline | beam.Create([1]) | beam.Map(zones.write, str(path))
    return path.read_text()


def test_workers_have_what_is_staged(cluster, job_server, zones, tmp_path):
    args = [*flink_runs.beam_args(cluster, job_server), f'--extra_package={zones}']
    assert 'tfx-kmeans-beam-worker-' in run_zones(tmp_path, args)


def test_what_is_not_staged_is_named_with_what_to_do(cluster, job_server, zones):
    with (
        pytest.raises(RuntimeError, match="No module named 'zones'") as error,
        beam.Pipeline(argv=flink_runs.beam_args(cluster, job_server)) as pipeline,
    ):
        pipeline | RequireModules('zones')
    assert '--extra_package' in str(error.value)
