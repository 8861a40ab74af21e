import json

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx import v1 as tfx

from support import pipelines
from support.custom_nodes import Consume, Produce
from tfx_kmeans import Centroids, ClusterTransform, kubeflow
from tfx_kmeans.errors import PipelineError
from tfx_kmeans.kubeflow import (
    PersistentVolume,
    SecretEnv,
    SecretVolume,
    Settings,
    Toleration,
    compiler,
    ir,
)


def two_nodes(**options):
    produce = Produce()
    consume = Consume(trained=produce.outputs['model'])
    return pipelines.make(produce, consume, **options)


def container_of(compiled, node_id):
    return compiled.spec['deploymentSpec']['executors'][f'{node_id}_executor']['container']


def task_of(compiled, node_id):
    return compiled.spec['root']['dag']['tasks'][node_id]


def test_open_source_file_is_bare_ir_that_parses_strictly(tmp_path):
    compiled = pipelines.compile_ours(tmp_path, two_nodes())
    (document,) = yaml.safe_load_all((tmp_path / 'pipeline.yaml').read_text())
    assert document == compiled.spec
    spec = json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
    assert spec.schema_version == '2.1.0'
    assert spec.default_pipeline_root == 'minio://bucket/root'
    assert list(spec.root.dag.tasks['Consume'].dependent_tasks) == ['Produce']
    assert tuple(container_of(compiled, 'Produce')['command']) == compiler.COMMAND


def test_a_local_pipeline_root_stays_out_of_the_file(tmp_path):
    compiled = pipelines.compile_ours(tmp_path, two_nodes(root=str(tmp_path / 'root')))
    assert 'defaultPipelineRoot' not in compiled.spec


def test_vertex_file_is_a_job_with_the_entrypoint_of_tfx(tmp_path):
    pipeline = two_nodes(root='gs://bucket/root')
    compiled = pipelines.compile_ours(tmp_path, pipeline, vertex=True)
    written = json.loads((tmp_path / 'pipeline.json').read_text())
    job = json_format.ParseDict(written, pipeline_spec_pb2.PipelineJob())
    assert job.runtime_config.gcs_output_directory == 'gs://bucket/root'
    assert job.pipeline_spec['schemaVersion'] == '2.1.0'
    assert 'defaultPipelineRoot' not in compiled.spec
    command = container_of(compiled, 'Produce')['command']
    assert command[-1] == 'tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor'


def test_vertex_gets_the_spec_of_the_stock_compiler_where_nothing_is_mended(tmp_path):
    ours = pipelines.compile_ours(tmp_path, two_nodes(root='gs://bucket/root'), vertex=True).spec
    stock = pipelines.compile_stock(two_nodes(root='gs://bucket/root'))
    for task in stock['root']['dag']['tasks'].values():
        task.setdefault('cachingOptions', {'enableCache': False})
    assert ours == stock


def test_compiling_twice_gives_the_same_file(tmp_path):
    pipeline = pipelines.conditional()
    first = pipelines.compile_ours(tmp_path, pipeline)
    assert pipelines.compile_ours(tmp_path, pipeline) == first


def test_directories_of_the_output_are_made(tmp_path):
    output = tmp_path / 'new' / 'directory' / 'pipeline.yml'
    kubeflow.compile(two_nodes(), output, 'image')
    assert ir.Compiled.read(output).spec['pipelineInfo'] == {'name': 'small'}


@pytest.mark.parametrize(
    ('output', 'vertex'), [('p.json', False), ('p.yaml', True), ('pipeline', False)]
)
def test_output_must_have_the_suffix_of_its_format(tmp_path, output, vertex):
    with pytest.raises(ValueError, match=f'output must end in .* with vertex={vertex}, not'):
        kubeflow.compile(two_nodes(), tmp_path / output, 'image', vertex=vertex)


def test_settings_reach_the_container_and_the_task(tmp_path):
    settings = Settings(
        image='special', cpu_limit=4, retries=2, retry_delay=30, env={'B': '2', 'A': '1'}
    )
    compiled = pipelines.compile_ours(tmp_path, two_nodes(), nodes={'Consume': settings})
    container = container_of(compiled, 'Consume')
    assert container['image'] == 'special'
    assert container['resources'] == {'cpuLimit': 4.0}
    assert container['env'] == [{'name': 'A', 'value': '1'}, {'name': 'B', 'value': '2'}]
    assert task_of(compiled, 'Consume')['retryPolicy']['maxRetryCount'] == 2
    assert container_of(compiled, 'Produce')['image'] == 'image'
    assert 'retryPolicy' not in task_of(compiled, 'Produce')


