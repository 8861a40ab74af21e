"""gzip TFRecord files of tf.Example: read whole, or refused by name with what is wrong.

TensorFlow's reader takes the end of a file for the end of its records wherever that is: in an empty
file, in the middle of a gzip stream, in the header of a record. What was read is therefore compared
with what gzip says there is; a file is looked into for long only where something is wrong with it.
"""

import gzip
import os
import struct
import zlib

import tensorflow as tf
from tfx.components.util import examples_utils
from tfx.dsl.io import fileio

BUFFER_BYTES = 1 << 20
# of a record beside its content: length and its checksum before it, the checksum of it behind it
FRAME_BYTES = 16
_HEADER_BYTES = 12
_GZIP_MAGIC = b'\x1f\x8b'
_CHECKED_RECORDS = 4096
_ESTIMATED_FILES, _ESTIMATED_BYTES = 4, 1 << 22
# what reading and parsing may end with; TensorFlow puts the bytes of a record that is no tf.Example
# into its message, which Python then cannot decode
ERRORS = (tf.errors.OpError, UnicodeDecodeError)
_NO_EXAMPLE = (tf.errors.InvalidArgumentError, UnicodeDecodeError)


def files(artifact, split):
    """Returns the files of a split of an Examples artifact, sorted."""
    (pattern,) = examples_utils.get_split_file_patterns([artifact], split)
    return sorted(fileio.glob(os.fspath(pattern)))


def estimate_count(paths):
    """Returns how many records there are in files, about: an int, told by how some of them begin.

    Where these are whole in the first MiB of at most 4 files, it is their number.
    """
    size = sum(tf.io.gfile.stat(path).length for path in paths)
    n_records = n_bytes = 0
    for path in paths[:: -(-len(paths) // _ESTIMATED_FILES) or 1]:
        with tf.io.gfile.GFile(path, 'rb') as file:
            records, taken = _begin(file.read(BUFFER_BYTES))
        n_records += records
        n_bytes += taken
    return -(-size * n_records // max(n_bytes, 1))


def _begin(content):
    """How many whole records the beginning of a file holds, and how many bytes were looked at."""
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(content, _ESTIMATED_BYTES)
    except zlib.error:  # told once it is read
        return 0, len(content)
    n_records = position = 0
    while position + _HEADER_BYTES <= len(plain):
        (length,) = struct.unpack_from('<Q', plain, position)
        position += length + FRAME_BYTES
        n_records += position <= len(plain)
    return n_records, len(content) - len(stream.unconsumed_tail)


def dataset(path):
    """Returns the tf.data.Dataset of the serialized examples in a file."""
    return tf.data.TFRecordDataset(path, 'GZIP', buffer_size=BUFFER_BYTES)


def check_whole(path, n_bytes, feature_spec):
    """Checks that a file was read to its end.

    Args:
        path: str.
        n_bytes: int, of the records that were read of it, FRAME_BYTES for each of them included.
        feature_spec: parsing spec of the features that are needed.

    Raises:
        ValueError: it was not, and the message says why.
    """
    if _told_bytes(path) != n_bytes % 2**32:
        # a file of several gzip streams is sound, though the last one tells of itself alone
        problem = find_problem(path, feature_spec)
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


def find_problem(path, feature_spec):
    """Returns what is wrong with a file, a sentence that begins with its name; None if nothing."""
    try:
        problem = _problem_of_frames(path) or _problem_of_records(path, feature_spec)
    except (OSError, tf.errors.OpError) as error:
        problem = f'cannot be read: {getattr(error, "message", None) or error}'
    return problem and f'{path} {problem}'


def _told_bytes(path):
    """The size modulo 2^32 of what a gzip file holds, as its last bytes tell; None if too short."""
    size = tf.io.gfile.stat(path).length
    if size < len(_GZIP_MAGIC) + 4:
        return None
    with tf.io.gfile.GFile(path, 'rb') as file:
        file.seek(size - 4)
        return struct.unpack('<I', file.read(4))[0]


def _problem_of_frames(path):
    """What is wrong with the gzip stream, or with the lengths of the records in it; or None."""
    with fileio.open(path, 'rb') as file:
        beginning = file.read(_HEADER_BYTES)
    if not beginning:
        return (
            'is empty (0 bytes): a gzip TFRecord file without a record has 20 bytes; write it anew'
        )
    if not beginning.startswith(_GZIP_MAGIC):
        return 'is no gzip file: examples are read from gzip TFRecord files, so compress it'
    n_records = 0
    try:
        with fileio.open(path, 'rb') as file, gzip.GzipFile(fileobj=file) as stream:
            while header := stream.read(_HEADER_BYTES):
                if len(header) < _HEADER_BYTES:
                    return f'is cut short within the header of record {n_records}'
                missing = struct.unpack('<Q', header[:8])[0] + FRAME_BYTES - _HEADER_BYTES
                while missing and (part := stream.read(min(missing, BUFFER_BYTES))):
                    missing -= len(part)
                if missing:
                    return f'is cut short, or damaged, within record {n_records}'
                n_records += 1
    except EOFError:
        return f'is cut short: its gzip stream breaks off after {n_records} whole records'
    except (zlib.error, gzip.BadGzipFile) as error:
        return f'is damaged after {n_records} whole records: {error}'
    return None


def _problem_of_records(path, feature_spec):
    """What is wrong with the content of the records, or None."""
    n_sound = 0
    try:
        for batch in dataset(path).batch(_CHECKED_RECORDS).as_numpy_iterator():
            if _parses(batch, feature_spec):
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
