"""Fits the clusters of the taxi pipeline anew, twice: `make demo-retrain`.

The second span of trips overlaps the first by 90 %: clusters keep their ids. In the third one
latitudes and longitudes are swapped, as a broken export might have them: its clusters are refused.
The pipeline runs as far as it pushes the model of the clusters.
"""

import csv

import locations
from running import console, latest, run

_LOG = locations.OUTPUT / 'retrain.log'
_DATA = locations.OUTPUT / 'data'
_PUSHED = locations.OUTPUT / 'serving_clusters'


def main():
    """Runs the pipeline on one span after the other, then prints what became of the clusters."""
    with console(_LOG) as terminal:
        header, trips = _trips_by_time()
        size = len(trips) * 10 // 11  # so that 90 % of one window are in the other
        _write_span(1, header, trips[:size])
        first, judged = _run(terminal, 'Span 1: the number of clusters is chosen')
        print(*_gates(judged), sep='\n', file=terminal)

        _write_span(2, header, trips[-size:])
        second, judged = _run(terminal, 'Span 2: clusters are continued', first.n_clusters)
        print(*_kept(first, second), *_gates(judged), sep='\n', file=terminal)

        _write_span(3, _swapped(header), trips[-size:])
        _, judged = _run(terminal, 'Span 3: latitudes and longitudes are swapped', first.n_clusters)
        print(*_gates(judged), '', f'Log  {_LOG}', sep='\n', file=terminal)


def _trips_by_time():
    """Returns the names of the columns of the trips, and the trips in the order of their time."""
    import local_runner

    (path,) = local_runner.DATA.glob('*.csv')
    with open(path, newline='') as file:
        header, *rows = csv.reader(file)
    time = header.index('trip_start_timestamp')
    return header, sorted(rows, key=lambda row: int(row[time]))


def _swapped(header):
    """The names of the columns with those of latitudes and longitudes exchanged."""
    exchanged = {'latitude': 'longitude', 'longitude': 'latitude'}
    names = (name.rpartition('_') for name in header)
    return [f'{head}{mark}{exchanged.get(tail, tail)}' for head, mark, tail in names]


def _write_span(number, header, rows):
    directory = _DATA / f'span-{number}'
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / 'trips.csv', 'w', newline='') as file:
        csv.writer(file).writerows([header, *rows])


def _run(terminal, title, n_clusters=None):
    """Runs the pipeline on the last span; returns its Clustering and Evaluation."""
    from tfx.orchestration.pipeline import RunOptions

    import local_runner
    from tfx_kmeans import Clustering, Evaluation

    print(f'\n{title}', file=terminal)
    pipeline = local_runner.create_pipeline(
        data_root=_DATA, spans=True, n_clusters=n_clusters, previous_centroids='latest'
    )
    run(terminal, pipeline, run_options=RunOptions(to_nodes=['ClusterPusher']))
    clustering = Clustering.read(latest('KMeans/centroids'))
    return clustering, Evaluation.read(latest('ClusterEvaluator/evaluation'))


def _gates(evaluation):
    """Lines on what ClusterEvaluator found, and on what is pushed by now."""
    failed = [f'    {gate}' for gate in evaluation.thresholds if not gate.passed]
    return [
        f'  {"blessed" if evaluation.blessed else "NOT blessed:"}',
        *failed,
        f'  models of clusters pushed so far: {len(list(_PUSHED.glob("*")))}',
    ]


def _kept(first, second):
    """Lines on the ids of the second run."""
    continuation = second.continuation
    moved = sorted(movement for movement in continuation.movements if movement is not None)
    return [
        f'  {second.n_clusters} clusters continue {continuation.n_clusters}; '
        f'{continuation.old_numbers.count(None)} of them are new',
        f'  centres moved by {moved[-1]:.2f} km at most, half of them by less than '
        f'{moved[len(moved) // 2]:.2f} km',
        f'  trips that keep their id: {1 - continuation.changed_share:.1%}; if clusters were '
        f'fitted and numbered anew: {_share_anew(first):.1%}',
    ]


def _share_anew(first):
    """Share of the trips of the last span with the same id if it is fitted and numbered anew."""
    import numpy as np

    from taxi import features, trips
    from tfx_kmeans import graph

    read = trips.read(
        latest('Transform/transform_graph'), latest('Transform/transformed_examples'), 'train'
    )
    points = np.stack([read[name] for name in features.COORDINATES], axis=1)
    points = points[~np.isnan(points).any(axis=1)]
    anew = graph.fit(points, first.n_clusters, n_init=5)
    before, after = (graph.assign(points, c).ids for c in (first.centroids, anew.centroids))
    return np.mean(before.numpy() == after.numpy())


if __name__ == '__main__':
    main()