def test_settings_of_all_nodes_reach_each_and_a_node_may_differ(tmp_path):
    compiled = pipelines.compile_ours(
        tmp_path,
        two_nodes(),
        settings=Settings(retries=3, env={'A': '1'}),
        nodes={'Consume': Settings(retries=0, env={'B': '2'})},
    )
    assert task_of(compiled, 'Produce')['retryPolicy']['maxRetryCount'] == 3
    assert 'retryPolicy' not in task_of(compiled, 'Consume')
    names = [variable['name'] for variable in container_of(compiled, 'Consume')['env']]
    assert names == ['A', 'B']


def test_resources_of_tfx_and_ours_are_laid_over_each_other(tmp_path):
    resources = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec
    produce = Produce().with_platform_config(resources(cpu_limit=2.0, memory_limit=8.0))
    compiled = pipelines.compile_ours(
        tmp_path, pipelines.make(produce), nodes={'Produce': Settings(cpu_limit=3)}
    )
    assert container_of(compiled, 'Produce')['resources'] == {'cpuLimit': 3.0, 'memoryLimit': 8.0}


def test_kubernetes_settings_are_the_second_document_by_executor(tmp_path):
    settings = Settings(
        node_selector={'pool': 'gpu'},
        tolerations=[Toleration('nvidia.com/gpu', effect='NoExecute', seconds=60)],
        secrets=[SecretEnv('s3', {'key': 'AWS_ACCESS_KEY_ID'}), SecretVolume('tls', '/tls')],
        volumes=[PersistentVolume('trips', '/data')],
        pull_secrets=['registry'],
        pull_policy='Always',
    )
    pipelines.compile_ours(tmp_path, two_nodes(), nodes={'Consume': settings})
    _, platforms = yaml.safe_load_all((tmp_path / 'pipeline.yaml').read_text())
    executors = platforms['platforms']['kubernetes']['deploymentSpec']['executors']
    assert executors == {
        'Consume_executor': {
            'nodeSelector': {'labels': {'pool': 'gpu'}},
            'tolerations': [
                {
                    'key': 'nvidia.com/gpu',
                    'operator': 'Exists',
                    'effect': 'NoExecute',
                    'tolerationSeconds': 60,
                }
            ],
            'secretAsEnv': [
                {
                    'secretName': 's3',
                    'keyToEnv': [{'secretKey': 'key', 'envVar': 'AWS_ACCESS_KEY_ID'}],
                }
            ],
            'secretAsVolume': [{'secretName': 'tls', 'mountPath': '/tls'}],
            'pvcMount': [{'constant': 'trips', 'mountPath': '/data'}],
            'imagePullSecret': [{'secretName': 'registry'}],
            'imagePullPolicy': 'Always',
        }
    }
    json_format.ParseDict(platforms, pipeline_spec_pb2.PlatformSpec())


@pytest.mark.parametrize(
    ('vertex', 'enable_cache', 'cached'),
    [
        (False, True, {'CsvExampleGen': False, 'StatisticsGen': True, 'Again': True}),
        (False, False, {'CsvExampleGen': False, 'StatisticsGen': False, 'Again': True}),
        # Vertex asks ExampleGen's driver, which looks at the data
        (True, True, {'CsvExampleGen': True, 'StatisticsGen': True, 'Again': True}),
    ],
)
def test_nodes_that_read_what_arguments_only_name_are_not_cached(
    tmp_path, vertex, enable_cache, cached
):
    gen = tfx.components.CsvExampleGen(input_base='/data')
    statistics = tfx.components.StatisticsGen(examples=gen.outputs['examples'])
    again = tfx.components.CsvExampleGen(input_base='/constant').with_id('Again')
    pipeline = pipelines.make(
        gen, statistics, again, root='gs://bucket/root', enable_cache=enable_cache
    )
    compiled = pipelines.compile_ours(
        tmp_path, pipeline, vertex=vertex, nodes={'Again': Settings(cache=True)}
    )
    found = {node: task_of(compiled, node)['cachingOptions']['enableCache'] for node in cached}
    assert found == cached


def importing():
    warm = tfx.dsl.Importer(
        source_uri=tfx.dsl.experimental.RuntimeParameter('warm', str, 'gs://bucket/model'),
        artifact_type=tfx.types.standard_artifacts.Model,
    ).with_id('warm')
    return pipelines.make(warm, Consume(trained=warm.outputs['result']))


