"""Executor of the TFX component KMeans."""

import dataclasses
import os

import numpy as np
import tensorflow_transform as tft
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from tfx_kmeans import artifacts, graph
from tfx_kmeans.kmeans import (
    beam_engine,
    choosing,
    engines,
    export,
    keeping,
    progress,
    projector,
    reading,
    settings,
    solving,
    standardizing,
)
from tfx_kmeans.kmeans import columns as columns_lib


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads a split, fits k-means, scores another split, and writes centroids, model and logs."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Fits k-means; see the component for inputs, outputs and parameters.

        Args:
            input_dict: lists of artifacts by name: `examples`, `transform_graph`, and
                `previous_centroids` where there are any.
            output_dict: lists of artifacts by name: `centroids`, `model`, `model_run`.
            exec_properties: parameters, as settings.Settings gives them.

        Raises:
            ValueError: a parameter is out of range, a feature is not there or not numeric and
                dense, a split is missing or empty, the rows cannot be clustered, or
                `previous_centroids` cannot be continued.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        parameters = settings.Settings.from_exec_properties(exec_properties)
        examples = input_dict['examples']
        for argument in ('train_split', 'eval_split'):
            if getattr(parameters, argument):
                reading.check_split(examples, getattr(parameters, argument), argument)
        columns = _columns(input_dict['transform_graph'], parameters)
        if parameters.solver not in solving.SOLVERS:
            solving.load('solver', parameters.solver, columns.weight is not None)
        previous = keeping.read(input_dict.get('previous_centroids'))
        if previous:
            keeping.check(previous, columns, parameters)

        centroids = artifact_utils.get_single_instance(output_dict['centroids'])
        width = columns.total_width + bool(columns.weight)
        if engines.choose(examples, parameters, width) == 'beam':
            clustering, inertia_history = beam_engine.fit(
                self._make_beam_pipeline,
                examples,
                columns,
                _output(input_dict['transform_graph']).transformed_metadata.schema,
                parameters,
                os.path.join(centroids.uri, '.temp_path'),
                previous,
            )
            progress.log_result(clustering, 'max_passes')
        else:
            clustering, inertia_history = _fit(examples, columns, parameters, previous)
            if parameters.eval_split:
                clustering = _score(clustering, examples, columns, parameters)
            progress.log_result(clustering)

        clustering.write(centroids.uri)
        _set_properties(centroids, clustering, examples)
        model = artifact_utils.get_single_instance(output_dict['model'])
        spec = {name: columns.feature_spec[name] for name in columns.names}
        export.write_model(clustering, spec, path_utils.serving_model_dir(model.uri))
        model_run = artifact_utils.get_single_instance(output_dict['model_run'])
        progress.write_tensorboard(model_run.uri, clustering, inertia_history)
        projector.write(model_run.uri, clustering)


def _output(transform_graph):
    return tft.TFTransformOutput(artifact_utils.get_single_uri(transform_graph))


def _columns(transform_graph, parameters):
    spec = _output(transform_graph).transformed_feature_spec()
    return columns_lib.resolve(spec, parameters.features, parameters.weight_feature)


def _fit(examples, columns, parameters, previous):
    """Returns the fitted Clustering and the inertia after each update, float64 `[n_iter + 1]`."""
    budget = solving.memory_budget(parameters)
    rows = reading.read(examples, parameters.train_split, columns, parameters.missing, budget)
    standardization = None
    if parameters.standardize and previous:
        standardization = previous.standardization
    elif parameters.standardize:
        standardization = standardizing.measure(rows.blocks(), columns.total_width)
    if standardization:
        rows = rows.standardized(standardization)
    solver = solving.choose(rows, parameters)

    def fit(n_clusters):
        initial = keeping.start(previous, n_clusters, rows, parameters) if previous else None
        return solving.fit(rows, parameters, solver, n_clusters, initial)

    try:
        fitted, selection = choosing.fit_and_choose(rows, parameters, fit)
    except ValueError as error:
        place = f'split {parameters.train_split!r}, features {list(columns.names)}'
        if columns.weight:
            place += f', weight_feature {columns.weight!r}'
        raise ValueError(f'{place}: {error}') from error
    clustering = artifacts.Clustering(
        centroids=fitted.centroids.numpy(),
        feature_names=columns.names,
        feature_widths=columns.widths,
        cluster_weights=tuple(fitted.cluster_weights.numpy().tolist()),
        inertia=float(fitted.inertia),
        n_iter=int(fitted.n_iter),
        seed=parameters.seed,
        converged=bool(fitted.converged),
        distance=parameters.distance,
        missing=artifacts.missing_when_placed(parameters.missing),
        fit_missing=parameters.missing,
        output_prefix=parameters.output_prefix,
        standardization=standardization,
        inertia_history=tuple(fitted.inertia_history.numpy().tolist()),
        selection=selection,
    )
    if previous:
        clustering = keeping.renumber(clustering, previous, rows)
    return clustering, fitted.inertia_history.numpy()


def _score(clustering, examples, columns, parameters):
    """Returns `clustering` with its inertia on the rows of the eval split that can be placed."""
    budget = solving.memory_budget(parameters)
    missing = clustering.missing
    rows = reading.read(examples, parameters.eval_split, columns, missing, budget)
    total = inertia = 0.0
    for block, weights in rows.blocks():
        if clustering.standardization:
            standardizing.apply(block, clustering.standardization)
        placed = graph.assign(
            block, clustering.centroids, distance=clustering.distance, missing=missing
        )
        distances = placed.distances.numpy().astype(np.float64)
        weights = np.ones(len(block)) if weights is None else weights.astype(np.float64)
        weights = np.where(np.isnan(distances), 0.0, weights)
        total += float(weights.sum())
        inertia += float(np.nan_to_num(distances) @ weights)
    return dataclasses.replace(clustering, eval_weight=total, eval_inertia=inertia)


def _set_properties(centroids, clustering, examples):
    """Makes the key figures custom properties, for tfx.dsl.Cond and lineage queries."""
    span = reading.span_of(examples)
    if span is not None:
        centroids.set_int_custom_property('span', span)
    centroids.set_int_custom_property('n_clusters', clustering.n_clusters)
    centroids.set_int_custom_property('n_features', clustering.n_features)
    centroids.set_int_custom_property('n_iter', clustering.n_iter)
    centroids.set_int_custom_property('converged', int(clustering.converged))
    centroids.set_float_custom_property('inertia', clustering.inertia)
    centroids.set_float_custom_property('inertia_per_row', clustering.inertia_per_row)
    if clustering.eval_weight:
        value = clustering.eval_inertia_per_row
        centroids.set_float_custom_property('eval_inertia_per_row', value)
    smallest = min(clustering.cluster_weights) / clustering.total_weight
    centroids.set_float_custom_property('smallest_cluster_share', smallest)
    for name, value in _figures_beside(clustering).items():
        centroids.set_float_custom_property(name, value)


def _figures_beside(clustering):
    """Figures of a choice of n_clusters and of a continuation, floats by name, as far as known."""
    figures = {}
    if clustering.selection:
        figures |= choosing.scores_of(clustering.selection, clustering.n_clusters)
    if clustering.continuation:
        figures |= keeping.figures_of(clustering.continuation)
    return figures
