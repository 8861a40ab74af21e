"""Compiles the taxi pipeline for Kubeflow Pipelines v2: IR for an open-source backend, or a job.

python kubeflow/kubeflow_runner.py --image registry.example/tfx-kmeans:1
python kubeflow/kubeflow_runner.py --image ... --vertex --pipeline_root gs://bucket/taxi
"""

import argparse
import json
import os
import pathlib
import sys

from absl import logging
from tfx import v1 as tfx

# the pipeline and its modules are no installed package; the image has this folder on PYTHONPATH
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'pipelines'))

import locations
from taxi import pipeline
from tfx_kmeans import kubeflow

PIPELINE_NAME = 'taxi-kmeans'
IMAGE = os.environ.get('TFX_KMEANS_IMAGE', 'tfx-kmeans:latest')
# where the backend keeps what the nodes write, if it is not told otherwise
PIPELINE_ROOT = 'minio://mlpipeline/v2/artifacts'
# the claim of a volume with the trips, which the pushed models go to as well
CLAIM = 'taxi'
MOUNT = '/mnt/taxi'
# in the image
SCHEMA = '/app/schemas/taxi/schema.pbtxt'
OUTPUT = locations.OUTPUT / 'kubeflow'

_EXTERNAL_NODES = ('CsvExampleGen', 'ClusterPusher', 'Pusher')


def create_pipeline(pipeline_root=PIPELINE_ROOT, mount=MOUNT, **options):
    """Builds the taxi pipeline with parameters that each run can give a value of its own.

    Args:
        pipeline_root: URL of what the nodes write.
        mount: path or URL of the trips and of the pushed models.
        **options: further arguments of taxi.pipeline.create_pipeline.

    Returns:
        tfx.dsl.Pipeline.
    """
    parameter = tfx.dsl.experimental.RuntimeParameter

    def destination(name, folder, description):
        # a RuntimeParameter for a message holds its JSON
        default = json.dumps({'filesystem': {'base_directory': f'{mount}/{folder}'}})
        return parameter(name, str, default, description)

    return pipeline.create_pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=pipeline_root,
        data_root=parameter('data_root', str, f'{mount}/data', 'directory of the CSV files'),
        schema_path=parameter('schema_path', str, SCHEMA, 'the curated schema of the trips'),
        push_destination=destination('push_destination', 'serving_model', 'where models go'),
        cluster_push_destination=destination(
            'cluster_push_destination', 'serving_clusters', 'where models of clusters go'
        ),
        n_clusters=parameter('n_clusters', int, 24, 'how many zones to find'),
        train_args=parameter('train_args', str, '{"num_steps": 800}', 'batches to train on'),
        **options,
    )


def run(output=None, image=IMAGE, vertex=False, pipeline_root=PIPELINE_ROOT):
    """Compiles the pipeline.

    Args:
        output: path of the file to write; None: `output/kubeflow/taxi-kmeans.yaml` or `.json`.
        image: container image of the nodes.
        vertex: whether to compile for Vertex, where everything lies below `pipeline_root`.
        pipeline_root: URL of what the nodes write.

    Returns:
        What was compiled.
    """
    output = output or OUTPUT / f'{PIPELINE_NAME}.{"json" if vertex else "yaml"}'
    if vertex:
        built = create_pipeline(pipeline_root, mount=pipeline_root)
        return kubeflow.compile(built, output, image, vertex=True)
    volume = kubeflow.PersistentVolume(CLAIM, MOUNT)
    return kubeflow.compile(
        create_pipeline(pipeline_root),
        output,
        image,
        settings=kubeflow.Settings(retries=2, retry_delay=30, memory_request='1Gi'),
        nodes={
            **dict.fromkeys(_EXTERNAL_NODES, kubeflow.Settings(volumes=[volume])),
            'Trainer': kubeflow.Settings(cpu_request=2, memory_request='4Gi'),
        },
    )


def main(arguments=None):
    """Parses the arguments (a list of str; None: those of the command line) and compiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--image', default=IMAGE, help='default: $TFX_KMEANS_IMAGE, or %(default)s')
    parser.add_argument('--output', help='file to write')
    parser.add_argument('--pipeline_root', default=PIPELINE_ROOT, help='default: %(default)s')
    parser.add_argument('--vertex', action='store_true', help='compile for Vertex AI Pipelines')
    options = parser.parse_args(arguments)
    run(options.output, options.image, options.vertex, options.pipeline_root)


if __name__ == '__main__':
    logging.set_verbosity(logging.INFO)
    main()
