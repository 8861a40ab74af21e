"""Examples to float32 rows in one order: a matrix, or a file where that is too large."""

import dataclasses
import time
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from tfx_kmeans import defects as defects_lib
from tfx_kmeans import records
from tfx_kmeans.kmeans import ordering, splits, spooling, standardizing
from tfx_kmeans.transform import features as features_lib

_BATCH_ROWS = 8192
_BLOCK_ROWS = 65536
# the matrix, and the centred one that is fitted
_FIT_BYTES_PER_VALUE = 8
_FIT_BYTES_PER_ROW = 64  # bounds, ids and the like, and the order the rows are put in
_PARALLEL_FILES = 4
_SECONDS_BETWEEN_LOGS = 10.0


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a split in memory, in the order of their hashes.

    Attributes:
        matrix: float32 `[n, d]`, on memory aligned for TensorFlow.
        weights: float32 `[n]`, or None.
        left_out: rows with missing values that are not in the matrix.
    """

    matrix: np.ndarray
    weights: np.ndarray | None
    left_out: int

    @property
    def shape(self):
        """(n, d)."""
        return self.matrix.shape

    @property
    def weighted(self):
        """Whether there are weights."""
        return self.weights is not None

    def standardized(self, standardization):
        """Standardises the matrix in place, by artifacts.Standardization; returns the rows."""
        standardizing.apply(self.matrix, standardization)
        return self

    def as_tensor(self):
        """Returns the matrix as a tensor that shares its memory."""
        # tf.constant would copy; TensorFlow refuses memory that is not aligned to 64 bytes
        return tf.experimental.dlpack.from_dlpack(self.matrix.__dlpack__())

    def blocks(self):
        """Yields float32 rows `[b, d]` and their weights `[b]`, or None; the rows are a view."""
        for start in range(0, len(self.matrix), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            yield self.matrix[block], None if self.weights is None else self.weights[block]


@dataclasses.dataclass(frozen=True, eq=False)
class SpooledRows:
    """The rows of a split on disk, in the order of their hashes.

    Attributes:
        spool: spooling.Spool of rows `[n, d]`, or `[n, d + 1]` with the weights as last column.
        width: int, d.
        weighted: bool, whether there are weights.
        left_out: rows with missing values that are not in the spool.
        standardization: artifacts.Standardization of what `blocks` yields, or None.
    """

    spool: spooling.Spool
    width: int
    weighted: bool
    left_out: int
    standardization: Any = None

    @property
    def shape(self):
        """(n, d)."""
        return self.spool.n_rows, self.width

    def blocks(self):
        """Yields the blocks that Rows would; the rows are the caller's own."""
        for start in range(0, self.spool.n_rows, _BLOCK_ROWS):
            block = self.spool.read(start, start + _BLOCK_ROWS)
            points = block[:, : self.width]
            if self.standardization:
                standardizing.apply(points, self.standardization)
            yield points, block[:, self.width] if self.weighted else None

    def standardized(self, standardization):
        """Returns the rows, standardised by artifacts.Standardization."""
        return dataclasses.replace(self, standardization=standardization)


def check_split(examples, split, argument):
    """Raises ValueError unless every artifact of `examples` has the split named by `argument`."""
    for artifact in examples:
        splits = sorted(artifact_utils.decode_split_names(artifact.split_names))
        if split not in splits:
            raise ValueError(f'{argument}: the examples have no split {split!r}, only {splits}')


def span_of(examples):
    """Returns the last span of a list of Examples artifacts, or None if they have none."""
    # ExampleGen has it as custom property, a copy by other components as property
    spans = [a.get_int_custom_property('span') for a in examples if a.has_custom_property('span')]
    spans += [a.span for a in examples if a.has_property('span')]
    return max(spans, default=None)


def read(examples, split, columns, missing, memory_budget=None):
    """Reads a split of `examples`.

    Args:
        examples: list of Examples artifacts, gzip TFRecord files of tf.Example.
        split: name of the split.
        columns: columns.Columns.
        missing: what to do with rows that have NaN in a feature: 'error', 'drop', or 'partial',
            which reads them and leaves out those of nothing but NaN.
        memory_budget: bytes; rows whose exact fit would need more, see `memory_of_fit`, are put on
            disk. None keeps them in memory however many there are.

    Returns:
        Rows, or SpooledRows.

    Raises:
        ValueError: the format is another, a file is empty, cut short, damaged or not readable, a
            record is no tf.Example with the features (the message names the file), the split has
            no rows, or there are infinite values or, with missing='error', NaN (it names the
            feature, the split and the count).
    """
    started = time.monotonic()
    files = _files(examples, split)
    defects = defects_lib.Defects.none(columns.total_width)
    gathered = _Gathered(columns, memory_budget)
    n_read = 0
    for batch in _logged(_whole_batches(files, columns), split):
        n_read += len(batch)
        gathered.add(_usable(batch, columns, defects, missing == 'partial'))
    defects.check(
        missing, f'split {split!r}', columns.name_of_column, f'weight_feature {columns.weight!r}'
    )
    rows = gathered.finish(defects.left_out)
    if not rows.shape[0]:
        raise splits.unusable(split, columns.weight, len(files), n_read, defects.left_out)
    logging.info(
        'Read split %r: %d rows x %d columns in %.1f s, %d rows left out for missing values',
        split,
        *rows.shape,
        time.monotonic() - started,
        rows.left_out,
    )
    return rows


