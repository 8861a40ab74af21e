"""The figures of the whole: sizes, the choice of k, convergence, distances, the map."""

import numpy as np

from tfx_kmeans.report import blocks, charts, facts
from tfx_kmeans.report.numbers import number, percent

_LIKE_ROWS = 'A circle with a number is a centroid, a point is a row in the colour of its cluster.'


def figures(clustering, evaluation):
    """Returns the section of the charts that there is something for."""
    return blocks.section(
        'The clustering',
        blocks.grid(
            _map(clustering, evaluation),
            _sizes(clustering, evaluation),
            _distances(clustering, evaluation),
            _convergence(clustering),
            _choice(clustering),
        ),
    )


def _sizes(clustering, evaluation):
    total = clustering.total_weight
    trained = [weight / total for weight in clustering.cluster_weights] if total else None
    judged = evaluation and evaluation.eval.cluster_shares
    if trained is None and judged is None:
        return None
    notes = []
    if trained is not None:
        notes.append('Bars are shares of the training rows')
    if judged is not None:
        notes.append(f'marks those of the split {evaluation.eval.split!r}')
    chart = charts.bars('Sizes of clusters', trained, judged, x_title='cluster', y_title='share')
    return blocks.figure('Sizes', chart, ', '.join(notes) + '.')


def _convergence(clustering):
    history = clustering.inertia_history
    if not history or len(history) < 2:
        return None
    chart = charts.line(
        'Inertia by update', range(len(history)), history, x_title='update', y_title='inertia'
    )
    end = 'It has converged.' if clustering.converged else 'It was ended before it had converged.'
    return blocks.figure(
        'Convergence', chart,
        f'Inertia of the seeding, {number(history[0])}, and after each update, down to '
        f'{number(history[-1])}. {end}',
    )  # fmt: skip


def _choice(clustering):
    """The scores of the numbers of clusters that were tried."""
    selection = clustering.selection
    if not selection:
        return None
    score = 'inertia' if selection.criterion == 'elbow' else selection.criterion
    known = [row for row in selection.table if getattr(row, score) is not None]
    chart = charts.line(
        'Score by number of clusters',
        [row.n_clusters for row in known], [getattr(row, score) for row in known],
        x_title='clusters', y_title=score.replace('_', ' '), marked=clustering.n_clusters,
    )  # fmt: skip
    names = ('inertia', 'silhouette', 'davies_bouldin', 'calinski_harabasz')
    rows = []
    for row in selection.table:
        chosen = row.n_clusters == clustering.n_clusters
        count = [row.n_clusters, ' \N{LEFTWARDS ARROW} chosen' if chosen else '']
        rows.append([count, *(number(getattr(row, name)) for name in names)])
    header = ['clusters', 'inertia', 'silhouette', 'Davies-Bouldin', 'Calinski-Harabasz']
    return blocks.figure(
        'Choice of the number of clusters', [chart, blocks.table(header, rows)],
        f'{len(selection.table)} were tried; {clustering.n_clusters} is the best by '
        f'{selection.criterion.replace("_", " ")}.',
    )  # fmt: skip


def _distances(clustering, evaluation):
    if not evaluation:
        return None
    unit = '1 \N{MINUS SIGN} cos' if clustering.distance == 'cosine' else 'Euclidean'
    chart = charts.histogram(
        'Distances to the own centroid',
        evaluation.distance_edges.tolist(), evaluation.train_distances, evaluation.eval_distances,
        x_title=f'distance ({unit})', y_title='share of rows',
    )  # fmt: skip
    filled = evaluation.train and f'Filled: split {evaluation.train.split!r}; '
    return blocks.figure(
        'Distance to the own centroid', chart, filled or '',
        f'line: split {evaluation.eval.split!r}. The last bin has all beyond it, too.',
    )  # fmt: skip


def _map(clustering, evaluation):
    view = facts.view(clustering, evaluation)
    weights = clustering.cluster_weights or np.zeros(clustering.n_clusters)
    chart = charts.scatter(
        'Map of the clusters', view.rows, view.ids, view.centroids, weights, view.before,
        x_title=f'component 1 ({percent(view.shares[0])} of the variance)',
        y_title='no meaning' if clustering.n_features == 1 else
        f'component 2 ({percent(view.shares[1])})',
    )  # fmt: skip
    notes = [
        'The plane of the two principal components',
        f' of a sample of {len(view.rows):,} rows. {_LIKE_ROWS}' if len(view.rows) else
        ' of the centroids: an evaluation has rows, too.',
    ]  # fmt: skip
    if np.any(view.ids == clustering.n_clusters):
        notes.append(' Grey rows have no place; a missing value is shown as the mean.')
    if view.before is not None and len(view.before) <= charts.MOST_LABELS:
        notes.append(' Rings are the centroids of the baseline; lines lead to the same id now.')
    return blocks.figure('Map', chart, notes, class_='tall')
