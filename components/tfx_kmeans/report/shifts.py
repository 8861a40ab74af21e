"""What has changed: against the rows of the fit, and against a baseline."""

import numpy as np

from tfx_kmeans.report import blocks, charts
from tfx_kmeans.report.markup import join
from tfx_kmeans.report.numbers import number, percent

_MOST_ROWS = 10


def shifts(clustering, evaluation):
    """Returns the section on drift; None where nothing is known of it."""
    continued = _continued(clustering)
    if not evaluation:
        return blocks.section('Drift', blocks.grid(continued))
    return blocks.section(
        'Drift',
        blocks.grid(
            _shift(evaluation.training_shift, 'Against the training rows', ''),
            _shift(
                evaluation.baseline_shift,
                'Against the rows of the baseline',
                ' Clusters and ids are those of the baseline.',
            ),
        ),
        _stability(evaluation),
        blocks.grid(_moves(evaluation), _flows(evaluation), continued),
    )


def _continued(clustering):
    """The clusters that are least what they were before the fit continued them."""
    continuation = clustering.continuation
    if not continuation:
        return None
    order = np.argsort(-np.array(continuation.changed_shares), kind='stable')[:_MOST_ROWS].tolist()
    rows = [
        [
            blocks.name_of(index, clustering.n_clusters),
            'new' if continuation.old_numbers[index] is None else continuation.old_numbers[index],
            percent(continuation.changed_shares[index]),
            number(continuation.movements[index], 3),
        ]
        for index in order
    ]
    table = blocks.table(['cluster', 'number before', 'rows that changed', 'centroid moved'], rows)
    return blocks.figure(
        'Since the fit before', table,
        f'{percent(continuation.changed_share)} of the training rows had another id, or none, among'
        f' the {continuation.n_clusters} clusters that these continue. The most changed are first.',
    )  # fmt: skip


def _shift(shift, title, more):
    if not shift:
        return None
    chart = charts.bars(
        title, shift.actual_shares, shift.expected_shares, x_title='cluster', y_title='share'
    )
    order = np.argsort(-np.array(shift.psi_terms), kind='stable')[:_MOST_ROWS].tolist()
    rows = [
        [
            blocks.name_of(index, len(shift.psi_terms)),
            percent(shift.expected_shares[index]),
            percent(shift.actual_shares[index]),
            number(shift.psi_terms[index], 3),
        ]
        for index in order
        if shift.psi_terms[index] > 0
    ]
    return blocks.figure(
        title,
        [chart, blocks.table(['cluster', 'before', 'now', 'adds to PSI'], rows) if rows else None],
        f'Population stability index {number(shift.psi, 3)}, Jensen-Shannon divergence '
        f'{number(shift.jensen_shannon, 3)} bits. Bars are shares now, marks those before.{more}',
    )


def _stability(evaluation):
    stability = evaluation.stability
    if not stability:
        return None
    named = [
        ('rows that keep their id', percent(stability.kept_share)),
        ('adjusted Rand index', number(stability.adjusted_rand, 3)),
        ('rows compared', number(stability.n_rows)),
    ]
    text = f'Whether ids mean what they meant in the baseline at {evaluation.baseline_uri}.'
    return join(blocks.note(text), blocks.tiles(named))


def _moves(evaluation):
    """The clusters that keep least of their rows, and how far they moved."""
    stability = evaluation.stability
    if not stability:
        return None
    kept = [np.nan if share is None else share for share in stability.kept_shares]
    order = np.argsort(kept, kind='stable')[:_MOST_ROWS].tolist()  # NaN comes last
    moves = dict(enumerate(stability.moves or ()))
    rows = [
        [blocks.name_of(index, len(kept)), percent(kept[index]), number(moves.get(index), 3)]
        for index in order
    ]
    table = blocks.table(['id in the baseline', 'rows that keep it', 'centroid moved'], rows)
    return blocks.figure('Least kept ids', table, f'At most {_MOST_ROWS} of them.')


def _flows(evaluation):
    """Where the rows went that changed their id."""
    if evaluation.transitions is None:
        return None
    changed = evaluation.transitions.copy()
    np.fill_diagonal(changed, 0.0)
    total = evaluation.transitions.sum()
    order = np.argsort(-changed, axis=None, kind='stable')[:_MOST_ROWS]
    before, now = np.unravel_index(order, changed.shape)
    rows = [
        [
            blocks.name_of(old, len(changed)),
            blocks.name_of(new, evaluation.n_clusters),
            percent(changed[old, new] / total),
        ]
        for old, new in zip(before.tolist(), now.tolist(), strict=True)
        if changed[old, new] > 0
    ]
    if not rows:
        return None
    table = blocks.table(['id before', 'id now', 'share of rows'], rows)
    return blocks.figure('Where rows went', table, 'The largest movements between ids.')
