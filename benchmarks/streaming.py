"""Rows in a file that is larger than what a fit may hold: the last part of `make bench`.

    .venv-bench/bin/python benchmarks/streaming.py

Each fit is the first in a process of its own, imports not counted.
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

STREAMS = [('clustered', 1_000_000, 16, 50), ('digits with noise', 200_000, 64, 100)]
BATCH = 8192


def clustered(n, d, k):
    """Round clusters that overlap a little."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=2.0, size=(k, d)).astype(np.float32)
    return centres[rng.integers(k, size=n)] + rng.standard_normal((n, d), dtype=np.float32)


def digits(n, d, k):
    """The 8 x 8 pictures of handwritten digits of scikit-learn, many times with noise."""
    del d, k
    rng = np.random.default_rng(0)
    rows = np.tile(datasets.load_digits().data, (-(-n // 1797), 1))[:n]
    return (rows + rng.normal(size=rows.shape)).astype(np.float32)


DATA = {'clustered': clustered, 'digits with noise': digits}


def main():
    """Measures and writes the part of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--fit', nargs=3, metavar=('LIBRARY', 'K', 'FILE'), help='print what it took'
    )
    arguments = parser.parse_args()
    if arguments.fit:
        print(json.dumps(fit_file(*arguments.fit)))
        return
    text = measure()
    results.write('Streaming', text)
    print(text, flush=True)


def with_passes(rows, k):
    """graph.fit_dataset."""
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


LIBRARIES = {
    'graph.fit_dataset': with_passes,
    'MiniBatchKMeans of scikit-learn': with_scikit_learn,
    'graph.fit': with_lloyd,
}


def measure():
    """Each library on the same file: time, inertia, memory."""
    lines = []
    for name, n, d, k in STREAMS:
        found = {}
        with tempfile.NamedTemporaryFile(suffix='.npy') as file:
            np.save(file.name, DATA[name](n, d, k))
            for library in LIBRARIES:
                print(f'{name}, {library}', file=sys.stderr, flush=True)
                found[library] = processes.outcome(__file__, '--fit', library, str(k), file.name)
        for library, (took, inertia, memory) in found.items():
            ratio = inertia / found['graph.fit'][1]
            case = f'{name}, {n:,} x {d}, k = {k}'
            lines.append([case, library, f'{took:.2f}', f'{ratio:.4f}', f'{memory:.0f}'])
    return (
        f'Defaults of each library, {results.machine("tensorflow", "scikit-learn")}, the first fit '
        'of a process, imports not counted. The inertia is that of all rows, over that of '
        'graph.fit; memory is the peak above what the process had before, with the rows in a file '
        'that is mapped: MiniBatchKMeans and graph.fit read all of it.\n\n'
        + results.table(['rows', 'library', 's', 'inertia', 'peak memory, MB'], lines)
    )


def fit_file(library, k, path):
    """Seconds, inertia, and peak memory in megabytes above that before."""
    rows = np.load(path, mmap_mode='r')
    processes.forget_peak()
    base = processes.peak_megabytes()
    started = time.monotonic()
    inertia = LIBRARIES[library](rows, int(k))
    return time.monotonic() - started, inertia, processes.peak_megabytes() - base


if __name__ == '__main__':
    main()
