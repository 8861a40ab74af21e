"""Our imitation of the driver against what the real one, 2.5.0 and 2.17.0, told the taxi nodes."""

import json
import pathlib

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tfx_kmeans.kubeflow import backend, plan

HERE = pathlib.Path(__file__).parent
# ExecutorInputs by version and node; the run had these values of parameters
TOLD = json.loads((HERE / 'data/executor_inputs.json').read_text())
PARAMETERS = {'n_clusters': 12, 'train_args': '{"num_steps": 100}'}
NODES = {node.name: node for node in plan.read(HERE / 'golden/taxi-kmeans.yaml').nodes}
each_node = pytest.mark.parametrize('told', TOLD)


def as_json(message):
    return json_format.MessageToDict(message)


def test_there_are_six_nodes_of_each_version():
    assert len(TOLD) == 12
    assert {told.split()[0] for told in TOLD} == {'2.5.0', '2.17.0'}


@each_node
def test_outputs_are_those_that_the_real_driver_tells(told):
    version, name = told.split()
    real = TOLD[told]['outputs']
    (logs,) = real['artifacts']['executor-logs']['artifacts']
    task_root = logs['uri'].removesuffix('/executor-logs')
    assert as_json(backend.Backend(version).outputs(NODES[name].component, task_root, '/')) == real


@each_node
def test_inputs_are_those_that_the_real_driver_tells(told):
    real = TOLD[told]['inputs'].get('artifacts', {})
    ours = pipeline_spec_pb2.ExecutorInput.Inputs()
    for name, found in real.items():
        (artifact,) = found['artifacts']
        metadata = dict(artifact['metadata'])
        key = metadata.pop('display_name')
        # how the launcher reaches the store is no concern of a node
        session = metadata.pop('store_session_info')
        stored = backend.stored_metadata(key, metadata) | {'store_session_info': session}
        kept = backend.Artifact(int(artifact['name']), artifact['uri'], stored)
        ours.artifacts[name].artifacts.append(backend.as_input(kept))
    assert as_json(ours).get('artifacts', {}) == real
    assert set(real) == set(NODES[told.split()[1]].component.input_definitions.artifacts)


@each_node
def test_parameters_are_those_that_the_real_driver_tells(told):
    real = TOLD[told]['inputs']['parameterValues']
    pipeline = plan.read(HERE / 'golden/taxi-kmeans.yaml')
    values = backend.pipeline_parameters(pipeline.parameters, PARAMETERS)
    node = NODES[told.split()[1]]
    ours = backend.task_parameters(node.task, node.component, values, {})
    # the pipeline may have got further ones since that run
    assert {name: as_json(ours[name]) for name in real} == real
