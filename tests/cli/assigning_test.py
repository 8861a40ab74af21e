import csv
import gzip
import os

import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans import Clustering
from tfx_kmeans.cli import assigning, main


@pytest.fixture
def uri(tmp_path):
    """Centroids 0 and 1 along the scalar a and the vector b of two."""
    directory = str(tmp_path / 'centroids')
    Clustering.from_array([[0, 0, 0], [1, 1, 1]], ['a', 'b'], [1, 2]).write(directory)
    return directory


def assign(uri, path, content, *options):
    path.write_text(content)
    return main.main(['assign', uri, str(path), *options])


def write_records(path, *examples, compression=''):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for features in examples:
            writer.write(
                tf.train.Example(
                    features=tf.train.Features(
                        feature={name: feature(values) for name, values in features.items()}
                    )
                ).SerializeToString()
            )


def feature(values):
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def test_columns_are_found_by_their_names(uri, tmp_path, capsys):
    content = '\ufeffb[1],other,a,b[0]\n.9,"x,\ny",1,1.1\n0,,0,0\n\n1,,,1\n'
    assert assign(uri, tmp_path / 'rows.csv', content, '--distance') == main.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(',')[0] for line in lines] == ['cluster_id', '1', '0', '2']
    assert float(lines[1].split(',')[1]) == pytest.approx(np.sqrt(0.02))
    assert lines[2:] == ['0,0.0', '2,-1.0']


def test_a_file_is_read_a_batch_at_a_time(uri, tmp_path, monkeypatch):
    monkeypatch.setattr(assigning, '_BATCH_ROWS', 4)
    path = tmp_path / 'rows.csv'
    path.write_text('a,b[0],b[1]\n' + '1,1,1\n' * 10)
    batches = assigning.read_csv(str(path), Clustering.read(uri))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    records = tmp_path / 'records'
    write_records(records, *[{'a': [1], 'b': [1.0, 1.0]}] * 10)
    batches = assigning.read_tfrecord(str(records), Clustering.read(uri))
    assert [len(batch) for batch in batches] == [4, 4, 2]


@pytest.mark.parametrize('compression', ['', 'GZIP'])
def test_records_may_hold_integers_and_lack_values(uri, tmp_path, capsys, compression):
    path = tmp_path / 'records'
    rows = [{'b': [1.0, 1.0]}, {'a': [1], 'b': [1.0, 1.0]}, {'a': [0], 'b': []}]
    write_records(path, *rows, compression=compression)
    assert main.main(['assign', uri, str(path)]) == main.DONE
    assert capsys.readouterr().out.splitlines() == ['cluster_id', '2', '1', '2']


def test_ids_can_be_written_to_a_file(uri, tmp_path, capsys):
    output = tmp_path / 'ids.csv'
    assign(uri, tmp_path / 'rows.csv', 'a,b[0],b[1]\n1,1,1\n', '-o', str(output))
    assert capsys.readouterr().out == ''
    assert output.read_text() == 'cluster_id\n1\n'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', "there is no column 'a' on line 1, only []"),
        ('a,b\n1,1\n', "there is no column 'b[0]' on line 1, only ['a', 'b']"),
        ('a,b[0],b[1]\n1,2,3\n1,two,3\n', "line 3, column 'b[0]': 'two' is not a number"),
        ('a,b[0],b[1]\n1,2\n', "line 2, column 'b[1]': the line has only 2 fields"),
    ],
)
def test_a_bad_csv_file_is_refused_before_anything_is_written(
    uri, tmp_path, capsys, content, message
):
    output = tmp_path / 'ids.csv'
    code = assign(uri, tmp_path / 'rows.csv', content, '-o', str(output))
    assert code == main.FAILED
    assert message in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ('features', 'message'),
    [
        ({'b': [1.0, 1.0]}, "the first 1 records have no feature 'a', only ['b']"),
        ({'a': [b'x'], 'b': [1.0, 1.0]}, "'a' is a string feature"),
        ({'a': [1.0], 'b': [1.0]}, "record 0: 'b' has 1 values instead of 2"),
    ],
)
def test_bad_records_are_refused(uri, tmp_path, capsys, features, message):
    write_records(tmp_path / 'records', features)
    assert main.main(['assign', uri, str(tmp_path / 'records')]) == main.FAILED
    assert message in capsys.readouterr().err


def test_what_is_no_tfrecord_is_refused(uri, tmp_path, capsys):
    assert assign(uri, tmp_path / 'rows.txt', 'a,b[0],b[1]\n1,1,1\n') == main.FAILED
    assert 'corrupted record at 0' in capsys.readouterr().err


def cut(content):
    """Of three records, two and what a crash may leave of the third."""
    size = len(content) // 3
    return {
        'eight bytes': content[:8],
        'eleven bytes': content[:11],
        'in a header': content[: 2 * size + 5],
        'in a record': content[: 2 * size + 20],
        'bytes after the last': content + b'12345678',
        'gzip in a header': gzip.compress(content[: 2 * size + 5]),
        'gzip': gzip.compress(content)[:-12],
        'gzip in its trailer': gzip.compress(content)[:-3],
        'flipped': content[:20] + bytes([content[20] ^ 1]) + content[21:],
        'nothing': b'',
    }


@pytest.mark.parametrize('case', cut(b'0' * 99))
def test_a_damaged_file_of_records_is_refused_and_leaves_no_output(uri, tmp_path, capsys, case):
    path, output = tmp_path / 'records', tmp_path / 'ids.csv'
    write_records(path, *[{'a': [1], 'b': [1.0, 1.0]}] * 3)
    path.write_bytes(cut(path.read_bytes())[case])
    assert main.main(['assign', uri, str(path), '-o', str(output)]) == main.FAILED
    error = capsys.readouterr().err
    assert f'{path} is ' in error
    assert 'Traceback' not in error
    assert sorted(left.name for left in tmp_path.iterdir()) == ['centroids', 'records']


