import dataclasses
import json
import pathlib
import tracemalloc
import warnings
import zipfile

import jsonschema
import numpy as np
import pytest

import tfx_kmeans
from support import evaluations
from tfx_kmeans import Clustering, evaluation
from tfx_kmeans.errors import EvaluationError

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SCHEMA = REPOSITORY / 'schemas' / 'evaluation.schema.json'
FIRST = {
    'train': None,
    'baseline': None,
    'training_shift': None,
    'baseline_shift': None,
    'stability': None,
    'baseline_uri': None,
    'span': None,
    'train_distances': None,
    'baseline_points': None,
    'transitions': None,
}


def assert_equal(read, written):
    for field in dataclasses.fields(evaluation.Evaluation):
        value = getattr(written, field.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(read, field.name), value)
        else:
            assert getattr(read, field.name) == value


@pytest.mark.parametrize('changes', [{}, FIRST], ids=['with a baseline', 'alone'])
def test_what_is_written_is_read_back(tmp_path, changes):
    made = evaluations.make(**changes)
    made.write(str(tmp_path))
    assert_equal(evaluation.Evaluation.read(str(tmp_path)), made)


def test_written_json_follows_the_published_schema(tmp_path):
    evaluations.make().write(str(tmp_path))
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(json.loads((tmp_path / 'evaluation.json').read_text()), schema)
    with np.load(tmp_path / 'evaluation.npz', allow_pickle=False) as arrays:
        arrays = set(arrays)
    fields = {field.name for field in dataclasses.fields(evaluation.Evaluation)}
    assert set(schema['properties']) == fields - arrays | {'format_version', 'digest'}


@pytest.mark.parametrize('name', ['split', 'shift', 'stability', 'threshold'])
def test_the_schema_knows_every_field_of_the_parts(name):
    parts = {
        'split': evaluation.SplitMetrics,
        'shift': evaluation.Shift,
        'stability': evaluation.Stability,
        'threshold': evaluation.Threshold,
    }
    schema = json.loads(SCHEMA.read_text())['$defs'][name]
    fields = {field.name for field in dataclasses.fields(parts[name])}
    assert set(schema['properties']) == set(schema['required']) == fields


def test_published_schema_is_the_one_the_package_reads():
    packaged = pathlib.Path(evaluation.__file__).with_name('evaluation.schema.json')
    assert SCHEMA.read_bytes() == packaged.read_bytes()


def test_kubeflow_can_import_the_type_by_its_name():
    module, name = evaluation.ClusterEvaluation.TYPE_NAME.split('.')
    assert getattr(__import__(module), name) is tfx_kmeans.ClusterEvaluation


def test_figures_of_a_split():
    made = evaluations.make().eval
    assert made.inertia_per_row == 0.6
    assert made.cluster_shares == (0.5, 0.4, 0.1)
    assert (made.smallest_cluster, made.smallest_cluster_share) == (2, 0.1)
    assert evaluations.make().train.unplaced_share == 2 / 42


def test_a_split_without_placed_rows_has_no_figures():
    made = dataclasses.replace(evaluations.make().eval, n_rows=0, cluster_weights=(0.0, 0.0, 0.0))
    assert (made.inertia_per_row, made.cluster_shares, made.smallest_cluster_share) == (None,) * 3
    assert made.unplaced_share is None


def test_key_figures_are_those_that_are_known():
    made = evaluations.make().figures
    assert made['training_psi'] == pytest.approx(0.1)
    assert made['baseline_jensen_shannon'] == pytest.approx(0.01)
    assert (made['kept_share'], made['adjusted_rand']) == (0.8, 0.6)
    assert made['inertia_ratio'] == pytest.approx(0.6 / 0.5)
    assert made['baseline_inertia_ratio'] == pytest.approx(0.6 / 1.2)
    assert made['silhouette_drop'] == pytest.approx(-0.1)
    judged = dataclasses.replace(evaluations.make().eval, silhouette=None)
    assert set(evaluations.make(**FIRST, eval=judged).figures) == {
        'inertia_per_row', 'davies_bouldin', 'calinski_harabasz', 'smallest_cluster_share',
        'unplaced_share',
    }  # fmt: skip


def test_a_threshold_says_what_came_out():
    missed = evaluation.Threshold('min_silhouette', 0.5, 0.4, False)
    assert missed.missed_by == pytest.approx(0.1)
    assert str(missed) == 'min_silhouette=0.5: FAILED with 0.4, 0.1 below the bound'
    missed = evaluation.Threshold('max_training_psi', 0.1, 0.35, False)
    assert str(missed) == 'max_training_psi=0.1: FAILED with 0.35, 0.25 above the bound'
    passed = evaluation.Threshold('max_training_psi', 0.1, 0.05, True)
    assert (str(passed), passed.missed_by) == ('max_training_psi=0.1: passed with 0.05', None)
    unknown = evaluation.Threshold('min_kept_share', 0.9, None, True, 'no baseline to compare with')
    assert str(unknown) == 'min_kept_share=0.9: passed, no baseline to compare with'


