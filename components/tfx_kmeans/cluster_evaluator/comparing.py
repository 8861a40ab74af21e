"""A clustering beside the baseline, and the sizes of clusters beside what they were."""

import numpy as np

from tfx_kmeans import drift, evaluation


class Transitions:
    """Counts rows by their ids in the baseline and now, in tables `[i + 1, k + 1]`.

    Attributes:
        weights: float64, weight of the rows; the last row and column are those without a place.
        counts: int64, their number.
    """

    def __init__(self, n_before, n_clusters):
        self.weights = np.zeros((n_before + 1, n_clusters + 1))
        self.counts = np.zeros(self.weights.shape, np.int64)

    def add(self, before, ids, weights):
        """Adds rows: ids int64 `[b]` each, weights float64 `[b]`."""
        np.add.at(self.weights, (before, ids), weights)
        np.add.at(self.counts, (before, ids), 1)


def shift(expected_weights, actual_weights):
    """Returns the evaluation.Shift between weights of clusters; None where all are 0, or None."""
    if expected_weights is None:
        return None
    expected, actual = drift.shares(expected_weights), drift.shares(actual_weights)
    if expected is None or actual is None:
        return None
    parts = (
        expected, actual, drift.psi_terms(expected, actual),
        drift.jensen_shannon_terms(expected, actual),
    )  # fmt: skip
    return evaluation.Shift(*(tuple(part.tolist()) for part in parts))


def stability(transitions, moves):
    """Returns the evaluation.Stability that Transitions and the moves of centroids amount to."""
    weights, counts = transitions.weights[:-1, :-1], transitions.counts[:-1, :-1]
    kept = np.zeros(len(weights))
    diagonal = np.diagonal(weights)
    kept[: len(diagonal)] = diagonal
    whole = weights.sum()
    return evaluation.Stability(
        n_rows=int(counts.sum()),
        kept_share=float(kept.sum() / whole) if whole else None,
        adjusted_rand=drift.adjusted_rand(counts),
        kept_shares=tuple(
            float(part / total) if total else None
            for part, total in zip(kept, weights.sum(axis=1), strict=True)
        ),
        moves=moves,
    )


def same_space(clustering, baseline):
    """Whether two clusterings are of the same columns, by the same distance."""
    parts = ('feature_names', 'feature_widths', 'distance')
    return all(getattr(clustering, part) == getattr(baseline, part) for part in parts)


def moves(clustering, baseline):
    """How far each centroid is from the one of its id in the baseline, in the space of the former.

    Returns:
        Euclidean distances, or 1 - cos, floats by id; None where the two do not compare.
    """
    if not same_space(clustering, baseline):
        return None
    centroids, before = clustering.centroids.astype(np.float64), baseline.points
    if clustering.standardization:
        before -= np.array(clustering.standardization.mean)
        before /= np.array(clustering.standardization.scale)
    common = min(len(centroids), len(before))
    centroids, before = centroids[:common], before[:common]
    if clustering.distance == 'cosine':
        before /= np.linalg.norm(before, axis=1, keepdims=True)
        return tuple(np.maximum(1 - np.sum(centroids * before, axis=1), 0.0).tolist())
    return tuple(np.linalg.norm(centroids - before, axis=1).tolist())
