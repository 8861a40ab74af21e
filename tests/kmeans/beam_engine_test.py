import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_transform as tft
from absl import logging
from pyarrow import parquet

from support import building, reference
from support import clustering as runs
from tfx_kmeans import Clustering
from tfx_kmeans.kmeans import beam_engine, beam_errors
from tfx_kmeans.kmeans import columns as columns_lib
from tfx_kmeans.kmeans.settings import Settings

OPTIONS = {'features': '["x", "y"]', 'missing': 'drop', 'weight_feature': 'weight', 'tol': 0.0}


def fit(directory, examples, transform_graph, **options):
    outputs = building.run_kmeans(directory, examples, transform_graph, **OPTIONS | options)
    return Clustering.read(outputs['centroids'].uri)


def points_and_weights(transformed):
    data = building.parse_examples(
        transformed['transformed_examples'], 'train', transformed['transform_graph']
    )
    points = np.stack([data['x'], data['y'], data['weight']], axis=1)
    return points[~np.isnan(points).any(axis=1)]


def assert_same(found, expected, rel=1e-6):
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=rel, atol=rel)
    assert found.cluster_weights == pytest.approx(expected.cluster_weights, rel=rel)
    assert found.inertia == pytest.approx(expected.inertia, rel=rel)
    assert found.eval_inertia == pytest.approx(expected.eval_inertia, rel=rel)
    assert found.eval_weight == expected.eval_weight


@pytest.fixture(scope='module')
def one_process(transformed, tmp_path_factory):
    """What engine='beam' finds in one process."""
    directory = tmp_path_factory.mktemp('beam')
    return fit(directory, *transformed.values(), engine='beam', max_passes=3)


def test_centroids_are_those_of_the_engine_in_one_process(transformed, one_process, tmp_path):
    expected = fit(tmp_path, *transformed.values(), engine='tensorflow')
    assert_same(one_process, expected, rel=1e-5)
    assert list(one_process.cluster_weights) == sorted(one_process.cluster_weights, reverse=True)


def test_two_worker_processes_and_other_shards_give_the_same(
    transformed, one_process, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, 'argv', sys.argv[:1])  # TFX reads flags there where Beam has options
    examples, graph_artifact = transformed.values()
    data = {s: building.read_examples(examples, s)[::-1] for s in building.SIZES}
    others = building.write_examples(tmp_path / 'examples', data, shards=5)
    found = fit(
        tmp_path / 'out', others, graph_artifact,
        engine='beam', max_passes=3, beam_args=runs.TWO_PROCESSES,
    )  # fmt: skip
    assert_same(found, one_process)


def write_parquet(directory, transformed):
    """The transformed examples as Parquet files, an artifact."""
    examples, graph_artifact = transformed.values()
    copy = building.write_examples(directory, dict.fromkeys(building.SIZES, ()))
    copy.set_string_custom_property('payload_format', 'FORMAT_PARQUET')
    for split in building.SIZES:
        data = building.parse_examples(examples, split, graph_artifact)
        table = pa.table({name: data[name] for name in ('x', 'y', 'weight')})
        (path,) = (directory / f'Split-{split}').iterdir()
        path.unlink()
        parquet.write_table(table, path.with_suffix('.parquet'), row_group_size=300)
    return copy


def test_parquet_is_read_and_no_pass_may_be_needed(transformed, one_process, tmp_path, caplog):
    logging.get_absl_logger().propagate = True
    examples = write_parquet(tmp_path / 'examples', transformed)
    with caplog.at_level('WARNING'):
        found = fit(tmp_path / 'out', examples, transformed['transform_graph'], max_passes=0)
    assert_same(found, one_process, rel=1e-5)
    assert 'ended by max_passes=0 before it converged' in caplog.text


