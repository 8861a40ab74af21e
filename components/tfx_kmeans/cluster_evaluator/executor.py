"""Executor of the TFX component ClusterEvaluator."""

import os

import tensorflow_transform as tft
from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from tfx_kmeans import artifacts, report
from tfx_kmeans import evaluation as evaluation_lib
from tfx_kmeans.cluster_evaluator import blessing, evaluating, lenses, settings
from tfx_kmeans.kmeans import reading


class Executor(base_executor.BaseExecutor):
    """Reads the splits, judges the clustering, and writes evaluation, report and blessing."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Judges a clustering; see the component for inputs, outputs and parameters.

        Args:
            input_dict: lists of artifacts by name: `examples`, `transform_graph`, `centroids`, and,
                where they are given, `model` and `baseline_centroids`.
            output_dict: lists of artifacts by name: `evaluation`, `blessing`.
            exec_properties: parameters, as settings.Settings gives them.

        Raises:
            ValueError: a parameter is out of range, a split is missing or empty, or the examples
                have not the features of a clustering.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        parameters = settings.Settings.from_exec_properties(exec_properties)
        examples = input_dict['examples']
        splits = {'train': parameters.train_split, 'eval': parameters.eval_split}
        splits = {key: split for key, split in splits.items() if split is not None}
        for key, split in splits.items():
            reading.check_split(examples, split, f'{key}_split')
        # empty where a Resolver has found none
        baseline = next(iter(input_dict.get('baseline_centroids') or []), None)
        columns, seen = _lenses(input_dict, baseline, parameters.weight_feature)

        # rows with gaps are for each clustering to place
        options = {'missing': 'partial', 'memory_budget': parameters.memory_budget}
        judged = evaluating.evaluate(
            {
                key: (split, reading.read(examples, split, columns, **options))
                for key, split in splits.items()
            },
            seen['centroids'],
            seen.get('baseline_centroids'),
            baseline and baseline.uri,
            reading.span_of(examples),
            parameters.bounds,
        )
        _log(judged)

        evaluation = artifact_utils.get_single_instance(output_dict['evaluation'])
        judged.write(evaluation.uri)
        path = os.path.join(evaluation.uri, evaluation_lib.REPORT_FILE)
        report.write(path, seen['centroids'].clustering, judged)
        _set_properties(evaluation, judged)
        of = input_dict.get('model') or input_dict['centroids']
        blessing.write(
            artifact_utils.get_single_instance(output_dict['blessing']),
            judged.blessed,
            artifact_utils.get_single_instance(of),
            baseline,
        )


def _lenses(input_dict, baseline, weight_feature):
    """Returns the columns to read, and a Lens for each clustering by its argument."""
    clusterings = {
        'centroids': artifacts.Clustering.read(
            artifact_utils.get_single_uri(input_dict['centroids'])
        )
    }
    if baseline:
        clusterings['baseline_centroids'] = artifacts.Clustering.read(baseline.uri)
    output = tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict['transform_graph']))
    return lenses.resolve(output.transformed_feature_spec(), clusterings, weight_feature)


def _log(evaluation):
    for name, figure in evaluation.figures.items():
        logging.info('%s: %.6g', name, figure)
    for threshold in evaluation.thresholds:
        (logging.info if threshold.passed else logging.error)('%s', threshold)
    if not evaluation.thresholds:
        logging.warning(
            'ClusterEvaluator was given no threshold: it blesses whatever comes. Give it one, such '
            'as max_inertia_ratio=1.2, if a Pusher or a condition goes by the blessing'
        )
    failed = sum(not threshold.passed for threshold in evaluation.thresholds)
    logging.info(
        'Clusters are %s: %d of %d thresholds failed',
        'blessed' if evaluation.blessed else 'NOT blessed',
        failed,
        len(evaluation.thresholds),
    )


def _set_properties(artifact, evaluation):
    """Makes the key figures custom properties, for tfx.dsl.Cond and lineage queries."""
    if evaluation.span is not None:
        artifact.set_int_custom_property('span', evaluation.span)
    artifact.set_int_custom_property('n_clusters', evaluation.n_clusters)
    artifact.set_int_custom_property('blessed', int(evaluation.blessed))
    for name, figure in evaluation.figures.items():
        artifact.set_float_custom_property(name, figure)
    failed = [threshold.name for threshold in evaluation.thresholds if not threshold.passed]
    artifact.set_string_custom_property('failed_thresholds', ', '.join(failed))
