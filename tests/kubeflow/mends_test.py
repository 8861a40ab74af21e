"""Each thing that TFX's compiler gets wrong: that it does, and that it is mended."""

import concurrent.futures
import json
import re
import threading

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx import v1 as tfx
from tfx.dsl.experimental.conditionals import conditional
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils
from tfx.types.channel import ChannelWrappedPlaceholder

from support import pipelines
from support.custom_nodes import Compare, Consume, Measure, Measured, Produce
from tfx_kmeans import kubeflow, versions
from tfx_kmeans.errors import PipelineError
from tfx_kmeans.kubeflow import conditions, mends

RuntimeParameter = tfx.dsl.experimental.RuntimeParameter


def measuring():
    measure = Measure()
    return pipelines.make(measure, Compare(measured=measure.outputs['measured']))


def test_stock_compiler_refuses_artifact_types_with_properties():
    with pytest.raises(KeyError, match='not expected in artifact type schema'):
        pipelines.compile_stock(measuring())


def test_artifact_properties_are_in_the_schema_of_outputs_and_inputs(tmp_path):
    spec = pipelines.compile_ours(tmp_path, measuring()).spec
    written = spec['components']['Measure']['outputDefinitions']['artifacts']['measured']
    read = spec['components']['Compare']['inputDefinitions']['artifacts']['measured']
    assert read == written
    schema = yaml.safe_load(written['artifactType']['instanceSchema'])
    assert schema == {
        'title': 'support.Measured',
        'type': 'object',
        'properties': {
            'rows': {'type': 'integer'},
            'error': {'type': 'number'},
            'unit': {'type': 'string'},
            'notes': {'type': 'object'},
        },
    }


def test_container_reads_properties_of_the_artifact_it_is_given(tmp_path):
    spec = pipelines.compile_ours(tmp_path, measuring()).spec
    declared = spec['components']['Compare']['inputDefinitions']['artifacts']['measured']
    given = pipeline_spec_pb2.ArtifactList()
    given.artifacts.add(uri='somewhere').metadata.update({'rows': 3, 'unit': 'm'})
    given.artifacts[0].type.instance_schema = declared['artifactType']['instanceSchema']
    parsed = kubeflow_v2_entrypoint_utils.parse_raw_artifact_dict({'measured': given})
    (measured,) = parsed['measured']
    assert isinstance(measured, Measured)
    assert (measured.rows, measured.unit) == (3, 'm')


def test_compiler_is_as_it_was_after_compiling_and_after_a_failure(tmp_path):
    before = compiler_utils.get_artifact_schema
    pipelines.compile_ours(tmp_path, measuring())
    assert compiler_utils.get_artifact_schema is before

    def fail_within():
        with mends.compiling(measuring()):
            assert compiler_utils.get_artifact_schema is not before
            raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        fail_within()
    assert compiler_utils.get_artifact_schema is before


def test_compiler_is_patched_for_lines_of_tfx_that_need_it_alone(monkeypatch):
    before = compiler_utils.get_artifact_schema
    for installed, patched in (('1.16.0', True), ('1.21.0', True), ('1.22.0', False)):
        monkeypatch.setattr(versions, '_installed', {'tfx': installed}.get)
        with mends.compiling(measuring()):
            assert (compiler_utils.get_artifact_schema is not before) == patched


def test_stock_compiler_loses_defaults_of_parameters():
    produce = Produce(word=RuntimeParameter('word', str, 'hello'))
    spec = pipelines.compile_stock(pipelines.make(produce))
    assert spec['root']['inputDefinitions']['parameters'] == {'word': {'parameterType': 'STRING'}}


def test_parameters_keep_their_default_and_description(tmp_path):
    produce = Produce(
        word=RuntimeParameter('word', str, 'hello', 'what to say'),
        number=RuntimeParameter('number', int, 0),
        share=RuntimeParameter('share', float),
    )
    spec = pipelines.compile_ours(tmp_path, pipelines.make(produce)).spec
    assert spec['root']['inputDefinitions']['parameters'] == {
        'word': {
            'parameterType': 'STRING',
            'defaultValue': 'hello',
            'isOptional': True,
            'description': 'what to say',
        },
        'number': {'parameterType': 'NUMBER_INTEGER', 'defaultValue': 0, 'isOptional': True},
        'share': {'parameterType': 'NUMBER_DOUBLE'},
    }
    _, given = pipelines.parameter_of(spec, 'Produce', 'word')
    assert given == {'componentInputParameter': 'word'}


def condition_and_inputs(spec):
    """The input that the condition of Consume looks at, and the inputs that it has."""
    condition = spec['root']['dag']['tasks']['Consume']['triggerPolicy']['condition']
    (key,) = re.findall(r"inputs\.artifacts\['(.*?)'\]", condition)
    return key, set(spec['components']['Consume']['inputDefinitions']['artifacts'])


def test_stock_compiler_names_a_missing_input_in_a_condition():
    key, inputs = condition_and_inputs(pipelines.compile_stock(pipelines.conditional()))
    assert key not in inputs


def test_condition_names_the_input_that_the_node_consumes(tmp_path):
    pipeline = pipelines.conditional()
    for _ in range(2):  # TFX's compiler leaves other keys behind than it found
        key, inputs = condition_and_inputs(pipelines.compile_ours(tmp_path, pipeline).spec)
        assert key == 'verdict'
        assert inputs == {'trained', 'verdict'}


STRANGE = 'it\'s "ok" \\ {{workflow.name}}\n'


