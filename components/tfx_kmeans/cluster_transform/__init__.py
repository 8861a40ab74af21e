"""The TFX component ClusterTransform."""

from tfx_kmeans import versions

versions.check_installed()
