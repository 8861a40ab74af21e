"""What one pass over the data gathers: a sample to cluster, moments, and counts of defects."""

import dataclasses
import io

import apache_beam as beam
import numpy as np

from tfx_kmeans import defects as defects_lib
from tfx_kmeans import moments as moments_lib
from tfx_kmeans.beam import coreset as coreset_lib

_BUFFERED_VALUES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How to sample.

    Attributes:
        width: int, columns of the rows.
        size: int, see coreset.Coreset.
        seed: int in [0, 2^63).
        as_unit_vectors: bool, whether to sample the directions of the rows.
        partial: bool, whether rows with missing values (NaN) count by the values that they have.
    """

    width: int
    size: int
    seed: int
    as_unit_vectors: bool = False
    partial: bool = False


class Sample:
    """What is known of the rows that were added; two of them merge into that of all rows.

    Attributes:
        n_rows: int, rows added, those with missing values and without weight included.
        n_weighted: int, those of them that came with a weight.
        defects: defects.Defects; rows that are left out are in nothing else here.
        moments: moments.Moments of the rows as they are sampled; moments.MomentsWithGaps where rows
            with missing values are not left out.
        n_complete: int, rows of a weight above 0 without missing values.
        coreset: coreset.Coreset of the latter.
    """

    def __init__(self, sampling):
        """Makes that of no rows, to be sampled as `sampling` says."""
        self.n_rows = self.n_weighted = 0
        self.defects = defects_lib.Defects.none(sampling.width)
        kind = moments_lib.MomentsWithGaps if sampling.partial else moments_lib.Moments
        self.moments = kind(sampling.width)
        self.n_complete = 0
        self.coreset = coreset_lib.Coreset(sampling.size, sampling.width, sampling.seed)

    def add(self, rows, weights, as_unit_vectors=False):
        """Adds rows float32 `[n, d]` and their weights float32 `[n]`, or None."""
        self.n_rows += len(rows)
        self.n_weighted += 0 if weights is None else len(rows)
        partial = isinstance(self.moments, moments_lib.MomentsWithGaps)
        rows, weights = usable(rows, weights, self.defects, partial)
        if as_unit_vectors:
            rows = unit_vectors(rows)
        self.moments.add(rows, weights)
        if partial:
            rows, weights = _at(~np.isnan(rows).any(axis=1), rows, weights)
        self.n_complete += len(rows)
        self.coreset.add(rows, weights)

    def merge(self, other):
        """Adds what is known of other rows, sampled in the same way."""
        self.n_rows += other.n_rows
        self.n_weighted += other.n_weighted
        self.defects.merge(other.defects)
        self.moments.merge(other.moments)
        self.n_complete += other.n_complete
        self.coreset.merge(other.coreset)

    def to_bytes(self):
        """Returns all of it as an .npz archive without pickled objects."""
        archive = io.BytesIO()
        arrays = {f'coreset_{name}': array for name, array in self.coreset.to_arrays().items()}
        counts = [
            self.n_rows,
            self.n_weighted,
            self.defects.bad_weights,
            self.defects.left_out,
            self.n_complete,
        ]
        np.savez(
            archive,
            counts=np.array(counts, np.int64),
            missing=self.defects.missing,
            infinite=self.defects.infinite,
            **vars(self.moments),
            **arrays,
        )
        return archive.getvalue()

    @classmethod
    def from_bytes(cls, content):
        """Makes one of what to_bytes gave."""
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = dict(archive)
        self = cls.__new__(cls)
        counts = map(int, arrays['counts'])
        self.n_rows, self.n_weighted, bad_weights, left_out, self.n_complete = counts
        self.defects = defects_lib.Defects(
            arrays['missing'], arrays['infinite'], bad_weights, left_out
        )
        kind = moments_lib.MomentsWithGaps if 'observed' in arrays else moments_lib.Moments
        self.moments = kind(len(arrays['mean']))
        for name in tuple(vars(self.moments)):
            setattr(self.moments, name, float(arrays[name]) if name == 'total' else arrays[name])
        prefix = 'coreset_'
        self.coreset = coreset_lib.Coreset.from_arrays(
            {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        )
        return self

    def __reduce__(self):
        return Sample.from_bytes, (self.to_bytes(),)


def usable(rows, weights, defects, partial=False):
    """Returns the rows to cluster.

    Args:
        rows: float32 `[n, d]`.
        weights: float32 `[n]`, or None.
        defects: defects.Defects that take note of the rows.
        partial: bool, whether one value that is not missing makes a row usable.

    Returns:
        rows float32 `[m, d]` and weights float32 `[m]`, or None: those of a weight above 0 without
        missing values (if `partial`, with any other value), and none where there are infinite
        values or bad weights, since these are errors anyhow.
    """
    found = defects.usable_rows(rows, weights, partial)
    if defects.infinite.any() or defects.bad_weights:
        found[:] = False
    return _at(found, rows, weights)


def _at(mask, rows, weights):
    """Returns the rows, and the weights or None, at which `mask`, bool `[n]`, holds."""
    if mask.all():
        return rows, weights
    return rows[mask], None if weights is None else weights[mask]


def concatenate(batches):
    """Returns the rows of batches, see SampleFn, float32 `[n, d]`, and their weights or None.

    Raises:
        ValueError: some have weights, and some have none.
    """
    n_weighted = sum(len(rows) for rows, *weights in batches if weights)
    check_weighted(n_weighted, sum(len(rows) for rows, *_ in batches), 'the batches')
    rows, *weights = (np.concatenate(part) for part in zip(*batches, strict=True))
    return rows, weights[0] if weights else None


def check_weighted(n_weighted, n_rows, place):
    """Raises ValueError where some rows of what messages call `place` have weights, not all."""
    if 0 < n_weighted < n_rows:
        raise ValueError(
            f'{n_weighted} rows of {place} have weights, and {n_rows - n_weighted} have none: give '
            'weights with each batch, or with none'
        )


def drawing_keys(rates, rng):
    """Keys of which the least are a draw without replacement (Efraimidis & Spirakis 2006).

    Args:
        rates: float64 `[n]`, >= 0, what the draw is in proportion to.
        rng: np.random.Generator.

    Returns:
        float64 `[n]`, infinite where the rate is 0.
    """
    exponentials = rng.exponential(size=len(rates))
    return np.divide(exponentials, rates, out=np.full(len(rates), np.inf), where=rates > 0)


def unit_vectors(rows):
    """Divides rows by their length; those of zeros stay.

    Column by column, since a sum over rows may round by the number of rows beside it.
    """
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    scaled = rows / np.where(largest > 0, largest, 1).astype(np.float64)
    squares = np.zeros(len(rows))
    for column in scaled.T:
        squares += column * column
    return (scaled / np.sqrt(np.where(squares > 0, squares, 1))[:, np.newaxis]).astype(np.float32)


class SampleFn(beam.CombineFn):
    """Combines batches, tuples (rows float32 `[b, d]`, optionally weights float32 `[b]`)."""

    def __init__(self, sampling):
        """Samples as `sampling`, a Sampling, says."""
        self._sampling = sampling

    def create_accumulator(self):
        """Returns the Sample of no rows, with room for batches that wait."""
        return _Gathering(Sample(self._sampling))

    def add_input(self, gathering, batch):
        """Takes note of a batch; sampling some thousand rows at once is what makes it fast."""
        gathering.batches.append(batch)
        gathering.n_values += batch[0].size + 1
        if gathering.n_values >= _BUFFERED_VALUES:
            self.compact(gathering)
        return gathering

    def merge_accumulators(self, gatherings):
        """Merges what was gathered of parts of the data."""
        merged = self.create_accumulator()
        for gathering in gatherings:
            merged.sample.merge(self.extract_output(gathering))
        return merged

    def compact(self, gathering):
        """Samples the batches that still wait: what travels between workers is small."""
        if gathering.batches:
            rows, weights = concatenate(gathering.batches)
            gathering.sample.add(rows, weights, self._sampling.as_unit_vectors)
            gathering.batches, gathering.n_values = [], 0
        return gathering

    def extract_output(self, gathering):
        """Returns the Sample."""
        return self.compact(gathering).sample


class MergeFn(SampleFn):
    """Merges Samples of parts of the data into that of the whole."""

    def add_input(self, gathering, sample):
        """Merges a Sample into another."""
        gathering.sample.merge(sample)
        return gathering


@dataclasses.dataclass
class _Gathering:
    """A Sample, and batches of `n_values` values that are not in it yet."""

    sample: Sample
    batches: list = dataclasses.field(default_factory=list)
    n_values: int = 0
