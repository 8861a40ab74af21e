"""What is refused, and what each message advises."""

import copy
import pathlib
import subprocess
import sys

import pytest
from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.base import executor_spec
from tfx.types import channel, standard_artifacts

from support import custom_nodes, pipelines
from support.custom_nodes import Consume, Count, Produce
from tfx_kmeans import kubeflow
from tfx_kmeans.errors import PipelineError
from tfx_kmeans.kubeflow import PersistentVolume, Settings, ir

RuntimeParameter = tfx.dsl.experimental.RuntimeParameter


def resolver():
    latest = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        model=types.Channel(type=standard_artifacts.Model),
    ).with_id('latest')
    return pipelines.make(latest, Consume(trained=latest.outputs['model']))


def future_value():
    count = Count()
    value = count.outputs['rows'].future()[0].value
    return pipelines.make(count, Consume(number=value))


def union():
    first, second = Produce().with_id('First'), Produce().with_id('Second')
    both = channel.union([first.outputs['model'], second.outputs['model']])
    return pipelines.make(first, second, Consume(trained=both))


def without_producer():
    return pipelines.make(Consume(trained=types.Channel(type=standard_artifacts.Model)))


def infra_validator():
    produce = Produce()
    validator = tfx.components.InfraValidator(
        model=produce.outputs['model'], serving_spec=tfx.proto.ServingSpec()
    )
    return pipelines.make(produce, validator)


def nested_pipeline():
    return pipelines.make(pipelines.make(Produce(), name='inner').with_id('inner'))


def conditional_importer():
    produce = Produce()
    with tfx.dsl.Cond(produce.outputs['blessing'].future()[0].custom_property('blessed') == 1):
        warm = tfx.dsl.Importer('gs://b/model', artifact_type=standard_artifacts.Model)
        warm = warm.with_id('warm')
    return pipelines.make(produce, warm)


def condition_on_a_value():
    count = Count()
    with tfx.dsl.Cond(count.outputs['rows'].future()[0].value > 1):
        produce = Produce()
    return pipelines.make(count, produce)


def trainer(train_args, custom_config=None):
    produced = [
        tfx.dsl.Importer(f'gs://b/{kind.__name__}', artifact_type=kind).with_id(kind.__name__)
        for kind in (standard_artifacts.Examples, standard_artifacts.TransformGraph)
    ]
    examples, graph = (node.outputs['result'] for node in produced)
    node = tfx.components.Trainer(
        run_fn='a.run_fn',
        examples=examples,
        transform_graph=graph,
        train_args=train_args,
        eval_args=tfx.proto.EvalArgs(num_steps=1),
        custom_config=custom_config,
    )
    return pipelines.make(*produced, node)


def in_the_script():
    produce = Produce()
    executor = type('Executor', (produce.executor_spec.executor_class,), {'__module__': '__main__'})
    produce.executor_spec = executor_spec.ExecutorClassSpec(executor)
    return pipelines.make(produce)


def contradicting():
    return pipelines.make(
        Produce(word=RuntimeParameter('word', str, 'a')).with_id('First'),
        Produce(word=RuntimeParameter('word', str, 'b')).with_id('Second'),
    )


