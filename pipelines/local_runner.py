"""Runs the taxi pipeline on this machine, with SQLite metadata.

    python pipelines/local_runner.py

or with TFX's command line:

    tfx pipeline create --engine=local --pipeline_path=pipelines/local_runner.py
    tfx run create --engine=local --pipeline_name=taxi-kmeans
"""

import pathlib

from absl import logging
from tfx import v1 as tfx

import locations
from taxi import pipeline

PIPELINE_NAME = 'taxi-kmeans'
# how many zones there may be; inside Transform the number is given
N_CLUSTERS = (20, 24, 28, 32)
N_CLUSTERS_IN_TRANSFORM = 24

# the tfx wheel ships 15,002 taxi trips of Chicago's open data
DATA = pathlib.Path(tfx.__file__).parent.parent / 'examples/chicago_taxi_pipeline/data/simple'


def create_pipeline(
    output=locations.OUTPUT, data_root=DATA, n_clusters=None, analyzer=False, **options
):
    """Builds the taxi pipeline with all that it writes below `output`.

    Args:
        output: pathlib.Path, a directory.
        data_root: pathlib.Path, directory of CSV files of taxi trips.
        n_clusters: how many zones to find; None: the best of N_CLUSTERS.
        analyzer: whether Transform finds them.
        **options: further arguments of taxi.pipeline.create_pipeline.

    Returns:
        tfx.dsl.Pipeline.
    """
    return pipeline.create_pipeline(
        pipeline_name=PIPELINE_NAME,
        pipeline_root=str(output / 'pipeline_root'),
        data_root=str(data_root),
        schema_path=str(locations.SCHEMA),
        push_destination=_destination(output / 'serving_model'),
        cluster_push_destination=_destination(output / 'serving_clusters'),
        metadata_path=str(output / 'metadata.sqlite'),
        n_clusters=n_clusters or (N_CLUSTERS_IN_TRANSFORM if analyzer else N_CLUSTERS),
        analyzer=analyzer,
        **options,
    )


def _destination(directory):
    filesystem = tfx.proto.PushDestination.Filesystem(base_directory=str(directory))
    return tfx.proto.PushDestination(filesystem=filesystem)


def run():
    """Runs the pipeline; nodes whose inputs are unchanged reuse what they wrote before."""
    tfx.orchestration.LocalDagRunner().run(create_pipeline())


if __name__ == '__main__':
    logging.set_verbosity(logging.INFO)
    run()
