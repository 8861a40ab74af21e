"""`tfx-kmeans assign`: rows in, cluster ids out, a batch at a time."""

import contextlib
import csv
import functools
import itertools
import sys

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tfx.dsl.io import fileio

from tfx_kmeans import artifacts, files, records
from tfx_kmeans.cli import main, tables
from tfx_kmeans.transform import features as features_lib

_BATCH_ROWS = 8192


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
        writer.writerow(map(tables.formula_safe, names))
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
        ValueError: the file is no CSV, a column is not there or there twice, or a field is no
            number or too large for float32: naming line and column.
    """
    with contextlib.nullcontext(sys.stdin) if path == '-' else fileio.open(path, 'r') as file:
        rows = _csv_rows(file, path)
        _, header = next(rows, (1, []))
        positions = _positions(header, clustering.column_names, path)
        lines = ((line, row) for line, row in rows if row)
        while batch := list(itertools.islice(lines, _BATCH_ROWS)):
            yield _numbers(batch, positions, clustering.column_names, path)


def read_tfrecord(path, clustering):
    """Yields the columns of a clustering from tf.Examples in a TFRecord file, gzipped or not.

    Args:
        path: str.
        clustering: artifacts.Clustering.

    Yields:
        float32 `[b, d]`, NaN for a feature without values.

    Raises:
        ValueError: the file is no TFRecord file or damaged, a record is no tf.Example, or a feature
            is not there, not numeric, or has another number of values.
    """
    spec, start = None, 0
    for serialized in records.batches(path, _BATCH_ROWS):
        spec = spec or _spec(serialized.numpy(), clustering.feature_names, path)
        parsed = _parse(serialized, spec, path, start)
        widths = zip(clustering.feature_names, clustering.feature_widths, strict=True)
        columns = [_dense(parsed[name], width, name, path, start) for name, width in widths]
        yield np.concatenate(columns, axis=1)
        start += len(serialized)


def _csv_rows(file, path):
    """Yields the rows of a CSV file, each with the number of its last line."""
    reader = csv.reader(_without_nul(file, path), strict=True)
    while True:
        begin = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, UnicodeDecodeError) as error:
            hint = '; is a quote open there?' if isinstance(error, csv.Error) else ''
            raise ValueError(f'{path}, from line {begin} on: {error}{hint}') from error
        yield reader.line_num, row


def _without_nul(file, path):
    for number, line in enumerate(file, 1):
        if '\0' in line:  # which csv takes or not, by the version of Python
            raise ValueError(f'{path}, line {number}: there is a NUL byte in it: it is no text')
        yield line


def _positions(header, wanted, path):
    """Returns where each of the columns that are wanted is in the header."""
    header = [name.strip().removeprefix('\ufeff') for name in header]
    for name in wanted:
        if name not in header:
            raise ValueError(f'{path}: there is no column {name!r} on line 1, only {header}')
        if header.count(name) > 1:
            raise ValueError(
                f'{path}: column {name!r} is {header.count(name)} times on line 1: leave one'
            )
    return [header.index(name) for name in wanted]


def _numbers(batch, positions, names, path):
    """Returns fields of CSV rows, pairs of line number and row, as float32 `[b, d]`."""
    try:
        fields = [[row[position] or 'nan' for position in positions] for _, row in batch]
        values = np.array(fields, np.str_).astype(np.float64)
    except (IndexError, ValueError):
        for line, row in batch:
            for position, name in zip(positions, names, strict=True):
                _check_field(row, position, f'{path}, line {line}, column {name!r}')
        raise
    with np.errstate(over='ignore'):
        rounded = values.astype(np.float32)
    too_large = np.isinf(rounded) & np.isfinite(values)
    if too_large.any():
        index, column = np.argwhere(too_large)[0]
        raise ValueError(
            f'{path}, line {batch[index][0]}, column {names[column]!r}: '
            f'{values[index, column]:.6g} is too large for float32'
        )
    return rounded


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
    for number, record in enumerate(serialized):
        features = _example(record, path, number).features.feature
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


def _parse(serialized, spec, path, start):
    """Parses records; of one that is no tf.Example the message tells the number."""
    try:
        return tf.io.parse_example(serialized, spec)
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # TensorFlow quotes the record
        for number, record in enumerate(serialized.numpy(), start):
            _example(record, path, number)
        raise


def _example(record, path, number):
    """Parses a record as tf.train.Example; the error tells which one of the file is none."""
    try:
        return tf.train.Example.FromString(record)
    except message.DecodeError as error:
        raise ValueError(f'{path}, record {number}: it is no tf.Example: {error}') from error


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


def _output(path):
    """Opens a file to write text to, the standard output where `path` is None."""
    return contextlib.nullcontext(sys.stdout) if path is None else files.replacing(path)
