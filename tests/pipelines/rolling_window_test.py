"""A nightly pipeline over a window of spans, as the README shows it."""

import numpy as np
import pytest
import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.transform import executor as transform_executor
from tfx.proto import range_config_pb2

MODULE = """
import tfx_kmeans

def preprocessing_fn(inputs):
    x = inputs['x']
    return {'x': x, 'group': tfx_kmeans.compute_and_apply_kmeans(x, 3, name='groups')}
"""
SCHEMA = 'feature { name: "x" type: FLOAT presence { min_fraction: 1 } shape {} }'


def create_pipeline(root, data, schema, module_file):
    example_gen = tfx.components.ImportExampleGen(
        input_base=data,
        input_config=tfx.proto.Input(
            splits=[tfx.proto.Input.Split(name='train', pattern='span-{SPAN}/*')]
        ),
    )
    schema_gen = tfx.components.ImportSchemaGen(schema_file=schema)
    window = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.SpanRangeStrategy,
        config={
            'range_config': range_config_pb2.RangeConfig(
                rolling_range=range_config_pb2.RollingRange(num_spans=2)
            )
        },
        examples=tfx.dsl.Channel(
            type=tfx.types.standard_artifacts.Examples, producer_component_id=example_gen.id
        ),
    ).with_id('window')
    window.add_upstream_node(example_gen)
    cache = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        cache=tfx.dsl.Channel(type=tfx.types.standard_artifacts.TransformCache),
    ).with_id('cache')
    transform = tfx.components.Transform(
        examples=window.outputs['examples'],
        schema=schema_gen.outputs['schema'],
        module_file=module_file,
        analyzer_cache=cache.outputs['cache'],
        splits_config=tfx.proto.SplitsConfig(analyze=['train'], transform=['train']),
        disable_statistics=True,
    )
    return tfx.dsl.Pipeline(
        pipeline_name='nightly',
        pipeline_root=str(root / 'pipeline_root'),
        components=[example_gen, schema_gen, window, cache, transform],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(root / 'metadata.sqlite')
        ),
    )


def write_span(directory, number, n):
    rng = np.random.default_rng(number)
    span = directory / f'span-{number}'
    span.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(span / 'data.gz'), 'GZIP') as writer:
        for value in rng.normal(size=n) + 10 * rng.integers(3, size=n):
            feature = {'x': tf.train.Feature(float_list=tf.train.FloatList(value=[value]))}
            features = tf.train.Features(feature=feature)
            writer.write(tf.train.Example(features=features).SerializeToString())


@pytest.fixture
def counters(monkeypatch):
    """tf.Transform's counters of the last run of Transform, by name, once it has run."""
    pipelines = []
    make = transform_executor.Executor._make_beam_pipeline

    def keep(executor):
        pipelines.append(make(executor))
        return pipelines[-1]

    def read():
        found = pipelines[-1].result.metrics().query()['counters']
        return {counter.key.metric.name: counter.committed for counter in found}

    monkeypatch.setattr(transform_executor.Executor, '_make_beam_pipeline', keep)
    return read


def test_a_nightly_run_reads_last_nights_span_from_the_cache(tmp_path, counters):
    module_file, schema = tmp_path / 'preprocessing.py', tmp_path / 'schema.pbtxt'
    module_file.write_text(MODULE)
    schema.write_text(SCHEMA)

    def run(span, n):
        write_span(tmp_path / 'data', span, n)
        pipeline = create_pipeline(tmp_path, str(tmp_path / 'data'), str(schema), str(module_file))
        tfx.orchestration.LocalDagRunner().run(pipeline)
        return counters()

    first = run(1, 400)
    assert 'cache_entries_decoded' not in first
    second = run(2, 100)
    assert second['cache_entries_decoded'] == 1
    assert second['analysis_input_bytes_from_cache'] == first['analysis_input_bytes']
    assert second['analysis_input_bytes'] < first['analysis_input_bytes']
