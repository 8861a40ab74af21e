import inspect

import pytest
from tfx import types
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts

from tfx_kmeans import Centroids, ClusterEvaluation, ClusterEvaluator
from tfx_kmeans.cluster_evaluator import gates
from tfx_kmeans.cluster_evaluator.settings import Settings

DEFAULTS = {
    'weight_feature': None,
    'train_split': 'train',
    'eval_split': 'eval',
    'memory_budget': 4_000_000_000,
}


def make(**arguments):
    return ClusterEvaluator(
        **{
            'examples': types.Channel(type=standard_artifacts.Examples),
            'transform_graph': types.Channel(type=standard_artifacts.TransformGraph),
            'centroids': types.Channel(type=Centroids),
            'baseline_centroids': types.Channel(type=Centroids),
            **arguments,
        }
    )


def test_outputs_are_an_evaluation_and_a_blessing():
    outputs = {name: channel.type for name, channel in make().outputs.items()}
    assert outputs == {
        'evaluation': ClusterEvaluation,
        'blessing': standard_artifacts.ModelBlessing,
    }


def test_model_and_baseline_are_optional():
    assert set(make(baseline_centroids=None).inputs) == {
        'examples', 'transform_graph', 'centroids',
    }  # fmt: skip
    assert 'model' in make(model=types.Channel(type=standard_artifacts.Model)).inputs


def test_every_threshold_is_an_argument_that_is_off_by_default():
    arguments = inspect.signature(ClusterEvaluator.__init__).parameters
    thresholds = {name for name in arguments if name.startswith(('min_', 'max_'))}
    assert thresholds == set(gates.GATES)
    assert {arguments[name].default for name in thresholds} == {None}


def test_thresholds_reach_the_executor():
    bounds = {name: i / 100 for i, name in enumerate(gates.GATES)}
    read = Settings.from_exec_properties(make(**bounds).exec_properties)
    assert read == Settings(bounds=bounds, **DEFAULTS)


def test_a_whole_number_is_a_bound():
    read = Settings.from_exec_properties(make(min_calinski_harabasz=3).exec_properties)
    assert read.bounds['min_calinski_harabasz'] == 3


def test_other_parameters_reach_the_executor():
    given = {
        'weight_feature': 'w', 'train_split': None, 'eval_split': 'last', 'memory_budget': 10**9,
    }  # fmt: skip
    read = Settings.from_exec_properties(make(**given).exec_properties)
    assert read == Settings(bounds=dict.fromkeys(gates.GATES), **given)


def test_defaults_reach_the_executor():
    read = Settings.from_exec_properties(make().exec_properties)
    assert read == Settings(bounds=dict.fromkeys(gates.GATES), **DEFAULTS)


WRONG = {
    'max_inertia_per_row': [(-1.0, ValueError), (float('inf'), ValueError), ('1', TypeError)],
    'max_inertia_ratio': [(-0.1, ValueError)],
    'min_silhouette': [(1.5, ValueError), (float('nan'), ValueError)],
    'max_davies_bouldin': [(-1.0, ValueError)],
    'min_calinski_harabasz': [(-1.0, ValueError), (True, TypeError)],
    'min_cluster_share': [(5.0, ValueError)],
    'max_unplaced_share': [(5.0, ValueError)],
    'max_training_psi': [(-1.0, ValueError)],
    'max_training_jensen_shannon': [(1.1, ValueError)],
    'max_baseline_psi': [(-1.0, ValueError)],
    'max_baseline_jensen_shannon': [(-1.0, ValueError)],
    'max_baseline_inertia_ratio': [(-1.0, ValueError)],
    'max_silhouette_drop': [(2.5, ValueError)],
    'min_kept_share': [(95.0, ValueError)],
    'min_adjusted_rand': [(-2.0, ValueError)],
    'weight_feature': [('', ValueError), (3, TypeError)],
    'train_split': [('', ValueError)],
    'eval_split': [('', ValueError), (None, TypeError)],
    'memory_budget': [(10**8 - 1, ValueError), (1e9, TypeError)],
}
CASES = [(name, *case) for name, cases in WRONG.items() for case in cases]


@pytest.mark.parametrize(('name', 'value', 'error'), CASES)
def test_a_wrong_argument_is_refused_by_name_when_the_pipeline_is_built(name, value, error):
    with pytest.raises(error) as refused:
        make(**{name: value})
    assert name in str(refused.value)
    assert repr(value) in str(refused.value) or value == ''


def test_runtime_parameters_are_checked_in_the_executor():
    component = make(min_silhouette=RuntimeParameter('s', float))
    properties = {**component.exec_properties, 'min_silhouette': 3.0}
    with pytest.raises(ValueError, match=r'min_silhouette must be a finite number in \[-1, 1\]'):
        Settings.from_exec_properties(properties)


@pytest.mark.parametrize('name', [name for name, gate in gates.GATES.items() if gate.of_baseline])
def test_a_threshold_on_the_baseline_needs_one(name):
    with pytest.raises(ValueError, match=f'{name}=0.5 needs baseline_centroids'):
        make(baseline_centroids=None, **{name: 0.5})


def test_a_threshold_on_the_train_split_needs_it():
    with pytest.raises(ValueError, match=r'max_inertia_ratio=2\.0 needs a train_split'):
        make(train_split=None, max_inertia_ratio=2.0)


def test_channels_of_another_type_are_refused_by_name():
    with pytest.raises(TypeError, match='baseline_centroids'):
        make(baseline_centroids=types.Channel(type=standard_artifacts.Model))
