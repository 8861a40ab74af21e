"""The top of a report: what was clustered, the key figures, and the verdict."""

from tfx_kmeans.report import blocks
from tfx_kmeans.report.markup import element
from tfx_kmeans.report.numbers import counted, number, percent

_MOST_NAMES = 12


def header(clustering, evaluation):
    """Returns the head of the page: title, verdict, what was clustered, key figures."""
    names = ', '.join(clustering.feature_names[:_MOST_NAMES])
    more = len(clustering.feature_names) - _MOST_NAMES
    names += f' and {more} more features' if more > 0 else ''
    return element(
        'header',
        element(
            'h1',
            counted(clustering.n_clusters, 'cluster') + ' ',
            element('small', clustering.output_prefix),
        ),
        _verdict(evaluation),
        element('p', f'of {names} ({_described(clustering)})', class_='note'),
        blocks.tiles(_figures(clustering, evaluation)),
    )


def thresholds(evaluation):
    """Returns the thresholds that were asked for and what came out; None without any."""
    if not evaluation or not evaluation.thresholds:
        return None
    rows = []
    for threshold in evaluation.thresholds:
        verdict = 'passed' if threshold.passed else 'FAILED'
        if threshold.missed_by is not None:
            verdict += f' by {number(threshold.missed_by)}'
        kind = 'good' if threshold.passed else 'bad'
        mark = '\N{CHECK MARK} ' if threshold.passed else '\N{MULTIPLICATION X} '
        rows.append(
            [
                element('code', threshold.name),
                number(threshold.bound),
                number(threshold.value),
                [element('b', mark, verdict, class_=kind), ' ', threshold.note],
            ]
        )
    return blocks.section(
        'Thresholds', blocks.table(['threshold', 'bound', 'measured', 'verdict'], rows, 'verdicts')
    )


def _verdict(evaluation):
    if not evaluation or not evaluation.thresholds:
        return None
    failed = sum(not threshold.passed for threshold in evaluation.thresholds)
    of_all = counted(len(evaluation.thresholds), 'threshold')
    if failed:
        text, kind = (
            f'\N{MULTIPLICATION X} not blessed: {failed} of {of_all} failed',
            'bad',
        )
    else:
        text, kind = f'\N{CHECK MARK} blessed: {of_all} passed', 'good'
    return element('p', text, class_=f'verdict {kind}')


def _described(clustering):
    distance = {'squared_euclidean': 'squared Euclidean', 'cosine': 'cosine'}[clustering.distance]
    parts = [counted(clustering.n_features, 'column'), f'{distance} distance']
    if clustering.standardization:
        parts.append('standardised')
    return ', '.join(parts)


def _figures(clustering, evaluation):
    """Yields the names and texts of the key figures that are known."""
    if clustering.total_weight is not None:
        yield 'training rows, by weight', number(clustering.total_weight)
    if clustering.inertia_per_row is not None:
        yield 'inertia per row, training', number(clustering.inertia_per_row)
    if clustering.n_iter is not None:
        stop = '' if clustering.converged else ', not converged'
        yield 'updates of the fit', f'{clustering.n_iter}{stop}'
    if not evaluation:
        if clustering.eval_inertia_per_row is not None:
            yield 'inertia per row, eval', number(clustering.eval_inertia_per_row)
        return
    judged = evaluation.eval
    yield f'rows of {judged.split!r}', number(judged.n_rows)
    yield f'inertia per row, {judged.split!r}', number(judged.inertia_per_row)
    yield 'silhouette (simplified)', number(judged.silhouette, 3)
    yield 'Davies-Bouldin', number(judged.davies_bouldin, 3)
    yield 'Calinski-Harabasz', number(judged.calinski_harabasz)
    yield 'smallest cluster', percent(judged.smallest_cluster_share)
    yield 'rows without a place', percent(judged.unplaced_share)
    if evaluation.span is not None:
        yield 'span', str(evaluation.span)
