"""Peak memory and time of the KMeans executor on synthetic examples.

    .venv-1.16/bin/python benchmarks/executor_memory.py --rows 2000000 --features 16
    .venv-1.16/bin/python benchmarks/executor_memory.py --memory-budget 100000000  # from disk

The examples are real: gzip TFRecord files of tf.Example, written first. The base of the process is
its peak after a run on a thousand rows, with all modules loaded and all functions traced once.
"""

import argparse
import pathlib
import tempfile
import time

import processes
import synthetic_examples

from tfx_kmeans.kmeans import reading


def main():
    """Parses the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rows', type=int, default=2_000_000)
    parser.add_argument('--features', type=int, default=16)
    parser.add_argument('--memory-budget', type=int, default=4_000_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        small = synthetic_examples.write(root / 'small', 1_000, arguments.features, as_vector=True)
        large = synthetic_examples.write(
            root / 'large', arguments.rows, arguments.features, as_vector=True
        )
        options = {'solver': 'auto', 'memory_budget': arguments.memory_budget}
        synthetic_examples.run(*small, root / 'small_output', **options)
        base = processes.peak_megabytes()
        started = time.monotonic()
        synthetic_examples.run(*large, root / 'large_output', **options)
        seconds = time.monotonic() - started
        matrix = arguments.rows * arguments.features * 4 / 1e6
        estimate = reading.memory_of_fit(arguments.rows, arguments.features) / 1e6
        above = processes.peak_megabytes() - base
        print(f'rows x features        {arguments.rows} x {arguments.features}')
        print(f'matrix                 {matrix:.0f} MB')
        print(f'base of the process    {base:.0f} MB')
        print(f'peak above the base    {above:.0f} MB = {above / matrix:.2f} x the matrix')
        print(f'estimate of the fit    {estimate:.0f} MB')
        print(f'whole executor         {seconds:.1f} s, {synthetic_examples.N_CLUSTERS} clusters')


if __name__ == '__main__':
    main()
