"""From the sample of a data set to its centroids."""

import dataclasses
import time
import typing

import numpy as np

from tfx_kmeans import artifacts, graph
from tfx_kmeans import moments as moments_lib
from tfx_kmeans.beam import sampling
from tfx_kmeans.graph import summary

_NEEDS_COMPLETE = (
    "with missing='partial' the sample is drawn from rows without them; "
    "KMeans(engine='tensorflow') and graph.fit take others, too"
)
# the largest deviation of a row, over the usual one: sums over the others are right up to it
_FARTHEST = summary.FARTHEST  # one limit, whichever engine fits
# a standard deviation over the usual deviation: up to it, standardised rows are some 2^8 units of
# float32 apart
_WIDEST_SCALE = 2.0**16


@dataclasses.dataclass(frozen=True)
class Settings:
    """The parameters of a fit; `repr` shows all of them, since caches go by it.

    Attributes:
        place: str, what messages call the data.
        columns: names of the columns.
        n_clusters, search, n_init, max_iter, tol, seed, distance: see graph.fit.
        init: the name of a seeding, or up to n_clusters tuples of d floats; what is lacking is
            drawn from the sample.
        standardize: whether to bring columns to mean 0 and variance 1 first.
        missing: 'error', 'drop' rows with NaN, or 'partial', which takes the values they have.
        sample_size: rows to sample, see coreset.Coreset.
        refinement_passes: Lloyd passes over all the data after the fit to the sample.
        standardization: what is taken in place of means and deviations of the data, or None.
    """

    place: str
    columns: tuple[str, ...]
    n_clusters: int
    init: str | tuple
    search: str
    n_init: int
    max_iter: int
    tol: float
    seed: int
    distance: str
    standardize: bool
    missing: str
    sample_size: int
    refinement_passes: int
    standardization: artifacts.Standardization | None = None

    def sampling(self):
        """Returns the Sampling that they ask for."""
        # columns are standardised before rows become unit vectors, and only the fit can do that
        as_unit_vectors = self.distance == 'cosine' and not self.standardize
        partial = self.missing == 'partial'
        return sampling.Sampling(
            len(self.columns), self.sample_size, self.seed, as_unit_vectors, partial
        )


class Pass(typing.NamedTuple):
    """What one Lloyd pass over all the data found and did.

    Attributes:
        inertia: float, that of the centroids before it.
        moved: float, squared movement of all centroids together.
        seconds: float, since the pass before was done, by the clocks of the workers.
        n_rows: int, rows of positive weight.
    """

    inertia: float
    moved: float
    seconds: float
    n_rows: int

    def __str__(self):
        rate = self.n_rows / max(self.seconds, 1e-9)
        return (
            f'inertia {self.inertia:.6g}, centroids moved by {self.moved:.3g} (squared), '
            f'{self.n_rows} rows in {self.seconds:.2f} s, {rate:.3g} rows/s'
        )


class Fitted(typing.NamedTuple):
    """A fit, and what Lloyd passes over all the data need to know of these.

    Attributes:
        centroids: float32 `[k, d]`, in the space of the distances: standardised where that was
            asked for, unit vectors under the cosine distance.
        mean, scale: float32 `[d]`; (rows - mean) / scale is that space. 0 and 1 where nothing is
            standardised.
        cluster_weights: float64 `[k]`, weight of the rows nearest to each centroid.
        inertia: float, weighted sum of squared distances (1 - cos), in that space.
        total_weight: float, weight of all rows.
        largest: float, no value in that space is farther from 0.
        tolerance: float, squared movement of all centroids at which Lloyd's algorithm ends.
        converged: bool, whether a pass has ended below the tolerance.
        passes: Passes that were made.
        time: float, when this was found, in seconds since 1970.
        partial: bool, whether rows with missing values (NaN) count by the values that they have.
    """

    centroids: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    cluster_weights: np.ndarray
    inertia: float
    total_weight: float
    largest: float
    tolerance: float
    converged: bool = False
    passes: tuple[Pass, ...] = ()
    time: float = 0.0
    partial: bool = False

    @property
    def n_iter(self):
        """Number of passes."""
        return len(self.passes)


