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


def test_a_file_that_is_not_there_is_told(uri, tmp_path, capsys):
    assert main.main(['assign', uri, str(tmp_path / 'none.csv')]) == main.FAILED
    assert 'none.csv' in capsys.readouterr().err
