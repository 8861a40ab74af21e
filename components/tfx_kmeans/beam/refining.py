"""Lloyd passes over all the data: partial sums on the workers, new centroids from their totals."""

import functools
import operator
import time

import apache_beam as beam
import numpy as np
from absl import logging
from apache_beam.transforms import window

from tfx_kmeans import defects as defects_lib
from tfx_kmeans.beam import fitting, metrics, partial_sums, sampling

_BUFFERED_VALUES = 1 << 18


class LloydPass(beam.PTransform):
    """One iteration of Lloyd's algorithm over all the data, nothing once it has converged.

    Sums are exact, and so the same however the rows are grouped. Clusters without rows are given
    those farthest from their centroids.
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
        total = batches | _SumUp(self._fitted, self._distance)
        return self._fitted | 'Update' >> beam.ParDo(
            _UpdateFn(self._distance), beam.pvalue.AsSingleton(total)
        )


class Measure(beam.PTransform):
    """Finds the weights of the clusters and the inertia of all the data; centroids stay."""

    def __init__(self, fitted, distance):
        """See LloydPass."""
        super().__init__()
        self._fitted = fitted
        self._distance = distance

    def expand(self, batches):
        """From batches, see sampling.SampleFn, to a PCollection of one fitting.Fitted."""
        total = batches | _SumUp(self._fitted, self._distance, even_if_converged=True)
        return self._fitted | 'Measure' >> beam.Map(
            _measure, beam.pvalue.AsSingleton(total), self._distance
        )


class _SumUp(beam.PTransform):
    """From batches to a PCollection of their partial_sums.Sums, or None where there are none."""

    def __init__(self, fitted, distance, even_if_converged=False):
        super().__init__()
        self._fitted = fitted
        self._place_fn = _PlaceFn(distance, even_if_converged)

    def expand(self, batches):
        return (
            batches
            | 'Place' >> beam.ParDo(self._place_fn, beam.pvalue.AsSingleton(self._fitted))
            | 'Add' >> beam.CombineGlobally(_add)
        )


class _PlaceFn(beam.DoFn):
    """Places rows among the centroids, and gives the sums of each bundle as its last act."""

    def __init__(self, distance, even_if_converged):
        self._distance = distance
        self._even_if_converged = even_if_converged
        self._milliseconds = metrics.distribution('bundle_milliseconds')

    def start_bundle(self):
        self._batches, self._n_values, self._sums = [], 0, None
        self._started = time.monotonic()

    def process(self, batch, fitted):
        self._fitted = fitted
        if not fitted.converged or self._even_if_converged:
            self._batches.append(batch)
            self._n_values += batch[0].size + 1
            if self._n_values >= _BUFFERED_VALUES:
                self._flush()
        return ()

    def finish_bundle(self):
        if self._batches:
            self._flush()
        if self._sums is not None:
            self._milliseconds.update(int(1000 * (time.monotonic() - self._started)))
            yield window.GlobalWindows.windowed_value(self._sums)

    def _flush(self):
        rows, weights = sampling.concatenate(self._batches)
        self._batches, self._n_values = [], 0
        nothing = defects_lib.Defects.none(rows.shape[1])  # counted when the sample was drawn
        rows, weights = sampling.usable(rows, weights, nothing, self._fitted.partial)
        sums = partial_sums.sum_up(rows, weights, self._fitted, self._distance)
        self._sums = sums if self._sums is None else self._sums + sums


def _add(parts):
    """Adds up Sums; None, which Beam hands on for no parts at all, counts for nothing."""
    parts = [part for part in parts if part is not None]
    return functools.reduce(operator.add, parts) if parts else None


class _UpdateFn(beam.DoFn):
    """From a Fitted and the sums over all rows to the next Fitted."""

    def __init__(self, distance):
        self._distance = distance
        self._passes = metrics.counter('passes')
        self._milliseconds = metrics.distribution('pass_milliseconds')

    def process(self, fitted, sums):
        if sums is None:
            yield fitted
            return
        updated = partial_sums.Updated(fitted, sums, self._distance)
        moved = np.square(updated.centroids - fitted.centroids, dtype=np.float64).sum()
        now = time.time()
        done = fitting.Pass(updated.inertia, float(moved), now - fitted.time, sums.n_rows)
        self._passes.inc()
        self._milliseconds.update(int(1000 * done.seconds))
        logging.info('Pass %d: %s', len(fitted.passes) + 1, done)
        yield fitted._replace(
            centroids=updated.centroids,
            cluster_weights=updated.cluster_weights,
            inertia=updated.inertia,
            converged=bool(moved <= fitted.tolerance),
            passes=(*fitted.passes, done),
            time=now,
        )


def _measure(fitted, sums, distance):
    """Returns `fitted` with the weights and the inertia that its centroids have on all rows."""
    if sums is None:
        return fitted
    updated = partial_sums.Updated(fitted, sums, distance)
    return fitted._replace(cluster_weights=updated.cluster_weights, inertia=updated.inertia)
