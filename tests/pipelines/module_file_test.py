"""Both components in a pipeline of a user's own: several centroids, a module file, Beam workers."""

import pathlib
import sys

import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx import v1 as tfx

from tfx_kmeans import ClusterTransform, KMeans

MODULE = """
import tensorflow as tf
import tensorflow_transform as tft

def preprocessing_fn(inputs, custom_config):
    key = tf.strings.as_string(inputs['plane_id'])
    scaled = tft.scale_to_z_score_per_key(inputs['x'], key)
    return {'scaled': scaled * custom_config['factor'], 'plane_id': inputs['plane_id'],
            'line_id': inputs['line_id']}
"""


@pytest.mark.skipif(
    ' ' in sys.executable, reason='Beam does not quote the interpreter when it starts its workers'
)
def test_module_file_and_two_centroids_run_on_beam_worker_processes(raw, tmp_path, monkeypatch):
    # worker processes import Transform's preprocessing_fn; the module file travels by itself
    monkeypatch.setenv('PYTHONPATH', str(pathlib.Path(__file__).parent.parent))
    examples, schema = raw
    (tmp_path / 'second_stage.py').write_text(MODULE)
    example_gen = tfx.components.ImportExampleGen(
        input_base=examples.uri,
        input_config=tfx.proto.Input(
            splits=[
                tfx.proto.Input.Split(name=split, pattern=f'Split-{split}/*')
                for split in ('train', 'eval')
            ]
        ),
    )
    schema_gen = tfx.components.ImportSchemaGen(schema_file=f'{schema.uri}/schema.pbtxt')
    transform = tfx.components.Transform(
        examples=example_gen.outputs['examples'],
        schema=schema_gen.outputs['schema'],
        preprocessing_fn='support.preprocessing.preprocessing_fn',
        disable_statistics=True,
    )
    plane, line = (
        KMeans(
            examples=transform.outputs['transformed_examples'],
            transform_graph=transform.outputs['transform_graph'],
            features=features,
            n_clusters=n_clusters,
            output_prefix=prefix,
            missing='drop',
        ).with_id(f'KMeans.{prefix}')
        for prefix, features, n_clusters in (('plane', ['x', 'y'], 4), ('line', ['pair'], 3))
    )
    cluster_transform = ClusterTransform(
        examples=example_gen.outputs['examples'],
        schema=schema_gen.outputs['schema'],
        transform_graph=transform.outputs['transform_graph'],
        centroids=[plane.outputs['centroids'], line.outputs['centroids']],
        emit='id',
        module_file=str(tmp_path / 'second_stage.py'),
        custom_config={'factor': 2.0},
        disable_statistics=True,
    ).with_beam_pipeline_args(
        # the other nodes stay in this process: each worker takes seconds to import TFX
        ['--direct_running_mode=multi_processing', '--direct_num_workers=2']
    )
    pipeline = tfx.dsl.Pipeline(
        pipeline_name='module-file',
        pipeline_root=str(tmp_path / 'root'),
        components=[example_gen, schema_gen, transform, plane, line, cluster_transform],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(tmp_path / 'metadata.sqlite')
        ),
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)

    (graph,) = (tmp_path / 'root' / 'ClusterTransform' / 'transform_graph').iterdir()
    output = tft.TFTransformOutput(str(graph))
    assert set(output.transformed_feature_spec()) == {'scaled', 'plane_id', 'line_id'}
    assert output.num_buckets_for_transformed_feature('plane_id') == 5
    assert output.num_buckets_for_transformed_feature('line_id') == 4
    written = tmp_path / 'root' / 'ClusterTransform' / 'transformed_examples'
    files = tf.io.gfile.glob(str(written / '*' / 'Split-train' / '*'))
    assert sum(1 for _ in tf.data.TFRecordDataset(files, 'GZIP')) == 1000
