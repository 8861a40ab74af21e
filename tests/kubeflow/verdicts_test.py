"""Against what the backend's own code, 2.5.0 and 2.17.0, said of pipelines: backend_verdicts.json.

That code is the API server's: it makes no pod and runs no node, so what Kubernetes or the launcher
would refuse passes it. What is refused here beyond it has its reason in BEYOND. Two of the cases,
refused-import and refused-contradicting-parameters, are refused before they are compiled, and show
no more what is wrong with them: validation_test has them.
"""

import json
import pathlib

import pytest

from tfx_kmeans import kubeflow
from tfx_kmeans.errors import PipelineError
from tfx_kmeans.kubeflow import ir

VERDICTS = json.loads((pathlib.Path(__file__).parent / 'data/backend_verdicts.json').read_text())
BY_CASE = {verdict['case']: verdict for verdict in VERDICTS}
FILLED = 'which Argo fills in'
# case -> what the refusal says; the comment says why it is right
BEYOND = {
    # CEL does not parse it when the node is about to start; compile escapes it
    'cond-quotes': 'condition .*syntax error at .*; compile with',
    # int parameters are doubles to the backend; a node would fail on it
    'n_clusters-fraction': "'n_clusters' must be an integer, not 2.5",
    # they pass, and the node gets something else
    'constant-0': FILLED,
    'paramvalue-0': FILLED,
    'constant-2': FILLED,
    'paramvalue-2': FILLED,
    'env-template': FILLED,
    # Argo's names of what the backend makes of a node are too long, or taken
    'id-121': 'at most 120 characters',
    'id-entrypoint': 'not root or entrypoint',
    # Kubernetes refuses the pod
    'mount-same-path': "mounted at '/d' together",
    'mount-minio': "'a' cannot be mounted at '/minio'",
    'secret-and-claim-same-name': "mount 'x' 2 times",
    'bad-env-name': "each name in env must be .*, not 'A B='",
    'bad-claim-name': "claim of a PersistentVolume must be .*, not 'Not_A_Claim'",
    # the launcher opens the bucket of the run alone
    'importer-constant': "imports 'minio://mlpipeline/x'.* bucket that the run writes to, minio://bucket",
    'importer-parameter': "imports 'gs://bucket/model'",
    'importer-no-default': "imports 'minio://b/x'",
    'refused-parameter-in-a-message': "imports 'gs://b/Examples'",
    'refused-parameter-in-a-configuration': "imports 'gs://b/Examples'",
    # dropped without a word, or a node that fails
    'damage-unknown_field_of_a_container': 'no field named "cpu"',
    'damage-no_image': 'has no image',
    'damage-missing_output': 'modell.*which no task gives',
    'damage-condition_on_a_missing_input': "looks for the input '_Produce.model'",
    'damage-unknown_platform': "platform 'nomad' is unknown",
    'damage-unknown_executor': "name the executor 'Trainer_executor'",
}  # fmt: skip


def refusal(case):
    """What validate says of a case, None if it passes."""
    compiled = ir.Compiled.from_text(BY_CASE[case]['pipeline'])
    try:
        kubeflow.validate(compiled, parameters=BY_CASE[case]['parameters'])
    except PipelineError as error:
        return str(error)
    return None


REFUSED = {verdict['case'] for verdict in VERDICTS if any(verdict['refused_by_backend'].values())}


def test_there_are_all_verdicts_and_both_kinds():
    assert len(BY_CASE) == len(VERDICTS) == 83
    assert len(REFUSED) == 24
    assert not REFUSED & set(BEYOND)


@pytest.mark.parametrize('case', sorted(REFUSED))
def test_what_the_backend_refuses_is_refused(case):
    assert refusal(case)


@pytest.mark.parametrize('case', sorted(set(BY_CASE) - REFUSED - set(BEYOND)))
def test_what_the_backend_takes_passes(case):
    assert refusal(case) is None


@pytest.mark.parametrize('case', BEYOND)
def test_what_is_refused_beyond_the_backend_is_refused_for_the_reason_written_here(case):
    with pytest.raises(PipelineError, match=BEYOND[case]):
        kubeflow.validate(
            ir.Compiled.from_text(BY_CASE[case]['pipeline']),
            parameters=BY_CASE[case]['parameters'],
        )
