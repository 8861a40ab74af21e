"""FitKMeans and AssignClusters in pipelines of their own, in one process or several."""

import pathlib
import pickle

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions

from tfx_kmeans.beam import AssignClusters, FitKMeans, metrics

ONE_PROCESS = []
TWO_PROCESSES = ['--direct_running_mode=multi_processing', '--direct_num_workers=2']
TESTS = str(pathlib.Path(__file__).parent.parent)  # what worker processes need on PYTHONPATH


def batches(rows, weights=None, parts=5):
    """Splits rows, and weights if there are any, into batches."""
    if weights is None:
        return np.array_split(rows, parts)
    pairs = zip(np.array_split(rows, parts), np.array_split(weights, parts), strict=True)
    return list(pairs)


def save(element, path):
    path.write_bytes(pickle.dumps(element))


def fit(directory, parts, n_clusters, *, runner=ONE_PROCESS, **options):
    """Fits to batches; returns the Clustering and the metrics by name."""
    width = np.shape(parts[0][0] if isinstance(parts[0], tuple) else parts[0])[1]
    options = {'feature_names': [f'x{i}' for i in range(width)], **options}
    pipeline = beam.Pipeline(options=PipelineOptions(runner))
    clustering = pipeline | beam.Create(parts) | beam.Reshuffle() | FitKMeans(n_clusters, **options)
    clustering | 'Save' >> beam.Map(save, directory / 'fitted')
    result = pipeline.run()
    result.wait_until_finish()
    return pickle.loads((directory / 'fitted').read_bytes()), metrics.query(result)


def assign(directory, parts, clustering):
    """Assigns batches; returns the list of Assigned."""
    with beam.Pipeline() as pipeline:
        given = pipeline | beam.Create(parts)
        (
            given
            | AssignClusters(clustering)
            | beam.combiners.ToList()
            | beam.Map(save, directory / 'assigned')
        )
    return pickle.loads((directory / 'assigned').read_bytes())
