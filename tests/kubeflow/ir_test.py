import pytest
import yaml

from tfx_kmeans.kubeflow import ir

SPEC = {'pipelineInfo': {'name': 'small'}, 'schemaVersion': '2.1.0'}
PLATFORMS = {'kubernetes': {'deploymentSpec': {'executors': {}}}}


@pytest.mark.parametrize(
    'compiled',
    [ir.Compiled(SPEC), ir.Compiled(SPEC, PLATFORMS), ir.Compiled(SPEC, job={'displayName': 'a'})],
)
def test_what_is_written_is_read_back(tmp_path, compiled):
    (tmp_path / 'pipeline').write_text(compiled.to_text())
    assert ir.Compiled.read(tmp_path / 'pipeline') == compiled


def test_text_of_several_lines_is_written_as_a_block_that_any_reader_takes():
    spec = {'schema': 'title: a\ntype: object\n', 'last': 'no newline\nat the end', 'plain': 'x'}
    text = ir.Compiled(spec).to_text()
    assert 'schema: |\n  title: a\n  type: object\n' in text
    assert yaml.safe_load(text) == spec


def test_ir_that_is_json_is_read():
    assert ir.Compiled.from_text(ir.to_json(SPEC)) == ir.Compiled(SPEC)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'it holds no mapping'),
        ('- a\n', 'it holds no mapping'),
        ('a: [', 'this is no compiled pipeline: while parsing'),
        ('{"a": ', 'this is no compiled pipeline: Expecting value'),
        ('a: 1\n---\nb: 2\n', 'the second document is not `platforms`'),
        ('a: 1\n---\nplatforms: {}\n---\nplatforms: {}\n', 'the second document is not'),
    ],
)
def test_what_is_no_compiled_pipeline_is_refused_with_its_path(tmp_path, text, message):
    path = tmp_path / 'pipeline.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as refused:
        ir.Compiled.read(path)
    assert str(path) in str(refused.value)
