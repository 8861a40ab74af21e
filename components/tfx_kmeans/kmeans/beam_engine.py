"""KMeans on Beam: one job that reads, fits and scores, on whatever runner the pipeline has."""

import dataclasses
import json
import os

import apache_beam as beam
from absl import logging
from tfx.dsl.io import fileio

from tfx_kmeans import artifacts
from tfx_kmeans.beam import arguments, fit_kmeans, fit_rows, metrics, scoring
from tfx_kmeans.beam import fitting as fitting_lib
from tfx_kmeans.kmeans import beam_errors, beam_reading, engines

_CLUSTERING, _PASSES = 'clustering', 'passes.json'


def fit(make_pipeline, examples, columns, schema, parameters, directory, init=None):
    """Fits k-means to the train split, and scores the fit on the eval split.

    Args:
        make_pipeline: callable that returns a beam.Pipeline.
        examples: list of Examples artifacts.
        columns: columns.Columns.
        schema: schema_pb2.Schema of the transformed examples.
        parameters: settings.Settings.
        directory: where the workers may leave what is of use while the job runs: the rows, 4 bytes
            a value, and the result. It is deleted at the end.
        init: initial centroids `[n_clusters, d]` in the units of the features, or None for the
            seeding of `parameters`.

    Returns:
        artifacts.Clustering, and the inertia before each pass and at the end, a list of floats.

    Raises:
        ValueError: a split has no rows to use, or the rows cannot be clustered.
        RuntimeError: the job failed.
    """
    settings = _settings(columns, parameters, init)
    for split in filter(None, (parameters.train_split, parameters.eval_split)):
        for artifact in examples:
            if not engines.files(artifact, split):
                raise ValueError(f'split {split!r} has no rows to use: no files at {artifact.uri}')
    try:
        with make_pipeline() as pipeline:
            _build(pipeline, examples, columns, schema, parameters, settings, directory)
        _log_metrics(pipeline.result)
        return _take(directory)
    except Exception as error:
        raise beam_errors.explain(error) from error
    finally:
        if fileio.exists(directory):
            fileio.rmtree(directory)


def _settings(columns, parameters, init):
    place = f'split {parameters.train_split!r}, features {list(columns.names)}'
    if columns.weight:
        place += f', weight_feature {columns.weight!r}'
    return arguments.settings(
        place,
        tuple(columns.name_of_column(column) for column in range(columns.total_width)),
        parameters.n_clusters,
        init=parameters.init if init is None else init,
        n_init=parameters.n_init if init is None else None,
        max_iter=parameters.max_iter,
        tol=parameters.tol,
        seed=parameters.seed,
        distance=parameters.distance,
        standardize=parameters.standardize,
        missing=parameters.missing,
        sample_size=None,
        passes=parameters.max_passes,
        passes_name='max_passes',
    )


def _build(pipeline, examples, columns, schema, parameters, settings, directory):
    """Puts the whole job into `pipeline`."""

    def read(split):
        return f'Read[{split}]' >> beam_reading.ReadRows(examples, split, columns, schema)

    spool = os.path.join(directory, 'rows')
    fitted = pipeline | read(parameters.train_split) | 'Fit' >> fit_rows.FitRows(settings, spool)
    clustering = fitted | 'ToClustering' >> beam.Map(
        fit_kmeans.to_clustering, settings, columns.names, columns.widths, parameters.output_prefix
    )
    if parameters.eval_split:
        score = (
            pipeline
            | read(parameters.eval_split)
            | 'Evaluate' >> scoring.ScoreClustering(clustering)
        )
        clustering = clustering | 'AddScore' >> beam.Map(
            _add_score, beam.pvalue.AsSingleton(score), parameters.eval_split, columns
        )
    clustering | 'Leave' >> beam.Map(_leave, beam.pvalue.AsSingleton(fitted), directory)


def _add_score(clustering, score, split, columns):
    if score is None:
        raise ValueError(f'split {split!r} has no rows to use')
    weights = f'weight_feature {columns.weight!r}'
    score.defects.check('drop', f'split {split!r}', columns.name_of_column, weights)
    return dataclasses.replace(clustering, eval_weight=score.weight, eval_inertia=score.inertia)


def _leave(clustering, fitted, directory):
    """Writes what the job has found to where the process that started it can read it."""
    clustering.write(os.path.join(directory, _CLUSTERING))
    with fileio.open(os.path.join(directory, _PASSES), 'w') as file:
        file.write(json.dumps(fitted.passes))


def _take(directory):
    """Reads what `_leave` has written, and logs the passes."""
    clustering = artifacts.Clustering.read(os.path.join(directory, _CLUSTERING))
    with fileio.open(os.path.join(directory, _PASSES)) as file:
        passes = [fitting_lib.Pass(*fields) for fields in json.loads(file.read())]
    for number, done in enumerate(passes, 1):
        logging.info('Pass %d: %s', number, done)
    return clustering, [*(done.inertia for done in passes), clustering.inertia]


def _log_metrics(result):
    try:
        found = metrics.query(result)
    except NotImplementedError:
        logging.info('The runner tells no metrics')
        return
    told = ', '.join(f'{name} {value}' for name, value in sorted(found.items()))
    logging.info('Metrics of the Beam job: %s', told)
