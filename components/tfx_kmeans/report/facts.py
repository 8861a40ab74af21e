"""What a report shows that is written nowhere: computed from a clustering and an evaluation."""

import typing

import numpy as np

from tfx_kmeans.graph import projection


class Differences(typing.NamedTuple):
    """How each cluster differs from the whole, column by column.

    Attributes:
        values: float64 `[k, d]`, the mean of the cluster minus that of all rows, divided by the
            standard deviation of all rows; NaN for a cluster without rows, and 0 in a column that
            does not vary.
        here: float64 `[k, d]`, means of the clusters in the unit of the features.
        overall: float64 `[d]`, means of all rows.
        note: str, what was measured: of which rows.
    """

    values: np.ndarray
    here: np.ndarray
    overall: np.ndarray
    note: str


def differences(clustering, evaluation):
    """Returns the Differences of an artifacts.Clustering, by an Evaluation or (None) without.

    Without one only the centroids are known: their weighted mean stands for that of the rows, and
    where the clustering does not standardise, the deviation of the centroids for that of the rows.
    """
    if evaluation:
        scale = evaluation.column_stds
        here, overall = evaluation.cluster_means, evaluation.column_means
        split = evaluation.train or evaluation.eval
        note = f'standard deviations of the rows of the split {split.split!r}'
    else:
        here = clustering.points
        weights = clustering.cluster_weights if clustering.total_weight else None
        overall = np.average(here, axis=0, weights=weights)
        if clustering.standardization:
            scale = np.array(clustering.standardization.scale)
            note = 'standard deviations of the training rows'
        else:
            scale = np.sqrt(np.average(np.square(here - overall), axis=0, weights=weights))
            note = 'standard deviations of the centroids; those of rows are in an evaluation'
    varies = scale > 1e-9 * np.abs(overall)  # what is less comes from rounding
    values = np.where(varies, (here - overall) / np.where(varies, scale, 1.0), 0.0)
    values = np.where(np.isnan(here), np.nan, values)
    return Differences(values, here, overall, note)


class View(typing.NamedTuple):
    """Rows and centroids in the plane of the first two principal components.

    Attributes:
        rows: float64 `[s, 2]`; none without an evaluation.
        ids: int64 `[s]`.
        centroids: float64 `[k, 2]`.
        before: float64 `[j, 2]`, the centroids of the baseline, or None.
        shares: float64 `[2]`, the share of the variance of the rows along each direction.
    """

    rows: np.ndarray
    ids: np.ndarray
    centroids: np.ndarray
    before: np.ndarray | None
    shares: np.ndarray


def view(clustering, evaluation):
    """Returns the View of a clustering in the space in which it measures distances.

    The directions are those of the rows of the sample, or of the centroids without one; a missing
    value counts as the mean of its column. Rows of a single column lie apart on the second axis by
    their number, which means nothing.
    """
    rows = np.zeros((0, clustering.n_features))
    ids, before = np.zeros(0, np.int64), None
    if evaluation:
        filled = np.where(
            np.isnan(evaluation.sample_points), evaluation.column_means, evaluation.sample_points
        )
        rows, ids = _in_space(clustering, filled), evaluation.sample_ids
        if evaluation.baseline_points is not None:
            before = _in_space(clustering, evaluation.baseline_points)
    centroids = clustering.centroids.astype(np.float64)
    axes = projection.principal_axes(rows if len(rows) else centroids)
    planes = [axes.project(points).numpy() for points in (rows, centroids)]
    if clustering.n_features == 1:
        planes[0][:, 1] = np.arange(len(rows)) * 0.618034 % 1 - 0.5  # golden ratio: spreads evenly
    before = None if before is None else axes.project(before).numpy()
    return View(planes[0], ids, planes[1], before, axes.shares.numpy())


def _in_space(clustering, points):
    """Returns points in the unit of the features in the space of the distances, float64."""
    points = np.nan_to_num(points.astype(np.float64))
    if clustering.standardization:
        points = (points - clustering.standardization.mean) / clustering.standardization.scale
    if clustering.distance == 'cosine':
        lengths = np.linalg.norm(points, axis=1, keepdims=True)
        points = points / np.where(lengths > 0, lengths, 1.0)
    return points


def mean_distances(metrics):
    """Returns the mean distance (squared, or 1 - cos) of the rows of each cluster; NaN for none."""
    weights = np.array(metrics.cluster_weights)
    inertias = np.array(metrics.cluster_inertias)
    return np.where(weights > 0, inertias / np.where(weights > 0, weights, 1.0), np.nan)
