"""Runs the executor of ClusterEvaluator on real artifacts."""

from tfx.types import standard_artifacts

from support.building import artifacts
from tfx_kmeans import ClusterEvaluation, Evaluation
from tfx_kmeans.cluster_evaluator import executor


def run_evaluator(directory, transformed, centroids, **properties):
    """Runs it.

    Args:
        directory: pathlib.Path to write to.
        transformed: `transformed_examples` and `transform_graph` by name.
        centroids: Centroids artifact.
        **properties: exec properties; `model` and `baseline_centroids`, artifacts.

    Returns:
        Evaluation, and the artifacts `evaluation` and `blessing` by name.
    """
    inputs = {
        'examples': [transformed['transformed_examples']],
        'transform_graph': [transformed['transform_graph']],
        'centroids': [centroids],
    }
    for name in ('model', 'baseline_centroids'):
        if properties.get(name):
            inputs[name] = [properties.pop(name)]
    outputs = artifacts(
        directory, evaluation=ClusterEvaluation, blessing=standard_artifacts.ModelBlessing
    )
    options = {'train_split': 'train', 'eval_split': 'eval', 'memory_budget': 10**9}
    executor.Executor().Do(inputs, outputs, options | properties)
    made = {key: kind[0] for key, kind in outputs.items()}
    return Evaluation.read(made['evaluation'].uri), made
