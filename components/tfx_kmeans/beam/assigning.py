"""`AssignClusters`: bulk assignment of rows to the clusters of a Clustering."""

import typing

import apache_beam as beam
import numpy as np

from tfx_kmeans import artifacts, graph
from tfx_kmeans.beam import arguments


class Assigned(typing.NamedTuple):
    """A batch, and where its rows belong.

    Attributes:
        batch: the batch as it came.
        ids: int64 `[b]`, the nearest centroid, or n_clusters for a row that cannot be placed.
        distances: float32 `[b]`, the squared Euclidean distance to it, in the space of the
            centroids (standardised where the clustering is), or 1 - cos under the cosine distance;
            NaN for a row that cannot be placed.
    """

    batch: typing.Any
    ids: np.ndarray
    distances: np.ndarray


class AssignClusters(beam.PTransform):
    """Places rows among the centroids of a Clustering, as the model of KMeans does.

    >>> import apache_beam as beam
    >>> import numpy as np
    >>> from tfx_kmeans import Clustering
    >>> from tfx_kmeans.beam import AssignClusters
    >>> clustering = Clustering.from_array([[0, 0], [9, 8]], ['x', 'y'])
    >>> with beam.Pipeline() as pipeline:
    ...     batches = pipeline | beam.Create([np.array([[0.0, 3.0], [9.0, 9.0]])])
    ...     assigned = batches | AssignClusters(clustering)
    ...     _ = assigned | beam.Map(lambda found: print(found.ids, found.distances))
    [0 1] [9. 1.]
    """

    def __init__(self, clustering):
        """Assigns to `clustering`, a Clustering or a PCollection of one."""
        super().__init__()
        self._clustering = clustering

    def expand(self, batches):
        """From batches to Assigned.

        Args:
            batches: PCollection of numeric arrays `[b, d]`, or tuples of which that is the first
                part and the others, such as keys, are handed through.
        """
        clustering = self._clustering
        if not isinstance(clustering, artifacts.Clustering):
            clustering = beam.pvalue.AsSingleton(clustering)
        return batches | beam.Map(_assign, clustering)


def _assign(batch, clustering):
    ids, distances = place(batch[0] if isinstance(batch, tuple) else batch, clustering)
    return Assigned(batch, ids, distances)


def place(rows, clustering):
    """Places rows among the centroids of a Clustering.

    Args:
        rows: numeric `[n, d]`, in the units of the data.
        clustering: artifacts.Clustering.

    Returns:
        ids int64 `[n]` and squared distances float32 `[n]`, see Assigned.

    Raises:
        TypeError: `rows` are no array of real numbers.
        ValueError: they have another number of columns than the centroids.
    """
    rows = arguments.as_rows(rows, clustering.n_features)
    if clustering.standardization:
        mean, scale = (np.float32(part) for part in vars(clustering.standardization).values())
        rows = (rows - mean) / scale
    found = graph.assign(
        rows, clustering.centroids, distance=clustering.distance, missing=clustering.missing
    )
    return found.ids.numpy(), found.distances.numpy()