def memory_of_fit(n_rows, n_columns):
    """Bytes that an exact fit to a matrix `[n_rows, n_columns]` takes, about: the matrix counts.

    Under the cosine distance it takes a few more while rows are brought to length 1.
    """
    return n_rows * (n_columns * _FIT_BYTES_PER_VALUE + _FIT_BYTES_PER_ROW)


class _Gathered:
    """The rows read so far: in memory, and on disk once they are too many."""

    def __init__(self, columns, memory_budget):
        self._columns = columns
        self._memory_budget = memory_budget
        self._sorter = ordering.RowSorter(columns.total_width + bool(columns.weight))
        self._spool = None

    def add(self, rows):
        """Adds rows, float32 `[b, d]` or `[b, d + 1]`, the weights being the last column."""
        self._sorter.add(rows)
        needed = memory_of_fit(self._sorter.n_rows, rows.shape[1])
        if self._memory_budget is not None and needed > self._memory_budget:
            self._spill()

    def finish(self, left_out):
        """Returns Rows or SpooledRows."""
        width, weighted = self._columns.total_width, bool(self._columns.weight)
        if self._spool:
            if self._sorter.n_rows:
                self._spill()
            return SpooledRows(self._spool.finish(), width, weighted, left_out)
        n_rows, start = self._sorter.n_rows, 0
        matrix = ordering.aligned_matrix(n_rows, width)
        weights = np.empty(n_rows, np.float32) if weighted else None
        for block in self._sorter.drain():
            stop = start + len(block)
            matrix[start:stop] = block[:, :width]
            if weighted:
                weights[start:stop] = block[:, width]
            start = stop
        return Rows(matrix, weights, left_out)

    def _spill(self):
        self._spool = self._spool or spooling.SpoolWriter(
            self._columns.total_width + bool(self._columns.weight)
        )
        logging.info('Writing %d rows to a temporary file', self._sorter.n_rows)
        self._spool.write_run(self._sorter.drain())


def _logged(batches, split):
    """Yields `batches`, and logs now and then how many rows there were."""
    started = logged = time.monotonic()
    n_rows = 0
    for batch in batches:
        yield batch
        n_rows += len(batch)
        if time.monotonic() - logged > _SECONDS_BETWEEN_LOGS:
            logged = time.monotonic()
            rate = n_rows / (logged - started)
            logging.info('Reading split %r: %d rows, %.0f rows/s', split, n_rows, rate)


def _usable(batch, columns, defects, partial):
    """Returns the rows of `batch` to use, see Defects.usable_rows, and counts what is wrong."""
    weights = batch[:, -1] if columns.weight else None
    # any NaN or infinite value shows in the sum, and looking at each value costs more than that
    with np.errstate(over='ignore', invalid='ignore'):
        total = batch.sum()
    if np.isfinite(total) and (weights is None or weights.min(initial=1) > 0):
        return batch
    return batch[defects.usable_rows(batch[:, : columns.total_width], weights, partial)]


def _files(examples, split):
    """Returns the files of the split, checked to be what `_batches` can read."""
    tf_example = example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
    files = []
    for artifact in examples:
        payload = examples_utils.get_payload_format(artifact)
        file_format = examples_utils.get_file_format(artifact)
        if payload != tf_example or 'parquet' in file_format.lower():
            payload = examples_utils.get_payload_format_string(artifact)
            raise ValueError(
                f'examples at {artifact.uri} are {payload} in {file_format} files; KMeans reads '
                'tf.Example in gzip TFRecord files'
            )
        files += splits.files(artifact, split)
    return sorted(files)


def _whole_batches(files, columns):
    """Yields float32 `[b, d]`, or `[b, d + 1]`, see _batches, and checks that these are all."""
    n_bytes = [0] * len(files)
    try:
        for matrix, number, read_bytes in _batches(files, columns).as_numpy_iterator():
            n_bytes[number] += int(read_bytes)
            yield matrix
    except records.ERRORS as error:
        explained = records.explain(files, columns.feature_spec, error)
        if explained is error:
            raise
        raise explained from error
    for path, count in zip(files, n_bytes, strict=True):
        records.check_whole(path, count, columns.feature_spec)


def _batches(files, columns):
    """Returns a dataset of batches, in any order.

    Each of them is a matrix float32 `[b, d]`, or `[b, d + 1]` with the weights as last column, the
    number of its file, and the bytes that it took there.
    """
    names = [*columns.names, columns.weight] if columns.weight else columns.names

    def batches_of(number, file):
        def parse(serialized):
            parsed = tf.io.parse_example(serialized, columns.feature_spec)
            lengths = tf.cast(tf.strings.length(serialized), tf.int64)
            n_bytes = tf.reduce_sum(lengths + records.FRAME_BYTES)
            return features_lib.to_matrix(parsed, names), number, n_bytes

        # batched file by file: records that cross threads one by one cost more than parsing them
        return records.dataset(file).batch(_BATCH_ROWS).map(parse)

    # without files there would be nothing to tell that these are strings
    paths = tf.data.Dataset.from_tensor_slices(tf.constant(files, tf.string))
    return paths.enumerate().interleave(
        batches_of,
        cycle_length=_PARALLEL_FILES,
        num_parallel_calls=_PARALLEL_FILES,
        deterministic=False,  # the rows are put in the order of their hashes afterwards
    )
