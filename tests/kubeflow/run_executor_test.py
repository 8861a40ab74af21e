import json

import pytest
import tensorflow as tf
from google.protobuf import json_format
from tfx import v1 as tfx
from tfx.dsl.io import fileio
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
from tfx.types import standard_artifacts

from support import invocations, nodes
from tfx_kmeans import KMeans
from tfx_kmeans.kubeflow import backend, run_executor, staging

EXAMPLES = 'minio://bucket/root/pipeline/run/Other/salt/examples'
WRONG = "ValueError: features: there is no transformed feature 'height'"
METADATA = {'split_names': '["train", "eval"]'}


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """What stands for `/` in the container."""
    monkeypatch.setenv(staging.ROOT_VARIABLE, str(tmp_path / 'root'))
    return tmp_path / 'root'


def tell(root, uri=EXAMPLES, **options):
    examples = standard_artifacts.Examples()
    component = nodes.Tell(examples=invocations.channel(examples), steps=3)
    return invocations.Invocation(component, {'examples': uri}, root, metadata=METADATA, **options)


@pytest.mark.parametrize('version', ['2.0', '2.5', '2.15', '2.17'])
def test_an_open_source_backend_gets_uris_and_properties_that_it_takes(root, version):
    invocation = tell(root, version=version)
    run_executor.run(invocation.arguments())
    (key,) = (output := backend.read_output_file(invocation.output_file)).artifacts
    assert key == 'model'
    (made,) = output.artifacts['model'].artifacts
    assert made.uri == f'{invocations.TASK_ROOT}/model'
    metadata = json_format.MessageToDict(made.metadata)
    staged = str(root / 'minio/bucket/root/pipeline/run')
    assert metadata.pop('told') == {
        'uri': f'{staged}/Other/salt/examples',
        'splits': METADATA['split_names'],
        'steps': 3,
        'directory_is_there': True,
    }
    # a path within the container says nothing to later nodes
    assert metadata.pop('examples_uri') == EXAMPLES
    assert None not in metadata.values()
    assert list(invocation.output_file.parent.glob('output*')) == [invocation.output_file]
    assert (root / 'minio/bucket/root/pipeline/run/Node/salt/model/told.json').exists()


def test_vertex_gets_just_what_the_container_of_tfx_gives_it(root):
    invocation = tell(root, uri='gs://bucket/examples')
    (examples,) = invocation.told.inputs.artifacts['examples'].artifacts
    examples.type.schema_title = 'tfx.Examples'
    del invocation.told.outputs.artifacts['executor-logs']
    written = []
    for run in (run_executor.run, _run_tfx):
        # the file system in memory of TensorFlow stands for Cloud Storage
        output_file = f'ram://vertex/{len(written)}/executor_output.json'
        invocation.told.outputs.output_file = output_file
        run(invocation.arguments())
        with fileio.open(output_file) as file:
            written.append(json.loads(file.read()))
    assert written[0] == written[1]
    metadata = written[0]['artifacts']['model']['artifacts'][0]['metadata']
    assert metadata['told']['uri'] == 'gs://bucket/examples'


def _run_tfx(arguments):
    kubeflow_v2_run_executor.main(kubeflow_v2_run_executor._parse_flags(arguments))


def test_an_output_that_a_component_left_empty_is_there_for_the_launcher(root):
    invocation = invocations.Invocation(nodes.Save(), {}, root)
    run_executor.run(invocation.arguments())
    outputs = root / invocations.TASK_ROOT.replace('://', '/', 1)
    assert list((outputs / 'nothing').iterdir()) == []
    assert (outputs / 'model/Format-Serving/saved_model.pb').exists()


def test_a_scheme_can_be_left_to_the_component(root, monkeypatch):
    monkeypatch.setenv(staging.DIRECT_VARIABLE, 'gs')
    invocation = tell(root, uri='gs://bucket/examples')
    run_executor.run(invocation.arguments())
    (made,) = backend.read_output_file(invocation.output_file).artifacts['model'].artifacts
    assert json_format.MessageToDict(made.metadata)['told']['uri'] == 'gs://bucket/examples'
    assert made.uri == f'{invocations.TASK_ROOT}/model'


def test_an_input_that_only_a_condition_reads_is_kept_from_the_component(root):
    invocation = tell(root)
    inputs = invocation.told.inputs.artifacts
    inputs['_Trainer.model'].artifacts.append(backend.as_input(backend.Artifact(2, 's3://b', {})))
    declared = invocation.inputs_spec.artifacts['_Trainer.model'].artifact_type
    declared.instance_schema = 'title: tfx.Model\n'
    run_executor.run(invocation.arguments())
    assert invocation.output_file.exists()


def test_an_input_whose_type_nobody_tells_is_refused_with_advice(root):
    arguments = tell(root).arguments()[:-2]
    with pytest.raises(ValueError, match=r"input 'examples' has no type.*kubeflow\.compile"):
        run_executor.run(arguments)


def test_example_gen_finds_the_newest_span_and_passes_it_on(root, tmp_path):
    for span in (1, 2):
        (tmp_path / 'data' / f'span-{span}').mkdir(parents=True)
        lines = ['x', *(f'{span}{row}' for row in range(20))]
        (tmp_path / 'data' / f'span-{span}' / 'data.csv').write_text('\n'.join(lines))
    component = tfx.components.CsvExampleGen(
        input_base=str(tmp_path / 'data'),
        input_config=tfx.proto.Input(
            splits=[tfx.proto.Input.Split(name='all', pattern='span-{SPAN}/*')]
        ),
    )
    invocation = invocations.Invocation(component, {}, root)
    run_executor.run(invocation.arguments())
    (made,) = backend.read_output_file(invocation.output_file).artifacts['examples'].artifacts
    metadata = json_format.MessageToDict(made.metadata)
    assert metadata['custom:span'] == 2
    assert 'num_files:1' in metadata['input_fingerprint']
    files = [str(path) for path in root.rglob('Split-train/*')]
    (first,) = tf.data.TFRecordDataset(files, 'GZIP').take(1).as_numpy_iterator()
    value = tf.train.Example.FromString(first).features.feature['x'].int64_list.value[0]
    assert str(value).startswith('2')


def test_the_process_ends_although_a_thread_goes_on(root):
    invocation = invocations.Invocation(nodes.Linger(), {}, root)
    done = invocation.run()
    assert done.returncode == 0, done.stderr
    assert 'model' in backend.read_output_file(invocation.output_file).artifacts


def test_a_broken_node_ends_with_its_own_message_and_leaves_no_output_file(root, transformed):
    inputs = {
        'examples': transformed['transformed_examples'],
        'transform_graph': transformed['transform_graph'],
    }
    component = KMeans(
        **{name: invocations.channel(artifact) for name, artifact in inputs.items()},
        n_clusters=3,
        features=['x', 'height'],
    )
    uris = {name: artifact.uri for name, artifact in inputs.items()}
    done = invocations.Invocation(component, uris, root, metadata=METADATA).run()
    assert done.returncode == 1
    assert done.stderr.rstrip().splitlines()[-1].startswith(WRONG)
    # what led to the component is no news
    assert 'run_executor.py", line' not in done.stderr
    assert not list(root.rglob('output_metadata.json*'))
