"""K-means as TensorFlow operations: needs TensorFlow and NumPy, knows nothing of TFX or Beam."""

from tfx_kmeans.graph.assignment import Assignment, assign, pairwise_distances, soft_assign
from tfx_kmeans.graph.calling import fit_callable
from tfx_kmeans.graph.fitting import FitResult, canonical_order, fit
from tfx_kmeans.graph.scores import ClusterScores, elbow, score_clusters, score_parts
from tfx_kmeans.graph.streaming import fit_dataset

__all__ = [
    'Assignment',
    'ClusterScores',
    'FitResult',
    'assign',
    'canonical_order',
    'elbow',
    'fit',
    'fit_callable',
    'fit_dataset',
    'pairwise_distances',
    'score_clusters',
    'score_parts',
    'soft_assign',
]