ON_BOTH = {
    'pipeline name': (
        lambda: pipelines.make(Produce(), name='Taxi_pipeline'),
        "pipeline_name 'Taxi_pipeline' must have lower-case letters, digits and hyphens alone, at "
        "most 128; call it 'taxi-pipeline'",
    ),
    'type name': (
        lambda: pipelines.make(custom_nodes.Forget()),
        "Forget: TYPE_NAME 'Nameless' of artifact type Nameless must be that of a package of 3 to "
        "21 lower-case characters, a dot and a class of 3 to 50, such as 'my_package.Nameless'",
    ),
    'name of a standard type': (
        lambda: pipelines.make(custom_nodes.Pretend()),
        "Pretend: TYPE_NAME 'Model' of artifact type Model must be",
    ),
    'import': (
        lambda: pipelines.make(custom_nodes.Hide()),
        "Hide: TYPE_NAME 'support.Hidden' of artifact type Hidden must also import it: the "
        'container runs `from support import Hidden`',
    ),
    'future value': (
        future_value,
        'Consume: number is known only when the pipeline runs',
        'make the value an input artifact and read it in the executor',
    ),
    'union': (
        union,
        'Consume: input trained is a UnionChannel',
        'give the component an input for each',
    ),
    'no producer': (
        without_producer,
        'Consume: input trained is a channel that no node writes; import the artifact with '
        'tfx.dsl.Importer',
    ),
    'infra validator': (
        infra_validator,
        'InfraValidator: InfraValidator does not compile for Kubeflow; leave it out',
    ),
    'nested pipeline': (
        nested_pipeline,
        'inner: a pipeline in a pipeline does not compile; add its components to the outer one',
    ),
    'condition': (
        condition_on_a_value,
        'Produce: the condition does not compile',
        "future()[0].custom_property('blessed') == 1",
    ),
    'parameter in a message': (
        lambda: trainer({'num_steps': RuntimeParameter('steps', int, 5)}),
        'Trainer: train_args has a RuntimeParameter within',
        """RuntimeParameter('train_args', str, '{"num_steps": 100}')""",
    ),
    'parameter in a configuration': (
        lambda: trainer('{"num_steps": 5}', {'a': ['b', RuntimeParameter('c', str)]}),
        'Trainer: custom_config has a RuntimeParameter within',
    ),
    'contradicting parameters': (
        contradicting,
        "RuntimeParameter 'word' has type and default",
        'declare it once and pass that',
    ),
    'executor of the script': (
        in_the_script,
        'Produce: its executor is defined in the script that is run',
        'move it into a module that is installed in the image',
    ),
}  # fmt: skip
ON_OPEN_SOURCE_BACKENDS = {
    'underscore': (
        lambda: pipelines.make(Produce().with_id('My_node')),
        'My_node: a node id takes letters, digits and hyphens alone',
        "use .with_id('My-node')",
    ),
    'digit': (
        lambda: pipelines.make(Produce().with_id('1a')),
        '1a: a node id takes letters, digits and hyphens alone, begins with a letter',
        "use .with_id('node-1a')",
    ),
    'tag in a constant': (
        lambda: pipelines.make(Produce(word='{{inputs.parameters.x}}')),
        'Produce: its task holds {{inputs.parameters.x}}, which Argo fills in or stumbles over',
    ),
    'import from another bucket': (
        lambda: pipelines.make(
            tfx.dsl.Importer('minio://b/m', artifact_type=standard_artifacts.Model).with_id('warm')
        ),
        "warm: it imports 'minio://b/m', and the backend reads artifacts only from the bucket that "
        'the run writes to, minio://bucket; copy it there, or choose a pipeline_root',
    ),
    'dot': (lambda: pipelines.make(Produce().with_id('a.b')), "a.b: a node id", "with_id('a-b')"),
    'root': (lambda: pipelines.make(Produce().with_id('root')), "use .with_id('root-node')"),
    'driver': (
        lambda: pipelines.make(Produce(), Produce().with_id('Produce-driver')),
        "Produce: Produce-driver is the id of another node and the backend's name of a part",
    ),
    'resolver': (
        resolver,
        'latest: the backend has no Resolver; use tfx.dsl.Importer with the URI of the artifact, '
        'which may be a RuntimeParameter',
    ),
    'importer in a condition': (
        conditional_importer,
        'warm: the backend runs an Importer whatever the condition; take it out of tfx.dsl.Cond',
    ),
}  # fmt: skip


@pytest.mark.parametrize('case', [*ON_BOTH, *ON_OPEN_SOURCE_BACKENDS])
def test_what_an_open_source_backend_cannot_run_is_refused_with_advice(case):
    build, *parts = {**ON_BOTH, **ON_OPEN_SOURCE_BACKENDS}[case]
    with pytest.raises(PipelineError) as refused:
        kubeflow.validate(build())
    (problem,) = refused.value.problems
    for part in parts:
        assert part in problem
        assert part in str(refused.value)


@pytest.mark.parametrize('case', ON_BOTH)
def test_what_vertex_cannot_run_is_refused_with_advice(case):
    build, *parts = ON_BOTH[case]
    with pytest.raises(PipelineError) as refused:
        kubeflow.validate(build(), vertex=True)
    problem, root = sorted(refused.value.problems, key=lambda problem: 'gs://' in problem)
    assert parts[0] in problem
    assert root == "pipeline_root 'minio://bucket/root' must be on gs:// for Vertex"


