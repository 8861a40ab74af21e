"""What seeding costs, how the time grows, and mini-batches: the second part of `make bench`.

    .venv-bench/bin/python benchmarks/solvers.py

Libraries take turns in one process that has fitted before, and the best of the turns counts; peak
memory is that of a process of its own.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import warnings

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
warnings.filterwarnings('ignore')

import numpy as np
import processes
import results
import tensorflow as tf
from sklearn import cluster, datasets

from tfx_kmeans import graph

TURNS = 3
ROWS_TO_SEED, WIDTH_TO_SEED = 200_000, 16
SEEDINGS = ('k-means++', 'k-means||', 'random')
START = (200_000, 16, 64)  # rows, columns, clusters, of which one at a time is doubled
DOUBLINGS = 3
ITERATIONS = 20
STREAMS = [('clustered', 1_000_000, 16, 50), ('digits with noise', 200_000, 64, 100)]
BATCH = 8192


def clustered(n, d, k):
    """Round clusters that overlap a little."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=2.0, size=(k, d)).astype(np.float32)
    return centres[rng.integers(k, size=n)] + rng.standard_normal((n, d), dtype=np.float32)


def flat(n, d):
    """A cube that is filled evenly: no structure at all."""
    return np.random.default_rng(0).random((n, d), dtype=np.float32)


