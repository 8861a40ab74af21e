"""The rows of a split among centroids: one pass for all that adds up, and the quality scores."""

import math

import numpy as np

from tfx_kmeans import evaluation, graph


class Tally:
    """Adds up how rows lie among the centroids of a clustering."""

    def __init__(self, n_clusters):
        self.weights, self.inertias = np.zeros(n_clusters), np.zeros(n_clusters)
        self.n_unplaced = 0

    def add(self, ids, distances, weights):
        """Adds rows that a Lens has placed, of weights float64 `[b]`."""
        n_clusters = len(self.weights)
        placed = ids < n_clusters
        self.n_unplaced += int(np.sum(~placed))
        ids, weights, distances = ids[placed], weights[placed], distances[placed]
        self.weights += np.bincount(ids, weights, n_clusters)
        self.inertias += np.bincount(ids, weights * distances, n_clusters)


def blocks(rows):
    """Yields the blocks of reading.Rows and such with weights float64 `[b]`, 1 where none."""
    for block, weights in rows.blocks():
        yield block, np.ones(len(block)) if weights is None else weights.astype(np.float64)


def metrics(split, rows, lens, tally):
    """Returns the evaluation.SplitMetrics of rows whose Tally has been taken.

    Args:
        split: str, its name.
        rows: reading.Rows or reading.SpooledRows, without the rows of nothing but NaN.
        lens: lenses.Lens.
        tally: Tally of all these rows.
    """
    scores = graph.score_parts(
        lambda: ((lens.points(block), weights) for block, weights in rows.blocks()),
        lens.clustering.centroids,
        **lens.options_of_distance(),
    )
    return evaluation.SplitMetrics(
        split=split,
        n_rows=rows.shape[0] + rows.left_out,
        n_unplaced=tally.n_unplaced + rows.left_out,
        cluster_weights=tuple(tally.weights.tolist()),
        cluster_inertias=tuple(tally.inertias.tolist()),
        # rounding may bring a mean of ones above 1
        cluster_silhouettes=tuple(map(_known, np.clip(scores.cluster_silhouettes, -1, 1))),
        silhouette=_known(np.clip(scores.silhouette, -1, 1)),
        davies_bouldin=_known(scores.davies_bouldin),
        calinski_harabasz=_known(scores.calinski_harabasz),
    )


def _known(figure):
    """A float, or None where the figure is not defined."""
    figure = float(figure)
    return figure if math.isfinite(figure) else None
