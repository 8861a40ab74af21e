"""What makes each cluster different: a map of all columns, a table, and a card for each cluster."""

import math

import numpy as np

from tfx_kmeans.report import blocks, charts, facts
from tfx_kmeans.report.markup import element
from tfx_kmeans.report.numbers import number, percent

_LIMIT = 2.5  # standard deviations at which colours and bars are full
_MOST_COLUMNS = 24  # of the heat map
_COLUMNS_OF_CARD = 6
_EXAMPLES = 3
_FEW_CLUSTERS = 24  # up to here, cards are open and cells have hints


def profiles(clustering, evaluation):
    """Returns the sections on what the clusters are: profile of all, table, and cards."""
    differences = facts.differences(clustering, evaluation)
    return [
        _heat_map(clustering, differences),
        _glance(clustering, evaluation),
        _cards(clustering, evaluation, differences),
    ]


def _heat_map(clustering, differences):
    names, values = clustering.column_names, differences.values
    spread = np.nan_to_num(np.abs(values)).max(axis=0)
    shown = np.sort(np.argsort(-spread, kind='stable')[:_MOST_COLUMNS])
    rows = []
    for column in shown.tolist():
        hints = None
        if clustering.n_clusters <= _FEW_CLUSTERS:
            hints = [
                f'{names[column]}, cluster {index}: {number(value, 3)}'
                for index, value in enumerate(values[:, column])
            ]
        name = element('span', names[column], title=names[column], class_='label')
        rows += [name, charts.strip(values[:, column], _LIMIT, hints)]
    left_out = len(names) - len(shown)
    return blocks.section(
        'Profiles',
        blocks.note(
            f'Mean of each cluster (from left to right, 0 to {clustering.n_clusters - 1}) minus '
            f'that of all rows, in {differences.note}: ',
            element('i', class_='key below'), ' below, ', element('i', class_='key above'),
            f' above, full colour from {_LIMIT} on.',
            f' The {left_out} columns that differ least are left out.' if left_out else '',
        ),
        element('div', rows, _scale(clustering.n_clusters), class_='heat'),
    )  # fmt: skip


def _scale(n_clusters):
    """The ids below the heat map: all of a few, some of many."""
    step = max(1, math.ceil(n_clusters / 10))
    ids = [
        element('span', index, style=f'left:{100 * (index + 0.5) / n_clusters:.2f}%')
        for index in range(0, n_clusters, step)
    ]
    return [element('span'), element('div', ids, class_='ids')]


def _glance(clustering, evaluation):
    """The table of all clusters; None where nothing is known of them one by one."""
    columns = {}
    if clustering.total_weight:
        weights, total = clustering.cluster_weights, clustering.total_weight
        columns['training rows'] = [_share(weight / total, weights, total) for weight in weights]
    if evaluation:
        judged = evaluation.eval
        if judged.total_weight:
            name = f'rows of {judged.split!r}'
            columns[name] = [percent(share) for share in judged.cluster_shares]
        means = facts.mean_distances(judged)
        if clustering.distance == 'squared_euclidean':
            columns['root mean square distance'] = [number(mean, 3) for mean in np.sqrt(means)]
        else:
            columns['mean distance'] = [number(mean, 3) for mean in means]
        columns['silhouette'] = [number(value, 3) for value in judged.cluster_silhouettes]
    if not columns:
        return None
    names = [blocks.name_of(index, clustering.n_clusters) for index in range(clustering.n_clusters)]
    rows = zip(names, *columns.values(), strict=True)
    return blocks.section('All clusters', blocks.table(['cluster', *columns], rows, 'glance'))


def _share(share, weights, total):
    """A share with a bar, the largest being as wide as there is room."""
    width = 100 * share * total / max(weights)
    bar = element('span', element('i', style=f'width:{width:.1f}%'), class_='bar')
    return [bar, percent(share)]


def _cards(clustering, evaluation, differences):
    cards = [
        _card(index, clustering, evaluation, differences) for index in range(clustering.n_clusters)
    ]
    text = f'Up to {_COLUMNS_OF_CARD} columns that make a cluster most different, and their means'
    if evaluation:
        text += f'; beside them up to {_EXAMPLES} different rows nearest to its centroid'
    return blocks.section(
        'One by one', blocks.note(f'{text}.'), element('div', cards, class_='cards')
    )


def _card(index, clustering, evaluation, differences):
    total = clustering.total_weight
    share = (
        f'{percent(clustering.cluster_weights[index] / total)} of the training rows'
        if total
        else ''
    )
    values = differences.values[index]
    order = np.argsort(-np.abs(np.nan_to_num(values)), kind='stable')[:_COLUMNS_OF_CARD]
    examples = evaluation.example_points[index][:_EXAMPLES] if evaluation else np.zeros((0, 0))
    examples = [row for row in examples if not np.isnan(row).all()]
    rows = [
        [
            element('span', clustering.column_names[column], title=clustering.column_names[column]),
            None if math.isnan(values[column]) else charts.diverging_bar(values[column], _LIMIT),
            number(values[column], 2),
            number(differences.here[index, column], 3),
            number(differences.overall[column], 3),
            *(number(float(row[column]), 3) for row in examples),
        ]
        for column in order.tolist()
    ]
    name = blocks.name_of(index, clustering.n_clusters)
    nearest = [f'row {rank + 1}' for rank in range(len(examples))]
    return element(
        'details',
        element('summary', name, ' ', element('small', share)),
        blocks.table(['column', '', 'differs by', 'here', 'all', *nearest], rows, 'profile'),
        open='' if clustering.n_clusters <= _FEW_CLUSTERS else None, class_='card',
        id=f'cluster-{index}',
    )  # fmt: skip
