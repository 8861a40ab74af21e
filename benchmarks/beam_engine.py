"""What a Lloyd pass over all rows costs on Beam: by rows, columns, clusters and workers.

    .venv-1.16/bin/python benchmarks/beam_engine.py
    .venv-1.16/bin/python benchmarks/beam_engine.py --cases 1000000x16x50 --runners 'two workers'

Each case runs in a process of its own: FitKMeans with 1 pass and with 5 over the same rows, in
.npy files; the difference is what 4 passes cost. Core-seconds are those of all processes together,
so they depend less on what else the machine does than seconds and rows/s; small cases, whose pass
costs less than what two fits differ by anyway, tell nothing by them. Each worker computes
with one thread. `arithmetic` is what the same sums take in one process without Beam. Memory is the
peak of the largest worker (of the whole process where there is one).

The model of the README's sizing is that core-seconds grow with the rows: `model` is what the
smallest case of the same columns, clusters and runner predicts.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

# one thread for each worker, which they inherit; set before TensorFlow is there
THREADS = {'TF_NUM_INTRAOP_THREADS': '1', 'TF_NUM_INTEROP_THREADS': '1', 'OMP_NUM_THREADS': '1'}
RUNNERS = {
    'one process': [],
    'two workers': ['--direct_running_mode=multi_processing', '--direct_num_workers=2'],
}
CASES = ('500000x16x50', '1000000x16x50', '2000000x16x50', '250000x64x1000', '500000x64x1000')
FILES = 16
PASSES = (1, 5)


def main():
    """Parses the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cases', nargs='*', default=CASES, help='rows x columns x clusters')
    parser.add_argument('--runners', nargs='*', default=list(RUNNERS), choices=list(RUNNERS))
    parser.add_argument('--measure', nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        case, runner = arguments.measure
        print(json.dumps(measure(*map(int, case.split('x')), RUNNERS[runner])))
        return
    columns = ['case', 'runner', 's a pass', 'rows/s', 'core-s', 'model', 'arithmetic', 'MB']
    print(f'| {" | ".join(columns)} |\n{"|---" * len(columns)}|')
    costs = {}
    for case in arguments.cases:
        n_rows, _, shape = case.partition('x')
        for runner in arguments.runners:
            found = measure_apart(case, runner)
            cost = costs.setdefault((shape, runner), found['core_seconds'] / int(n_rows))
            print(
                f'| {case} | {runner} | {found["seconds"]:.2f} | {found["rows_per_second"]:,.0f} '
                f'| {found["core_seconds"]:.2f} | {int(n_rows) * cost:.2f} '
                f'| {found["arithmetic"]:.2f} | {found["megabytes"]:.0f} |',
                flush=True,
            )


def measure_apart(case, runner):
    """Measures in a process of its own, whose peak memory is that of the case."""
    command = [sys.executable, '-W', 'ignore', __file__, '--measure', case, runner]
    environment = {**os.environ, **THREADS, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    done = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(n_rows, width, n_clusters, options):
    """Returns the figures of a row of the table."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        paths = write(root, n_rows, width, n_clusters)
        # what is loaded and traced once is no part of a pass
        fit(paths[:1], width, n_clusters, options, 1, root / 'spool')
        cores, seconds = [], []
        for passes in PASSES:
            before = core_seconds()
            told = fit(paths, width, n_clusters, options, passes, root / f'spool{passes}')
            cores.append(core_seconds() - before)
            seconds.append(told['pass_milliseconds'].sum / 1000)
        added = PASSES[1] - PASSES[0]
        of_pass = (seconds[1] - seconds[0]) / added
        memory = megabytes(resource.RUSAGE_CHILDREN if options else resource.RUSAGE_SELF)
        return {
            'seconds': of_pass,
            'rows_per_second': n_rows / of_pass,
            'core_seconds': (cores[1] - cores[0]) / added,
            'arithmetic': arithmetic(paths, width, n_clusters),
            'megabytes': memory,
        }


def write(root, n_rows, width, n_clusters):
    """Writes rows of clusters that overlap into files, and returns their paths."""
    import numpy as np

    rng = np.random.default_rng(0)
    centres = rng.normal(scale=1.5, size=(n_clusters, width)).astype(np.float32)
    paths = []
    for number in range(FILES):
        count = n_rows // FILES
        rows = centres[rng.integers(n_clusters, size=count)]
        rows += rng.standard_normal(size=rows.shape, dtype=np.float32)
        paths.append(str(root / f'{number}.npy'))
        np.save(paths[-1], rows)
    return paths


def fit(paths, width, n_clusters, options, passes, spool):
    """Fits with FitKMeans on the runner that `options` name; returns the metrics by name."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from tfx_kmeans.beam import FitKMeans, metrics, shards

    names = [f'x{number}' for number in range(width)]
    pipeline = beam.Pipeline(options=PipelineOptions(options))
    rows = (
        pipeline
        | beam.Create(paths)
        | beam.Reshuffle()
        | 'Rows' >> beam.FlatMap(shards.read, width)
    )
    _ = rows | FitKMeans(
        n_clusters, names, n_init=1, max_iter=5, tol=0.0, max_passes=passes, spool=str(spool)
    )
    result = pipeline.run()
    result.wait_until_finish()
    return metrics.query(result)


def arithmetic(paths, width, n_clusters):
    """Seconds of a processor that the sums of a pass take in this process, without Beam."""
    import numpy as np

    from tfx_kmeans.beam import fitting, partial_sums, shards

    blocks = [rows for path in paths for (rows,) in shards.read(path, width)]
    fitted = fitting.Fitted(
        centroids=np.concatenate(blocks[:2])[:n_clusters],
        mean=np.zeros(width, np.float32),
        scale=np.ones(width, np.float32),
        cluster_weights=np.zeros(n_clusters),
        inertia=0.0,
        total_weight=float(sum(map(len, blocks))),
        largest=float(max(np.abs(block).max() for block in blocks)),
        tolerance=0.0,
    )
    partial_sums.sum_up(blocks[0], None, fitted, 'squared_euclidean')  # traces
    started = time.process_time()
    for block in blocks:
        partial_sums.sum_up(block, None, fitted, 'squared_euclidean')
    return time.process_time() - started


def core_seconds():
    """Seconds of processors that this process and those it has waited for have used."""
    return sum(os.times()[:4])


def megabytes(who):
    """Peak memory of this process, or of the largest that it has waited for."""
    return resource.getrusage(who).ru_maxrss * 1024 / 1e6


if __name__ == '__main__':
    main()
