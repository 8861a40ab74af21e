"""Mean and variance of columns, of parts of the data that add up."""

import numpy as np

# deviations below this share of the mean are rounding errors of float64 sums; different float32
# values are farther apart, on average over any number of rows that memory holds
_ROUNDING = 1e-13


class Moments:
    """Weighted mean and variance of each column, in float64 (Chan, Golub & LeVeque 1979).

    Attributes:
        total: float, the weight of all rows.
        mean: float64 `[d]`.
        squares: float64 `[d]`, weighted sum of the squared differences from the mean.
        largest: float64 `[d]`, largest absolute value.
    """

    def __init__(self, width):
        """Makes those of no rows of `width` columns."""
        self.total = 0.0
        self.mean = np.zeros(width)
        self.squares = np.zeros(width)
        self.largest = np.zeros(width)

    def add(self, rows, weights=None):
        """Adds rows.

        Args:
            rows: floating `[n, d]`, finite where they have a weight.
            weights: floating `[n]`, finite and >= 0; None counts each row once.
        """
        rows, weights = _with_weight(rows, weights)
        if not len(rows):
            return
        part = Moments(rows.shape[1])
        part.largest = np.abs(rows).max(axis=0).astype(np.float64)
        rows = rows.astype(np.float64)
        weights = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
        part.total = float(weights.sum())
        part.mean = weights @ rows / part.total
        part.squares = weights @ np.square(rows - part.mean)
        self.merge(part)

    def merge(self, other):
        """Adds the moments of other rows."""
        self.largest = np.maximum(self.largest, other.largest)
        total = self.total + other.total
        if not total:
            return
        share = other.total / total
        apart = other.mean - self.mean
        self.mean = self.mean + apart * share
        self.squares = self.squares + other.squares + np.square(apart) * (self.total * share)
        self.total = total

    def variance(self):
        """Variance of each column, float64 `[d]`."""
        return self.squares / (self.total or 1.0)

    def scale(self):
        """Standard deviation of each column, 1 where it is constant: float64 `[d]`."""
        scale = np.sqrt(self.variance())
        return np.where(scale <= _ROUNDING * np.abs(self.mean), 1.0, scale)


class MomentsWithGaps(Moments):
    """Moments over the values that are not missing (NaN), so that each column has its own weight.

    Attributes:
        observed: float64 `[d]`, the weight of the rows that have a value in a column.
    """

    def __init__(self, width):
        """Makes those of no rows of `width` columns."""
        super().__init__(width)
        self.observed = np.zeros(width)

    def add(self, rows, weights=None):
        """Adds rows floating `[n, d]`, NaN where a value is missing; see Moments.add."""
        rows, weights = _with_weight(rows, weights)
        if not len(rows):
            return
        part = MomentsWithGaps(rows.shape[1])
        seen = ~np.isnan(rows)
        values = np.where(seen, rows, 0).astype(np.float64)
        part.largest = np.abs(values).max(axis=0)
        weights = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
        part.total = float(weights.sum())
        part.observed = weights @ seen
        part.mean = _divide(weights @ values, part.observed)
        part.squares = weights @ np.square((values - part.mean) * seen)
        self.merge(part)

    def merge(self, other):
        """Adds the moments of other rows."""
        self.largest = np.maximum(self.largest, other.largest)
        self.total += other.total
        observed = self.observed + other.observed
        share = _divide(other.observed, observed)
        apart = other.mean - self.mean
        self.mean = self.mean + apart * share
        self.squares = self.squares + other.squares + np.square(apart) * (self.observed * share)
        self.observed = observed

    def variance(self):
        """Variance of each column, float64 `[d]`; 0 where no row has a value."""
        return _divide(self.squares, self.observed)


def _with_weight(rows, weights):
    """Returns the rows whose weight is not 0, and their weights or None."""
    if weights is None or weights.all():
        return rows, weights
    return rows[weights != 0], weights[weights != 0]


def _divide(values, by):
    """Divides float64 `[d]` by float64 `[d]`; 0 where the latter is 0."""
    return np.divide(values, by, out=np.zeros(len(values)), where=by > 0)
