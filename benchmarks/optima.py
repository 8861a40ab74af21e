"""How near graph.fit comes to the best optimum, and how alike its clusters are: `make bench`.

    .venv-bench/bin/python benchmarks/optima.py

Sets like Fränti's ("K-means properties on six clustering benchmark datasets", 2018) are drawn with
seeds, and the inertia of each fit is compared with that of a fit from the true means. The taxi
trips that the tfx wheel ships are clustered after changes that do not count: z-scores that differ
by 5e-7, as those of two runs of Transform do, and another order of the rows.
"""

import argparse
import csv
import importlib.util
import itertools
import os
import pathlib
import sys
import warnings

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
warnings.filterwarnings('ignore')

import numpy as np
import results
from sklearn import cluster, metrics

from tfx_kmeans import graph

OURS, SKLEARN, BEST = 'tfx-kmeans', 'scikit-learn', 'scikit-learn, best of 10'
SEEDS, DRAWS = 10, 10
TAXI = 'examples/chicago_taxi_pipeline/data/simple/data.csv'
COORDINATES = ('pickup_latitude', 'pickup_longitude', 'dropoff_latitude', 'dropoff_longitude')
ZONES = 24
JITTER = 5e-7


def main():
    """Measures and writes the part of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, default=SEEDS, help='how many draws of each set')
    parser.add_argument('--draws', type=int, default=DRAWS, help='how many changes of taxi trips')
    arguments = parser.parse_args()
    text = (
        f'{results.machine("tensorflow", "scikit-learn")}; all with their defaults.\n\n'
        + measure_sets(arguments.seeds)
        + '\n'
        + measure_taxi(arguments.draws)
    )
    if (arguments.seeds, arguments.draws) == (SEEDS, DRAWS):
        results.write('Optima', text)
    print(text)


def with_graph(rows, k, seed):
    """Inertia and centroids of graph.fit."""
    fitted = graph.fit(rows, k, seed=seed)
    return float(fitted.inertia), fitted.centroids.numpy()


def with_sklearn(rows, k, seed, **options):
    """Inertia and centroids of sklearn.cluster.KMeans."""
    fitted = cluster.KMeans(k, random_state=seed, **options).fit(rows)
    return float(fitted.inertia_), fitted.cluster_centers_


def with_best_of_ten(rows, k, seed):
    """Inertia and centroids of the best of ten runs of sklearn.cluster.KMeans."""
    return with_sklearn(rows, k, seed, n_init=10)


def spread(k, apart):
    """Centres in a square, at random with a distance of at least `apart` deviations."""

    def draw(rng):
        side = 1.5 * apart * np.sqrt(k)
        centres = np.empty((0, 2))
        while len(centres) < k:
            centre = rng.uniform(0, side, 2)
            if np.all(np.linalg.norm(centres - centre, axis=1) >= apart):
                centres = np.vstack([centres, centre])
        return centres

    return draw


def grid(rng):
    """10 x 10 centres, as far apart as those of Birch1: 4 times the radius of a cluster."""
    del rng
    return np.array(list(itertools.product(range(10), repeat=2))) * 4 * np.sqrt(2)


def unbalanced(rng):
    """Three dense clusters close together, five thin ones far away, as in Unbalance."""
    del rng
    dense = [(0, 0), (12, 10), (24, 0)]
    return np.array([*dense, (100, 0), (100, 40), (125, 20), (150, 0), (150, 40)])


# where the centres are, in deviations of a cluster, and how many rows each has
SETS = {
    '15 overlapping': (spread(15, 3.0), [333] * 15),
    '10 x 10 grid': (grid, [1000] * 100),
    '35 clusters': (spread(35, 4.0), [150] * 35),
    '50 clusters': (spread(50, 4.0), [150] * 50),
    '8 unbalanced': (unbalanced, [2000] * 3 + [100] * 5),
}


def draw_set(name, seed):
    """Rows `[n, 2]` in random order, float32, and the means of their clusters."""
    rng = np.random.default_rng(seed)
    make, sizes = SETS[name]
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = make(rng)[labels] + rng.standard_normal((len(labels), 2))
    means = [rows[labels == label].mean(axis=0) for label in range(len(sizes))]
    return rows.astype(np.float32), np.asarray(means, np.float32)


def measure_sets(seeds):
    """Excess of inertia over that of a fit from the true means."""
    libraries = {OURS: with_graph, SKLEARN: with_sklearn, BEST: with_best_of_ten}
    lines, everything = [], {library: [] for library in libraries}
    for name, (_, sizes) in SETS.items():
        excess = {library: [] for library in libraries}
        for seed in range(seeds):
            rows, means = draw_set(name, seed)
            least, _ = with_sklearn(rows, len(means), seed, init=means, n_init=1)
            for library, fit in libraries.items():
                excess[library].append(100 * (fit(rows, len(means), seed)[0] / least - 1))
        lines.append([name, f'{sum(sizes):,} x 2, {len(sizes)}', *map(_mean_most, excess.values())])
        _say(' | '.join(lines[-1]))
        for library in libraries:
            everything[library] += excess[library]
    lines.append(['all', '', *map(_mean_most, everything.values())])
    return (
        f'Inertia above that of a fit from the true means, in percent, over {seeds} seeds, each of '
        'which draws the set and seeds the fit: mean, and in brackets the most.\n\n'
        + results.table(['set', 'rows x columns, k', *libraries], lines)
    )


def _mean_most(excess):
    return f'{np.mean(excess):.3f} ({max(excess):.2f})'


def taxi_rows():
    """Places where the trips begin and end, z-scores `[n, 4]`, of all trips that have both."""
    # tfx itself takes ten seconds to import
    (package,) = importlib.util.find_spec('tfx').submodule_search_locations
    with open(pathlib.Path(package, TAXI)) as file:
        trips = [[trip[name] for name in COORDINATES] for trip in csv.DictReader(file)]
    rows = np.array([trip for trip in trips if all(trip)], np.float64)
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


def measure_taxi(draws):
    """Spread of the inertia and likeness of the clusters over changes that do not count."""
    trips = taxi_rows()
    lines = []
    for library, fit in {OURS: with_graph, SKLEARN: with_sklearn, BEST: with_best_of_ten}.items():
        inertias, labels = [], []
        for draw in range(draws):
            rng = np.random.default_rng(draw)
            order = rng.permutation(len(trips))
            rows = trips + rng.normal(scale=JITTER, size=trips.shape)
            inertia, centroids = fit(rows[order].astype(np.float32), ZONES, 0)
            inertias.append(inertia)
            labels.append(metrics.pairwise_distances_argmin(rows, centroids))
        pairs = [metrics.adjusted_rand_score(*pair) for pair in itertools.combinations(labels, 2)]
        least, most = min(inertias), max(inertias)
        span = f'{least:.2f} to {most:.2f}', f'{100 * (most / least - 1):.2f}'
        lines.append([library, *span, f'{np.mean(pairs):.3f}', f'{min(pairs):.3f}'])
        _say(' | '.join(lines[-1]))
    return (
        f'{len(trips):,} x 4 taxi trips, k = {ZONES}, of which {draws} draws differ by {JITTER:g} '
        'and in the order of the rows; all fits have the same seed. The adjusted Rand index is '
        'that of two clusterings, over all pairs.\n\n'
        + results.table(
            ['', 'inertia', 'spread, %', 'adjusted Rand index, mean', 'least'],
            lines,
        )
    )


def _say(words):
    print(words, file=sys.stderr, flush=True)


if __name__ == '__main__':
    main()