@pytest.mark.parametrize('case', ON_OPEN_SOURCE_BACKENDS)
def test_vertex_is_spared_what_only_open_source_backends_cannot_run(case):
    pipeline = ON_OPEN_SOURCE_BACKENDS[case][0]()
    pipeline.pipeline_info.pipeline_root = 'gs://bucket/root'
    kubeflow.validate(pipeline, vertex=True)


def test_all_problems_come_in_one_error():
    pipeline = pipelines.make(
        custom_nodes.Forget().with_id('a_b'), custom_nodes.Hide(), name='A_pipeline'
    )
    with pytest.raises(PipelineError) as refused:
        kubeflow.validate(pipeline)
    assert len(refused.value.problems) == 4
    assert str(refused.value).startswith(
        '4 problems with the pipeline on Kubeflow Pipelines:\n  - '
    )


def test_a_pipeline_that_can_run_passes():
    kubeflow.validate(pipelines.conditional())


def with_module_file(tmp_path, root):
    module = tmp_path / 'second_stage.py'
    module.write_text('def preprocessing_fn(inputs):\n    return inputs\n')
    gen = tfx.components.CsvExampleGen(input_base='/data')
    schema = tfx.components.ImportSchemaGen(schema_file='/schema.pbtxt')
    transform = tfx.components.Transform(
        examples=gen.outputs['examples'],
        schema=schema.outputs['schema'],
        module_file=str(module),
    )
    return pipelines.make(gen, schema, transform, root=root)


@pytest.mark.parametrize('root', ['minio://bucket/root', 's3://bucket/root', '/tmp/root', ''])
def test_module_file_is_refused_where_no_container_finds_its_wheel(tmp_path, root):
    with pytest.raises(PipelineError) as refused:
        kubeflow.validate(with_module_file(tmp_path, root))
    (problem,) = refused.value.problems
    assert 'Transform: module_file' in problem
    assert f'is packaged into pipeline_root {root!r} on this machine' in problem
    assert 'install the module in the image' in problem


def test_module_file_may_be_packaged_into_a_volume_that_the_node_mounts(tmp_path):
    pipeline = with_module_file(tmp_path, str(tmp_path / 'volume' / 'root'))
    settings = Settings(volumes=[PersistentVolume('claim', str(tmp_path / 'volume'))])
    compiled = pipelines.compile_ours(tmp_path, pipeline, nodes={'Transform': settings})
    _, given = pipelines.parameter_of(compiled.spec, 'Transform', 'module_path')
    _, wheel = given['runtimeValue']['constant'].split('@')
    assert (tmp_path / 'volume') in pathlib.Path(wheel).parents
    assert pathlib.Path(wheel).exists()


def test_module_file_may_be_packaged_into_cloud_storage(tmp_path):
    kubeflow.validate(with_module_file(tmp_path, 'gs://bucket/root'))


@pytest.fixture
def compiled(tmp_path):
    """A compiled pipeline, to be damaged."""
    produce = Produce(
        word=RuntimeParameter('word', str, 'hello'),
        number=RuntimeParameter('number', int),
        share=RuntimeParameter('share', float, 0.5),
    )
    consume = Consume(trained=produce.outputs['model'])
    settings = Settings(node_selector={'a': 'b'})
    made = pipelines.compile_ours(tmp_path, pipelines.make(produce, consume), settings=settings)
    return ir.Compiled(copy.deepcopy(made.spec), copy.deepcopy(made.platforms))


PARAMETERS = {
    'missing': ({}, "parameter 'number' has no value and no default; give it one"),
    'type': ({'number': 'many'}, "parameter 'number' must be an integer, not 'many'"),
    'bool': ({'number': True}, "parameter 'number' must be an integer, not True"),
    'fraction': ({'number': 2.5}, "parameter 'number' must be an integer, not 2.5"),
    'string': ({'number': 1, 'word': 3}, "parameter 'word' must be a string, not 3"),
    'spelling': ({'number': 1, 'wrd': 'a'}, "'wrd' is none of the pipeline; did you mean 'word'?"),
    'tag': ({'number': 1, 'word': '{{=1+1}}'}, "parameter 'word' holds {{=1+1}}, which Argo fills"),
    'unknown': ({'number': 1, 'x': 1}, r"it has ['number', 'share', 'word']"),
}


