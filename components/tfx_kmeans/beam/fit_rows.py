"""From batches of rows to a fit of all of them."""

import apache_beam as beam
import numpy as np
from absl import logging

from tfx_kmeans.beam import fitting, metrics, refining, sampling, shards


class FitRows(beam.PTransform):
    """Fits k-means to a sample, and goes on with Lloyd passes over all the rows.

    The weights of the clusters and the inertia are those of all the rows.
    """

    def __init__(self, settings, spool=None):
        """Makes a fit.

        Args:
            settings: fitting.Settings.
            spool: directory that all workers reach, where the rows are kept between passes; None
                leaves it to the runner.
        """
        super().__init__()
        self._settings = settings
        self._spool = spool

    def expand(self, batches):
        """From batches, see CheckFn, to a PCollection of one fitting.Fitted."""
        settings = self._settings
        batches = batches | 'Check' >> beam.ParDo(CheckFn(len(settings.columns)))
        fitted = (
            batches
            | 'Sample' >> beam.CombineGlobally(sampling.SampleFn(settings.sampling()))
            | 'FitSample' >> beam.ParDo(_FitSampleFn(settings))
        )
        read = self._reader(batches)
        for number in range(1, settings.refinement_passes + 1):
            rows = read(f'Read{number}', fitted)
            fitted = rows | f'Pass{number}' >> refining.LloydPass(fitted, settings.distance)
        rows = read('ReadAll', fitted, even_if_converged=True)
        return (
            rows
            | 'Measure' >> refining.Measure(fitted, settings.distance)
            | 'Number' >> beam.Map(fitting.number, settings)
        )

    def _reader(self, batches):
        """Returns how a pass comes by the rows: a callable `(label, fitted) -> batches`."""
        if self._spool is None:
            return lambda label, fitted, even_if_converged=False: batches
        paths = batches | 'Spool' >> shards.Write(self._spool)
        width = len(self._settings.columns)
        return lambda label, fitted, even_if_converged=False: (
            fitted | label >> shards.Read(paths, width, even_if_converged)
        )


class CheckFn(beam.DoFn):
    """Turns batches into tuples of float32 arrays, and counts them.

    A batch is a numeric array `[b, d]`, or a tuple of it and of weights `[b]`, or of it alone.
    """

    def __init__(self, width):
        """Checks that rows have `width` columns."""
        self._width = width
        self._rows = metrics.counter('rows')
        self._batches = metrics.counter('batches')
        self._rows_per_batch = metrics.distribution('rows_per_batch')

    def process(self, batch):
        """Yields the batch: (rows float32 `[b, d]`, and weights float32 `[b]` if there are any)."""
        rows, *weights = batch if isinstance(batch, tuple) else (batch,)
        rows = _as_float32('a batch', rows)
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise ValueError(
                f'a batch must have shape [rows, {self._width}], as there are names of features, '
                f'not {list(rows.shape)}'
            )
        weights = [_as_float32('the weights of a batch', part) for part in weights]
        if len(weights) > 1 or any(part.shape != rows.shape[:1] for part in weights):
            raise ValueError(
                f'a batch must be rows, or a tuple of rows and of weights of shape [{len(rows)}], '
                f'not of {[list(part.shape) for part in weights]} beside the rows'
            )
        self._batches.inc()
        self._rows.inc(len(rows))
        self._rows_per_batch.update(len(rows))
        yield (rows, *weights)


class _FitSampleFn(beam.DoFn):
    """From the Sample of all rows to a Fitted."""

    def __init__(self, settings):
        self._settings = settings
        self._left_out = metrics.counter('rows_left_out')

    def process(self, sample):
        fitted = fitting.fit_sample(sample, self._settings)
        self._left_out.inc(sample.defects.left_out)
        logging.info(
            'Fitted %d clusters to a sample of %d of %d rows: inertia %.6g; %d rows left out for '
            'missing values',
            self._settings.n_clusters,
            len(sample.coreset.rows),
            sample.n_rows,
            fitted.inertia,
            sample.defects.left_out,
        )
        yield fitted


def _as_float32(name, values):
    array = np.asarray(values)
    if array.dtype.kind not in 'biuf':
        raise TypeError(f'{name} must be a numeric array, not {type(values).__name__}')
    return array.astype(np.float32, copy=False)
