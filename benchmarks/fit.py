"""graph.fit beside the native k-means libraries of Python: `make bench`.

    .venv-bench/bin/python benchmarks/fit.py

Every library fits the same float32 rows from the same initial centroids, to the same tolerance, in
one process, in turns; the best of the turns counts. The first turn of graph.fit, which traces and
compiles, is a column of its own. faiss knows no tolerance: it makes as many iterations as graph.fit
did. Peak memory is that of a process of its own for each library, above that of the process with
the rows in it. The tables go to benchmarks/RESULTS.md.
"""

import argparse
import functools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
warnings.filterwarnings('ignore')

import numpy as np
import processes
import results

TOL, MAX_ITER = 1e-4, 300
TURNS = 3
PAUSE = 0.5  # seconds: the threads of OpenMP go on spinning for a while when their work is done
# rows, columns, clusters
SHAPES = [(500_000, 2, 20), (500_000, 8, 50), (200_000, 32, 100), (200_000, 64, 256)]
LARGEST = (100_000, 256, 1024)


def clustered(n, d, k):
    """Round clusters that overlap a little."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=2.0, size=(k, d)).astype(np.float32)
    return centres[rng.integers(k, size=n)] + rng.standard_normal((n, d), dtype=np.float32)


def flat(n, d, k):
    """A cube that is filled evenly: no structure at all."""
    del k
    return np.random.default_rng(0).random((n, d), dtype=np.float32)


def digits(n, d, k):
    """The 8 x 8 pictures of handwritten digits of scikit-learn, many times with noise."""
    del d, k
    from sklearn import datasets

    rng = np.random.default_rng(0)
    rows = np.tile(datasets.load_digits().data, (-(-n // 1797), 1))[:n]
    return (rows + rng.normal(size=rows.shape)).astype(np.float32)


DATA = {'clustered': clustered, 'no structure': flat, 'digits with noise': digits}
CASES = [
    *((name, *shape) for shape in SHAPES for name in ('clustered', 'no structure')),
    ('digits with noise', 200_000, 64, 100),
    *((name, *LARGEST) for name in ('clustered', 'no structure')),
]


@functools.lru_cache(maxsize=1)
def rows_and_init(name, n, d, k):
    """The rows of a case, and where every library starts."""
    from sklearn import cluster

    rows = DATA[name](n, d, k)
    sample = rows[np.random.default_rng(1).choice(n, min(n, 20_000), replace=False)]
    init, _ = cluster.kmeans_plusplus(sample, k, random_state=1, n_local_trials=1)
    return rows, np.ascontiguousarray(init)


def with_graph(rows, init, **_):
    """tfx_kmeans.graph.fit."""
    from tfx_kmeans import graph

    fitted = graph.fit(rows, len(init), init=init, max_iter=MAX_ITER, tol=TOL)
    return float(fitted.inertia), int(fitted.n_iter)


def with_scikit_learn(rows, init, algorithm):
    """sklearn.cluster.KMeans."""
    from sklearn import cluster

    return _fit_estimator(cluster.KMeans, rows, init, algorithm)


def with_intelex(rows, init, **_):
    """sklearnex.cluster.KMeans."""
    from sklearnex import cluster

    return _fit_estimator(cluster.KMeans, rows, init, 'lloyd')


def _fit_estimator(estimator, rows, init, algorithm):
    fitted = estimator(
        len(init), init=init, n_init=1, max_iter=MAX_ITER, tol=TOL, algorithm=algorithm
    ).fit(rows)
    return float(fitted.inertia_), int(fitted.n_iter_)


def with_faiss(rows, init, n_iter):
    """faiss.Clustering on all rows."""
    import faiss

    (k, d) = init.shape
    clustering = faiss.Clustering(d, k)
    clustering.niter = n_iter
    clustering.max_points_per_centroid = len(rows)
    clustering.min_points_per_centroid = 1
    faiss.copy_array_to_vector(init.ravel(), clustering.centroids)
    clustering.train(rows, faiss.IndexFlatL2(d))
    last = clustering.iteration_stats.at(clustering.iteration_stats.size() - 1)
    return float(last.obj), n_iter


LIBRARIES = {
    'tfx-kmeans': with_graph,
    'scikit-learn lloyd': functools.partial(with_scikit_learn, algorithm='lloyd'),
    'scikit-learn elkan': functools.partial(with_scikit_learn, algorithm='elkan'),
    'scikit-learn-intelex': with_intelex,
    'faiss': with_faiss,
}
OURS = 'tfx-kmeans'
_MOST_FOR_ELKAN = 1e9  # n * d * k: beyond, it takes minutes


def main():
    """Parses the arguments, measures, writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--turns', type=int, default=TURNS)
    parser.add_argument('--only', type=int, help='number of the one case to measure, for a look')
    parser.add_argument('--memory', nargs=2, metavar=('LIBRARY', 'FOLDER'), help='print JSON')
    arguments = parser.parse_args()
    if arguments.memory:
        print(json.dumps(measure_memory(*arguments.memory)))
        return
    fit_few_rows()  # TensorFlow and the others are loaded once, which is no part of a fit
    numbers = range(len(CASES)) if arguments.only is None else [arguments.only]
    measured = []
    for number in numbers:
        measured.append(measure(number, arguments.turns))
        tables = write_tables(measured)
        if arguments.only is None:
            # so that a run that is cut short leaves what it has
            results.write('graph.fit beside other libraries', tables)
    print(tables)


