"""Shapes and rows for the benchmarks, drawn from a seed so that nothing can be tuned to a list."""

import dataclasses
import itertools
import math

import numpy as np

ROWS, COLUMNS, CLUSTERS = (10_000, 2_000_000), (2, 800), (5, 1_000)
MOST_BYTES = 1e9  # n * d * 4
# n * k * (d + 16), the work of a pass: n * k comparisons take about as long as 16 columns more. 30
# passes, 60 times as many operations, then take some 5 s on two cores at most
MOST_WORK = 1e10
ZIPF = 1.0  # the i-th largest cluster has 1 / i of the rows of the largest


@dataclasses.dataclass(frozen=True)
class Case:
    """Rows to be made: how many, of what kind, and for how many clusters."""

    number: int
    kind: str
    n: int
    d: int
    k: int
    seed: int

    def __str__(self):
        return f'{self.kind}, {self.n:,} x {self.d}, k = {self.k}'

    def rng(self, purpose):
        """Generator of the case for one purpose, an int."""
        return np.random.default_rng([self.seed, self.number, purpose])

    def rows(self):
        """The rows, float32 `[n, d]` in random order."""
        return KINDS[self.kind](self.rng(1), self.n, self.d, self.k)

    def some_rows(self, rows):
        """As many different rows as clusters: where a fit from given centroids starts."""
        return rows[self.rng(2).choice(len(rows), self.k, replace=False)]


def cases(seed, number):
    """The first `number` cases of a seed: shapes log-uniform within the bounds, kinds in turn."""
    return [_case(seed, i, kind) for i, kind in zip(range(number), itertools.cycle(KINDS))]


def _case(seed, number, kind):
    rng = np.random.default_rng([seed, number, 0])
    while True:
        n, d, k = (
            round(math.exp(rng.uniform(*np.log(bounds)))) for bounds in (ROWS, COLUMNS, CLUSTERS)
        )
        if n * d * 4 <= MOST_BYTES and n * k * (d + 16) <= MOST_WORK:
            return Case(number, kind, n, d, k, seed)


def _gaussians(distance, tail=0.0):
    """Round Gaussian clusters, the nearest centre `distance` deviations away in the median."""

    def make(rng, n, d, k):
        centres = rng.standard_normal((k, d), dtype=np.float32)
        centres *= np.float32(distance / np.median(_to_nearest(centres)))
        sizes = 1 / np.arange(1, k + 1) ** tail
        rows = rng.standard_normal((n, d), dtype=np.float32)
        labels = rng.choice(k, n, p=sizes / sizes.sum())
        for start in range(0, n, 100_000):  # in blocks: all centres[labels] would be as large again
            rows[start : start + 100_000] += centres[labels[start : start + 100_000]]
        return rows

    return make


def _to_nearest(centres):
    distances = [np.linalg.norm(centres - centre, axis=1) for centre in centres]
    return np.sort(distances, axis=1)[:, 1]


def _cube(rng, n, d, k):
    """A cube that is filled evenly."""
    del k
    return rng.random((n, d), dtype=np.float32)


KINDS = {
    'separated': _gaussians(8),
    'overlapping': _gaussians(3),
    "sizes by Zipf's law": _gaussians(5, tail=ZIPF),
    'no structure': _cube,
}
