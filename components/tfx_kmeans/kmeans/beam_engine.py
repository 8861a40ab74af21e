"""KMeans on Beam: one job that reads, fits and scores, on whatever runner the pipeline has."""

import dataclasses
import json
import operator
import os

import apache_beam as beam
from absl import logging
from tfx.dsl.io import fileio

from tfx_kmeans import artifacts, files
from tfx_kmeans.beam import arguments, assigning, fit_kmeans, fit_rows, metrics, quality, scoring
from tfx_kmeans.beam import fitting as fitting_lib
from tfx_kmeans.kmeans import beam_errors, beam_reading, choosing, keeping, splits

_CLUSTERING, _PASSES = 'clustering', 'passes.json'


def fit(make_pipeline, examples, columns, schema, parameters, directory, previous=None):
    """Fits k-means to the train split, and scores the fit on the eval split.

    Args:
        make_pipeline: callable that returns a beam.Pipeline.
        examples: list of Examples artifacts.
        columns: columns.Columns.
        schema: schema_pb2.Schema of the transformed examples.
        parameters: settings.Settings.
        directory: where the workers may leave what is of use while the job runs: the rows, 4 bytes
            a value, and the result. It is deleted at the end.
        previous: artifacts.Clustering that the fit is to continue, or None.

    Returns:
        artifacts.Clustering, and the inertia before each pass and at the end, a list of floats.

    Raises:
        ValueError: a split has no rows to use, the rows cannot be clustered, or `directory` is a
            symbolic link.
        RuntimeError: the job failed.
    """
    files.check_no_link(directory)
    fits = _fits(columns, parameters, previous)
    for split in filter(None, (parameters.train_split, parameters.eval_split)):
        for artifact in examples:
            if not splits.files(artifact, split):
                raise ValueError(f'split {split!r} has no rows to use: no files at {artifact.uri}')
    try:
        with make_pipeline() as pipeline:
            _build(pipeline, examples, columns, schema, parameters, fits, directory, previous)
        _log_metrics(pipeline.result)
        return _take(directory)
    except Exception as error:
        explained = beam_errors.explain(error)
        if explained is error:
            raise
        raise explained from error
    finally:
        files.check_no_link(directory)
        if fileio.exists(directory):
            fileio.rmtree(directory)


def _fits(columns, parameters, previous):
    """Returns fitting.Settings of a fit of each number of clusters, all of one sample."""
    numbers = parameters.n_clusters
    numbers = sorted(numbers) if isinstance(numbers, tuple) else [numbers]
    largest = _settings(columns, parameters, numbers[-1])
    fits = [dataclasses.replace(largest, n_clusters=int(number)) for number in numbers]
    if not previous:
        return fits
    return [
        dataclasses.replace(
            fit,
            init=tuple(map(tuple, previous.points[keeping.heaviest(previous, fit.n_clusters)])),
            n_init=1,
            standardization=previous.standardization,
        )
        for fit in fits
    ]


