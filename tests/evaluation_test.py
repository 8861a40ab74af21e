import dataclasses
import json
import pathlib

import jsonschema
import numpy as np
import pytest

import tfx_kmeans
from support import evaluations
from tfx_kmeans import evaluation
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
    assert set(schema['properties']) == fields - arrays | {'format_version'}


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


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES = {
    'no json': (lambda d: (d / 'evaluation.json').unlink(), 'evaluation.json is missing'),
    'no arrays': (lambda d: (d / 'evaluation.npz').unlink(), 'evaluation.npz is missing'),
    'garbage': (lambda d: (d / 'evaluation.json').write_text('{'), 'evaluation.json is not JSON'),
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