def test_one_missed_threshold_takes_the_blessing():
    thresholds = evaluations.make().thresholds
    assert not evaluations.make().blessed
    assert evaluations.make(thresholds=thresholds[:1]).blessed
    assert evaluations.make(thresholds=()).blessed


def with_eval(**changes):
    return {'eval': dataclasses.replace(evaluations.make().eval, **changes)}


WRONG_PARTS = {
    'dtype': ({'column_means': np.zeros(2, np.float32)}, 'column_means must be a float64 array'),
    'list': ({'column_means': [0.0, 0.0]}, 'column_means must be .* not list'),
    'rank': ({'column_means': np.zeros((1, 2))}, r'array of 1 dimensions, not float64 \(1, 2\)'),
    'columns': ({'cluster_means': np.zeros((3, 4))}, r'shape \(3, 4\), where 4 should be 2'),
    'clusters': ({'cluster_stds': np.zeros((4, 2))}, r'shape \(4, 2\), where 4 should be 3'),
    'edges': ({'distance_edges': np.zeros(4)}, 'distance_edges has length 4 and should have 3'),
    'levels': ({'quantile_levels': (0.5,)}, 'quantile_levels has length 1 and should have 3'),
    'weights': (with_eval(cluster_weights=(1.0,)), 'eval.cluster_weights has length 1 .* have 3'),
    'lacking': ({'transitions': None}, 'baseline.cluster_weights has length 2 .* have 0'),
    'kept': (
        {'stability': evaluation.Stability(1, 1.0, 1.0, (1.0,), None)},
        'kept_shares has length 1 and should have 2',
    ),
    'moves': (
        {'stability': evaluation.Stability(1, 1.0, 1.0, (1.0, None), (0.5,))},
        'moves has length 1 and should have 2',
    ),
    'nothing': ({'sample_ids': None}, r"lacks \['sample_ids'\]"),
    'nan figure': (with_eval(silhouette=float('nan')), 'eval: Out of range'),
    'silhouette': (with_eval(silhouette=1.5), 'silhouette: 1.5 is greater than'),
    'numpy figure': (with_eval(davies_bouldin=np.float32(1)), 'eval: .* not JSON serializable'),
    'name': ({'thresholds': (evaluation.Threshold('silhouette', 1.0, 1.0, True),)}, 'not match'),
}


@pytest.mark.parametrize('case', WRONG_PARTS)
def test_parts_that_do_not_fit_are_refused(case):
    changes, message = WRONG_PARTS[case]
    with pytest.raises(EvaluationError, match=message):
        evaluations.make(**changes)


def edit_arrays(directory, **changes):
    with np.load(directory / 'evaluation.npz') as arrays:
        arrays = dict(arrays) | changes
    np.savez(directory / 'evaluation.npz', **{k: v for k, v in arrays.items() if v is not None})


def edit_json(directory, **changes):
    path = directory / 'evaluation.json'
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in fields.items() if v != 'DELETE'}))


def take_arrays(directory, other):
    other.write(str(directory / 'other'))
    (directory / 'other' / 'evaluation.npz').rename(directory / 'evaluation.npz')


def repeat_member(path):
    with zipfile.ZipFile(path, 'a') as archive, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        archive.writestr('sample_ids.npy', archive.read('sample_ids.npy'))


def rewrite(path, name, change):
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for member, content in members.items():
            archive.writestr(member, change(content) if member == name else content)


