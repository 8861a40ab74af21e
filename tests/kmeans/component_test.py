import numpy as np
import pytest
from tfx import types
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts

from tfx_kmeans import Centroids, KMeans
from tfx_kmeans.kmeans.settings import Settings


def make(**arguments):
    return KMeans(
        **{
            'examples': types.Channel(type=standard_artifacts.Examples),
            'transform_graph': types.Channel(type=standard_artifacts.TransformGraph),
            'n_clusters': 5,
            **arguments,
        }
    )


def test_outputs_are_centroids_a_model_and_its_run():
    outputs = {name: channel.type for name, channel in make().outputs.items()}
    assert outputs == {
        'centroids': Centroids,
        'model': standard_artifacts.Model,
        'model_run': standard_artifacts.ModelRun,
    }


def test_parameters_reach_the_executor():
    given = {
        'features': ['b', 'a'], 'output_prefix': 'zone', 'init': 'random', 'n_init': 3,
        'max_iter': 10, 'tol': 0, 'seed': 7, 'distance': 'cosine', 'weight_feature': 'w',
        'missing': 'drop', 'standardize': True, 'train_split': 'a', 'eval_split': None,
        'solver': 'streaming', 'engine': 'tensorflow', 'max_passes': 3, 'memory_budget': 10**9,
        'selection': 'elbow',
    }  # fmt: skip
    component = make(**given)
    read = Settings.from_exec_properties(component.exec_properties)
    assert read == Settings(n_clusters=5, **{**given, 'features': ('b', 'a')})


def test_defaults_reach_the_executor():
    assert Settings.from_exec_properties(make().exec_properties) == Settings(n_clusters=5)


@pytest.mark.parametrize('n_clusters', [range(4, 9, 2), [4, 6, 8], np.array([4, 6, 8]).tolist()])
def test_several_numbers_of_clusters_reach_the_executor(n_clusters):
    component = make(n_clusters=n_clusters)
    assert Settings.from_exec_properties(component.exec_properties).n_clusters == (4, 6, 8)


@pytest.mark.parametrize(('text', 'wanted'), [('[4, 6]', (4, 6)), ('7', 7)])
def test_numbers_of_clusters_may_be_known_at_run_time_only(text, wanted):
    component = make(n_clusters=RuntimeParameter('k', str, '[2, 3]'))
    properties = {**component.exec_properties, 'candidates': text}
    assert Settings.from_exec_properties(properties).n_clusters == wanted


@pytest.mark.parametrize('text', ['4, 6', '', '["a"]', '{"k": 3}', '[2, 2]', '[0]'])
def test_what_is_no_list_of_numbers_is_refused_at_run_time(text):
    component = make(n_clusters=RuntimeParameter('k', str, '[2, 3]'))
    properties = {**component.exec_properties, 'candidates': text}
    with pytest.raises((ValueError, TypeError), match='n_clusters must'):
        Settings.from_exec_properties(properties)


def test_a_predecessor_is_an_input_of_its_own():
    component = make(previous_centroids=types.Channel(type=Centroids))
    assert component.inputs['previous_centroids'].type is Centroids
    assert 'previous_centroids' not in make().inputs


@pytest.mark.parametrize(
    ('n_clusters', 'selection', 'message'),
    [
        ([1, 2], 'silhouette', "at least 2 for selection='silhouette', .*, not \\[1, 2\\]"),
        ([2, 3], 'elbow', "at least 3 numbers of clusters for selection='elbow'"),
    ],
)
def test_numbers_that_a_criterion_cannot_choose_among_are_refused(n_clusters, selection, message):
    with pytest.raises(ValueError, match=f'n_clusters must name .*{message}'):
        make(n_clusters=n_clusters, selection=selection)


def test_beam_chooses_a_number_of_clusters_and_continues_those_there_are():
    previous = types.Channel(type=Centroids)
    component = make(n_clusters=[2, 3], engine='beam', previous_centroids=previous)
    assert component.exec_properties['candidates'] == '[2, 3]'


def test_runtime_parameters_are_checked_in_the_executor():
    component = make(n_clusters=RuntimeParameter('k', int, 3))
    properties = {**component.exec_properties, 'n_clusters': 0}
    with pytest.raises(ValueError, match='n_clusters must be at least 1, not 0'):
        Settings.from_exec_properties(properties)


WRONG = {
    'n_clusters': [
        (0, ValueError),
        (-3, ValueError),
        (2.5, TypeError),
        (True, TypeError),
        ('20', TypeError),
        ([], ValueError),
        ([4, 0], ValueError),
        ([4, 4], ValueError),
        ([4, 2.5], TypeError),
        (10**12, ValueError),
    ],
    'selection': [('gap', ValueError), (None, ValueError), (np.eye(2), TypeError)],
    'previous_centroids': [(types.Channel(type=standard_artifacts.Examples), TypeError)],
    'features': [
        ([], ValueError),
        ('a', TypeError),
        ([1], TypeError),
        (['a', 'a'], ValueError),
        (3, TypeError),
        (RuntimeParameter('f', str), TypeError),
    ],
    'output_prefix': [('', ValueError), (3, TypeError)],
    'init': [('kmeans', ValueError), (np.eye(2), TypeError), ([[1.0, 2.0]], TypeError)],
    'n_init': [(0, ValueError), ('2', TypeError)],
    'max_iter': [(0, ValueError)],
    'tol': [(-1.0, ValueError), (float('nan'), ValueError), ('1', TypeError)],
    'seed': [(-1, ValueError), (2**63, ValueError), (0.5, TypeError)],
    'distance': [('euclidean', ValueError), (np.eye(2), TypeError)],
    'weight_feature': [('', ValueError)],
    'missing': [('ignore', ValueError), (None, ValueError), (np.eye(2), TypeError)],
    'standardize': [(1, TypeError), (7, TypeError)],
    'solver': [('loyd', ValueError), ('sklearn.cluster.KMean', ValueError), (3, TypeError)],
    'engine': [('spark', ValueError), (None, ValueError), (np.eye(2), TypeError)],
    'max_passes': [(-1, ValueError), (1.5, TypeError)],
    'memory_budget': [(10**8 - 1, ValueError), (1e9, TypeError)],
    'train_split': [('', ValueError), (None, TypeError)],
    'eval_split': [(3, TypeError)],
}
CASES = [(name, *case) for name, cases in WRONG.items() for case in cases]


