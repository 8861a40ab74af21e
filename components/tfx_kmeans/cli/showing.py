"""`tfx-kmeans show`: what is in a Centroids artifact, as text."""

from tfx_kmeans import artifacts
from tfx_kmeans.cli import main, tables


def run(options):
    """Prints the artifact at `options.uri`; returns the exit code."""
    clustering = artifacts.Clustering.read(options.uri)
    for name, value in _facts(clustering):
        print(f'{name:15} {tables.printable(value)}')
    print()
    names = clustering.column_names
    shown = len(names) if options.columns == 0 else min(options.columns, len(names))
    total = clustering.total_weight
    rows = []
    for index, point in enumerate(clustering.points.tolist()):
        weight = share = None
        if total is not None:
            weight = clustering.cluster_weights[index]
            share = weight / total if total else None
        rows.append([index, weight, tables.percent(share), *point[:shown]])
    print('\n'.join(tables.table(['id', 'weight', 'share', *names[:shown]], rows)))
    if shown < len(names):
        print(f'and {len(names) - shown} more columns: --columns 0 prints all')
    return main.DONE


def _facts(clustering):
    """Yields names and values of what there is to know of the whole."""
    yield 'clusters', str(clustering.n_clusters)
    widths = zip(clustering.feature_names, clustering.feature_widths, strict=True)
    yield (
        'features',
        ', '.join(name if width == 1 else f'{name}[{width}]' for name, width in widths),
    )
    yield 'distance', clustering.distance
    yield 'standardised', 'yes' if clustering.standardization else 'no'
    in_fit = f' (fit: {clustering.fit_missing})' if clustering.fit_missing else ''
    yield 'missing values', f'{clustering.missing}{in_fit}'
    ids = f'{clustering.output_prefix}_id'
    yield 'ids', f'{ids}, {clustering.n_clusters} for a row that cannot be placed'
    if clustering.inertia is not None:
        yield 'inertia', f'{clustering.inertia:.6g}'
    for name, value in (
        ('a row', clustering.inertia_per_row),
        ('a row of eval', clustering.eval_inertia_per_row),
    ):
        if value is not None:
            yield name, f'{value:.6g}'
    if clustering.n_iter is not None:
        ended = 'converged' if clustering.converged else 'not converged'
        yield 'fit', f'{clustering.n_iter} updates, {ended}, seed {clustering.seed}'
    if clustering.selection:
        tried = ', '.join(str(row.n_clusters) for row in clustering.selection.table)
        yield 'chosen', f'by {clustering.selection.criterion} of {tried}'
    if clustering.continuation:
        changed = tables.percent(clustering.continuation.changed_share)
        before = clustering.continuation.n_clusters
        yield 'continues', f'n_clusters={before}; {changed} of the training rows had another id'
