"""The TFX component KMeans."""

from tfx_kmeans import versions

versions.check_installed()
