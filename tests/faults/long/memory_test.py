"""The memory that KMeans takes, measured: not above what it is judged by."""

import pathlib
import re
import subprocess
import sys

import pytest

BENCHMARK = pathlib.Path(__file__).parents[3] / 'benchmarks' / 'executor_memory.py'


@pytest.mark.parametrize(('n_rows', 'n_features'), [(2_000_000, 2), (1_000_000, 32)])
def test_an_exact_fit_peaks_below_the_estimate_that_memory_budget_goes_by(n_rows, n_features):
    sizes = ['--rows', str(n_rows), '--features', str(n_features)]
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', BENCHMARK, *sizes],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    peak = int(re.search(r'peak above the base +(\d+) MB', done.stdout)[1])
    estimate = int(re.search(r'estimate of the fit +(\d+) MB', done.stdout)[1])
    assert n_rows * n_features * 4 / 1e6 < peak <= estimate, done.stdout
