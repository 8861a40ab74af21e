"""The TFX component ClusterEvaluator."""

from tfx_kmeans import versions

versions.check_installed()