def digits(n, d, k):
    """The 8 x 8 pictures of handwritten digits of scikit-learn, many times with noise."""
    del d, k
    rng = np.random.default_rng(0)
    rows = np.tile(datasets.load_digits().data, (-(-n // 1797), 1))[:n]
    return (rows + rng.normal(size=rows.shape)).astype(np.float32)


DATA = {'clustered': clustered, 'digits with noise': digits}


def main():
    """Measures and writes the parts of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', choices=PARTS, help='the one part to measure')
    parser.add_argument('--memory', nargs=2, metavar=('LIBRARY', 'FILE'), help='print megabytes')
    arguments = parser.parse_args()
    if arguments.memory:
        print(json.dumps(stream_memory(*arguments.memory)))
        return
    for part, measure in PARTS.items():
        if arguments.only in (None, part):
            text = measure()
            results.write(part, text)
            print(f'{part}\n\n{text}', flush=True)


def seconds(action, *arguments, turns=TURNS, **options):
    """The least seconds of some turns, after one that does not count, and what came of the last."""
    action(*arguments, **options)
    took = []
    for _ in range(turns):
        started = time.monotonic()
        outcome = action(*arguments, **options)
        took.append(time.monotonic() - started)
    return min(took), outcome


def fitted(rows, k, init, max_iter=300, tol=1e-4):
    """graph.fit, waited for."""
    found = graph.fit(rows, k, init=init, max_iter=max_iter, tol=tol)
    found.centroids.numpy()
    return found


def measure_seeding():
    """Time of each seeding at some numbers of clusters, beside that of the solver."""
    lines = []
    for k in (16, 256, 1024):
        rows = clustered(ROWS_TO_SEED, WIDTH_TO_SEED, k)
        for name in SEEDINGS:
            _say(f'seeding: k = {k}, {name}')
            with_seeding, _ = seconds(fitted, rows, k, name, max_iter=1)
            init = fitted(rows, k, name, max_iter=1).centroids.numpy()
            given, _ = seconds(fitted, rows, k, init, max_iter=1)
            whole, found = seconds(fitted, rows, k, init)
            inertia = float(found.inertia)
            lines.append((k, name, f'{with_seeding - given:.2f}', f'{whole:.2f}', inertia))
        took, (centroids, _) = seconds(cluster.kmeans_plusplus, rows, k, random_state=0)
        estimator = cluster.KMeans(k, init=centroids, n_init=1)
        whole, found = seconds(estimator.fit, rows)
        lines.append(
            (k, 'k-means++ of scikit-learn', f'{took:.2f}', f'{whole:.2f}', found.inertia_)
        )
    least = {k: min(line[-1] for line in lines if line[0] == k) for k, *_ in lines}
    return (
        f'{ROWS_TO_SEED:,} x {WIDTH_TO_SEED} clustered rows, '
        f'{results.machine("tensorflow", "scikit-learn")}; seconds of the seeding alone (a fit of '
        'one iteration less one from given centroids), and of the solver from there to '
        'convergence.\n\n'
        + results.table(
            ['k', 'seeding', 'seeding, s', 'solver, s', 'inertia / least'],
            [[*line[:-1], f'{line[-1] / least[line[0]]:.4f}'] for line in lines],
        )
    )


def measure_growth():
    """Seconds of an iteration as rows, columns or clusters are doubled."""
    lines = []
    for axis, name in enumerate(('rows', 'columns', 'clusters')):
        for doubling in range(DOUBLINGS + 1):
            n, d, k = (size << doubling * (i == axis) for i, size in enumerate(START))
            _say(f'growth: {n:,} x {d}, k = {k}')
            rows = flat(n, d)
            init = rows[:k].copy()
            ours, found = seconds(fitted, rows, k, init, ITERATIONS, tol=0)
            estimator = cluster.KMeans(k, init=init, n_init=1, max_iter=ITERATIONS, tol=0)
            theirs, _ = seconds(estimator.fit, rows)
            lines.append(
                [
                    name,
                    f'{n:,} x {d}, {k}',
                    f'{ours / int(found.n_iter) * 1e3:.2f}',
                    f'{theirs / estimator.n_iter_ * 1e3:.2f}',
                ]
            )
    return (
        f'Rows without structure, {ITERATIONS} iterations from given centroids, '
        f'{results.machine("tensorflow", "scikit-learn")}; milliseconds of an iteration, all that '
        'a fit does besides shared among them.\n\n'
        + results.table(
            ['grows', 'rows x columns, k', 'tfx-kmeans, ms', 'scikit-learn lloyd, ms'], lines
        )
    )


def with_minibatches(rows, k):
    """graph.fit_dataset; the inertia is that of all rows."""
    dataset = tf.data.Dataset.range(0, len(rows), BATCH).map(
        lambda start: tf.ensure_shape(
            tf.numpy_function(lambda at: np.array(rows[at : at + BATCH]), [start], tf.float32),
            [None, rows.shape[1]],
        )
    )
    return float(graph.fit_dataset(dataset, k, batch_size=BATCH).inertia)


def with_scikit_learn(rows, k):
    """sklearn.cluster.MiniBatchKMeans."""
    found = cluster.MiniBatchKMeans(k, batch_size=BATCH, n_init=1, random_state=0).fit(rows)
    return -found.score(rows)


def with_lloyd(rows, k):
    """graph.fit on all rows in memory."""
    return float(graph.fit(rows, k).inertia)


STREAMING = {
    'fit_dataset': with_minibatches,
    'MiniBatchKMeans of scikit-learn': with_scikit_learn,
    'graph.fit': with_lloyd,
}


def measure_streams():
    """Mini-batches beside the exact solver: time, quality, memory."""
    lines = []
    for name, n, d, k in STREAMS:
        rows = DATA[name](n, d, k)
        found = {}
        for library, fit in STREAMING.items():
            _say(f'mini-batches: {name}, {library}')
            found[library] = seconds(fit, rows, k, turns=2)
        with tempfile.NamedTemporaryFile(suffix='.npy') as file:
            np.save(file.name, rows)
            for library, (took, inertia) in found.items():
                memory = processes.outcome(__file__, '--memory', f'{library}:{k}', file.name)
                ratio = inertia / found['graph.fit'][1]
                case = f'{name}, {n:,} x {d}, k = {k}'
                lines.append([case, library, f'{took:.2f}', f'{ratio:.4f}', f'{memory:.0f}'])
    return (
        f'Seeded by each library, {results.machine("tensorflow", "scikit-learn")}. The inertia is '
        'that of all rows, over that of graph.fit; peak memory is above a process that has fitted '
        'a few rows, with the rows in a file that is mapped: MiniBatchKMeans and graph.fit read '
        'all of it.\n\n'
        + results.table(['rows', 'library', 's', 'inertia', 'peak memory, MB'], lines)
    )


def stream_memory(library, path):
    """Peak memory in megabytes above that of a process that has fitted a few rows."""
    library, k = library.rsplit(':', 1)
    fit = STREAMING[library]
    fit(np.random.default_rng(0).random((64, 2), dtype=np.float32), 3)
    base = processes.peak_megabytes()
    fit(np.load(path, mmap_mode='r'), int(k))
    return processes.peak_megabytes() - base


def _say(words):
    print(words, file=sys.stderr, flush=True)


PARTS = {
    'Seeding': measure_seeding,
    'Growth': measure_growth,
    'Mini-batches': measure_streams,
}

if __name__ == '__main__':
    main()