def strange_condition():
    produce = Produce()
    blessing = produce.outputs['blessing'].future()[0]
    with tfx.dsl.Cond(blessing.custom_property("why'") == STRANGE):
        consume = Consume(verdict=produce.outputs['blessing'])
    return pipelines.make(produce, consume)


def test_stock_compiler_breaks_conditions_on_strings_with_quotes():
    spec = pipelines.compile_stock(strange_condition())
    with pytest.raises(ValueError, match='syntax error'):
        conditions.check(spec['root']['dag']['tasks']['Consume']['triggerPolicy']['condition'])


def test_condition_compares_with_the_string_as_it_was_given(tmp_path):
    spec = pipelines.compile_ours(tmp_path, strange_condition()).spec
    condition = spec['root']['dag']['tasks']['Consume']['triggerPolicy']['condition']
    told = pipeline_spec_pb2.ExecutorInput()
    artifact = told.inputs.artifacts['verdict'].artifacts.add()
    artifact.metadata.update({"why'": STRANGE})
    assert conditions.holds(condition, told)
    artifact.metadata.update({"why'": STRANGE[:-1]})
    assert not conditions.holds(condition, told)


def remembered(pipeline):
    """What a pipeline has that its compilation could change."""
    return [
        (
            node.id,
            {name: id(channel) for name, channel in node.inputs.items()},
            dict(node.exec_properties),
            [
                part.key
                for predicate in conditional.get_predicates(node, pipeline.dsl_context_registry)
                for part in predicate.traverse()
                if isinstance(part, ChannelWrappedPlaceholder)
            ],
        )
        for node in pipeline.components
    ]


def test_a_pipeline_is_as_it_was_after_it_was_compiled_validated_or_refused(tmp_path):
    pipeline = pipelines.conditional()
    before = remembered(pipeline)
    assert before[1][-1] == ['_Produce.blessing']
    pipelines.compile_ours(tmp_path, pipeline)
    kubeflow.validate(pipeline)
    assert remembered(pipeline) == before
    pipeline.pipeline_info.pipeline_name = 'A_name'
    with pytest.raises(PipelineError):
        kubeflow.validate(pipeline)
    assert remembered(pipeline) == before


def test_pipelines_compile_in_several_threads_at_once_and_leave_the_compiler_as_it_was(tmp_path):
    before = compiler_utils.get_artifact_schema, compiler_utils.placeholder_to_cel
    shared = pipelines.conditional()
    expected = pipelines.compile_ours(tmp_path, shared).spec
    start = threading.Barrier(8)

    def compile_one(number):
        (directory := tmp_path / str(number)).mkdir()
        start.wait()
        if number % 2:
            return pipelines.compile_ours(directory, shared).spec == expected
        made = pipelines.compile_ours(directory, measuring()).spec
        return 'properties' in json.dumps(made['components']['Measure'])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(compile_one, range(8)))
    assert (compiler_utils.get_artifact_schema, compiler_utils.placeholder_to_cel) == before


def test_stock_compiler_makes_numbers_of_booleans():
    spec = pipelines.compile_stock(pipelines.make(Produce(flag=True)))
    declared, given = pipelines.parameter_of(spec, 'Produce', 'flag')
    assert declared == {'parameterType': 'NUMBER_INTEGER'}
    assert given['runtimeValue']['constant'] is not True


def test_booleans_arrive_as_booleans_and_integers_as_integers(tmp_path):
    spec = pipelines.compile_ours(tmp_path, pipelines.make(Produce(flag=True, number=1))).spec
    arguments = spec['deploymentSpec']['executors']['Produce_executor']['container']['args']
    told = json.loads(arguments[arguments.index('--json_serialized_inputs_spec_args') + 1])
    assert told == spec['components']['Produce']['inputDefinitions']

    tasks = spec['root']['dag']['tasks']['Produce']['inputs']['parameters']
    values = {name: given['runtimeValue']['constant'] for name, given in tasks.items()}
    inputs_spec = json_format.ParseDict(told, pipeline_spec_pb2.ComponentInputsSpec())
    given = json_format.ParseDict(
        {'parameterValues': values}, pipeline_spec_pb2.ExecutorInput.Inputs()
    )
    parsed = kubeflow_v2_entrypoint_utils.parse_execution_properties(
        given.parameter_values, {}, inputs_spec
    )
    assert parsed['flag'] is True
    assert parsed['number'] == 1
    assert type(parsed['number']) is int


def example_gen(*others):
    resources = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec
    node = tfx.components.CsvExampleGen(input_base='/data')
    node.with_platform_config(resources(cpu_limit=2.0))
    return pipelines.make(node, *others)


def test_stock_compiler_forgets_the_platform_config_of_an_example_gen():
    spec = pipelines.compile_stock(example_gen())
    container = spec['deploymentSpec']['executors']['CsvExampleGen_executor']['container']
    assert 'resources' not in container


def test_example_gen_keeps_its_platform_config(tmp_path):
    spec = pipelines.compile_ours(tmp_path, example_gen()).spec
    container = spec['deploymentSpec']['executors']['CsvExampleGen_executor']['container']
    assert container['resources'] == {'cpuLimit': 2.0}


def test_mending_what_is_right_changes_nothing(tmp_path):
    pipeline = example_gen(Produce(flag=True, word=RuntimeParameter('word', str, 'hello')))
    spec = pipelines.compile_ours(tmp_path, pipeline).spec
    before = json.dumps(spec)
    mends.mend(spec, pipeline)
    assert json.dumps(spec) == before
