"""Choosing the number of clusters: each candidate is fitted and scored, and the best one kept."""

import math

import numpy as np
from absl import logging

from tfx_kmeans import artifacts, graph

# what the best of the scores is, by the name of the score
_BEST = {'silhouette': max, 'davies_bouldin': min, 'calinski_harabasz': max}
CRITERIA = (*_BEST, 'elbow')


def check_criterion(name, value):
    """Raises ValueError unless `value` is one of CRITERIA."""
    if value not in CRITERIA:
        raise ValueError(f'{name} must be one of {CRITERIA}, not {value!r}')


def check_candidates(name, n_clusters, criterion):
    """Checks that a criterion can choose among numbers of clusters.

    Args:
        name: str, what messages call the numbers.
        n_clusters: tuple of ints; anything else leaves nothing to choose.
        criterion: one of CRITERIA.

    Raises:
        ValueError: it cannot.
    """
    if not isinstance(n_clusters, tuple):
        return
    if criterion == 'elbow':
        if len(n_clusters) < 3:
            raise ValueError(
                f"{name} must name at least 3 numbers of clusters for selection='elbow', not "
                f'{list(n_clusters)}'
            )
    elif min(n_clusters) < 2:
        raise ValueError(
            f'{name} must name numbers of at least 2 for selection={criterion!r}, which is not '
            f'defined for one cluster, not {list(n_clusters)}'
        )


def fit_and_choose(rows, parameters, fit):
    """Fits the number of clusters that is asked for, or each of several and keeps the best.

    Args:
        rows: what is scored on: `blocks()` yields points float32 `[b, d]` and weights `[b]`, or
            None.
        parameters: settings.Settings.
        fit: callable that takes a number of clusters and returns a graph.FitResult.

    Returns:
        graph.FitResult, and artifacts.Selection or None where there was no choice.

    Raises:
        ValueError: the rows cannot be clustered, or not be judged by the criterion.
    """
    if not isinstance(parameters.n_clusters, tuple):
        return fit(parameters.n_clusters), None
    tried = []
    # the largest number first: if there are too few rows for it, no time is lost on the others
    for n_clusters in sorted(parameters.n_clusters, reverse=True):
        fitted = fit(n_clusters)
        scores = graph.score_parts(
            rows.blocks,
            fitted.centroids,
            distance=parameters.distance,
            missing=artifacts.missing_when_placed(parameters.missing),
        )
        tried.append((fitted, scores))
        log_candidate(_candidate(fitted, scores))
    fitted, selection = choose(tried, parameters.selection)
    log_choice(selection, len(fitted.centroids))
    return fitted, selection


def choose(tried, criterion):
    """Chooses among fits.

    Args:
        tried: pairs of a fit and its graph.ClusterScores, in any order; of the fit `centroids`,
            `inertia`, `n_iter` and `converged` are used.
        criterion: one of CRITERIA.

    Returns:
        The best fit, the one of fewest clusters among equals, and artifacts.Selection.

    Raises:
        ValueError: the fits cannot be judged by the criterion.
    """
    tried = sorted(tried, key=lambda pair: len(pair[0].centroids))
    table = tuple(_candidate(fitted, scores) for fitted, scores in tried)
    fitted, _ = tried[_best(tried, criterion)]
    return fitted, artifacts.Selection(criterion, table)


def scores_of(selection, n_clusters):
    """Returns the known scores of one candidate of an artifacts.Selection, floats by name."""
    (row,) = [row for row in selection.table if row.n_clusters == n_clusters]
    scores = {name: getattr(row, name) for name in _BEST}
    return {name: value for name, value in scores.items() if value is not None}


def log_candidate(row):
    """Logs the scores of an artifacts.Candidate."""
    silhouette, davies_bouldin, calinski_harabasz = (
        math.nan if getattr(row, name) is None else getattr(row, name) for name in _BEST
    )
    logging.info(
        'n_clusters=%d: inertia %.6g, silhouette %.4f, Davies-Bouldin %.4f, Calinski-Harabasz %.6g',
        row.n_clusters,
        row.inertia,
        silhouette,
        davies_bouldin,
        calinski_harabasz,
    )


def log_choice(selection, n_clusters):
    """Logs which candidate of an artifacts.Selection is kept."""
    logging.info(
        'Kept n_clusters=%d of %d, by %s', n_clusters, len(selection.table), selection.criterion
    )


def _candidate(fitted, scores):
    values = {name: float(getattr(scores, name)) for name in _BEST}
    return artifacts.Candidate(
        n_clusters=len(fitted.centroids),
        inertia=float(fitted.inertia),
        n_iter=int(fitted.n_iter),
        converged=bool(fitted.converged),
        **{name: value if math.isfinite(value) else None for name, value in values.items()},
    )


def _best(tried, criterion):
    """Index of the best pair of graph.FitResult and graph.ClusterScores, the first of equals."""
    if criterion == 'elbow':
        return graph.elbow(
            [len(fitted.centroids) for fitted, _ in tried],
            [float(fitted.inertia) for fitted, _ in tried],
        )
    values = [float(getattr(scores, criterion)) for _, scores in tried]
    known = [value for value in values if not math.isnan(value)]
    if not known:
        raise ValueError(
            f'selection={criterion!r} is not defined for any of the fits: the rows weigh '
            f'{float(np.sum(tried[0][1].cluster_weights)):.6g} in all, which has to be more than '
            'n_clusters; choose another criterion, or scale the weights up'
        )
    return values.index(_BEST[criterion](known))