def test_an_importer_takes_its_uri_from_a_parameter(tmp_path):
    compiled = pipelines.compile_ours(tmp_path, importing(), settings=Settings(retries=1))
    importer = compiled.spec['deploymentSpec']['executors']['warm_executor']['importer']
    assert importer['artifactUri'] == {'runtimeParameter': 'artifact_uri'}
    given = task_of(compiled, 'warm')['inputs']['parameters']['artifact_uri']
    assert given == {'componentInputParameter': 'warm'}
    declared = compiled.spec['root']['inputDefinitions']['parameters']['warm']
    assert declared['defaultValue'] == 'gs://bucket/model'


def equal_transforms(tmp_path, **options):
    gen = tfx.components.CsvExampleGen(input_base='/data')
    schema = tfx.components.ImportSchemaGen(schema_file='/schema.pbtxt')
    common = {
        'examples': gen.outputs['examples'],
        'schema': schema.outputs['schema'],
        'preprocessing_fn': 'support.preprocessing.preprocessing_fn',
    }
    first = tfx.components.Transform(**common).with_id('First')
    second = tfx.components.Transform(**common, **options).with_id('Second')
    compiled = pipelines.compile_ours(tmp_path, pipelines.make(gen, schema, first, second))
    return container_of(compiled, 'First'), container_of(compiled, 'Second')


def test_equal_containers_differ_where_their_outputs_do(tmp_path):
    first, second = equal_transforms(tmp_path, materialize=False)
    assert second == {**first, 'env': [{'name': 'KFP_COMPONENT', 'value': 'Second'}]}


def test_equal_nodes_share_a_container(tmp_path):
    first, second = equal_transforms(tmp_path)
    assert first == second


WRONG_SETTINGS = {
    'unknown node': (
        {'nodes': {'Trainer': Settings()}},
        r"nodes has settings for 'Trainer'; the pipeline has \['Consume', 'warm'\]",
    ),
    'importer': ({'nodes': {'warm': Settings(retries=1)}}, 'warm: it runs no container'),
    'kubernetes on vertex': (
        {'vertex': True, 'settings': Settings(node_selector={'a': 'b'}, pull_policy='Always')},
        'Consume: node_selector, pull_policy: Vertex runs no Kubernetes pods',
    ),
    'gpu on vertex': (
        {'vertex': True, 'nodes': {'Consume': Settings(gpus=1)}},
        "Consume: gpus needs a gpu_type on Vertex, such as 'NVIDIA_TESLA_T4'",
    ),
}


@pytest.mark.parametrize('case', WRONG_SETTINGS)
def test_settings_that_cannot_be_applied_are_refused(tmp_path, case):
    options, message = WRONG_SETTINGS[case]
    with pytest.raises(PipelineError, match=message):
        pipelines.compile_ours(tmp_path, importing(), **options)


def test_nothing_is_written_when_a_pipeline_is_refused(tmp_path):
    with pytest.raises(PipelineError):
        pipelines.compile_ours(tmp_path, two_nodes(name='with_underscore'))
    assert list(tmp_path.iterdir()) == []


def test_several_centroids_are_several_inputs(tmp_path):
    types = tfx.types.standard_artifacts
    imported = {
        kind.__name__: tfx.dsl.Importer(
            source_uri=f'minio://bucket/{kind.__name__}', artifact_type=kind
        )
        .with_id(kind.__name__)
        .outputs['result']
        for kind in (types.Examples, types.Schema, types.TransformGraph)
    }
    centroids = [
        tfx.dsl.Importer(source_uri=f'minio://bucket/{i}', artifact_type=Centroids)
        .with_id(f'centroids-{i}')
        .outputs['result']
        for i in range(2)
    ]
    transform = ClusterTransform(
        examples=imported['Examples'],
        schema=imported['Schema'],
        transform_graph=imported['TransformGraph'],
        centroids=centroids,
    )
    nodes = {channel.producer_component for channel in [*imported.values(), *centroids]}
    compiled = pipelines.compile_ours(tmp_path, pipelines.make(*nodes, transform))
    inputs = task_of(compiled, 'ClusterTransform')['inputs']['artifacts']
    producers = [
        inputs[name]['taskOutputArtifact']['producerTask'] for name in ('centroids', 'centroids_1')
    ]
    assert producers == ['centroids-0', 'centroids-1']
