import re

import numpy as np
import pytest

from tfx_kmeans import Clustering
from tfx_kmeans.artifacts import Standardization
from tfx_kmeans.cli import main

POINTS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def compare(tmp_path, capsys, old, new, *options):
    """Compares clusterings; returns the exit code, the rows of the table and the last line."""
    for name, clustering in (('old', old), ('new', new)):
        clustering.write(str(tmp_path / name))
    code = main.main(['compare', str(tmp_path / 'old'), str(tmp_path / 'new'), *options])
    table, _, summary = capsys.readouterr().out.partition('\n\n')
    return code, [line.split() for line in table.splitlines()[1:]], summary


def make(points, weights=None, **options):
    return Clustering.from_array(points, ['x', 'y'], cluster_weights=weights, **options)


def test_a_cluster_that_has_another_id_is_found_again(tmp_path, capsys):
    old = make(POINTS, [5, 3, 2])
    new = make(POINTS[[1, 0, 2]] + np.array([0.0, 0.5]), [4, 4, 2])
    code, rows, summary = compare(tmp_path, capsys, old, new)
    assert code == main.DONE
    assert rows == [
        ['0', '1', '0.5', '50.00%', '40.00%', 'changed'],
        ['1', '0', '0.5', '30.00%', '40.00%', 'changed'],
        ['2', '2', '0.5', '20.00%', '20.00%'],
    ]
    assert summary.startswith('1 of 3 ids are kept, 2 changed, 0 gone, 0 new.')


def test_clusters_that_come_and_go_are_told(tmp_path, capsys):
    _, rows, summary = compare(tmp_path, capsys, make(POINTS[:2]), make(POINTS))
    assert rows[-1] == ['-', '2', '-', '-', '-', 'new']
    assert '2 of 2 ids are kept, 0 changed, 0 gone, 1 new.' in summary
    _, rows, summary = compare(tmp_path, capsys, make(POINTS), make(POINTS[:2]))
    assert rows[-1] == ['2', '-', '-', '-', '-', 'gone']
    assert '2 of 3 ids are kept, 0 changed, 1 gone, 0 new.' in summary


def test_movement_is_in_the_space_of_the_new_centroids(tmp_path, capsys):
    standardization = Standardization((5.0, 5.0), (2.0, 2.0))
    new = make((POINTS + np.array([1.0, 0.0]) - 5.0) / 2.0, standardization=standardization)
    _, rows, summary = compare(tmp_path, capsys, make(POINTS), new)
    assert [row[2] for row in rows] == ['0.5'] * 3
    assert 'in standard deviations' in summary


def test_check_makes_the_exit_code_tell_of_ids_that_changed(tmp_path, capsys):
    swapped, more = make(POINTS[[1, 0, 2]]), make(POINTS[:2])
    assert compare(tmp_path, capsys, make(POINTS), make(POINTS), '--check')[0] == main.DONE
    assert compare(tmp_path, capsys, make(POINTS), swapped, '--check')[0] == main.CHANGED
    assert compare(tmp_path, capsys, make(POINTS), more, '--check')[0] == main.CHANGED


@pytest.mark.parametrize(
    ('other', 'what'),
    [
        (Clustering.from_array(POINTS, ['x', 'z']), "feature_names differ.*'x', 'z'"),
        (make(POINTS + 1, distance='cosine'), "distance differ.*'cosine'"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, capsys, other, what):
    make(POINTS).write(str(tmp_path / 'old'))
    other.write(str(tmp_path / 'new'))
    assert main.main(['compare', str(tmp_path / 'old'), str(tmp_path / 'new')]) == main.FAILED
    captured = capsys.readouterr()
    assert captured.out == ''
    assert re.search(what, captured.err)
