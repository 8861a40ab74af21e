"""Trains the taxi pipeline anew on a second span of trips, with ids that stay: `make demo-retrain`.

The spans are windows of the trips in the order of time, 90 % of the one in the other.
"""

import csv

import locations
from running import console, latest, run

TRAIN_STEPS = 200
_LOG = locations.OUTPUT / 'retrain.log'
_DATA = locations.OUTPUT / 'data'
_SPANS = (0, 1)  # tenths of a window after the first one


def main():
    """Runs the pipeline on one span after the other, then prints what became of the ids."""
    with console(_LOG) as terminal:
        runs = []
        for span, _ in enumerate(_SPANS, start=1):
            n_trips = _write_span(span)
            print(f'\nSpan {span}: {n_trips} trips', file=terminal)
            # the number of clusters is chosen once
            n_clusters = runs[0].n_clusters if runs else None
            runs.append(_fit(terminal, n_clusters))
        print(*_summary(*runs), sep='\n', file=terminal)


def _write_span(number):
    """Writes a span of the trips as CSV; returns how many they are."""
    import local_runner

    (path,) = local_runner.DATA.glob('*.csv')
    with open(path, newline='') as file:
        header, *rows = csv.reader(file)
    time = header.index('trip_start_timestamp')
    rows.sort(key=lambda row: int(row[time]))
    size = len(rows) * 10 // (10 + max(_SPANS))
    start = _SPANS[number - 1] * (len(rows) - size) // max(_SPANS)
    directory = _DATA / f'span-{number}'
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / 'trips.csv', 'w', newline='') as file:
        csv.writer(file).writerows([header, *rows[start : start + size]])
    return size


def _fit(terminal, n_clusters):
    """Runs the pipeline on the last span; returns its Clustering."""
    from tfx import v1 as tfx

    import local_runner
    from tfx_kmeans import Clustering

    pipeline = local_runner.create_pipeline(
        data_root=_DATA,
        spans=True,
        n_clusters=n_clusters,
        previous_centroids='latest',
        train_args=tfx.proto.TrainArgs(num_steps=TRAIN_STEPS),
    )
    run(terminal, pipeline)
    return Clustering.read(latest('KMeans/centroids'))


def _summary(first, second):
    """Lines about the ids of both runs."""
    continuation = second.continuation
    moved = sorted(movement for movement in continuation.movements if movement is not None)
    return [
        '',
        f'{second.n_clusters} clusters continue {continuation.n_clusters}; '
        f'{continuation.old_numbers.count(None)} of them are new',
        f'  centres moved by         {moved[-1]:.2f} km at most, half of them by less than '
        f'{moved[len(moved) // 2]:.2f} km',
        f'  trips with the same id   {1 - continuation.changed_share:.1%}',
        f'  without previous_centroids, numbered by weight: {_share_anew(first):.1%}',
        '',
        f'Centroids artifact       {latest("KMeans/centroids")}',
        f'Log                      {_LOG}',
    ]


def _share_anew(first):
    """Share of the trips of the second span with the same id if it is fitted and numbered anew."""
    import numpy as np

    from taxi import features, trips
    from tfx_kmeans import graph

    read = trips.read(
        latest('ClusterTransform/transform_graph'),
        latest('ClusterTransform/transformed_examples'),
        'train',
    )
    points = np.stack([read[name] for name in features.COORDINATES], axis=1)
    points = points[~np.isnan(points).any(axis=1)]
    anew = graph.fit(points, first.n_clusters, n_init=5)
    before, after = (graph.assign(points, c).ids for c in (first.centroids, anew.centroids))
    return np.mean(before.numpy() == after.numpy())


if __name__ == '__main__':
    main()
