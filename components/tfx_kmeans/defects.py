"""Counts of the values that a clustering cannot use: found batch by batch, told all at once."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Defects:
    """Counts of values that cannot be used, by column; those of parts of the data add up.

    Attributes:
        missing: int64 `[d]`, values that are NaN.
        infinite: int64 `[d]`, infinite values.
        bad_weights: weights that are negative, NaN or infinite.
        left_out: rows that are not usable for a NaN.
    """

    missing: np.ndarray
    infinite: np.ndarray
    bad_weights: int = 0
    left_out: int = 0

    @classmethod
    def none(cls, width):
        """Returns the counts of no rows of `width` columns."""
        return cls(np.zeros(width, np.int64), np.zeros(width, np.int64))

    def usable_rows(self, rows, weights=None, partial=False):
        """Takes note of rows; returns a mask of those without missing values.

        A row of weight 0 is not usable, and nothing in it counts.

        Args:
            rows: float32 `[n, d]`.
            weights: float32 `[n]`, or None.
            partial: bool, whether rows are usable already with one value that is not missing.

        Returns:
            bool `[n]`.
        """
        counts = np.ones(len(rows), bool) if weights is None else weights != 0
        missing = np.isnan(rows) & counts[:, np.newaxis]
        self.missing += missing.sum(axis=0)
        self.infinite += (np.isinf(rows) & counts[:, np.newaxis]).sum(axis=0)
        if weights is not None:
            self.bad_weights += int(np.sum(~(np.isfinite(weights) & (weights >= 0))))
        incomplete = missing.all(axis=1) if partial else missing.any(axis=1)
        self.left_out += int(np.sum(incomplete))
        return counts & ~incomplete

    def merge(self, other):
        """Adds the counts of other rows."""
        self.missing += other.missing
        self.infinite += other.infinite
        self.bad_weights += other.bad_weights
        self.left_out += other.left_out

    def __add__(self, other):
        """Returns the counts of the rows of both, which stay as they are."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Defects(*(mine + theirs for mine, theirs in pairs))

    def check(self, missing, place, name_of_column, weights='weights'):
        """Raises ValueError if what was seen cannot be clustered.

        Args:
            missing: 'error' where values must not be missing.
            place: str, where the rows are from, for the message.
            name_of_column: callable from the index of a column to the name of its feature.
            weights: str, what the message calls the weights.
        """
        if self.infinite.any():
            raise ValueError(
                f'infinite values in {place}: {_by_feature(self.infinite, name_of_column)}'
            )
        if self.bad_weights:
            raise ValueError(
                f'{weights}: {self.bad_weights} weights of {place} are negative, NaN or infinite'
            )
        if missing == 'error' and self.missing.any():
            raise ValueError(
                f'missing values (NaN) in {place}: {_by_feature(self.missing, name_of_column)}; '
                'fill them in preprocessing_fn, or leave such rows out of the fit with '
                "missing='drop'"
            )


def _by_feature(counts, name_of_column):
    by_name = {}
    for column in np.flatnonzero(counts):
        name = name_of_column(column)
        by_name[name] = by_name.get(name, 0) + int(counts[column])
    return ', '.join(f'{name!r} ({count} values)' for name, count in by_name.items())
