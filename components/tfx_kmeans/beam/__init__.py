"""K-means over a PCollection of batches of rows, on any Beam runner.

`FitKMeans` fits, and `AssignClusters` places rows in bulk. They load what they need on first use,
so that a worker which runs another part of this package does not wait for TFX.
"""

import importlib

_HOMES = {
    'AssignClusters': 'tfx_kmeans.beam.assigning',
    'Assigned': 'tfx_kmeans.beam.assigning',
    'FitKMeans': 'tfx_kmeans.beam.fit_kmeans',
}

__all__ = [*_HOMES]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
