"""Lloyd passes over all the data: partial sums on the workers, new centroids from their totals."""

import dataclasses
import math

import apache_beam as beam
import numpy as np
from apache_beam.transforms import window

from tfx_kmeans import defects as defects_lib
from tfx_kmeans import graph
from tfx_kmeans.beam import sampling

_BUFFERED_VALUES = 1 << 18
_BITS = 62  # of an int64 that a total may take


class LloydPass(beam.PTransform):
    """One iteration of Lloyd's algorithm over all the data, nothing once it has converged.

    Sums are whole multiples of a power of two, added up as integers: they are exact, and the same
    however the rows are grouped. A cluster without rows keeps its centroid.
    """

    def __init__(self, fitted, distance):
        """Makes a pass.

        Args:
            fitted: PCollection of one fitting.Fitted.
            distance: 'squared_euclidean' or 'cosine'.
        """
        super().__init__()
        self._fitted = fitted
        self._distance = distance

    def expand(self, batches):
        """From batches, see sampling.SampleFn, to a PCollection of one fitting.Fitted."""
        partial_sums = batches | 'Assign' >> beam.ParDo(
            _AssignFn(self._distance), beam.pvalue.AsSingleton(self._fitted)
        )
        total = partial_sums | 'Add' >> beam.CombineGlobally(_add)
        return self._fitted | 'Update' >> beam.Map(
            _update, beam.pvalue.AsSingleton(total), self._distance
        )


@dataclasses.dataclass
class _Sums:
    """Sums over rows, in the units of `_Grid`.

    Attributes:
        values: int64 `[k, d]`, of the rows of each cluster times their weights.
        weights: int64 `[k]`, of their weights.
        inertia: int, of their squared distances times their weights.
    """

    values: np.ndarray
    weights: np.ndarray
    inertia: int


class _Grid:
    """The powers of two that sums over all rows are multiples of."""

    def __init__(self, fitted):
        width = fitted.centroids.shape[1]
        weight = _exponent(fitted.total_weight)
        value = _exponent(fitted.largest)
        self.weights = _BITS - weight
        self.values = _BITS - weight - value
        # rows and centroids are at most `largest` from 0 in each column
        self.inertia = _BITS - weight - 2 * value - 2 - _exponent(width)


def _exponent(value):
    return math.frexp(value)[1]


class _AssignFn(beam.DoFn):
    """Places rows among the centroids, and gives the sums of each bundle as its last act."""

    def __init__(self, distance):
        self._distance = distance

    def start_bundle(self):
        self._batches, self._n_values, self._sums = [], 0, None

    def process(self, batch, fitted):
        self._fitted = fitted
        if fitted.converged:
            return
        self._batches.append(batch)
        self._n_values += batch[0].size + 1
        if self._n_values >= _BUFFERED_VALUES:
            self._flush()

    def finish_bundle(self):
        if self._batches:
            self._flush()
        if self._sums is not None:
            yield window.GlobalWindows.windowed_value(self._sums)

    def _flush(self):
        rows, *weights = (np.concatenate(part) for part in zip(*self._batches, strict=True))
        self._batches, self._n_values = [], 0
        nothing = defects_lib.Defects.none(rows.shape[1])  # counted when the sample was drawn
        rows, weights = sampling.usable(rows, weights[0] if weights else None, nothing)
        sums = _sum_by_cluster(rows, weights, self._fitted, self._distance)
        self._sums = sums if self._sums is None else _add([self._sums, sums])


def _sum_by_cluster(rows, weights, fitted, distance):
    rows = (rows - fitted.mean) / fitted.scale
    if distance == 'cosine':
        rows = sampling.unit_vectors(rows)
    ids, distances = (
        part.numpy() for part in graph.assign(rows, fitted.centroids, distance=distance)
    )
    weights = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
    grid, k = _Grid(fitted), len(fitted.centroids)
    order = np.argsort(ids, kind='stable')
    starts = np.searchsorted(ids[order], np.arange(k))
    columns = [rows * weights[:, np.newaxis], weights[:, np.newaxis]]
    whole = np.concatenate(
        [
            np.rint(np.ldexp(column, exponent)).astype(np.int64)
            for column, exponent in zip(columns, (grid.values, grid.weights), strict=True)
        ],
        axis=1,
    )
    # the row of zeros makes every start an index, and an empty cluster is one row too many
    whole = np.concatenate([whole[order], np.zeros((1, whole.shape[1]), np.int64)])
    sums = np.add.reduceat(whole, starts)
    sums[np.bincount(ids, minlength=k)[:k] == 0] = 0
    inertia = np.rint(np.ldexp(distances * weights, grid.inertia)).astype(np.int64)
    return _Sums(sums[:, :-1], sums[:, -1], int(inertia.sum()))


def _add(parts):
    """Adds up _Sums; None, which Beam hands on for no parts at all, counts for nothing."""
    total = None
    for part in parts:
        if total is None or part is None:
            total = part or total
        else:
            total = _Sums(
                total.values + part.values,
                total.weights + part.weights,
                total.inertia + part.inertia,
            )
    return total


def _update(fitted, sums, distance):
    """Returns `fitted` with new centroids; inertia and weights are those of the former ones."""
    if sums is None:
        return fitted
    grid = _Grid(fitted)
    weights = np.ldexp(sums.weights.astype(np.float64), -grid.weights)
    values = np.ldexp(sums.values.astype(np.float64), -grid.values)
    occupied = (weights > 0)[:, np.newaxis]
    means = np.divide(values, weights[:, np.newaxis], where=occupied, out=np.zeros_like(values))
    if distance == 'cosine':
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        occupied = occupied & (lengths > 0)
        means = np.divide(means, lengths, where=occupied, out=np.zeros_like(means))
    centroids = np.where(occupied, means, fitted.centroids).astype(np.float32)
    moved = np.square(centroids - fitted.centroids, dtype=np.float64).sum()
    return fitted._replace(
        centroids=centroids,
        cluster_weights=weights,
        inertia=math.ldexp(sums.inertia, -grid.inertia),
        converged=bool(moved <= fitted.tolerance),
    )
