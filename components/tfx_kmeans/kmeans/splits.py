"""A split of Examples: its files, about how many rows are in them, and that there are none."""

import os
import struct
import zlib

import tensorflow as tf
from tfx.components.util import examples_utils
from tfx.dsl.io import fileio

from tfx_kmeans import records

_ESTIMATED_FILES, _ESTIMATED_BYTES = 4, 1 << 22


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
            found, taken = _begin(file.read(records.BUFFER_BYTES))
        n_records += found
        n_bytes += taken
    return -(-size * n_records // max(n_bytes, 1))


def unusable(split, weight_feature, n_files, n_rows, left_out):
    """Returns the exception to raise for a split without a row to use.

    Args:
        split: str.
        weight_feature: str, or None.
        n_files: int, of the split.
        n_rows: int, of all of them.
        left_out: int, of the rows with missing values; those of weight 0 do not count here.

    Returns:
        ValueError.
    """
    if n_rows > left_out:
        return ValueError(
            f'split {split!r}, weight_feature {weight_feature!r}: weights: none is above 0 in '
            f'{n_rows} rows, {left_out} of which have missing values'
        )
    return ValueError(
        f'split {split!r} has no rows to use: {n_files} files, {left_out} rows with missing values'
    )


def _begin(content):
    """How many whole records the beginning of a file holds, and how many bytes were looked at."""
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(content, _ESTIMATED_BYTES)
    except zlib.error:  # told once it is read
        return 0, len(content)
    n_records = position = 0
    while position + records.HEADER_BYTES <= len(plain):
        (length,) = struct.unpack_from('<Q', plain, position)
        position += length + records.FRAME_BYTES
        n_records += position <= len(plain)
    return n_records, len(content) - len(stream.unconsumed_tail)
