"""K-means as TensorFlow operations: needs TensorFlow and NumPy, knows nothing of TFX or Beam."""

from tfx_kmeans.graph.assignment import Assignment, assign, pairwise_distances, soft_assign
from tfx_kmeans.graph.calling import fit_callable
from tfx_kmeans.graph.fitting import FitResult, canonical_order, fit
from tfx_kmeans.graph.minibatch import fit_minibatch

__all__ = [
    'Assignment',
    'FitResult',
    'assign',
    'canonical_order',
    'fit',
    'fit_callable',
    'fit_minibatch',
    'pairwise_distances',
    'soft_assign',
]
