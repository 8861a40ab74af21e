"""`tfx-kmeans compare`: which clusters of two Centroids artifacts are the same, and what moved."""

import numpy as np
from scipy.spatial import distance

from tfx_kmeans import artifacts, matching
from tfx_kmeans.cli import main, tables


def run(options):
    """Prints the clusters of both artifacts side by side; returns the exit code."""
    old = artifacts.Clustering.read(options.old)
    new = artifacts.Clustering.read(options.new)
    _check_comparable(old, new)
    pairs, distances = _matched(old, new)
    kept = sum(before == now for before, now in pairs.items())
    rows = [
        _row(before, pairs.get(before), old, new, distances) for before in range(old.n_clusters)
    ]
    added = sorted(set(range(new.n_clusters)) - set(pairs.values()))
    rows += [_row(None, now, old, new, distances) for now in added]
    header = ['old id', 'new id', 'moved', 'old share', 'new share', '']
    print('\n'.join(tables.table(header, rows)))
    print(
        f'\n{kept} of {old.n_clusters} ids are kept, {len(pairs) - kept} changed, '
        f'{old.n_clusters - len(pairs)} gone, {len(added)} new. Moved is in the space in which the '
        f'new centroids measure distances ({_unit(new)}).'
    )
    all_kept = kept == old.n_clusters == new.n_clusters
    return main.CHANGED if options.check and not all_kept else main.DONE


def _check_comparable(old, new):
    for name in ('feature_names', 'feature_widths', 'distance'):
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            raise ValueError(f'{name} differ, so nothing can be compared: {before!r} and {now!r}')


def _matched(old, new):
    """Pairs clusters by their centroids, see matching.match.

    Returns:
        Dict of new ids by old id, of as many pairs as the smaller clustering has clusters, and
        float64 `[old, new]` distances: Euclidean (not squared), or 1 - cos.
    """
    points = old.points
    if new.standardization:
        points = (points - new.standardization.mean) / new.standardization.scale
    metric = {'squared_euclidean': 'sqeuclidean', 'cosine': 'cosine'}[new.distance]
    distances = distance.cdist(points, new.centroids, metric)
    matched = matching.match(distances)
    pairs = {
        before: now
        for now, before in zip(matched.order, matched.old_numbers, strict=True)
        if before is not None
    }
    return pairs, np.sqrt(distances) if new.distance == 'squared_euclidean' else distances


def _row(before, now, old, new, distances):
    if before is None:
        return [None, now, None, None, _share(new, now), 'new']
    if now is None:
        return [before, None, None, _share(old, before), None, 'gone']
    note = '' if before == now else 'changed'
    moved = float(distances[before, now])
    return [before, now, moved, _share(old, before), _share(new, now), note]


def _share(clustering, index):
    total = clustering.total_weight
    return tables.percent(clustering.cluster_weights[index] / total) if total else None


def _unit(clustering):
    if clustering.distance == 'cosine':
        return '1 - cos'
    return 'Euclidean, in standard deviations' if clustering.standardization else 'Euclidean'