def fit_sample(sample, settings):
    """Fits k-means to a sample.

    Args:
        sample: sampling.Sample of all the data.
        settings: Settings.

    Returns:
        Fitted; weights and inertia are estimates for all the data.

    Raises:
        ValueError: the data cannot be clustered; the message begins with what it is called.
    """
    sampling.check_weighted(sample.n_weighted, sample.n_rows, settings.place)
    sample.defects.check(settings.missing, settings.place, settings.columns.__getitem__)
    rows, weights = sample.coreset.result()
    if not len(rows):
        raise ValueError(f'{settings.place}: there is nothing to cluster: {_emptiness(sample)}')
    mean, scale = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    if settings.standardization:
        mean, scale = map(np.array, vars(settings.standardization).values())
    elif settings.standardize:
        mean, scale = sample.moments.mean, sample.moments.scale()
    _check_spread(rows, weights, scale, settings)
    mean, scale = mean.astype(np.float32), scale.astype(np.float32)
    points = (rows - mean) / scale
    if settings.distance == 'cosine':
        points = sampling.unit_vectors(points)
    init = settings.init
    if not isinstance(init, str):
        init = _with_drawn((np.array(init, np.float32) - mean) / scale, points, weights, settings)
    try:
        fitted = graph.fit(
            points,
            settings.n_clusters,
            weights=weights.astype(np.float32),
            init=init,
            search=settings.search,
            init_size=max(len(points), settings.n_clusters),
            n_init=settings.n_init,
            max_iter=settings.max_iter,
            tol=settings.tol,
            seed=settings.seed,
            distance=settings.distance,
        )
    except ValueError as error:
        raise ValueError(f'{settings.place}: {error}{_of_complete(sample, settings)}') from error
    largest = 1.0
    if settings.distance != 'cosine':
        largest = float(np.max((sample.moments.largest + np.abs(mean)) / scale))
    if settings.missing == 'partial':
        variance = sample.moments.variance() / np.square(scale, dtype=np.float64)
    else:
        spread = moments_lib.Moments(points.shape[1])
        spread.add(points, weights)
        variance = spread.variance()
    return Fitted(
        centroids=fitted.centroids.numpy(),
        mean=mean,
        scale=scale,
        cluster_weights=fitted.cluster_weights.numpy(),
        inertia=float(fitted.inertia),
        total_weight=sample.moments.total,
        largest=largest,
        tolerance=settings.tol * float(np.mean(variance)),
        time=time.time(),
        partial=settings.missing == 'partial',
    )


def _check_spread(rows, weights, scale, settings):
    """Refuses a row so far from all others that float32 cannot tell these apart beside it."""
    middle = np.array([_median(column, weights) for column in rows.T])
    apart = np.abs(rows - middle)
    # most of a column may be one value, such as 0
    usual = np.array([_median(part[part > 0], weights[part > 0]) for part in apart.T])
    if settings.standardize and not settings.standardization:
        refused = (scale > _WIDEST_SCALE * usual) & (usual > 0)
    elif settings.distance == 'cosine':
        return
    else:
        # a column counts by its spread among all
        refused = apart.max(axis=0) > _FARTHEST * usual.max()
    if refused.any():
        column = int(refused.argmax())
        farthest = apart[:, column].argmax()
        raise ValueError(
            f'{settings.place}: column {settings.columns[column]!r} has the value '
            f'{rows[farthest, column]:.6g}, so far from the median, {middle[column]:.6g}, that '
            'float32 cannot tell the other rows apart beside it: clip the column or take its '
            'logarithm in what comes before, or leave the row out'
        )


def _median(values, weights):
    """Weighted median, 0 of no values."""
    if not len(values):
        return 0.0
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(reached, reached[-1] / 2)]])


def _with_drawn(init, points, weights, settings):
    """Adds to initial centroids what is lacking: points drawn by weight times distance to them."""
    n_lacking = settings.n_clusters - len(init)
    if not n_lacking:
        return init
    distances = graph.assign(points, init, distance=settings.distance).distances.numpy()
    rng = np.random.default_rng(settings.seed)
    keys = sampling.drawing_keys(weights * np.nan_to_num(distances), rng)
    return np.concatenate([init, points[np.argsort(keys, kind='stable')[:n_lacking]]])


def number(fitted, settings):
    """Numbers clusters by falling weight, unless `init` has numbered them."""
    if not isinstance(settings.init, str):
        return fitted
    order = graph.canonical_order(fitted.centroids, fitted.cluster_weights).numpy()
    return fitted._replace(
        centroids=fitted.centroids[order], cluster_weights=fitted.cluster_weights[order]
    )


def _of_complete(sample, settings):
    """What an error of the fit to a sample adds where not all rows are sampled."""
    if settings.missing != 'partial':
        return ''
    return (
        f'; {sample.n_complete} of {sample.n_rows} rows have no missing values (NaN), and '
        f'{_NEEDS_COMPLETE}'
    )


def _emptiness(sample):
    """Why a sample is empty."""
    if not sample.n_rows:
        return 'there are no rows'
    if sample.defects.left_out == sample.n_rows:
        return f'all {sample.n_rows} rows have missing values (NaN)'
    if not sample.moments.total:
        return 'no weight is above 0'
    return f'all {sample.n_rows} rows have missing values (NaN), and {_NEEDS_COMPLETE}'