def test_a_gzip_file_without_records_has_no_ids(uri, tmp_path, capsys):
    path = tmp_path / 'records'
    path.write_bytes(gzip.compress(b''))
    assert main.main(['assign', uri, str(path)]) == main.DONE
    assert capsys.readouterr().out == 'cluster_id\n'


@pytest.mark.parametrize('place', [0, 2])
def test_a_record_that_is_no_example_is_told(uri, tmp_path, capsys, place):
    path = tmp_path / 'records'
    example = tf.train.Example()
    example.features.feature['a'].float_list.value[:] = [1.0]
    example.features.feature['b'].float_list.value[:] = [1.0, 1.0]
    records = [example.SerializeToString()] * 3
    records[place] = b'\xff\xff'
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    assert main.main(['assign', uri, str(path)]) == main.FAILED
    assert f'{path}, record {place}: it is no tf.Example' in capsys.readouterr().err


def test_a_directory_is_told(uri, tmp_path, capsys):
    assert main.main(['assign', uri, str(tmp_path)]) == main.FAILED
    assert f'{tmp_path} is a directory, not a file' in capsys.readouterr().err


@pytest.mark.parametrize('before', [None, 'what was there'])
def test_a_bad_row_late_in_the_file_leaves_the_output_as_it_was(uri, tmp_path, capsys, before):
    output = tmp_path / 'ids.csv'
    if before:
        output.write_text(before)
    content = 'a,b[0],b[1]\n' + '1,1,1\n' * 20000 + '1,x,1\n'
    code = assign(uri, tmp_path / 'rows.csv', content, '-o', str(output))
    assert code == main.FAILED
    assert "line 20002, column 'b[0]': 'x' is not a number" in capsys.readouterr().err
    left = {path.name for path in tmp_path.iterdir()} - {'centroids', 'rows.csv'}
    assert left == ({'ids.csv'} if before else set())
    assert not before or output.read_text() == before


def test_a_link_to_the_output_stays_one_and_a_device_is_written_to(uri, tmp_path):
    target, link = tmp_path / 'target.csv', tmp_path / 'ids.csv'
    link.symlink_to(target)
    rows = 'a,b[0],b[1]\n1,1,1\n'
    assert assign(uri, tmp_path / 'rows.csv', rows, '-o', str(link)) == main.DONE
    assert link.is_symlink()
    assert target.read_text() == 'cluster_id\n1\n'
    device = tmp_path / 'device'
    os.mkfifo(device)
    reader = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    assert assign(uri, tmp_path / 'rows.csv', rows, '-o', str(device)) == main.DONE
    assert os.read(reader, 100) == b'cluster_id\n1\n'
    os.close(reader)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a,b[0],b[1],b[0]\n1,1,1,9\n', "column 'b[0]' is 2 times on line 1"),
        ('a,b[0],b[1]\n1,1,1\n1,\0,1\n', 'line 3: there is a NUL byte in it'),
        ('a,b[0],b[1]\n1,1,1\n"1,1,1\n1,1,1\n', 'from line 3 on: unexpected end of data; is a'),
        ('a,b[0],b[1]\n1,1,1\n' + '1' * 200000 + ',1,1\n', 'from line 3 on: field larger than'),
        ('a,b[0],b[1]\n1,"1"x,1\n', "from line 2 on: ',' expected after '\"'"),
        ('a,b[0],b[1]\n1,1,1\n1,1,-1e39\n', "line 3, column 'b[1]': -1e+39 is too large for float"),
        ('a,b[0],b[1]\n1,1,\udcff\n', "can't decode byte 0xff"),
    ],
)
def test_csv_that_cannot_be_meant_is_refused_without_a_traceback(
    uri, tmp_path, capsys, content, message
):
    path = tmp_path / 'rows.csv'
    path.write_bytes(content.encode('utf-8', 'surrogateescape'))
    assert main.main(['assign', uri, str(path)]) == main.FAILED
    error = capsys.readouterr().err
    assert error.startswith(f'tfx-kmeans assign: {path}')
    assert message in error


def test_columns_that_are_not_of_the_clustering_may_repeat(uri, tmp_path, capsys):
    content = 'other,a,b[0],b[1],other\n5,1,1,1,6\n'
    assert assign(uri, tmp_path / 'rows.csv', content) == main.DONE
    assert capsys.readouterr().out == 'cluster_id\n1\n'


@pytest.mark.parametrize('prefix', ['=cmd|calc', '+1', '-1', '@SUM', '\t=1'])
def test_a_prefix_cannot_become_a_formula(tmp_path, capsys, prefix):
    clustering = Clustering.from_array([[0.0], [1.0]], ['a'], output_prefix=prefix)
    clustering.write(str(tmp_path / 'centroids'))
    code = assign(str(tmp_path / 'centroids'), tmp_path / 'rows.csv', 'a\n1\n', '--distance')
    assert code == main.DONE
    header, row = csv.reader(capsys.readouterr().out.splitlines())
    assert header == [f"'{prefix}_id", f"'{prefix}_distance"]
    assert row == ['1', '0.0']


def test_a_file_that_is_not_there_is_told(uri, tmp_path, capsys):
    assert main.main(['assign', uri, str(tmp_path / 'none.csv')]) == main.FAILED
    assert 'none.csv' in capsys.readouterr().err
