"""`FitKMeans`: the public PTransform from rows to a Clustering."""

import apache_beam as beam

from tfx_kmeans import artifacts
from tfx_kmeans.beam import arguments, fit_rows
from tfx_kmeans.graph import arguments as checks


class FitKMeans(beam.PTransform):
    """Fits k-means to a PCollection of batches of rows, on any Beam runner.

    One pass over the rows draws a sample (`tfx_kmeans.beam.coreset` says how), which is clustered
    with `tfx_kmeans.graph.fit`; iterations of Lloyd's algorithm over all the rows follow. Sums are
    exact, on a grid of powers of two: the result is the same whatever the order of the rows, their
    bundles and the number of workers (it may differ by the rounding of a sum of fractional
    weights).

    No worker holds more than a few batches of rows, a part of the sample, and the centroids. The
    graph is unrolled: passes after convergence are in it, and do nothing.

    >>> import apache_beam as beam
    >>> import numpy as np
    >>> from tfx_kmeans.beam import FitKMeans
    >>> batches = [np.array([[0.0], [1.0], [2.0]]), np.array([[8.0], [10.0]])]
    >>> with beam.Pipeline() as pipeline:
    ...     clustering = pipeline | beam.Create(batches) | FitKMeans(2, ['x'])
    ...     _ = clustering | beam.Map(lambda found: print(found.centroids.tolist(), found.inertia))
    [[1.0], [9.0]] 4.0

    The input is a PCollection of batches, each of which is a numeric array `[b, d]` that is read as
    float32, or a tuple of it and of weights `[b]`, finite and >= 0; NaN says that a value is
    missing. The output is a PCollection of one `Clustering`, whose `n_iter` is the number of passes
    over all the rows, and whose `converged` is whether the last of them moved the centroids by no
    more than the tolerance.
    """

    def __init__(
        self,
        n_clusters,
        feature_names,
        feature_widths=None,
        *,
        init='k-means++',
        search='breathing',
        n_init=1,
        max_iter=300,
        tol=1e-4,
        seed=0,
        distance='squared_euclidean',
        missing='error',
        standardize=False,
        sample_size=None,
        max_passes=10,
        output_prefix='cluster',
        spool=None,
    ):
        """Makes a fit.

        Args:
            n_clusters: int >= 1, at most the number of distinct rows.
            feature_names: names of what the columns are, as `Clustering` has them.
            feature_widths: how many columns each of them has; None where each has one.
            init: 'k-means++', 'k-means||', 'random', or the initial centroids as an array
                `[n_clusters, d]` in the units of the rows, which cluster i keeps the number of.
            search: 'breathing' improves the seeding on the sample, 'none' does not, see
                `graph.fit`.
            n_init: int >= 1, fits of the sample from different seedings, of which the best is kept;
                1 with an array as `init`.
            max_iter: int >= 1, the most updates in a fit of the sample.
            tol: float >= 0; a fit has converged when the squared movement of all centroids together
                is at most `tol` times the mean variance of the columns.
            seed: int in [0, 2^63).
            distance: 'squared_euclidean' or 'cosine'.
            missing: 'error', 'drop', which leaves rows with NaN out of the fit, or 'partial' (not
                under the cosine distance), which takes the values that they have, see `graph.fit`,
                and leaves out rows of nothing but NaN. The sample is still drawn from rows without
                NaN, among which there must be at least `n_clusters` distinct ones; means and
                deviations to standardise by, and the passes, are of all rows. With `max_passes=0`
                the centroids are those of the rows without NaN.
            standardize: bool, whether to bring each column to mean 0 and variance 1 for the fit.
            sample_size: int >= n_clusters, rows to sample; up to half as many again come from
                sparsely populated regions. None for 20,000 or 100 * n_clusters, whichever is more.
            max_passes: int >= 0, the most iterations of Lloyd's algorithm over all the rows.
            output_prefix: what the names of downstream features begin with.
            spool: directory (a path or a URI that TensorFlow reads and writes) that all workers
                reach. Rows are written there once, 4 bytes a value, and passes read them from
                there; delete it afterwards. With None they go over the PCollection, which the
                runner computes anew or keeps: Beam's local one keeps it in memory.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: an argument is out of range. When the pipeline runs: the rows are not of the
                width that the features have, or cannot be clustered: no rows, NaN or infinite
                values, bad weights, fewer distinct rows (with missing='partial': without NaN) than
                clusters.
        """
        super().__init__()
        self._names, self._widths = _features(feature_names, feature_widths)
        columns = zip(self._names, self._widths, strict=True)
        self._settings = arguments.settings(
            f'FitKMeans(n_clusters={n_clusters})',
            tuple(name for name, width in columns for _ in range(width)),
            n_clusters,
            init=init,
            search=search,
            n_init=n_init,
            max_iter=max_iter,
            tol=tol,
            seed=seed,
            distance=distance,
            standardize=standardize,
            missing=missing,
            sample_size=sample_size,
            passes=max_passes,
            passes_name='max_passes',
        )
        self._output_prefix = output_prefix
        self._spool = spool

    def expand(self, batches):
        """From batches to a PCollection of one Clustering."""
        return (
            batches
            | 'Fit' >> fit_rows.FitRows(self._settings, self._spool)
            | 'ToClustering'
            >> beam.Map(
                to_clustering, self._settings, self._names, self._widths, self._output_prefix
            )
        )


def _features(names, widths):
    """Returns names and widths, as tuples."""
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f'feature_names must be a list of strings, not {names!r}')
    names = tuple(names)
    widths = (1,) * len(names) if widths is None else tuple(widths)
    if not names or len(widths) != len(names):
        raise ValueError(
            f'feature_names must name at least one feature, and feature_widths be as many: not '
            f'{list(names)} and {list(widths)}'
        )
    for width in widths:
        checks.check_integer('feature_widths', width, at_least=1)
    return names, tuple(int(width) for width in widths)


def to_clustering(fitted, settings, names, widths, output_prefix):
    """Returns the Clustering that a fitting.Fitted with fitting.Settings is."""
    standardization = None
    if settings.standardize:
        standardization = artifacts.Standardization(
            tuple(fitted.mean.tolist()), tuple(fitted.scale.tolist())
        )
    return artifacts.Clustering(
        centroids=fitted.centroids,
        feature_names=names,
        feature_widths=widths,
        cluster_weights=tuple(fitted.cluster_weights.tolist()),
        inertia=fitted.inertia,
        n_iter=len(fitted.passes),
        seed=settings.seed,
        converged=fitted.converged,
        distance=settings.distance,
        missing=artifacts.missing_when_placed(settings.missing),
        fit_missing=settings.missing,
        output_prefix=output_prefix,
        standardization=standardization,
    )
