"""Compiles the taxi pipeline for an open-source Kubeflow Pipelines v2 backend.

python kubeflow/kubeflow_runner.py
"""

import pathlib
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / 'pipelines'))

from tfx import v1 as tfx  # noqa: E402

import locations  # noqa: E402
from taxi import pipeline  # noqa: E402
from tfx_kmeans import kubeflow  # noqa: E402

PIPELINE_NAME = 'taxi-kmeans'


def run(output=locations.OUTPUT / 'kubeflow' / f'{PIPELINE_NAME}.yaml'):
    """Compiles the pipeline into the file `output`."""
    parameter = tfx.dsl.experimental.RuntimeParameter
    compiled = pipeline.create_pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root='minio://mlpipeline/v2/artifacts',
        data_root=parameter('data_root', str, '/data/taxi'),
        schema_path='/app/schemas/taxi/schema.pbtxt',
        serving_model_dir='/serving/taxi-kmeans',
        metadata_path='unused',
        n_clusters=parameter('n_clusters', int, 24),
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    kubeflow.compile(compiled, output, image='tfx-kmeans:latest')


if __name__ == '__main__':
    run()
