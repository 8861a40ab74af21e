"""K-means cluster features for TFX pipelines, fitted inside the TensorFlow graph.

The public names load what they need on first use (PEP 562), so `import tfx_kmeans` stays cheap.
"""

import importlib

__version__ = '0.1.0'

_HOMES = {
    'Centroids': 'tfx_kmeans.artifacts',
    'Clustering': 'tfx_kmeans.artifacts',
    'ClusterEvaluation': 'tfx_kmeans.evaluation',
    'ClusterEvaluator': 'tfx_kmeans.cluster_evaluator.component',
    'ClusterTransform': 'tfx_kmeans.cluster_transform.component',
    'Evaluation': 'tfx_kmeans.evaluation',
    'KMeans': 'tfx_kmeans.kmeans.component',
    'apply_kmeans': 'tfx_kmeans.transform.analyzers',
    'compute_and_apply_kmeans': 'tfx_kmeans.transform.analyzers',
    'kmeans_centroids': 'tfx_kmeans.transform.analyzers',
}
_MODULES = ('beam', 'graph', 'kubeflow', 'report')

__all__ = [*_HOMES, *_MODULES]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f'tfx_kmeans.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
    return sorted([*globals(), *__all__])
