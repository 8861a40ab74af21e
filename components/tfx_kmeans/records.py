"""TFRecord files, gzip or plain: read whole, or refused by name with what is wrong.

TensorFlow's reader takes the end of a file for the end of its records wherever that is: in an empty
file, in the middle of a gzip stream, in the header of a record. What was read is therefore compared
with the bytes that there are; a file is looked into for long only where something is wrong with it.
"""

import contextlib
import gzip
import struct
import zlib

import tensorflow as tf
from tfx.dsl.io import fileio

BUFFER_BYTES = 1 << 20
# of a record beside its content: length and its checksum before it, the checksum of it behind it
FRAME_BYTES = 16
HEADER_BYTES = 12  # of those before it
_GZIP_MAGIC = b'\x1f\x8b'
_GZIP, _PLAIN = 'GZIP', ''  # as TensorFlow calls them
_CHECKED_RECORDS = 4096
# what reading and parsing may end with; TensorFlow puts the bytes of a record that is no tf.Example
# into its message, which Python then cannot decode
ERRORS = (tf.errors.OpError, UnicodeDecodeError)
_NO_EXAMPLE = (tf.errors.InvalidArgumentError, UnicodeDecodeError)


def dataset(path, compression=_GZIP):
    """Returns the tf.data.Dataset of the records in a file: gzip, or plain with '' of it."""
    return tf.data.TFRecordDataset(path, compression, buffer_size=BUFFER_BYTES)


def batches(path, n_rows):
    """Yields string tensors `[b]` of the records in a file, gzip or plain as it begins.

    Args:
        path: str.
        n_rows: int, records in a batch, fewer in the last.

    Raises:
        ValueError: the file is a directory, empty, not TFRecord, cut short or damaged.
    """
    if fileio.isdir(path):
        raise ValueError(f'{path} is a directory, not a file')
    with fileio.open(path, 'rb') as file:
        beginning = file.read(len(_GZIP_MAGIC))
    compression = _GZIP if beginning == _GZIP_MAGIC else _PLAIN
    n_bytes = 0
    try:
        for batch in dataset(path, compression).batch(n_rows):
            n_bytes += int(tf.reduce_sum(tf.strings.length(batch))) + FRAME_BYTES * len(batch)
            yield batch
    except tf.errors.DataLossError as error:
        raise ValueError(f'{path} is no TFRecord file, or damaged: {error.message}') from error
    check_whole(path, n_bytes, compression=compression)


def check_whole(path, n_bytes, feature_spec=None, compression=_GZIP):
    """Checks that a file was read to its end.

    Args:
        path: str.
        n_bytes: int, of the records that were read of it, FRAME_BYTES for each of them included.
        feature_spec: parsing spec of the features that are needed; None where records may be
            anything.
        compression: 'GZIP', or '' for a plain file.

    Raises:
        ValueError: it was not, and the message says why.
    """
    if not _holds(path, n_bytes, compression):
        # a file of several gzip streams is sound, though the last one tells of itself alone
        problem = find_problem(path, feature_spec, compression)
        if problem:
            raise ValueError(problem)


def explain(paths, feature_spec, error):
    """Returns the exception to raise where reading has ended with `error`, maybe the same.

    Args:
        paths: the files that were read.
        feature_spec: see check_whole.
        error: Exception.

    Returns:
        ValueError that names the first file with something wrong with it, and what that is.
    """
    problems = (find_problem(path, feature_spec) for path in paths)
    problem = next(filter(None, problems), None)
    return ValueError(problem) if problem else error


def find_problem(path, feature_spec, compression=_GZIP):
    """Returns what is wrong with a file, a sentence that begins with its name; None if nothing."""
    try:
        problem = _problem_of_frames(path, compression) or _problem_of_records(
            path, feature_spec, compression
        )
    except (OSError, tf.errors.OpError) as error:
        problem = f'cannot be read: {getattr(error, "message", None) or error}'
    return problem and f'{path} {problem}'


def _holds(path, n_bytes, compression):
    """Whether a file holds so many bytes, plain; gzip tells it modulo 2^32, in its last 4 bytes."""
    size = tf.io.gfile.stat(path).length
    if not compression:
        return size == n_bytes > 0
    if size < len(_GZIP_MAGIC) + 4:
        return False
    with tf.io.gfile.GFile(path, 'rb') as file:
        file.seek(size - 4)
        return struct.unpack('<I', file.read(4))[0] == n_bytes % 2**32


def _problem_of_frames(path, compression):
    """What is wrong with the gzip stream, or with the lengths of the records; or None."""
    with fileio.open(path, 'rb') as file:
        beginning = file.read(HEADER_BYTES)
    if not beginning:
        return (
            'is empty (0 bytes): a gzip TFRecord file without a record has 20 bytes; write it anew'
        )
    if compression and not beginning.startswith(_GZIP_MAGIC):
        return 'is no gzip file: examples are read from gzip TFRecord files, so compress it'
    n_records, doubt = 0, 'no TFRecord file, or '
    try:
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(fileio.open(path, 'rb'))
            if compression:
                stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
            while header := stream.read(HEADER_BYTES):
                if len(header) < HEADER_BYTES:
                    return f'is {doubt}cut short within the header of record {n_records}'
                missing = struct.unpack('<Q', header[:8])[0] + FRAME_BYTES - HEADER_BYTES
                while missing and (part := stream.read(min(missing, BUFFER_BYTES))):
                    missing -= len(part)
                if missing:
                    return f'is {doubt}cut short, or damaged, within record {n_records}'
                n_records, doubt = n_records + 1, ''
    except EOFError:
        return f'is cut short: its gzip stream breaks off after {n_records} whole records'
    except (zlib.error, gzip.BadGzipFile) as error:
        return f'is damaged after {n_records} whole records: {error}'
    return None


def _problem_of_records(path, feature_spec, compression):
    """What is wrong with the content of the records, or None."""
    n_sound = 0
    try:
        for batch in dataset(path, compression).batch(_CHECKED_RECORDS).as_numpy_iterator():
            if feature_spec is None or _parses(batch, feature_spec):
                n_sound += len(batch)
                continue
            for record in batch:
                tf.io.parse_example([record], feature_spec)
                n_sound += 1
    except tf.errors.DataLossError as error:
        return f'has a damaged record, after {n_sound} or more sound ones: {_words_of(error)}'
    except _NO_EXAMPLE as error:
        return f'has as record {n_sound} no tf.Example with the features: {_words_of(error)}'
    return None


def _parses(batch, feature_spec):
    try:
        tf.io.parse_example(batch, feature_spec)
    except _NO_EXAMPLE:
        return False
    return True


def _words_of(error):
    """The message of a TensorFlow error, without the names of the ops that it came through."""
    if isinstance(error, UnicodeDecodeError):
        return 'it cannot be parsed'
    return error.message.split('}} ')[-1].split(' [Op:')[0]
