"""`tfx-kmeans assign`: rows in, cluster ids out, a batch at a time."""

import contextlib
import csv
import functools
import itertools
import sys

import numpy as np
import tensorflow as tf
from tfx.dsl.io import fileio

from tfx_kmeans import artifacts
from tfx_kmeans.cli import main
from tfx_kmeans.transform import features as features_lib

_BATCH_ROWS = 8192
_GZIP = b'\x1f\x8b'


def run(options):
    """Places the rows of `options.file`; returns the exit code."""
    clustering = artifacts.Clustering.read(options.uri)
    is_csv = options.file == '-' or options.file.endswith('.csv')
    file_format = options.format or ('csv' if is_csv else 'tfrecord')
    read = {'csv': read_csv, 'tfrecord': read_tfrecord}[file_format]
    emit = ('id', 'distance') if options.distance else ('id',)
    names = features_lib.output_names(clustering, emit).values()

    @functools.partial(tf.function, reduce_retracing=True)
    def place(batch):
        widths = list(clustering.feature_widths)
        columns = dict(zip(clustering.feature_names, tf.split(batch, widths, axis=1), strict=True))
        return features_lib.cluster_features(columns, clustering, emit)

    batches = read(options.file, clustering)
    # the first rows are read before there is an output that would say less than nothing
    batches = itertools.chain(list(itertools.islice(batches, 1)), batches)
    with _output(options.output) as output:
        writer = csv.writer(output, lineterminator='\n')
        writer.writerow(names)
        for batch in batches:
            placed = place(batch)
            writer.writerows(zip(*(placed[name].numpy().tolist() for name in names), strict=True))
    return main.DONE


def read_csv(path, clustering):
    """Yields the columns of a clustering from a CSV file with a header.

    Args:
        path: str, or '-' for the standard input.
        clustering: artifacts.Clustering.

    Yields:
        float32 `[b, d]`, NaN for an empty field.

    Raises:
        ValueError: a column is not there, or a field is no number: naming line and column.
    """
    with contextlib.nullcontext(sys.stdin) if path == '-' else fileio.open(path, 'r') as file:
        reader = csv.reader(file)
        header = [name.strip().removeprefix('\ufeff') for name in next(reader, [])]
        wanted = clustering.column_names
        lacking = [name for name in wanted if name not in header]
        if lacking:
            raise ValueError(f'{path}: there is no column {lacking[0]!r} on line 1, only {header}')
        positions = [header.index(name) for name in wanted]
        lines = ((reader.line_num, row) for row in reader if row)
        while batch := list(itertools.islice(lines, _BATCH_ROWS)):
            yield _numbers(batch, positions, wanted, path)


def read_tfrecord(path, clustering):
    """Yields the columns of a clustering from tf.Examples in a TFRecord file, gzipped or not.

    Args:
        path: str.
        clustering: artifacts.Clustering.

    Yields:
        float32 `[b, d]`, NaN for a feature without values.

    Raises:
        ValueError: a feature is not there or not numeric, or has another number of values.
    """
    with fileio.open(path, 'rb') as file:
        compression = 'GZIP' if file.read(2) == _GZIP else ''
    spec, start = None, 0
    for serialized in tf.data.TFRecordDataset(path, compression).batch(_BATCH_ROWS):
        spec = spec or _spec(serialized.numpy(), clustering.feature_names, path)
        parsed = tf.io.parse_example(serialized, spec)
        widths = zip(clustering.feature_names, clustering.feature_widths, strict=True)
        columns = [_dense(parsed[name], width, name, path, start) for name, width in widths]
        yield np.concatenate(columns, axis=1)
        start += len(serialized)


def _numbers(batch, positions, names, path):
    """Returns fields of CSV rows, pairs of line number and row, as float32 `[b, d]`."""
    try:
        fields = [[row[position] or 'nan' for position in positions] for _, row in batch]
        return np.array(fields, np.str_).astype(np.float32)
    except (IndexError, ValueError):
        for line, row in batch:
            for position, name in zip(positions, names, strict=True):
                _check_field(row, position, f'{path}, line {line}, column {name!r}')
        raise


def _check_field(row, position, place):
    if position >= len(row):
        raise ValueError(f'{place}: the line has only {len(row)} fields')
    try:
        float(row[position] or 'nan')
    except ValueError:
        raise ValueError(f'{place}: {row[position]!r} is not a number') from None


def _spec(serialized, names, path):
    """Returns the parsing spec of features by the types that they have in some records."""
    types, seen = {}, set()
    for record in serialized:
        features = tf.train.Example.FromString(record).features.feature
        seen.update(features)
        for name in set(names) & set(features) - set(types):
            kind = features[name].WhichOneof('kind')
            if kind == 'bytes_list':
                raise ValueError(f'{path}: {name!r} is a string feature, not a number')
            if kind:
                types[name] = tf.float32 if kind == 'float_list' else tf.int64
        if len(types) == len(names):
            return {name: tf.io.RaggedFeature(types[name]) for name in names}
    lacking = sorted(set(names) - set(types))
    raise ValueError(
        f'{path}: the first {len(serialized)} records have no feature {lacking[0]!r}, only '
        f'{sorted(seen)}'
    )


def _dense(ragged, width, name, path, start):
    """Returns a ragged feature as float32 `[b, width]`, NaN for a row without values."""
    lengths = ragged.row_lengths().numpy()
    wrong = np.flatnonzero((lengths != width) & (lengths != 0))
    if len(wrong):
        raise ValueError(
            f'{path}, record {start + wrong[0]}: {name!r} has {lengths[wrong[0]]} values instead '
            f'of {width}'
        )
    dense = np.full([len(lengths), width], np.nan, np.float32)
    dense[lengths > 0] = ragged.flat_values.numpy().reshape(-1, width)
    return dense


@contextlib.contextmanager
def _output(path):
    """Opens a file to write text to, the standard output where `path` is None."""
    if path is None:
        yield sys.stdout
    else:
        with fileio.open(path, 'w') as file:
            yield file
