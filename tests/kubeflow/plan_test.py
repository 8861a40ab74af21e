import json

import pytest
import yaml

from support import handmade
from tfx_kmeans.kubeflow import plan


def test_nodes_come_after_those_they_depend_on(tmp_path):
    nodes = {
        'A': handmade.node('', {'model': ('C', 'model')}),
        'B': handmade.node('', dependentTasks=['A']),
        'C': handmade.node(''),
    }
    path = handmade.write(tmp_path / 'p.yaml', nodes, defaultPipelineRoot='s3://bucket')
    read = plan.read(path)
    assert [node.name for node in read.nodes] == ['C', 'A', 'B']
    assert (read.name, read.pipeline_root) == ('by-hand', 's3://bucket')
    assert not read.has_kubernetes_settings


def test_a_second_document_holds_kubernetes_settings(tmp_path):
    path = handmade.write(tmp_path / 'p.yaml', {'A': handmade.node('')})
    path.write_text(path.read_text() + '---\nplatforms: {kubernetes: {}}\n')
    assert plan.read(path).has_kubernetes_settings


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'schemaVersion': '2.0.0'}, "schemaVersion '2.0.0', and the backend wants '2.1.0'"),
        ({'pipelineinfo': {}}, 'the backend cannot read .*pipelineinfo'),
    ],
)
def test_what_the_backend_cannot_read_is_refused(tmp_path, fields, message):
    path = handmade.write(tmp_path / 'p.yaml', {'A': handmade.node('')}, **fields)
    with pytest.raises(ValueError, match=message):
        plan.read(path)


@pytest.mark.parametrize(
    ('nodes', 'message'),
    [
        ({'A': handmade.node('', dependentTasks=['B'])}, r"nodes depend on \['B'\]"),
        (
            {
                'A': handmade.node('', dependentTasks=['B']),
                'B': handmade.node('', dependentTasks=['A']),
            },
            'nodes wait for each other',
        ),
        (
            {'A': handmade.node('', triggerPolicy={'strategy': 'ALL_UPSTREAM_TASKS_COMPLETED'})},
            "node 'A' is an exit handler",
        ),
    ],
)
def test_nodes_that_cannot_be_put_in_order_are_refused(tmp_path, nodes, message):
    with pytest.raises(ValueError, match=message):
        plan.read(handmade.write(tmp_path / 'p.yaml', nodes))


def test_a_vertex_job_is_refused_with_advice(tmp_path):
    path = handmade.write(tmp_path / 'p.yaml', {'A': handmade.node('')})
    (tmp_path / 'p.json').write_text(json.dumps({'pipelineSpec': yaml.safe_load(path.read_text())}))
    with pytest.raises(ValueError, match='is a job for Vertex; compile the pipeline without'):
        plan.read(tmp_path / 'p.json')


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / 'p.yaml').write_text('')
    with pytest.raises(ValueError, match='this is no compiled pipeline'):
        plan.read(tmp_path / 'p.yaml')
