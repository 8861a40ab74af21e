"""What the KMeans executor spends beyond reading, parsing and fitting.

    .venv-1.16/bin/python benchmarks/executor_reading.py --rows 1000000 --features 16

Reading and parsing alone, in the fastest of three ways to write it with tf.data, alternates with
whole runs of the executor, of which the time inside the fit is taken off: by the clock on the wall,
and by the processor time of all threads. The files are gzip TFRecord files of tf.Example.
"""

import argparse
import pathlib
import statistics
import tempfile
import time

import synthetic_examples
import tensorflow as tf
import tensorflow_transform as tft

from tfx_kmeans import graph

BATCH_ROWS = 8192
CLOCKS = {'wall': time.perf_counter, 'processor': time.process_time}


def main():
    """Parses the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rows', type=int, default=1_000_000)
    parser.add_argument('--features', type=int, default=16)
    parser.add_argument('--runs', type=int, default=5)
    arguments = parser.parse_args()
    print(
        '| examples | clock | read and parse, s | fit, s | executor, s | (executor - fit) / read |'
    )
    print('|---|---|---|---|---|---|')
    for as_vector in (False, True):
        with tempfile.TemporaryDirectory() as directory:
            measure(pathlib.Path(directory), arguments, as_vector)


def measure(root, arguments, as_vector):
    """Measures one kind of examples, and prints a row of the table for each clock."""
    small = synthetic_examples.write(root / 's', 1_000, arguments.features, as_vector=as_vector)
    data = synthetic_examples.write(
        root / 'data', arguments.rows, arguments.features, as_vector=as_vector
    )
    fit = graph.fit
    times = {key: [] for key in (*WAYS, 'fit', 'all')}
    graph.fit = timed(fit, times['fit'])
    synthetic_examples.run(*small, root / 'small_output')  # modules loaded, functions traced
    times['fit'].clear()
    for run in range(arguments.runs):
        for way in WAYS:
            timed(read_and_parse, times[way])(*data, way)
        timed(synthetic_examples.run, times['all'])(*data, root / f'output_{run}')
    graph.fit = fit
    kind = 'one vector' if as_vector else 'scalars'
    for clock, name in enumerate(CLOCKS):
        medians = {
            key: statistics.median(run[clock] for run in runs) for key, runs in times.items()
        }
        read = min(medians[way] for way in WAYS)
        rest = medians['all'] - medians['fit']
        print(
            f'| {arguments.rows} x {arguments.features}, {kind} | {name} | {read:.2f} '
            f'| {medians["fit"]:.2f} | {medians["all"]:.2f} | {rest / read:.2f} |',
            flush=True,
        )


def timed(function, runs):
    """Returns `function` with each call's time by each of CLOCKS appended to `runs`."""

    def call(*args, **options):
        started = [clock() for clock in CLOCKS.values()]
        result = function(*args, **options)
        ended = [clock() for clock in CLOCKS.values()]
        runs.append([end - start for start, end in zip(started, ended, strict=True)])
        return result

    return call


def read_and_parse(examples, graph_artifact, way):
    """Reads and parses all examples in one of WAYS, and does nothing with them."""
    spec = tft.TFTransformOutput(graph_artifact.uri).transformed_feature_spec()
    files = tf.io.gfile.glob(f'{examples.uri}/Split-train/*')
    for _ in WAYS[way](files, lambda serialized: tf.io.parse_example(serialized, spec)):
        pass


def interleaved(files, parse):
    """Records of all files in turn, then batches: what TensorFlow's guide shows."""
    records = tf.data.TFRecordDataset(files, 'GZIP', num_parallel_reads=tf.data.AUTOTUNE)
    parsed = records.batch(BATCH_ROWS).map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    return parsed.prefetch(tf.data.AUTOTUNE)


def one_by_one(files, parse):
    """File after file, in one thread."""
    return tf.data.TFRecordDataset(files, 'GZIP', buffer_size=1 << 20).batch(BATCH_ROWS).map(parse)


def in_parallel(files, parse):
    """Several files at a time, each batched and parsed by itself."""
    return tf.data.Dataset.from_tensor_slices(files).interleave(
        lambda file: one_by_one(file, parse), num_parallel_calls=tf.data.AUTOTUNE
    )


WAYS = {f.__name__: f for f in (interleaved, one_by_one, in_parallel)}


if __name__ == '__main__':
    main()