def fit_few_rows():
    """Fits a few rows with every library."""
    rows = np.random.default_rng(0).random((64, 2), dtype=np.float32)
    for library, fit in LIBRARIES.items():
        fit(rows, rows[:3].copy(), **({'n_iter': 2} if library == 'faiss' else {}))


def measure(number, turns):
    """Times every library on one case, in turns."""
    case = CASES[number]
    name, n, d, k = case
    rows, init = rows_and_init(*case)
    found = {'case': case, 'first': None}
    libraries = dict(LIBRARIES)
    if n * d * k > _MOST_FOR_ELKAN:
        del libraries['scikit-learn elkan']
    seconds, n_iter = {library: [] for library in libraries}, MAX_ITER
    for turn in range(turns):
        for library, fit in libraries.items():
            time.sleep(PAUSE)
            started = time.monotonic()
            inertia, iterations = fit(
                rows, init, **({'n_iter': n_iter} if library == 'faiss' else {})
            )
            seconds[library].append(time.monotonic() - started)
            if library == OURS:
                n_iter = iterations
                found['first'] = found['first'] or seconds[library][0]
            found[library] = {'inertia': inertia, 'n_iter': iterations}
            print(
                f'{name} {n:,} x {d}, k = {k}, turn {turn + 1}: {library} '
                f'{seconds[library][-1]:.2f} s, {iterations} iterations, inertia {inertia:.6g}',
                file=sys.stderr,
                flush=True,
            )
    for library in libraries:
        # the first turn of graph.fit traces and compiles: it is told, and does not count here
        kept = seconds[library][1:] if turns > 1 else seconds[library]
        found[library]['seconds'] = min(kept)
    with tempfile.TemporaryDirectory() as folder:
        np.save(f'{folder}/rows.npy', rows)
        np.save(f'{folder}/init.npy', init)
        for library in libraries:
            found[library]['megabytes'] = in_another_process(library, folder)
    return found


def in_another_process(library, folder):
    """Peak memory of a library in megabytes."""
    command = [sys.executable, '-W', 'ignore', __file__, '--memory', library, folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_memory(library, folder):
    """Peak memory above that of the process with the rows in it, in megabytes."""
    fit = LIBRARIES[library]
    rows, init = np.load(f'{folder}/rows.npy'), np.load(f'{folder}/init.npy')
    few = rows[:64].copy()
    fit(few, few[:3].copy(), **({'n_iter': 2} if library == 'faiss' else {}))
    base = processes.peak_megabytes()
    fit(rows, init, **({'n_iter': 3} if library == 'faiss' else {}))
    return processes.peak_megabytes() - base


def write_tables(measured):
    """Markdown of all results."""
    packages = ('tensorflow', 'scikit-learn', 'scikit-learn-intelex', 'faiss-cpu')
    names = [name for name in LIBRARIES if name != OURS]
    lines, memory, ratios = [], [], []
    for found in measured:
        name, n, d, k = found['case']
        rivals = [found[rival] for rival in names if rival in found]
        ratios.append(min(rival['seconds'] for rival in rivals) / found[OURS]['seconds'])
        least = min(rival['inertia'] for rival in [found[OURS], *rivals])
        cells = [_cell(found.get(library)) for library in [OURS, *names]]
        cells.insert(1, f'{found["first"]:.2f}')
        relative = f'{found[OURS]["inertia"] / least:.5f}'
        lines.append([name, f'{n:,} x {d}, {k}', *cells, f'{ratios[-1]:.2f}', relative])
        cells = [f'{found[lib]["megabytes"]:.0f}' if lib in found else '-' for lib in LIBRARIES]
        memory.append([f'{name}, {n:,} x {d}, {k}', *cells])
    mean = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
    header = ['data', 'rows x columns, k', OURS, 'first', *names, 'ratio', 'inertia / least']
    return (
        f'`make bench` on {results.machine(*packages)}; seconds of a whole fit from given '
        'centroids to convergence, best of the turns; in brackets the iterations. *First* is the '
        'first fit of a shape in a process, in which TensorFlow traces and compiles. The ratio is '
        'the time of the fastest rival over ours.\n\n'
        + results.table(header, lines)
        + f'\nGeometric mean of the ratios to the fastest rival: {mean:.2f}\n\n'
        + results.table(['peak memory, MB above the rows', *LIBRARIES], memory)
    )


def _cell(found):
    return f'{found["seconds"]:.2f} ({found["n_iter"]})' if found else '-'


if __name__ == '__main__':
    main()
