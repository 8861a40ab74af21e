"""The analyzers in TFX's Transform: files, worker processes, and the cache of spans."""

import os
import subprocess
import sys
import typing

import numpy as np
import pytest
import tensorflow as tf
from tfx.components.transform import executor as transform_executor
from tfx.types import standard_artifacts

from support import analysis, building

CLUSTERS = 'support.preprocessing.clusters'
TWO_PROCESSES = ('--direct_running_mode=multi_processing', '--direct_num_workers=2')
SCHEMA = """
feature { name: "point" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 3 } } }
"""


@pytest.fixture(scope='module')
def schema(tmp_path_factory):
    made = standard_artifacts.Schema()
    made.uri = str(tmp_path_factory.mktemp('schema'))
    with open(os.path.join(made.uri, 'schema.pbtxt'), 'w') as file:
        file.write(SCHEMA)
    return made


def points(seed, n=3000):
    """Uneven heaps of points, one of them small and remote."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(scale=10, size=(6, 3))
    heaps = rng.choice(6, n, p=[0.4, 0.3, 0.15, 0.1, 0.045, 0.005])
    return (centres[heaps] + rng.normal(size=(n, 3))).astype(np.float32)


def write(directory, rows, shards=1):
    """Writes points as the examples of one span."""
    serialized = []
    for row in rows:
        feature = tf.train.Feature(float_list=tf.train.FloatList(value=row))
        features = tf.train.Features(feature={'point': feature})
        serialized.append(tf.train.Example(features=features).SerializeToString())
    return building.write_examples(
        directory, {'train': serialized, 'eval': serialized[:10]}, shards
    )


def read_centroids(outputs):
    examples = building.parse_examples(
        outputs['transformed_examples'], 'eval', outputs['transform_graph']
    )
    return analysis.centroids_of(examples, width=3)


@pytest.mark.parametrize('preprocessing_fn', [CLUSTERS, 'support.preprocessing.refined_clusters'])
def test_files_order_and_worker_processes_do_not_change_the_centroids(
    preprocessing_fn, schema, tmp_path, monkeypatch
):
    monkeypatch.setenv('PYTHONPATH', os.path.dirname(os.path.dirname(building.__file__)))
    rows = points(1)
    shuffled = np.random.default_rng(0).permutation(rows)
    runs = {
        'one': (rows, 1, ()),
        'twenty': (shuffled, 20, ()),
        'processes': (shuffled, 20, TWO_PROCESSES),
    }
    found = {}
    for name, (these, shards, beam_args) in runs.items():
        examples = write(tmp_path / name / 'examples', these, shards)
        found[name] = read_centroids(
            building.run_transform(
                tmp_path / name, [examples], schema, preprocessing_fn, beam_args=beam_args
            )
        )
    np.testing.assert_allclose(found['twenty'], found['one'], rtol=1e-6)
    np.testing.assert_allclose(found['processes'], found['one'], rtol=1e-6)


@pytest.fixture(scope='module')
def spans(tmp_path_factory):
    """Two spans of examples, the second of which looks different."""
    directory = tmp_path_factory.mktemp('spans')
    return [
        write(directory / '1', points(1)),
        write(directory / '2', points(2, n=500) + np.float32([0, 5, 0])),
    ]


# run in a process of its own, as the first of two pipeline runs would be
FIRST_RUN = """
import pathlib, sys
from tfx.types import standard_artifacts
from support import building
examples, schema = standard_artifacts.Examples(), standard_artifacts.Schema()
examples.uri, schema.uri, directory = sys.argv[1:]
examples.split_names = '["train", "eval"]'
outputs = building.transform_outputs(pathlib.Path(directory), cached=True)
building.run_transform(
    pathlib.Path(directory), [examples], schema, 'support.preprocessing.clusters', outputs=outputs
)
"""


@pytest.fixture(scope='module')
def first_run(spans, schema, tmp_path_factory):
    """What Transform makes of the first span in another process; it fills the cache."""
    directory = tmp_path_factory.mktemp('first')
    path = os.path.dirname(os.path.dirname(building.__file__))
    subprocess.run(
        [sys.executable, '-c', FIRST_RUN, spans[0].uri, schema.uri, str(directory)],
        env={**os.environ, 'PYTHONPATH': path, 'PYTHONHASHSEED': '7'},
        check=True,
    )
    outputs = building.transform_outputs(directory, cached=True)
    return {key: made for key, (made,) in outputs.items()}


class CountingExecutor(transform_executor.Executor):
    """The executor of Transform, which leaves its pipelines where their counters can be read."""

    pipelines: typing.ClassVar = []

    def _make_beam_pipeline(self):
        self.pipelines.append(super()._make_beam_pipeline())
        return self.pipelines[-1]


def run_both_spans(directory, spans, schema, cache, preprocessing_fn=CLUSTERS):
    """Runs Transform on both spans; returns its outputs and tf.Transform's counters."""
    CountingExecutor.pipelines.clear()
    outputs = building.run_transform(
        directory,
        spans,
        schema,
        preprocessing_fn,
        outputs=building.transform_outputs(directory, cached=True),
        cache=cache,
        executor_class=CountingExecutor,
    )
    (pipeline,) = CountingExecutor.pipelines
    counters = pipeline.result.metrics().query()['counters']
    return outputs, {counter.key.metric.name: counter.committed for counter in counters}


def test_a_span_in_the_cache_is_not_read_and_the_centroids_are_those_of_both(
    spans, schema, first_run, tmp_path
):
    cache = first_run['updated_analyzer_cache']
    cached, counters = run_both_spans(tmp_path / 'cached', spans, schema, cache)
    assert counters['cache_entries_decoded'] == 1
    assert counters['cache_entries_encoded'] == 1
    # the spans have 3000 and 500 rows
    assert counters['analysis_input_bytes_from_cache'] == 6 * counters['analysis_input_bytes']
    uncached = building.run_transform(tmp_path / 'uncached', spans, schema, CLUSTERS)
    np.testing.assert_allclose(read_centroids(cached), read_centroids(uncached), rtol=1e-6)
    assert np.abs(read_centroids(cached) - read_centroids(first_run)).max() > 0.1


def test_another_parameter_does_not_read_the_cache(spans, schema, first_run, tmp_path):
    cache = first_run['updated_analyzer_cache']
    _, counters = run_both_spans(
        tmp_path, spans, schema, cache, 'support.preprocessing.other_clusters'
    )
    assert 'cache_entries_decoded' not in counters
    assert counters['cache_entries_encoded'] == 2