@pytest.mark.parametrize('case', PARAMETERS)
def test_parameters_that_the_run_would_lack_are_refused(compiled, case):
    values, message = PARAMETERS[case]
    with pytest.raises(PipelineError) as refused:
        kubeflow.validate(compiled, parameters=values)
    (problem,) = refused.value.problems
    assert message in problem


def test_parameters_of_a_pipeline_are_checked_before_it_is_compiled():
    pipeline = pipelines.make(Produce(number=RuntimeParameter('number', int)))
    kubeflow.validate(pipeline)
    kubeflow.validate(pipeline, parameters={'number': 1})
    with pytest.raises(PipelineError, match="parameter 'number' has no value and no default"):
        kubeflow.validate(pipeline, parameters={})


def test_parameters_with_values_or_defaults_pass(compiled):
    kubeflow.validate(compiled)
    kubeflow.validate(compiled, parameters={'number': 3})
    kubeflow.validate(compiled, parameters={'number': 3, 'share': 1, 'word': ''})


def old_schema(compiled):
    compiled.spec['schemaVersion'] = '2.0.0'


def unknown_field(compiled):
    compiled.spec['root']['dag']['tasks']['Consume']['retries'] = 3


def unknown_field_of_a_container(compiled):
    container = compiled.spec['deploymentSpec']['executors']['Consume_executor']['container']
    container['cpu'] = 3


def no_image(compiled):
    compiled.spec['deploymentSpec']['executors']['Consume_executor']['container']['image'] = ''


def resolving(compiled):
    compiled.spec['deploymentSpec']['executors']['Consume_executor'] = {'resolver': {}}


def no_executor(compiled):
    del compiled.spec['deploymentSpec']['executors']['Consume_executor']
    compiled.platforms.clear()


def no_component(compiled):
    del compiled.spec['components']['Consume']


def no_producer(compiled):
    del compiled.spec['root']['dag']['tasks']['Produce']


def missing_output(compiled):
    inputs = compiled.spec['root']['dag']['tasks']['Consume']['inputs']['artifacts']
    inputs['trained']['taskOutputArtifact']['outputArtifactKey'] = 'modell'


def value_of_a_task(compiled):
    inputs = compiled.spec['root']['dag']['tasks']['Consume']['inputs']
    output = {'producerTask': 'Produce_task', 'outputParameterKey': 'number'}
    inputs['parameters'] = {'number': {'taskOutputParameter': output}}


def condition_on_a_missing_input(compiled):
    condition = "inputs.artifacts['_Produce.model'].artifacts[0].uri == 'a'"
    compiled.spec['root']['dag']['tasks']['Consume']['triggerPolicy'] = {'condition': condition}


def unknown_platform(compiled):
    compiled.platforms['nomad'] = {}


def unknown_executor(compiled):
    executors = compiled.platforms['kubernetes']['deploymentSpec']['executors']
    executors['Trainer_executor'] = {}


def tag_in_an_argument(compiled):
    container = compiled.spec['deploymentSpec']['executors']['Consume_executor']['container']
    container['args'].append('--x={{ workflow.uid }}')


def condition_of_wrong_types(compiled):
    task = compiled.spec['root']['dag']['tasks']['Consume']
    task['triggerPolicy'] = {'condition': "inputs.artifacts['trained'].artifacts[0].uri == 1.0"}


def name_of_a_variable(compiled):
    container = compiled.spec['deploymentSpec']['executors']['Consume_executor']['container']
    container['env'] = [{'name': '1A', 'value': ''}]


def toleration(compiled):
    executors = compiled.platforms['kubernetes']['deploymentSpec']['executors']
    executors['Consume_executor']['tolerations'] = [{'operator': 'Exists', 'value': 'a'}]


def claim_of_a_name_that_none_has(compiled):
    executors = compiled.platforms['kubernetes']['deploymentSpec']['executors']
    executors['Consume_executor']['pvcMount'] = [{'constant': 'A_b', 'mountPath': '/a'}]


