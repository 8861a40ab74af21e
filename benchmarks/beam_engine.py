"""What a Lloyd pass over all rows costs on Beam, by rows, columns, clusters, workers and runner.

    make bench-beam
    .venv-1.16/bin/python benchmarks/beam_engine.py
    .venv-1.16/bin/python benchmarks/beam_engine.py --cases 1000000x16x50 --runners 'two workers'

Each case runs in a process of its own: FitKMeans with 1 pass and with 5 over the same rows, in .npy
files; the difference is what 4 passes cost. Core-seconds are those of all processes together, so
they depend less on what else the machine does than seconds and rows/s; small cases, whose pass
costs less than what two fits differ by anyway, tell nothing by them. Of Flink they are those of
task managers and their workers; the job manager and Beam's job server are left out. Each worker
computes with one thread. `arithmetic` is what the same sums take in one process without Beam.
Memory is the peak of the largest worker in Python (of the whole process where there is one). The
sample is 20,000 rows whatever the clusters, for it is no part of a pass.

Without --cases each runner has cases of its own, two workers all of them.

Flink is a cluster on this machine, with a worker at each task manager; where there is no Java, no
Maven or no jars, its rows are left out. A run without --cases and --runners writes
benchmarks/RESULTS.md.

The model of the README's sizing is that core-seconds grow with the rows: `model` is what the
smallest case of the same columns, clusters and runner predicts.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import processes
import results

TESTS = pathlib.Path(__file__).parent.parent / 'tests'  # which know how to start Flink
# one thread for each worker, which they inherit; set before TensorFlow is there
THREADS = {'TF_NUM_INTRAOP_THREADS': '1', 'TF_NUM_INTEROP_THREADS': '1', 'OMP_NUM_THREADS': '1'}
# options of Beam's local runner
LOCAL = {
    'one process': [],
    'one worker': ['--direct_running_mode=multi_processing', '--direct_num_workers=1'],
    'two workers': ['--direct_running_mode=multi_processing', '--direct_num_workers=2'],
}
# how many task managers
FLINK = {'flink, one task manager': 1, 'flink, two task managers': 2}
RUNNERS = (*LOCAL, *FLINK)
CASES = ('500000x16x50', '1000000x16x50', '2000000x16x50', '250000x64x1000', '500000x64x1000')
SLOPE = ('500000x16x50', '2000000x16x50')
# fewer for most runners, so that all takes some ten minutes: most of it is starting jobs
CASES_OF = {
    'one process': SLOPE,
    'one worker': (*SLOPE, '250000x64x1000', '500000x64x1000'),
    'two workers': CASES,
    **dict.fromkeys(FLINK, SLOPE),
}
# in the command lines of what hands jobs on: it starts anew or warms up with each of them, and
# its seconds would hide those of a pass
NO_WORK = ('--job-port', 'StandaloneSessionClusterEntrypoint')
FILES = 16
SAMPLE = 20_000
PASSES = (1, 5)
PART = 'Passes on Beam'
COLUMNS = ['case', 'runner', 's a pass', 'rows/s', 'core-s', 'model', 'arithmetic', 'MB']


def main():
    """Parses the arguments, measures, prints, and writes the part of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cases', nargs='*', help='rows x columns x clusters')
    parser.add_argument('--runners', nargs='*', choices=RUNNERS)
    parser.add_argument('--measure', nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        case, runner = arguments.measure
        print(json.dumps(measure(*map(int, case.split('x')), runner)))
        return
    planned = plan(arguments.cases, arguments.runners or RUNNERS)
    missing = None
    if any(runner in FLINK for _, runner in planned):
        missing = missing_of_flink()
        if missing:
            _say(f'no Flink here: {missing}')
            planned = [(case, runner) for case, runner in planned if runner not in FLINK]
    lines, text, costs = [], '', {}
    for number, (case, runner) in enumerate(planned, start=1):
        _say(f'{number} of {len(planned)}: {case}, {runner}')
        lines.append(line(case, runner, measure_apart(case, runner), costs))
        with_flink = any(runner in FLINK for _, runner in planned)
        text = note(with_flink, missing) + '\n\n' + results.table(COLUMNS, lines)
        if not (arguments.cases or arguments.runners):
            # so that a run that is cut short leaves what it has
            results.write(PART, text)
    print(f'{PART}\n\n{text}', flush=True)


def plan(cases, runners):
    """Pairs of a case and a runner to measure: the same cases for each runner if any are given."""
    pairs = [(case, runner) for case in cases or CASES for runner in runners]
    return [(case, runner) for case, runner in pairs if cases or case in CASES_OF[runner]]


def missing_of_flink():
    """What this machine lacks to run Flink; None if nothing. Gets the jars if they are not here."""
    jars = flink_support()[1]
    try:
        jars.fetch()
    except jars.MissingError as error:
        return str(error)
    return None


def flink_support():
    """The modules of the tests that start a cluster and know its jars."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    from support import flink_cluster, flink_jars

    return flink_cluster, flink_jars


def line(case, runner, found, costs):
    """Cells of a row of the table; `costs` keeps core-seconds a row of the smallest cases."""
    n_rows, _, shape = case.partition('x')
    cost = costs.setdefault((shape, runner), found['core_seconds'] / int(n_rows))
    return [
        case,
        runner,
        f'{found["seconds"]:.2f}',
        f'{found["rows_per_second"]:,.0f}',
        f'{found["core_seconds"]:.2f}',
        f'{int(n_rows) * cost:.2f}',
        f'{found["arithmetic"]:.2f}',
        f'{found["megabytes"]:.0f}',
    ]


def note(with_flink, missing):
    """What stands with the table: how and on what it was measured, and what the columns are."""
    without = f' Without Flink: {missing}.' if missing else ''
    flink = f', Flink {flink_support()[1].flink_version()}' if with_flink else ''
    return (
        f'`make bench-beam` on {results.machine("apache-beam", "tensorflow")}{flink}; each worker '
        'computes with one thread. A case is rows x columns x clusters, in float32. A pass is a '
        f'quarter of what a fit of {PASSES[1]} passes takes above one of {PASSES[0]}. *core-s* are '
        'seconds of processors of all processes together, without the job manager of Flink and the '
        'job server; *model* is what the smallest case of the same columns, clusters and runner '
        'predicts of them; *arithmetic* is what the same sums take in one process without Beam. '
        f'*MB* is the peak of the largest worker, which is a process of Python.{without}'
    )


def measure_apart(case, runner):
    """Measures in a process of its own, below which is all that belongs to the case."""
    command = [sys.executable, '-W', 'ignore', __file__, '--measure', case, runner]
    environment = {**os.environ, **THREADS, 'TF_CPP_MIN_LOG_LEVEL': '3'}
    with tempfile.TemporaryFile('w+') as log:
        done = subprocess.run(
            command, env=environment, check=False, stdout=subprocess.PIPE, stderr=log, text=True
        )
        if done.returncode:
            log.seek(0)
            raise RuntimeError(f'{case}, {runner}: {log.read()[-3000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def measure(n_rows, width, n_clusters, runner):
    """Returns the figures of a row of the table."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        paths = write(root, n_rows, width, n_clusters)
        with running(runner, root) as options, processes.WorkerMemory() as memory:
            # what is loaded and traced once is no part of a pass
            fit(paths[:1], width, n_clusters, options, 1, root / 'spool')
            cores, seconds = [], []
            for passes in PASSES:
                before = processes.core_seconds(NO_WORK)
                told = fit(paths, width, n_clusters, options, passes, root / f'spool{passes}')
                cores.append(processes.core_seconds(NO_WORK) - before)
                seconds.append(told['pass_milliseconds'].sum / 1000)
        added = PASSES[1] - PASSES[0]
        of_pass = (seconds[1] - seconds[0]) / added
        return {
            'seconds': of_pass,
            'rows_per_second': n_rows / of_pass,
            'core_seconds': (cores[1] - cores[0]) / added,
            'megabytes': memory.megabytes or processes.peak_megabytes(),
            'arithmetic': arithmetic(paths, width, n_clusters),
        }


@contextlib.contextmanager
def running(runner, directory):
    """Options of Beam for a runner, whose cluster, if it has one, runs in the `with` block."""
    if runner in LOCAL:
        yield LOCAL[runner]
        return
    flink_cluster, flink_jars = flink_support()
    from support import flink_runs

    lib, job_server = flink_jars.fetch()
    n = FLINK[runner]
    with flink_cluster.FlinkCluster(lib, directory / 'flink', task_managers=n) as cluster:
        yield flink_runs.beam_args(cluster, job_server, parallelism=n)


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
        n_clusters,
        names,
        n_init=1,
        max_iter=5,
        tol=0.0,
        sample_size=SAMPLE,
        max_passes=passes,
        spool=str(spool),
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


def _say(words):
    print(words, file=sys.stderr, flush=True)


if __name__ == '__main__':
    main()
