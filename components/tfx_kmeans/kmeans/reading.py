"""Examples to one float32 matrix, without ever holding it twice."""

import dataclasses
import mmap
import os
import time

import numpy as np
import tensorflow as tf
from absl import logging
from tfx.components.util import examples_utils
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from tfx_kmeans import defects as defects_lib
from tfx_kmeans.kmeans import ordering
from tfx_kmeans.transform import features as features_lib

_BATCH_ROWS = 8192
_BUFFER_BYTES = 1 << 20
_PARALLEL_FILES = 4
_SECONDS_BETWEEN_LOGS = 10.0


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a split, in the order of their hashes.

    Attributes:
        matrix: float32 `[n, d]`, on memory aligned for TensorFlow.
        weights: float32 `[n]`, or None.
        left_out: rows with missing values that are not in the matrix.
    """

    matrix: np.ndarray
    weights: np.ndarray | None
    left_out: int

    def as_tensor(self):
        """Returns the matrix as a tensor that shares its memory."""
        # tf.constant would copy; TensorFlow refuses memory that is not aligned to 64 bytes
        return tf.experimental.dlpack.from_dlpack(self.matrix.__dlpack__())


def check_split(examples, split, argument):
    """Raises ValueError unless every artifact of `examples` has the split named by `argument`."""
    for artifact in examples:
        splits = sorted(artifact_utils.decode_split_names(artifact.split_names))
        if split not in splits:
            raise ValueError(f'{argument}: the examples have no split {split!r}, only {splits}')


def read(examples, split, columns, missing):
    """Reads a split of `examples` into a matrix.

    Args:
        examples: list of Examples artifacts, gzip TFRecord files of tf.Example.
        split: name of the split.
        columns: columns.Columns.
        missing: what to do with rows that have NaN in a feature: 'error', 'drop', or 'partial',
            which reads them and leaves out those of nothing but NaN.

    Returns:
        Rows.

    Raises:
        ValueError: the format is another, the split has no rows, or there are infinite values or,
            with missing='error', NaN: the message names the feature, the split and the count.
    """
    files = _files(examples, split)
    matrix = _GrowingMatrix(columns.total_width)
    weights = _GrowingMatrix(1 if columns.weight else 0)
    defects = defects_lib.Defects.none(columns.total_width)
    started = logged = time.monotonic()
    for batch in _batches(files, columns).as_numpy_iterator():
        batch, batch_weights = np.split(batch, [columns.total_width], axis=1)
        usable = defects.usable_rows(
            batch, batch_weights[:, 0] if columns.weight else None, missing == 'partial'
        )
        matrix.append(batch[usable])
        weights.append(batch_weights[usable])
        if time.monotonic() - logged > _SECONDS_BETWEEN_LOGS:
            logged = time.monotonic()
            rate = matrix.n_rows / (logged - started)
            logging.info('Reading split %r: %d rows, %.0f rows/s', split, matrix.n_rows, rate)
    defects.check(
        missing, f'split {split!r}', columns.name_of_column, f'weight_feature {columns.weight!r}'
    )
    if not matrix.n_rows:
        raise ValueError(
            f'split {split!r} has no rows to use: {len(files)} files, {defects.left_out} rows with '
            'missing values'
        )
    rows = Rows(
        matrix.finish(), weights.finish()[:, 0] if columns.weight else None, defects.left_out
    )
    ordering.sort_rows(rows.matrix, rows.weights)
    logging.info(
        'Read split %r: %d rows x %d columns in %.1f s, %d rows left out for missing values',
        split,
        *rows.matrix.shape,
        time.monotonic() - started,
        rows.left_out,
    )
    return rows


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
        uri = artifact_utils.get_split_uri([artifact], split)
        files += fileio.glob(os.path.join(uri, '*'))
    return sorted(files)


def _batches(files, columns):
    """Returns a dataset of float32 `[b, d]`, or `[b, d + 1]` with the weights as last column."""
    names = [*columns.names, columns.weight] if columns.weight else columns.names

    def parse(serialized):
        return features_lib.to_matrix(tf.io.parse_example(serialized, columns.feature_spec), names)

    def batches_of(file):
        # batched file by file: records that cross threads one by one cost more than parsing them
        records = tf.data.TFRecordDataset(file, 'GZIP', buffer_size=_BUFFER_BYTES)
        return records.batch(_BATCH_ROWS).map(parse)

    # without files there would be nothing to tell that these are strings
    return tf.data.Dataset.from_tensor_slices(tf.constant(files, tf.string)).interleave(
        batches_of,
        cycle_length=_PARALLEL_FILES,
        num_parallel_calls=_PARALLEL_FILES,
        deterministic=False,  # the rows are put in the order of their hashes afterwards
    )


class _GrowingMatrix:
    """A float32 matrix that takes more rows without being copied.

    It lies on pages of its own, which the system moves about as it grows and which it lends only
    once they are written to; their alignment is what TensorFlow needs to share them.
    """

    def __init__(self, width):
        self.n_rows = 0
        self._width = width
        self._memory = _pages(0)

    def append(self, rows):
        """Adds float32 rows `[b, width]` at the end."""
        end = self.n_rows + len(rows)
        size = end * self._width * 4
        if size > len(self._memory):
            self._memory = _resized(self._memory, size + size // 2)
        if rows.size:
            self._view(self.n_rows, end)[:] = rows
        self.n_rows = end

    def finish(self):
        """Returns the matrix, float32 `[n_rows, width]`; nothing can be added any more."""
        return self._view(0, self.n_rows)

    def _view(self, start, stop):
        flat = np.frombuffer(
            self._memory, np.float32, (stop - start) * self._width, start * self._width * 4
        )
        return flat.reshape(-1, self._width)


def _pages(size):
    return mmap.mmap(-1, max(size, mmap.PAGESIZE), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _resized(memory, size):
    try:
        memory.resize(size)
        return memory
    except SystemError:  # no mremap on this system: it has to be a copy
        larger = _pages(size)
        larger[: len(memory)] = memory[:]
        return larger
