import dataclasses
import importlib.metadata
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from support import building, evaluations
from tfx_kmeans import Clustering, artifacts, report
from tfx_kmeans.cli import main

SCRIPT = pathlib.Path(sys.executable).with_name('tfx-kmeans')


def run(*arguments, **options):
    """Runs the script as a shell does."""
    return subprocess.run(
        [str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


def test_the_script_is_installed_with_the_package():
    (script,) = importlib.metadata.entry_points(group='console_scripts', name='tfx-kmeans')
    assert script.load() is main.main


def test_help_loads_no_heavy_library():
    code = (
        'import sys\nfrom tfx_kmeans.cli import main\ntry: main.main(["--help"])\n'
        'except SystemExit: pass\n'
        'print({"numpy", "tensorflow", "tfx"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == 'set()'
    for command in ('show', 'compare', 'report', 'assign'):
        assert f'\n    {command} ' in done.stdout


def test_rows_of_a_real_split_get_the_ids_that_the_model_gives(fitted, transformed):
    examples = transformed['transformed_examples']
    (file,) = tf.io.gfile.glob(os.path.join(examples.uri, 'Split-eval', '*'))
    done = run('assign', fitted['centroids'].uri, file, '--distance')
    assert done.returncode == main.DONE, done.stderr
    header, *lines = done.stdout.splitlines()
    assert header == 'cluster_id,cluster_distance'
    model = tf.saved_model.load(os.path.join(fitted['model'].uri, 'Format-Serving'))
    served = model.signatures['serving_default'](
        examples=tf.constant(building.read_examples(examples, 'eval'))
    )
    assert [int(line.split(',')[0]) for line in lines] == served['cluster_id'].numpy().tolist()
    distances = [float(line.split(',')[1]) for line in lines]
    assert distances == pytest.approx(served['cluster_distance'].numpy().tolist(), rel=1e-5)
    assert {line.split(',')[0] for line in lines} == {'0', '1', '2', '3', '4'}  # 4: y is missing


def test_a_real_artifact_is_shown(fitted, capsys):
    assert main.main(['show', fitted['centroids'].uri]) == main.DONE
    lines = capsys.readouterr().out.splitlines()
    assert 'features        x, y' in lines
    assert lines[-5].split() == ['id', 'weight', 'share', 'x', 'y']
    clustering = Clustering.read(fitted['centroids'].uri)
    for index, line in enumerate(lines[-4:]):
        identity, weight, share, *point = line.split()
        assert (int(identity), float(weight)) == (index, clustering.cluster_weights[index])
        assert share.endswith('%')
        assert [float(value) for value in point] == pytest.approx(
            clustering.centroids[index].tolist(), rel=1e-5
        )


def test_rows_from_the_standard_input_come_out_as_ids_until_the_reader_leaves(fitted):
    rows = 'label,y,x\n' + '1,10.2,9.9\n0,,1\n' * 50000
    command = f"'{SCRIPT}' assign '{fitted['centroids'].uri}' - | head -3; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ['bash', '-c', command], input=rows, capture_output=True, text=True, check=True
    )
    header, first, second, code = done.stdout.splitlines()
    assert (header, first, second) == ('cluster_id', '3', '4')
    assert code == str(main.FAILED)
    assert 'Traceback' not in done.stderr


def test_what_is_no_artifact_is_told_without_a_traceback(tmp_path, capsys):
    assert main.main(['show', str(tmp_path)]) == main.FAILED
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err == (
        f'tfx-kmeans show: Centroids at {tmp_path}: clustering.json is missing\n'
    )


@pytest.mark.parametrize(
    'arguments', [[], ['shew', 'uri'], ['show'], ['show', 'uri', '--columns=-1']]
)
def test_a_command_line_without_sense_ends_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    assert caught.value.code == 2
    assert 'usage: tfx-kmeans' in capsys.readouterr().err


def test_centroids_of_many_columns_are_cut_and_said_to_be(tmp_path, capsys):
    Clustering.from_array([[1.0] * 12], ['embedding'], [12]).write(str(tmp_path))
    main.main(['show', str(tmp_path), '--columns', '2'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3].split() == ['id', 'weight', 'share', 'embedding[0]', 'embedding[1]']
    assert lines[-1] == 'and 10 more columns: --columns 0 prints all'
    main.main(['show', str(tmp_path), '--columns', '0'])
    assert 'embedding[11]' in capsys.readouterr().out


def test_what_a_fit_chose_and_continues_is_shown(tmp_path, capsys):
    table = [artifacts.Candidate(n, 9.0 - n, 1, True, None, None, None) for n in (1, 2)]
    clustering = dataclasses.replace(
        Clustering.from_array([[1.0], [2.0]], ['a'], cluster_weights=[3, 1]),
        selection=artifacts.Selection('elbow', tuple(table)),
        continuation=artifacts.Continuation(1, (0, None), (0.5, None), (0.0, 1.0), 0.25),
    )
    clustering.write(str(tmp_path))
    main.main(['show', str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert 'chosen          by elbow of 1, 2' in lines
    assert 'continues       n_clusters=1; 25.00% of the training rows had another id' in lines


def test_a_report_is_written_of_a_real_artifact(fitted, tmp_path, capsys):
    path = tmp_path / 'new' / 'report.html'
    uri = fitted['centroids'].uri
    assert main.main(['report', uri, '--output', str(path)]) == main.DONE
    assert capsys.readouterr().out == f'{path}\n'
    assert path.read_text() == report.render(Clustering.read(uri))


def test_a_report_on_an_evaluation_of_other_centroids_is_refused(tmp_path, capsys):
    ours, other = (Clustering.from_array(np.eye(3)[:, :2] + i, ['a', 'b']) for i in range(2))
    ours.write(str(tmp_path / 'ours'))
    evaluations.make(clustering_fingerprint=other.fingerprint).write(str(tmp_path / 'judged'))
    arguments = ['--evaluation', str(tmp_path / 'judged'), '-o', str(tmp_path / 'report.html')]
    assert main.main(['report', str(tmp_path / 'ours'), *arguments]) == main.FAILED
    assert 'evaluation and clustering do not belong together' in capsys.readouterr().err
    assert not (tmp_path / 'report.html').exists()
    other.write(str(tmp_path / 'other'))
    assert main.main(['report', str(tmp_path / 'other'), *arguments]) == main.DONE


def test_every_command_reaches_what_is_not_on_the_disk(capsys):
    # TensorFlow's file system in memory, which is found as gs:// is
    uri, rows = 'ram://bucket/centroids', 'ram://bucket/rows.csv'
    Clustering.from_array([[1.0], [2.0]], ['a']).write(uri)
    tf.io.gfile.GFile(rows, 'w').write('a\n2\n1\n')
    assert main.main(['show', uri]) == main.DONE
    assert main.main(['compare', uri, uri, '--check']) == main.DONE
    assert main.main(['report', uri, '-o', 'ram://bucket/new/report.html']) == main.DONE
    assert tf.io.gfile.GFile('ram://bucket/new/report.html').read().startswith('<!doctype html>')
    assert main.main(['assign', uri, rows, '-o', 'ram://bucket/ids.csv']) == main.DONE
    assert tf.io.gfile.GFile('ram://bucket/ids.csv').read() == 'cluster_id\n1\n0\n'
    assert capsys.readouterr().err == ''


def test_names_cannot_steer_the_terminal(tmp_path, capsys):
    Clustering.from_array([[1.0]], ['\x1b[31mred\n']).write(str(tmp_path))
    main.main(['show', str(tmp_path)])
    out = capsys.readouterr().out
    assert '\x1b' not in out
    assert r'\x1b[31mred\n' in out
