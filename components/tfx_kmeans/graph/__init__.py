"""K-means as TensorFlow operations: needs TensorFlow and NumPy, knows nothing of TFX or Beam."""

from tfx_kmeans.graph.assignment import Assignment, assign, pairwise_distances, soft_assign
from tfx_kmeans.graph.fitting import FitResult, fit

__all__ = ['Assignment', 'FitResult', 'assign', 'fit', 'pairwise_distances', 'soft_assign']