def label(compiled):
    executors = compiled.platforms['kubernetes']['deploymentSpec']['executors']
    executors['Consume_executor']['nodeSelector'] = {'labels': {'a b': 'c'}}


def no_name(compiled):
    compiled.spec['pipelineInfo']['name'] = ''


DAMAGES = {
    old_schema: ("schemaVersion is '2.0.0' and must be '2.1.0'", 'use_pipeline_spec_2_1=True'),
    unknown_field: ('has no field named "retries"', 'compile it again'),
    unknown_field_of_a_container: ('has no field named "cpu"', 'compile it again'),
    no_image: ('Consume: its container has no image; name one',),
    resolving: ('Consume: the backend has no Resolver; use tfx.dsl.Importer',),
    no_executor: ("Consume: its executor 'Consume_executor' is missing; compile it again",),
    no_component: ("Consume: its component {'name': 'Consume'} is missing; compile it again",),
    no_producer: ('Consume: its input trained comes from', 'which no task gives'),
    missing_output: ('Consume: its input trained comes from', 'modell'),
    value_of_a_task: ('Consume: its parameter number comes from', 'make the value an input'),
    condition_on_a_missing_input: (
        "Consume: its condition looks for the input '_Produce.model', and it has ['trained']",
    ),
    unknown_platform: ("the platform 'nomad' is unknown to the backend; it has kubernetes",),
    unknown_executor: ("Kubernetes settings name the executor 'Trainer_executor'",),
    tag_in_an_argument: ('Consume_executor: its executor holds {{ workflow.uid }}, which Argo',),
    condition_of_wrong_types: ('Consume: condition', "'==' does not go with string, double"),
    name_of_a_variable: ('Consume_executor: each name in env must be', "not '1A'"),
    toleration: ("Consume_executor: tolerations: a Toleration with operator 'Exists'",),
    claim_of_a_name_that_none_has: ('Consume_executor: pvcMount: claim', "not 'A_b'"),
    label: ('Consume_executor: each label in nodeSelector must be', "not 'a b'"),
    no_name: ('pipelineInfo.name is empty; give the pipeline a name',),
}


@pytest.mark.parametrize('damage', DAMAGES, ids=lambda damage: damage.__name__)
def test_compiled_pipelines_that_the_backend_cannot_run_are_refused(compiled, damage):
    damage(compiled)
    with pytest.raises(PipelineError) as refused:
        kubeflow.validate(compiled)
    assert len(refused.value.problems) == 1
    for part in DAMAGES[damage]:
        assert part in str(refused.value)


def importing(default=None):
    warm = tfx.dsl.Importer(
        RuntimeParameter('warm', str, default), artifact_type=standard_artifacts.Model
    ).with_id('warm')
    return pipelines.make(warm, Consume(trained=warm.outputs['result']))


def test_an_import_by_parameter_is_judged_by_the_value_and_the_root_of_the_run(tmp_path):
    compiled = pipelines.compile_ours(tmp_path, importing('gs://other/model'))
    kubeflow.validate(compiled)  # its value is not known yet
    kubeflow.validate(compiled, parameters={'warm': 'minio://bucket/model'})
    kubeflow.validate(compiled, parameters={}, pipeline_root='gs://other/root')
    for parameters, root in (
        ({}, None),
        ({'warm': 'minio://bucket-2/model'}, None),
        ({'warm': 'minio://bucket/model'}, 's3://bucket/root'),
    ):
        with pytest.raises(PipelineError, match=r'warm: it imports .*, and the backend reads'):
            kubeflow.validate(compiled, parameters=parameters, pipeline_root=root)


def test_an_import_passes_where_the_root_of_the_run_is_not_known(tmp_path):
    pipeline = importing('gs://other/model')
    pipeline.pipeline_info.pipeline_root = str(tmp_path)
    kubeflow.validate(pipeline, parameters={})


def test_a_file_is_validated_without_loading_tfx(compiled, tmp_path):
    path = tmp_path / 'pipeline.yaml'
    path.write_text(compiled.to_text())
    code = (
        'import sys; from tfx_kmeans import kubeflow; '
        f'kubeflow.validate({str(path)!r}, parameters={{"number": 1}}); '
        'print({"tfx", "tensorflow"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == 'set()', done.stderr