PARQUET_DAMAGE = {
    'of 0 bytes': lambda path: path.write_bytes(b''),
    'cut short': lambda path: os.truncate(path, path.stat().st_size // 2),
    'no Parquet': lambda path: path.write_bytes(b'a,b\n1,2\n' * 99),
    'a page header of zeros': lambda path: path.write_bytes(
        path.read_bytes()[:4] + bytes(200) + path.read_bytes()[204:]
    ),
}


@pytest.mark.parametrize('name', PARQUET_DAMAGE)
def test_a_parquet_file_that_cannot_be_read_is_refused_by_its_name(name, transformed, tmp_path):
    examples = write_parquet(tmp_path / 'examples', transformed)
    (path,) = (tmp_path / 'examples' / 'Split-train').iterdir()
    PARQUET_DAMAGE[name](path)
    with pytest.raises(ValueError, match=f'^{path} cannot be read as Parquet: '):
        fit(tmp_path / 'out', examples, transformed['transform_graph'])
    assert not (tmp_path / 'out' / 'centroids' / 'clustering.json').exists()


def test_standardised_clusters_and_progress(transformed, tmp_path, caplog):
    logging.set_verbosity(logging.INFO)
    logging.get_absl_logger().propagate = True
    with caplog.at_level('INFO'):
        outputs = building.run_kmeans(
            tmp_path, *transformed.values(),
            **OPTIONS | {'engine': 'beam', 'max_passes': 1, 'standardize': 1},
        )  # fmt: skip
    clustering = Clustering.read(outputs['centroids'].uri)
    points = points_and_weights(transformed).astype(np.float64)
    mean = np.average(points[:, :2], axis=0, weights=points[:, 2])
    np.testing.assert_allclose(clustering.standardization.mean, mean, rtol=1e-5)
    scaled = (points[:, :2] - mean) / clustering.standardization.scale
    nearest = reference.distances(scaled, clustering.centroids).min(axis=1)
    assert clustering.inertia == pytest.approx(nearest @ points[:, 2], rel=1e-4)
    assert 'Pass 1: inertia' in caplog.text
    assert 'rows 1000, rows_left_out 20' in caplog.text
    assert 'pass_milliseconds' in caplog.text
    left = [path.name for path in (tmp_path / 'centroids').iterdir()]
    assert sorted(left) == ['centroids.npy', 'clustering.json']


def test_a_link_where_the_job_keeps_its_files_is_not_followed(transformed, tmp_path):
    victim = tmp_path / 'victim'
    victim.mkdir()
    (victim / 'precious').write_text('kept')
    (tmp_path / 'centroids').mkdir()
    (tmp_path / 'centroids' / '.temp_path').symlink_to(victim)
    options = OPTIONS | {'engine': 'beam', 'max_passes': 1}
    with pytest.raises(ValueError, match=r'\.temp_path is a symbolic link to .*victim, and is not'):
        building.run_kmeans(tmp_path, *transformed.values(), **options)
    assert [path.name for path in victim.iterdir()] == ['precious']


def test_a_number_of_clusters_is_chosen_by_what_the_engine_in_one_process_says_of_it(
    transformed, tmp_path
):
    options = {'candidates': '[5, 2, 4, 3]', 'n_clusters': None, 'standardize': 1}
    found = fit(tmp_path / 'beam', *transformed.values(), engine='beam', **options)
    expected = fit(tmp_path / 'expected', *transformed.values(), engine='tensorflow', **options)
    assert_same(found, expected, rel=1e-5)
    assert [row.n_clusters for row in found.selection.table] == [2, 3, 4, 5]
    scores = ('inertia', 'silhouette', 'davies_bouldin', 'calinski_harabasz')
    row, same = (clustering.selection.table[2] for clustering in (found, expected))
    for name in scores:
        assert getattr(row, name) == pytest.approx(getattr(same, name), rel=1e-5)


@pytest.mark.parametrize('options', [{}, {'candidates': '[5, 3, 4]', 'n_clusters': None}], ids=str)
def test_rows_with_gaps_take_part_as_under_the_engine_in_one_process(
    transformed, tmp_path, options
):
    options = {'missing': 'partial', 'standardize': 1, 'eval_split': 'eval', **options}
    found = fit(tmp_path / 'beam', *transformed.values(), engine='beam', **options)
    expected = fit(tmp_path / 'expected', *transformed.values(), engine='tensorflow', **options)
    assert_same(found, expected, rel=1e-5)
    assert (found.missing, expected.missing) == ('partial', 'partial')
    assert found.n_clusters == expected.n_clusters == 4


REFUSED = {
    'missing values': ({'missing': 'error'}, r"missing values \(NaN\) in split 'train'.*'y' \(20"),
    'too many clusters': (
        {'features': '["word_id"]', 'n_clusters': 4},
        'n_clusters=4 is more than the 3 distinct rows',
    ),
    'too many to choose from': (
        {'features': '["word_id"]', 'n_clusters': None, 'candidates': '[2, 3, 4]'},
        'n_clusters=4 is more than the 3 distinct rows',
    ),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_clustered_is_refused_and_leaves_nothing(name, transformed, tmp_path):
    changes, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as refused:
        fit(tmp_path, *transformed.values(), engine='beam', **changes)
    assert 'while running' not in str(refused.value)
    assert not [path for path in tmp_path.rglob('*') if path.is_file()]


def test_a_split_without_files_is_refused_before_the_job(transformed, tmp_path):
    examples = building.write_examples(tmp_path / 'examples', {'train': [], 'eval': []}, shards=0)
    with pytest.raises(ValueError, match="split 'train' has no rows to use: no files at"):
        fit(tmp_path / 'out', examples, transformed['transform_graph'], engine='beam')


LACKS_A_MODULE = """
import sys
sys.path.insert(0, sys.argv[1])  # the workers do not have this
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from support import clustering as runs
from tfx_kmeans.kmeans import beam_errors
pipeline = beam.Pipeline(options=PipelineOptions(runs.TWO_PROCESSES))
pipeline | beam.Create([1]) | beam.Map(runs.save, None)
try:
    pipeline.run().wait_until_finish()
except RuntimeError as error:
    print(beam_errors.explain(error))
"""


def run_apart(program, *arguments):
    """Output of a Python program, which is begun again if it hangs.

    Beam now and then waits for ever for a worker process of a job that failed.
    """
    for seconds in (150, 400):
        process = subprocess.Popen(
            [sys.executable, '-c', program, *arguments],
            env={name: value for name, value in os.environ.items() if name != 'PYTHONPATH'},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            return process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    raise TimeoutError(program)


def test_a_module_that_workers_lack_is_told_with_how_to_stage_it():
    explained = run_apart(LACKS_A_MODULE, str(pathlib.Path(__file__).parents[1]))
    assert "the Beam workers have no module 'support'" in explained
    assert '--extra_package' in explained


TOLD_BY_WORKERS = """bundle inst001 failed: Traceback (most recent call last):
ValueError: n_clusters=4 is more

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
ValueError: split 'train': n_clusters=4 is more [while running 'Fit/FitSample-ptransform-12']
"""


@pytest.mark.parametrize(
    'told',
    [
        'TaskManager with id 127.0.0.1:1 is no longer reachable.',
        'org.apache.flink.shaded.netty4.io.netty.channel.unix.Errors$NativeIoException: '
        'recvAddress(..) failed: Connection reset by peer',
    ],
)
def test_a_lost_task_manager_is_told_with_what_would_begin_again(told):
    explained = beam_errors.explain(RuntimeError(f'Pipeline failed in state FAILED: {told}'))
    assert isinstance(explained, RuntimeError)
    assert 'lost for good' in str(explained)
    assert 'restart-strategy.type' in str(explained)


def test_an_error_of_the_data_is_told_in_its_own_words_wherever_the_worker_was():
    explained = beam_errors.explain(RuntimeError(TOLD_BY_WORKERS))
    assert isinstance(explained, ValueError)
    assert str(explained) == "split 'train': n_clusters=4 is more"


def test_other_errors_stay_as_they_are():
    error = RuntimeError('the cluster is on fire')
    assert beam_errors.explain(error) is error


def test_an_error_that_is_handed_on_is_not_its_own_cause(transformed, tmp_path):
    def make_pipeline():
        raise RuntimeError('the cluster is on fire')

    examples, graph_artifact = transformed.values()
    output = tft.TFTransformOutput(graph_artifact.uri)
    columns = columns_lib.resolve(output.transformed_feature_spec(), ['x'], None)
    with pytest.raises(RuntimeError, match='on fire') as raised:
        beam_engine.fit(
            make_pipeline, [examples], columns, output.transformed_metadata.schema,
            Settings(n_clusters=2), str(tmp_path / 'work'),
        )  # fmt: skip
    assert raised.value.__cause__ is None
