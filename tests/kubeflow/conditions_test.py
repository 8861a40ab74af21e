import pytest

from tfx_kmeans.kubeflow import conditions

INPUT = {
    'inputs': {
        'artifacts': {
            'model': {'artifacts': [{'uri': 's3://b/m', 'metadata': {'auc': 0.75, 'note': 'a!b'}}]}
        }
    }
}
ARTIFACT = "inputs.artifacts['model'].artifacts[0]"
AUC = f"{ARTIFACT}.metadata['auc']"


@pytest.mark.parametrize(
    ('condition', 'expected'),
    [
        (f'({AUC} > 0.5)', True),
        (f'({AUC} < 0.5)', False),
        (f'({AUC} == 0.75)', True),
        (f'({AUC} > -1.0)', True),
        (f'!({AUC} > 0.5)', False),
        (f'({AUC} != 1.0)', True),
        (f'(({AUC} > 0.5) && ({AUC} < 0.7))', False),
        (f'(({AUC} > 0.8) || !({AUC} < 0.7))', True),
        (f"({ARTIFACT}.uri == ('s3://' + 'b/m'))", True),
        # operators in a string are no operators
        (f"({ARTIFACT}.metadata['note'] == 'a!b')", True),
        ("('a && b || !c' == 'a && b || !c')", True),
    ],
)
def test_what_tfx_compiles_is_evaluated(condition, expected):
    assert conditions.holds(condition, INPUT) is expected


@pytest.mark.parametrize(
    ('condition', 'message'),
    [
        (f"({ARTIFACT}.metadata['loss'] > 0.5)", "no such key: 'loss'"),
        ("(inputs.artifacts['moodel'].artifacts[0].uri == '')", "no such key: 'moodel'"),
        (f"({AUC} == 'high')", "0.75 and 'high' are of different types"),
        (AUC, 'gives 0.75, not true or false'),
        (f'({AUC} && true)', '0.75 is not a bool'),
        ('size(inputs) == 1', r'size\(inputs\) is not supported'),
        ('Unknown Comparison Operation 7', 'invalid syntax'),
        ('outputs == 1', "no such key: 'outputs'"),
    ],
)
def test_what_the_backend_could_not_evaluate_is_refused(condition, message):
    with pytest.raises(ValueError, match=message):
        conditions.holds(condition, INPUT)
