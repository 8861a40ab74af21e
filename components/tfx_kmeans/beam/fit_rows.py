"""From batches of rows to a fit of all of them."""

import apache_beam as beam
from absl import logging

from tfx_kmeans.beam import arguments, fitting, metrics, refining, requiring, sampling, shards


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
        rows = Rows(batches, self._settings.sampling(), self._spool)
        return rows.sample | 'FitSample' >> FitSample(rows, self._settings)


class Rows:
    """Rows to fit to, read and checked once, whatever the number of fits and passes.

    Attributes:
        sample: PCollection of their one sampling.Sample.
    """

    def __init__(self, batches, how, spool=None):
        """Puts into the pipeline what they need.

        Args:
            batches: PCollection of batches, see CheckFn.
            how: sampling.Sampling.
            spool: see FitRows.
        """
        _ = batches.pipeline | 'Workers' >> requiring.RequireModules('tfx_kmeans')
        self._width = how.width
        self._batches = batches | 'Check' >> beam.ParDo(CheckFn(how.width))
        self.sample = self._batches | 'Sample' >> beam.CombineGlobally(sampling.SampleFn(how))
        self._paths = None
        if spool:
            self._paths = self._batches | 'Spool' >> shards.Write(spool, how.partial)

    def read(self, label, fitted, even_if_converged=False):
        """Returns their batches once `fitted`, see shards.Read, is there."""
        if self._paths is None:
            return self._batches
        return fitted | label >> shards.Read(self._paths, self._width, even_if_converged)


class FitSample(beam.PTransform):
    """Fits k-means to the sample of rows, and goes on over all of them, as FitRows does."""

    def __init__(self, rows, settings):
        """Makes a fit to Rows by fitting.Settings."""
        super().__init__()
        self._rows = rows
        self._settings = settings

    def expand(self, sample):
        """From the PCollection of their Sample to one of one fitting.Fitted."""
        settings = self._settings
        fitted = sample | 'Fit' >> beam.ParDo(_FitSampleFn(settings))
        for number in range(1, settings.refinement_passes + 1):
            rows = self._rows.read(f'Read{number}', fitted)
            fitted = rows | f'Pass{number}' >> refining.LloydPass(fitted, settings.distance)
        rows = self._rows.read('ReadAll', fitted, even_if_converged=True)
        return (
            rows
            | 'Measure' >> refining.Measure(fitted, settings.distance)
            | 'Number' >> beam.Map(fitting.number, settings)
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
        rows = arguments.as_rows(rows, self._width)
        weights = [arguments.as_float32('the weights of a batch', part) for part in weights]
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