def _settings(columns, parameters, n_clusters):
    place = f'split {parameters.train_split!r}, features {list(columns.names)}'
    if columns.weight:
        place += f', weight_feature {columns.weight!r}'
    return arguments.settings(
        place,
        tuple(columns.name_of_column(column) for column in range(columns.total_width)),
        n_clusters,
        init=parameters.init,
        search=parameters.search,
        n_init=parameters.n_init,
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


def _build(pipeline, examples, columns, schema, parameters, fits, directory, previous):
    """Puts the whole job into `pipeline`."""

    def read(split):
        return f'Read[{split}]' >> beam_reading.ReadRows(examples, split, columns, schema)

    spool = os.path.join(directory, 'rows')
    batches = pipeline | read(parameters.train_split)
    rows = fit_rows.Rows(batches, fits[0].sampling(), spool)
    if isinstance(parameters.n_clusters, tuple):
        chosen = _fit_and_choose(rows, fits, parameters)
    else:
        fitted = rows.sample | 'Fit' >> fit_rows.FitSample(rows, fits[0])
        chosen = fitted | 'NoChoice' >> beam.Map(lambda fitted: (fitted, None))
    fitted = chosen | 'Fitted' >> beam.Map(operator.itemgetter(0))
    clustering = chosen | 'ToClustering' >> beam.Map(
        _to_clustering, fits[0], columns, parameters.output_prefix
    )
    if previous:
        overlap = (
            rows.read('ReadOverlap', fitted, even_if_converged=True)
            | 'Overlap' >> beam.Map(_overlap, beam.pvalue.AsSingleton(clustering), previous)
            | 'AddOverlaps' >> beam.CombineGlobally(sum)
        )
        clustering = clustering | 'Renumber' >> beam.Map(
            _renumber, beam.pvalue.AsSingleton(overlap), previous
        )
    if parameters.eval_split:
        score = (
            pipeline
            | read(parameters.eval_split)
            | 'Evaluate' >> scoring.ScoreClustering(clustering)
        )
        clustering = clustering | 'AddScore' >> beam.Map(
            _add_score,
            beam.pvalue.AsSingleton(score),
            parameters.eval_split,
            columns,
            sum(len(splits.files(artifact, parameters.eval_split)) for artifact in examples),
        )
    clustering | 'Leave' >> beam.Map(_leave, beam.pvalue.AsSingleton(fitted), directory)


def _fit_and_choose(rows, fits, parameters):
    """Returns a PCollection of the best fitting.Fitted and the artifacts.Selection, a pair."""
    tried = []
    for fit in fits:
        label = f'[{fit.n_clusters}]'
        fitted = rows.sample | f'Fit{label}' >> fit_rows.FitSample(rows, fit)
        tried.append(fitted | f'Judge{label}' >> quality.ScoreFit(rows, fit.distance))
    return (
        tried
        | 'Tried' >> beam.Flatten()
        | 'Gather' >> beam.combiners.ToList()
        | 'Choose' >> beam.Map(choosing.choose, parameters.selection)
    )


def _to_clustering(chosen, settings, columns, output_prefix):
    fitted, selection = chosen
    clustering = fit_kmeans.to_clustering(
        fitted, settings, columns.names, columns.widths, output_prefix
    )
    return dataclasses.replace(clustering, selection=selection)


def _overlap(batch, clustering, previous):
    rows, *weights = batch
    old, new = (assigning.place(rows, placing)[0] for placing in (previous, clustering))
    return keeping.cross(
        old, new, weights[0] if weights else None, previous.n_clusters, clustering.n_clusters
    )


def _renumber(clustering, overlap, previous):
    # the float64 ones, which the fit has rounded
    clustering = dataclasses.replace(clustering, standardization=previous.standardization)
    return keeping.renumber_by(overlap, clustering, previous)


def _add_score(clustering, score, split, columns, n_files):
    if score is None:
        raise splits.unusable(split, columns.weight, n_files, 0, 0)
    weights = f'weight_feature {columns.weight!r}'
    score.defects.check('drop', f'split {split!r}', columns.name_of_column, weights)
    if not score.weight:
        left_out = score.defects.left_out
        raise splits.unusable(split, columns.weight, n_files, score.n_rows, left_out)
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
    if clustering.selection:
        for row in clustering.selection.table:
            choosing.log_candidate(row)
        choosing.log_choice(clustering.selection, clustering.n_clusters)
    if clustering.continuation:
        keeping.log(clustering.continuation)
    return clustering, [*(done.inertia for done in passes), clustering.inertia]


def _log_metrics(result):
    try:
        found = metrics.query(result)
    except NotImplementedError:
        logging.info('The runner tells no metrics')
        return
    told = ', '.join(f'{name} {value}' for name, value in sorted(found.items()))
    logging.info('Metrics of the Beam job: %s', told)
