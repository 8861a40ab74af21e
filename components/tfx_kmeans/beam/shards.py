"""Rows in files that every worker reaches, so that no runner has to hold them between passes."""

import contextlib
import os
import uuid

import apache_beam as beam
import numpy as np
import tensorflow as tf

from tfx_kmeans import defects as defects_lib
from tfx_kmeans.beam import sampling

_SHARD_VALUES = 1 << 23  # 32 MiB
_READ_VALUES = 1 << 18


class Write(beam.PTransform):
    """Writes the rows to cluster, 4 bytes a value, into .npy files of at most 32 MiB or a batch.

    A bundle that is repeated leaves files behind that nobody reads; they are gone with the
    directory.
    """

    def __init__(self, directory, partial=False):
        """Writes into `directory`, a path or URI that TensorFlow can write to.

        With `partial` rows with missing values are among those to cluster.
        """
        super().__init__()
        self._directory = directory
        self._partial = partial

    def expand(self, batches):
        """From batches, see sampling.SampleFn, to the paths of the files."""
        return batches | beam.ParDo(_WriteFn(self._directory, self._partial))


class Read(beam.PTransform):
    """Reads what Write has written, or nothing where a fit has converged."""

    def __init__(self, paths, width, even_if_converged=False):
        """Makes a reader.

        Args:
            paths: PCollection of paths.
            width: int, columns of the rows.
            even_if_converged: bool, whether to read in any case.
        """
        super().__init__()
        self._paths = paths
        self._width = width
        self._even_if_converged = even_if_converged

    def expand(self, fitted):
        """From a PCollection of one fitting.Fitted to batches, see sampling.SampleFn."""
        return (
            fitted
            | 'Choose'
            >> beam.FlatMap(_choose, beam.pvalue.AsList(self._paths), self._even_if_converged)
            | 'Spread' >> beam.Reshuffle()
            | 'Read' >> beam.FlatMap(read, self._width)
        )


class _WriteFn(beam.DoFn):
    """Gathers the rows of a bundle, and writes them when they are many or the bundle ends."""

    def __init__(self, directory, partial):
        self._directory = directory
        self._partial = partial

    def start_bundle(self):
        self._parts, self._n_values = [], 0

    def process(self, batch):
        rows, *weights = batch
        nothing = defects_lib.Defects.none(rows.shape[1])  # counted where the sample is drawn
        weights = weights[0] if weights else None
        rows, weights = sampling.usable(rows, weights, nothing, self._partial)
        self._parts.append((rows,) if weights is None else (rows, weights))
        self._n_values += rows.size
        if self._n_values >= _SHARD_VALUES:
            yield self._write()

    def finish_bundle(self):
        if self._n_values:
            yield beam.transforms.window.GlobalWindows.windowed_value(self._write())

    def _write(self):
        matrix, weights = sampling.concatenate(self._parts)
        if weights is not None:
            matrix = np.concatenate([matrix, weights[:, np.newaxis]], axis=1)
        self._parts, self._n_values = [], 0
        tf.io.gfile.makedirs(self._directory)
        path = os.path.join(self._directory, f'rows-{uuid.uuid4().hex}.npy')
        with contextlib.closing(tf.io.gfile.GFile(path, 'wb')) as file:
            np.save(file, matrix, allow_pickle=False)
        return path


def _choose(fitted, paths, even_if_converged):
    return paths if even_if_converged or not fitted.converged else []


def read(path, width):
    """Yields the rows of a file at `path` in batches, see sampling.SampleFn."""
    with contextlib.closing(tf.io.gfile.GFile(path, 'rb')) as file:
        np.lib.format.read_magic(file)
        (n_rows, n_columns), _, dtype = np.lib.format.read_array_header_1_0(file)
        step = max(1, _READ_VALUES // n_columns)
        for start in range(0, n_rows, step):
            count = min(step, n_rows - start) * n_columns
            matrix = np.frombuffer(file.read(count * dtype.itemsize), dtype).reshape(-1, n_columns)
            rows = np.ascontiguousarray(matrix[:, :width])
            yield (rows, matrix[:, width].copy()) if n_columns > width else (rows,)
