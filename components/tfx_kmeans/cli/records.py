"""Records of a TFRecord file, all of them or an error: TensorFlow takes a stump for the end."""

import gzip
import zlib

import tensorflow as tf
from google.protobuf import message
from tfx.dsl.io import fileio

_GZIP = b'\x1f\x8b'
_FRAME = 16  # bytes around a record: its length and two checksums
_CHUNK = 2**20


def batches(path, n_rows):
    """Yields string tensors `[b]` of records, gzipped or not.

    Args:
        path: str.
        n_rows: int, records in a batch, fewer in the last.

    Raises:
        ValueError: the file is empty, not TFRecord, or cut off or damaged.
    """
    if fileio.isdir(path):
        raise ValueError(f'{path} is a directory, not a file')
    with fileio.open(path, 'rb') as file:
        begin = file.read(2)
    if not begin:
        raise ValueError(f'{path} is empty: a TFRecord file has at least one record')
    compression = 'GZIP' if begin == _GZIP else ''
    size = 0
    try:
        for serialized in tf.data.TFRecordDataset(path, compression).batch(n_rows):
            size += int(tf.reduce_sum(tf.strings.length(serialized))) + _FRAME * len(serialized)
            yield serialized
    except tf.errors.DataLossError as error:
        raise ValueError(f'{path} is no TFRecord file, or damaged: {error.message}') from error
    there = _inflated_size(path) if compression else fileio.stat(path).length
    if there != size:
        raise ValueError(
            f'{path} is no TFRecord file, or cut off: its records take {size} bytes of {there}'
        )


def example(record, path, number):
    """Parses a record.

    Args:
        record: bytes.
        path: str, of its file, for the message.
        number: int, of the record in the file, for the message.

    Returns:
        tf.train.Example.

    Raises:
        ValueError: the record is none.
    """
    try:
        return tf.train.Example.FromString(record)
    except message.DecodeError as error:
        raise ValueError(f'{path}, record {number}: it is no tf.Example: {error}') from error


def _inflated_size(path):
    size = 0
    try:
        with fileio.open(path, 'rb') as file, gzip.GzipFile(fileobj=file) as inflated:
            while chunk := inflated.read(_CHUNK):
                size += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f'{path} is no gzip file, or cut off: {error}') from error
    return size