def replace_by_directory(path):
    path.unlink()
    path.mkdir()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES = {
    'no json': (lambda d: (d / 'evaluation.json').unlink(), 'evaluation.json is missing'),
    'no arrays': (lambda d: (d / 'evaluation.npz').unlink(), 'evaluation.npz is missing'),
    'garbage': (lambda d: (d / 'evaluation.json').write_text('{'), 'evaluation.json is not JSON'),
    'version': (
        lambda d: edit_json(d, format_version=2, train='changed'),
        'evaluation.json: written by a newer tfx-kmeans: format 2, this reads up to 1',
    ),
    'another': (
        lambda d: take_arrays(d, evaluations.make(column_means=np.ones(2))),
        'evaluation.json and evaluation.npz do not belong together',
    ),
    'edited': (lambda d: edit_json(d, span=4), 'do not belong together, or one of them'),
    'twice': (
        lambda d: repeat_member(d / 'evaluation.npz'),
        'evaluation.npz holds no NumPy arrays: two of them have the same name',
    ),
    'array directory': (
        lambda d: replace_by_directory(d / 'evaluation.npz'),
        'evaluation.npz is a directory, not a file',
    ),
    'bytes after the archive': (
        lambda d: (d / 'evaluation.npz').open('ab').write(b'x'),
        'evaluation.npz holds no NumPy arrays: it is cut off, or bytes follow the archive',
    ),
    'bytes after an array': (
        lambda d: rewrite(d / 'evaluation.npz', 'column_means.npy', lambda content: content + b'x'),
        'evaluation.npz holds no NumPy arrays: 17 bytes follow the header',
    ),
    'cut off': (lambda d: truncate(d / 'evaluation.npz'), 'evaluation.npz holds no NumPy arrays'),
    'pickle': (
        lambda d: edit_arrays(d, sample_ids=np.array([{}])),
        'evaluation.npz holds no NumPy arrays: Object arrays cannot be loaded',
    ),
    'unknown': (lambda d: edit_arrays(d, colour=np.zeros(1)), r"\['colour'\] is unknown"),
    'lacking': (lambda d: edit_arrays(d, sample_ids=None), r"lacks \['sample_ids'\]"),
}


@pytest.mark.parametrize('case', DAMAGES)
def test_damaged_payload_is_refused_with_its_place_and_the_reason(tmp_path, case):
    damage, message = DAMAGES[case]
    evaluations.make().write(str(tmp_path))
    damage(tmp_path)
    with pytest.raises(EvaluationError, match=f'ClusterEvaluation at {tmp_path}: .*{message}'):
        evaluation.Evaluation.read(str(tmp_path))


def test_a_payload_from_before_there_were_digests_is_read(tmp_path):
    evaluations.make().write(str(tmp_path))
    edit_json(tmp_path, digest='DELETE', clustering_fingerprint='DELETE')
    read = evaluation.Evaluation.read(str(tmp_path))
    assert_equal(read, evaluations.make())
    assert read.clustering_fingerprint is None


# a member that announces, and holds, 400 MB of zeros in 400 KB
BOMBS = {
    'unknown': ('colour', (50_000_000,), r"\['colour'\] is unknown"),
    'another shape': ('column_means', (50_000_000,), 'where 2 should be 50000000'),
    'another rank': ('sample_is_eval', (5000, 80000), 'sample_is_eval must be a bool array of 1'),
}


@pytest.mark.parametrize('case', BOMBS)
def test_a_zip_bomb_is_refused_before_it_is_inflated(tmp_path, case):
    name, shape, message = BOMBS[case]
    evaluations.make().write(str(tmp_path))
    bomb = np.zeros(shape, bool if name == 'sample_is_eval' else np.float64)
    with np.load(tmp_path / 'evaluation.npz') as arrays:
        np.savez_compressed(tmp_path / 'evaluation.npz', **dict(arrays) | {name: bomb})
    assert (tmp_path / 'evaluation.npz').stat().st_size < 500_000
    del bomb
    tracemalloc.start()
    try:
        with pytest.raises(EvaluationError, match=message):
            evaluation.Evaluation.read(str(tmp_path))
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_arrays_that_agree_with_each_other_may_not_fill_the_memory():
    def zeros(*shape):
        return np.broadcast_to(np.zeros((), np.float64), shape)

    huge = {
        'column_means': zeros(10**8),
        'column_stds': zeros(10**8),
        'column_quantiles': zeros(3, 10**8),
    }
    with pytest.raises(EvaluationError, match=r'the arrays take 4000.* bytes, and may take'):
        evaluations.make(**huge)


# what was judged


def test_an_evaluation_of_other_centroids_of_the_same_shape_is_refused():
    clustering = Clustering.from_array(np.eye(3)[:, :2], ['a', 'b'])
    made = evaluations.make(clustering_fingerprint=clustering.fingerprint)
    made.check_is_of(clustering)
    other = Clustering.from_array(np.eye(3)[:, :2] + 1, ['a', 'b'])
    with pytest.raises(ValueError, match=f'do not belong together.*{other.fingerprint}'):
        made.check_is_of(other)


def test_an_evaluation_that_does_not_know_of_what_it_is_goes_by_the_shape():
    made = evaluations.make()
    made.check_is_of(Clustering.from_array(np.eye(3)[:, :2], ['a', 'b']))
    with pytest.raises(ValueError, match='of 3 clusters of 2 columns, and clustering has 3 of 3'):
        made.check_is_of(Clustering.from_array(np.eye(3), ['a', 'b', 'c']))
