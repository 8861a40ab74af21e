"""Against what the backend's own CEL made of each condition: data/cel_verdicts.json."""

import json
import pathlib

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tfx_kmeans.kubeflow import conditions

VERDICTS = json.loads((pathlib.Path(__file__).parent / 'data/cel_verdicts.json').read_text())
INPUT = json_format.ParseDict(VERDICTS['executor_input'], pipeline_spec_pb2.ExecutorInput())
ARTIFACT = "inputs.artifacts['model'].artifacts[0]"
AUC = f"{ARTIFACT}.metadata['auc']"
each_verdict = pytest.mark.parametrize(
    'verdict', VERDICTS['conditions'], ids=lambda verdict: ascii(verdict['condition'])
)


@each_verdict
def test_a_condition_holds_fails_or_does_not_as_the_backend_has_it(verdict):
    if verdict['error']:
        with pytest.raises(ValueError, match='condition'):
            conditions.holds(verdict['condition'], INPUT)
    else:
        assert conditions.holds(verdict['condition'], INPUT) is verdict['holds']


@each_verdict
def test_just_what_cel_does_not_compile_is_refused_before_there_is_an_input(verdict):
    # CEL prefixes what its compiler finds with ERROR
    if (verdict['error'] or '').startswith('ERROR'):
        with pytest.raises(ValueError, match='condition'):
            conditions.check(verdict['condition'])
    else:
        conditions.check(verdict['condition'])


@pytest.mark.parametrize(
    ('condition', 'message'),
    [
        (f"({ARTIFACT}.metadata['loss'] > 0.5)", "no such key: 'loss'"),
        ("(inputs.artifacts['moodel'].artifacts[0].uri == '')", "no such key: 'moodel'"),
        (f"({AUC} < 'high')", "0.75 and 'high' are of different types"),
        (AUC, 'gives 0.75, not true or false'),
        (f'({AUC} && true)', '0.75 is not a bool'),
        ('size(inputs) == 1', r'size\(\) is not supported'),
        ('Unknown Comparison Operation 7', "undefined field 'Unknown' of ExecutorInput"),
        ('outputs == 1', "'==' does not go with Outputs, int"),
        (f'{AUC} > 0.5 {AUC}', "syntax error at 'inputs'"),
        ('(true', "syntax error at 'its end', where '\\)' should be"),
        ('1 + 1', 'is no comparison'),
    ],
)
def test_the_error_says_what_is_wrong(condition, message):
    with pytest.raises(ValueError, match=message):
        conditions.holds(condition, INPUT)


@pytest.mark.parametrize(
    ('condition', 'expected'),
    [
        ('!false == true', True),  # `!` binds before `==`
        (f'({AUC} != 1.0)', True),
        (f'{AUC} == true', False),
        (f'{ARTIFACT}.metadata.auc == 0.75', True),
        ('-1 < 0', True),
        ('false && true || true', True),
        ('null == null', True),
    ],
)
def test_operators_bind_and_types_compare_as_cel_says(condition, expected):
    assert conditions.holds(condition, INPUT) is expected


@pytest.mark.parametrize(
    'text', ['', "it's", 'a"b', 'a\\b', '\\d', 'a\nb\r\t\0', '{{workflow.name}}', 'ü€😀', "' || '"]
)
def test_a_quoted_string_is_read_back_as_it_was(text):
    told = pipeline_spec_pb2.ExecutorInput()
    told.inputs.artifacts['a'].artifacts.add(uri=text)
    quoted = conditions.quote(text)
    assert conditions.holds(f"inputs.artifacts['a'].artifacts[0].uri == {quoted}", told)
    assert '{{' not in quoted
    assert '\n' not in quoted
