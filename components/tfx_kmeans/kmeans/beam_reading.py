"""Examples to batches of rows in a Beam pipeline, through Arrow record batches."""

import contextlib

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io import filesystems
from pyarrow import parquet
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx_bsl.coders import example_coder

from tfx_kmeans import records
from tfx_kmeans.kmeans import splits

_BATCH_ROWS = 4096


class ReadRows(beam.PTransform):
    """Reads a split: tf.Example in gzip TFRecord files, or Parquet files."""

    def __init__(self, examples, split, columns, schema):
        """Makes a reader.

        Args:
            examples: list of Examples artifacts.
            split: name of the split, which each of them has files of.
            columns: columns.Columns.
            schema: schema_pb2.Schema of the transformed examples.

        Raises:
            ValueError: the examples have a format that cannot be read.
        """
        super().__init__()
        self._columns = columns
        self._sources = [_source(artifact, split, columns, schema) for artifact in examples]

    def expand(self, pipeline):
        """From a pipeline to batches, see beam.sampling.SampleFn."""
        parts = [
            pipeline | f'Read{number}' >> source for number, source in enumerate(self._sources)
        ]
        return parts | beam.Flatten() | 'ToRows' >> beam.Map(to_rows, self._columns)


def is_parquet(artifact):
    """Whether an Examples artifact is Parquet, as the file format or as the payload."""
    payload = examples_utils.get_payload_format(artifact)
    return (
        payload == example_gen_pb2.PayloadFormat.FORMAT_PARQUET
        or 'parquet' in examples_utils.get_file_format(artifact).lower()
    )


def to_rows(record_batch, columns):
    """Makes a matrix of the features in a record batch.

    Args:
        record_batch: pyarrow.RecordBatch with a column for each feature: of numbers, or of lists of
            as many numbers as the feature is wide. What is null or empty is missing, and is NaN
            unless the feature has a default.
        columns: columns.Columns.

    Returns:
        rows float32 `[n, d]`, and weights float32 `[n]` where `columns` have a weight; a tuple.

    Raises:
        ValueError: a feature is not there, or has another number of values.
    """
    names = [*columns.names, columns.weight] if columns.weight else columns.names
    parts = [_matrix(record_batch, name, columns.feature_spec[name]) for name in names]
    if columns.weight:
        return np.concatenate(parts[:-1], axis=1), parts[-1][:, 0]
    return (np.concatenate(parts, axis=1),)


def _source(artifact, split, columns, schema):
    if is_parquet(artifact):
        return _ReadParquet(splits.files(artifact, split), list(columns.feature_spec))
    payload = examples_utils.get_payload_format(artifact)
    if payload != example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE:
        raise ValueError(
            f'examples at {artifact.uri} are {examples_utils.get_payload_format_string(artifact)}; '
            "KMeans(engine='beam') reads tf.Example and Parquet"
        )
    needed = schema_pb2.Schema()
    needed.feature.extend(f for f in schema.feature if f.name in columns.feature_spec)
    return _ReadExamples(splits.files(artifact, split), needed, columns.feature_spec)


class _ReadParquet(beam.PTransform):
    """From a pipeline to the record batches of Parquet files, a row group at a time."""

    def __init__(self, files, names):
        super().__init__()
        self._files = files
        self._names = names

    def expand(self, pipeline):
        return (
            pipeline
            | 'Files' >> beam.Create(self._files)
            | 'RowGroups' >> beam.FlatMap(_row_groups)
            | 'Spread' >> beam.Reshuffle()
            | 'Read' >> beam.FlatMap(_read_row_group, self._names)
        )


def _row_groups(path):
    """The row groups of a Parquet file, as what _read_row_group takes."""
    with _opened(path) as file:
        return [(path, number) for number in range(file.num_row_groups)]


def _read_row_group(place, names):
    """The record batches of a row group, given as path and number."""
    path, number = place
    with _opened(path) as file:
        return file.read_row_group(number, names).to_batches(_BATCH_ROWS)


@contextlib.contextmanager
def _opened(path):
    """A Parquet file, open; what goes wrong with it is a ValueError that names it."""
    try:
        with filesystems.FileSystems.open(path) as file:
            yield parquet.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f'{path} cannot be read as Parquet: {error}') from error


class _ReadExamples(beam.PTransform):
    """From a pipeline to the record batches of gzip TFRecord files of tf.Example."""

    def __init__(self, files, schema, feature_spec):
        super().__init__()
        self._files = files
        self._read_fn = _ReadFileFn(schema.SerializeToString(), feature_spec)

    def expand(self, pipeline):
        return (
            pipeline
            | 'Files' >> beam.Create(self._files)
            | 'Spread' >> beam.Reshuffle()
            | 'Read' >> beam.ParDo(self._read_fn)
        )


class _ReadFileFn(beam.DoFn):
    """From the path of a file to record batches."""

    def __init__(self, schema, feature_spec):
        self._schema = schema
        self._feature_spec = feature_spec

    def setup(self):
        self._decoder = example_coder.ExamplesToRecordBatchDecoder(self._schema)

    def process(self, path):
        n_bytes = 0
        try:
            for batch in records.dataset(path).batch(_BATCH_ROWS).as_numpy_iterator():
                n_bytes += sum(map(len, batch)) + records.FRAME_BYTES * len(batch)
                yield self._decoder.DecodeBatch(batch.tolist())
        except (ValueError, RuntimeError, *records.ERRORS) as error:
            explained = records.explain([path], self._feature_spec, error)
            if explained is error:
                raise
            raise explained from error
        records.check_whole(path, n_bytes, self._feature_spec)


def _matrix(record_batch, name, spec):
    """The values of a feature, float32 `[n, width]`."""
    width = int(np.prod(spec.shape))
    index = record_batch.schema.get_field_index(name)
    if index < 0:
        raise ValueError(f'{name!r} is not in the examples, which have {record_batch.schema.names}')
    array = record_batch.column(index)
    default = np.float32(np.nan if spec.default_value is None else spec.default_value)
    if not pa.types.is_list(array.type) and not pa.types.is_large_list(array.type):
        return _values(array, default).reshape(-1, 1)
    counts = np.asarray(array.value_lengths().fill_null(0))
    matrix = np.full((len(array), width), default, np.float32)
    there = counts > 0
    if (counts[there] != width).any():
        wrong = counts[there & (counts != width)]
        raise ValueError(
            f'{name!r} has {wrong[0]} values in {len(wrong)} rows of a batch, and should have '
            f'{width}'
        )
    matrix[there] = _values(array.flatten(), np.float32(np.nan)).reshape(-1, width)
    return matrix


def _values(array, default):
    """Numbers of an Arrow array, float32; `default` for those that are null."""
    values = np.asarray(array.to_numpy(zero_copy_only=False), np.float32)
    return np.where(np.asarray(array.is_null()), default, values) if array.null_count else values