@pytest.mark.parametrize(('name', 'value', 'error'), CASES)
def test_a_wrong_argument_is_refused_by_name_when_the_pipeline_is_built(name, value, error):
    with pytest.raises(error) as refused:
        make(**{name: value})
    assert name in str(refused.value)
    if isinstance(value, np.ndarray):
        assert repr(value) in str(refused.value)
    elif name != 'previous_centroids' and value not in ('', [], [4, 0], [4, 2.5], 2**63):
        assert str(value) in str(refused.value)


def test_what_beam_cannot_do_is_refused_when_the_pipeline_is_built():
    message = "engine='beam' goes with solver='auto' or 'lloyd', not 'streaming'"
    with pytest.raises(ValueError, match=message):
        make(engine='beam', solver='streaming')


def test_rows_with_gaps_are_for_either_engine():
    for engine in ('tensorflow', 'beam'):
        properties = make(missing='partial', engine=engine).exec_properties
        assert (properties['missing'], properties['engine']) == ('partial', engine)


def test_options_of_the_beam_runner_are_those_of_the_component():
    component = make(engine='beam').with_beam_pipeline_args(['--direct_num_workers=2'])
    assert component.executor_spec.beam_pipeline_args == ['--direct_num_workers=2']


def test_a_feature_cannot_be_its_own_weight():
    with pytest.raises(ValueError, match="weight_feature 'a' is also one of features"):
        make(features=['a', 'b'], weight_feature='a')


def test_partial_distances_are_not_cosines():
    with pytest.raises(ValueError, match="missing='partial' goes with distance='squared_eucl"):
        make(missing='partial', distance='cosine')
    component = make(missing='partial', distance=RuntimeParameter('d', str, 'cosine'))
    properties = {**component.exec_properties, 'distance': 'cosine'}
    with pytest.raises(ValueError, match="missing='partial' goes with"):
        Settings.from_exec_properties(properties)


def test_a_weight_cannot_be_clustered_on():
    with pytest.raises(ValueError, match=r"weight_feature 'w' is also one of features \('a', 'w'"):
        make(features=['a', 'w'], weight_feature='w')


def test_a_solver_without_weights_is_refused_where_there_are_weights():
    with pytest.raises(TypeError, match='takes neither weights nor sample_weight'):
        make(solver='support.solvers.without_weights', weight_feature='w')


def test_a_solver_may_be_known_at_run_time_only():
    component = make(solver=RuntimeParameter('solver', str))
    properties = {**component.exec_properties, 'solver': 'loyd'}
    with pytest.raises(ValueError, match="not 'loyd'"):
        Settings.from_exec_properties(properties)


def test_a_solver_for_beam_may_be_known_at_run_time_only():
    component = make(engine='beam', solver=RuntimeParameter('solver', str))
    properties = {**component.exec_properties, 'solver': 'streaming'}
    with pytest.raises(ValueError, match="engine='beam' goes with solver='auto' or 'lloyd', not"):
        Settings.from_exec_properties(properties)


AT_RUN_TIME = {
    'nested numbers': ({'candidates': '[' * 100_000}, r'n_clusters must be a number .*\[\.\.\.\['),
    'nested names': ({'features': '[' * 100_000}, r'features must be a list of names in JSON'),
    'no JSON': ({'features': '{"a"'}, r'features must be a list of names in JSON'),
    'no list': ({'features': '3'}, 'features must be a list of feature names, not 3'),
    'a number for a bool': ({'standardize': 7}, 'standardize must be True or False, not 7'),
    'a word for a bool': ({'standardize': 'no'}, "standardize must be True or False, not 'no'"),
    'too many clusters': ({'n_clusters': 10**12}, 'n_clusters must be at most 2147483646, not 10'),
}


@pytest.mark.parametrize('name', AT_RUN_TIME)
def test_a_value_that_is_known_at_run_time_only_is_refused_shortly_and_by_name(name):
    changes, message = AT_RUN_TIME[name]
    with pytest.raises((TypeError, ValueError), match=message) as refused:
        Settings.from_exec_properties({**make().exec_properties, **changes})
    assert len(str(refused.value)) < 200


def test_channels_of_another_type_are_refused_by_name():
    with pytest.raises(TypeError, match='transform_graph'):
        make(transform_graph=types.Channel(type=standard_artifacts.Examples))


def test_rows_with_gaps_may_have_a_solver_that_is_known_at_run_time_only():
    component = make(missing='partial', solver=RuntimeParameter('solver', str))
    properties = {**component.exec_properties, 'solver': 'streaming'}
    with pytest.raises(ValueError, match=r"missing='partial' goes with .* not 'streaming'"):
        Settings.from_exec_properties(properties)


@pytest.mark.parametrize('option', [{'solver': 'streaming'}, {'init': 'k-means||'}])
def test_what_takes_whole_rows_is_refused_for_rows_with_gaps(option):
    with pytest.raises(ValueError, match="missing='partial' goes with"):
        make(missing='partial', **option)
