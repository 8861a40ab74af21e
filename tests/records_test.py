import gzip
import os

import numpy as np
import pytest
import tensorflow as tf

from support import building
from tfx_kmeans import Clustering, records

RECORD = building.serialize(np.float32([1, 2]), 0)
N_ROWS = 900  # in three shards


def records_of(path):
    return list(tf.data.TFRecordDataset(str(path), 'GZIP').as_numpy_iterator())


def plain_of(path):
    return gzip.decompress(path.read_bytes())


def frame(record):
    """Bytes of one record, as TFRecord files have them."""
    return len(record) + 16


def flip(content, place):
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)


def begin(path, n_records, more):
    """The first records of a shard and some bytes more, in a sound gzip stream."""
    length = sum(map(frame, records_of(path)[:n_records])) + more
    path.write_bytes(gzip.compress(plain_of(path)[:length]))


def replace_record(path, record):
    sound = records_of(path)
    with tf.io.TFRecordWriter(str(path), 'GZIP') as writer:
        for each in [*sound[:7], record, *sound[8:]]:
            writer.write(each)


def make_directory(path):
    path.unlink()
    path.mkdir()


DAMAGE = {
    'of 0 bytes': (lambda p: p.write_bytes(b''), r'is empty \(0 bytes\)'),
    'of a byte': (lambda p: p.write_bytes(b'\x1f'), 'is no gzip file'),
    'cut in a header': (lambda p: begin(p, 29, 5), 'is cut short within the header of record 29'),
    'cut in a record': (lambda p: begin(p, 29, 20), 'is cut short, or damaged, within record 29'),
    'cut in gzip': (
        lambda p: os.truncate(p, p.stat().st_size // 2),
        'is cut short: its gzip stream breaks off',
    ),
    'without its end': (
        lambda p: os.truncate(p, p.stat().st_size - 8),
        'is cut short: .* breaks off after 300',
    ),
    'a flipped bit': (lambda p: p.write_bytes(flip(p.read_bytes(), 500)), 'is damaged after'),
    'another checksum': (
        lambda p: p.write_bytes(gzip.compress(flip(plain_of(p), 20))),
        'has a damaged record',
    ),
    'not compressed': (lambda p: p.write_bytes(plain_of(p)), 'is no gzip file: .* compress it'),
    'not a tf.Example': (lambda p: replace_record(p, b'\xff' * 9), 'has as record 7 no tf.Example'),
    'a directory': (make_directory, 'cannot be read: '),
}


@pytest.fixture
def sharded(transformed, tmp_path):
    """Transformed examples in three shards, the graph, and the second shard of the train split."""
    examples, graph = transformed.values()
    serialized = {
        split: building.read_examples(examples, split)[:N_ROWS] for split in building.SIZES
    }
    sharded = building.write_examples(tmp_path / 'examples', serialized, shards=3)
    return sharded, graph, tmp_path / 'examples' / 'Split-train' / 'data-01.gz'


def fit(directory, examples, graph, engine):
    options = {'features': '["x", "y"]', 'missing': 'drop', 'eval_split': None}
    outputs = building.run_kmeans(directory, examples, graph, engine=engine, **options)
    return Clustering.read(outputs['centroids'].uri)


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
@pytest.mark.parametrize('name', DAMAGE)
def test_a_shard_that_cannot_be_read_whole_is_refused_by_its_name(name, engine, sharded, tmp_path):
    examples, graph, shard = sharded
    damage, message = DAMAGE[name]
    damage(shard)
    with pytest.raises(ValueError, match=rf'{shard} {message}'):
        fit(tmp_path / 'fit', examples, graph, engine)
    assert not (tmp_path / 'fit' / 'centroids' / 'clustering.json').exists()


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_a_shard_of_several_gzip_streams_and_one_without_records_are_read_whole(
    engine, sharded, tmp_path
):
    examples, graph, shard = sharded
    whole = fit(tmp_path / 'whole', examples, graph, engine)
    content = plain_of(shard)
    shard.write_bytes(gzip.compress(content[:7000]) + gzip.compress(content[7000:]))
    (shard.parent / 'data-03.gz').write_bytes(gzip.compress(b''))
    found = fit(tmp_path / 'parts', examples, graph, engine)
    np.testing.assert_array_equal(found.centroids, whole.centroids)
    assert found.cluster_weights == whole.cluster_weights


def write_plain(path, contents):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)


def batches(path):
    return [batch.numpy().tolist() for batch in records.batches(str(path), 2)]


@pytest.mark.parametrize('compress', [bytes, gzip.compress])
def test_records_of_any_content_are_read_in_batches_from_a_gzip_or_a_plain_file(tmp_path, compress):
    path = tmp_path / 'records'
    write_plain(path, [b'a', b'\xff' * 3, b''])
    path.write_bytes(compress(path.read_bytes()))
    assert batches(path) == [[b'a', b'\xff' * 3], [b'']]


@pytest.mark.parametrize('compress', [bytes, gzip.compress])
@pytest.mark.parametrize(
    ('size', 'message'),
    [
        (25, 'is cut short within the header of record 1'),  # a record takes 18
        (11, 'is no TFRecord file, or cut short within the header of record 0'),
    ],
)
def test_what_tensorflow_takes_for_the_end_of_a_file_is_refused(tmp_path, compress, size, message):
    path = tmp_path / 'records'
    write_plain(path, [b'aa', b'bb'])
    path.write_bytes(compress(path.read_bytes()[:size]))
    with pytest.raises(ValueError, match=f'{path} {message}'):
        batches(path)
