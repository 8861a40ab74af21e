import json

import pytest
from tfx import types
from tfx.components.transform.component import Transform
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts

from tfx_kmeans import Centroids, ClusterTransform
from tfx_kmeans.cluster_transform import executor


def inputs():
    return {
        'examples': types.Channel(type=standard_artifacts.Examples),
        'schema': types.Channel(type=standard_artifacts.Schema),
    }


def make(**arguments):
    return ClusterTransform(
        **{
            **inputs(),
            'transform_graph': types.Channel(type=standard_artifacts.TransformGraph),
            'centroids': types.Channel(type=Centroids),
            **arguments,
        }
    )


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'materialize': False},
        {'disable_statistics': True},
        {'disable_analyzer_cache': True},
    ],
)
def test_outputs_are_those_of_transform(options):
    transform = Transform(**inputs(), preprocessing_fn='a.b', **options)
    expected = {name: channel.type for name, channel in transform.outputs.items()}
    actual = {name: channel.type for name, channel in make(**options).outputs.items()}
    assert actual == expected


def test_exec_properties_are_those_of_transform_and_emit():
    transform = Transform(**inputs(), preprocessing_fn='a.b', custom_config={'c': 1})
    component = make(preprocessing_fn='a.b', custom_config={'c': 1}, emit=['id', 'similarity'])
    properties = dict(component.exec_properties)
    assert json.loads(properties.pop('emit')) == ['id', 'similarity']
    assert properties == transform.exec_properties


def test_a_single_kind_may_be_emitted_by_name():
    assert json.loads(make(emit='id').exec_properties['emit']) == ['id']


def test_each_set_of_centroids_is_an_input():
    channels = [types.Channel(type=Centroids) for _ in range(3)]
    component = make(centroids=channels)
    given = {k: v for k, v in component.inputs.items() if k.startswith(executor.CENTROIDS_KEY)}
    assert given == dict(zip(['centroids', 'centroids_1', 'centroids_2'], channels, strict=True))


WRONG = {
    'unknown kind': ({'emit': ['id', 'label']}, r"emit must name some of .* not \['id', 'label'\]"),
    'no kind': ({'emit': []}, r'emit must name some of .* not \[\]'),
    'no centroids': ({'centroids': []}, 'centroids must be a channel or a list of at least one'),
    'two functions': (
        {'module_file': 'm.py', 'preprocessing_fn': 'a.b'},
        'at most one of module_file and preprocessing_fn',
    ),
    'two updaters': (
        {'module_file': 'm.py', 'stats_options_updater_fn': 'a.b'},
        'at most one of module_file and stats_options_updater_fn',
    ),
    'cache': (
        {
            'analyzer_cache': types.Channel(type=standard_artifacts.TransformCache),
            'disable_analyzer_cache': True,
        },
        'analyzer_cache must not be given',
    ),
}


@pytest.mark.parametrize('case', WRONG)
def test_wrong_arguments_are_refused_when_the_pipeline_is_built(case):
    arguments, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_module_file_and_preprocessing_fn_may_be_runtime_parameters():
    parameter = RuntimeParameter('function', str)
    for argument in ('module_file', 'preprocessing_fn'):
        carried = make(**{argument: parameter}).exec_properties[argument]
        assert json.loads(str(carried))['name'] == 'function'
    with pytest.raises(ValueError, match='at most one of module_file and preprocessing_fn'):
        make(preprocessing_fn=parameter, module_file='m.py')


def test_centroids_of_another_type_are_refused_by_name():
    channels = [types.Channel(type=Centroids), types.Channel(type=standard_artifacts.Model)]
    with pytest.raises(TypeError, match='centroids_1'):
        make(centroids=channels)
