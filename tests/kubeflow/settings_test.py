import pytest

from tfx_kmeans.kubeflow import (
    PersistentVolume,
    SecretEnv,
    SecretVolume,
    Settings,
    Toleration,
    kubernetes,
)


def test_resources_are_cores_and_gigabytes():
    settings = Settings(
        cpu_request='500m', cpu_limit=2, memory_request='512Mi', memory_limit='4G', gpus=2
    )
    assert settings.resources() == {
        'cpuRequest': 0.5,
        'cpuLimit': 2.0,
        'memoryRequest': 0.536870912,
        'memoryLimit': 4.0,
        'accelerator': {'type': 'nvidia.com/gpu', 'count': '2'},
    }


def test_no_settings_ask_for_nothing():
    settings = Settings()
    assert settings.resources() == {}
    assert settings.retry_policy() is None
    assert kubernetes.executor_config(settings) == {}


def test_retries_have_a_delay_that_doubles_and_a_week_for_all_of_them():
    assert Settings(retries=3, retry_delay=1.5).retry_policy() == {
        'maxRetryCount': 3,
        'backoffDuration': '1.5s',
        'backoffFactor': 2.0,
        'backoffMaxDuration': '604800s',
    }


def test_settings_of_a_node_replace_those_of_all_and_mappings_are_merged():
    for_all = Settings(image='a', retries=2, cache=True, env={'A': '1', 'B': '1'})
    laid = Settings(image='b', cache=False, env={'B': '2'}).over(for_all)
    assert laid == Settings(image='b', retries=2, cache=False, env={'A': '1', 'B': '2'})


WRONG = {
    'unit': ({'memory_limit': '4GB'}, ValueError, "memory_limit must be .* not '4GB'"),
    'memory without unit': ({'memory_limit': '4'}, ValueError, "did you mean '4Gi'"),
    'memory as number': ({'memory_limit': 4}, ValueError, 'memory_limit must be .* not 4'),
    'no cores': ({'cpu_limit': 0}, ValueError, 'cpu_limit must be at least 0.001 cores, not 0'),
    'cores': ({'cpu_limit': 'two'}, ValueError, "cpu_limit must be .* not 'two'"),
    'cores as list': ({'cpu_request': [2]}, TypeError, r'cpu_request must be .* not \[2\]'),
    'request above limit': (
        {'memory_request': '2Gi', 'memory_limit': '2G'},
        ValueError,
        "memory_request '2Gi' is above memory_limit '2G'",
    ),
    'gpu type alone': ({'gpu_type': 'T4'}, ValueError, "gpu_type 'T4' needs gpus"),
    'gpus': ({'gpus': 1.5}, TypeError, 'gpus must be an integer, not 1.5'),
    'retries': ({'retries': -1}, ValueError, 'retries must not be negative, not -1'),
    'delay alone': ({'retry_delay': 5}, ValueError, 'retry_delay 5 needs retries'),
    'delay': ({'retries': 1, 'retry_delay': 4000}, ValueError, r'\[0, 3600\] seconds, not 4000'),
    'env': ({'env': {'A': 1}}, TypeError, "env must be .* not {'A': 1}"),
    'cache': ({'cache': 'off'}, TypeError, "cache must be True or False, not 'off'"),
    'image': ({'image': ''}, TypeError, "image must be a string that is not empty, not ''"),
    'secrets': ({'secrets': ['a']}, TypeError, 'secrets must be a sequence of SecretEnv and'),
    'volumes': ({'volumes': 'claim'}, TypeError, 'volumes must be .* not .claim.'),
    'policy': ({'pull_policy': 'always'}, ValueError, "pull_policy must be .* not 'always'"),
    'claim twice': (
        {'volumes': [PersistentVolume('c', '/a'), PersistentVolume('c', '/b')]},
        ValueError,
        "volumes and secrets mount 'c' 2 times; a pod can mount it once",
    ),
    'secret twice': (
        {'secrets': [SecretVolume('s', '/a'), SecretVolume('s', '/b')]},
        ValueError,
        "volumes and secrets mount 's' 2 times",
    ),
    'secret and claim of one name': (
        {'volumes': [PersistentVolume('c', '/a')], 'secrets': [SecretVolume('c', '/b')]},
        ValueError,
        "mount 'c' 2 times.* a secret and a claim cannot have one name",
    ),
    'path twice': (
        {'volumes': [PersistentVolume('c', '/a/b/'), PersistentVolume('d', '/a/b')]},
        ValueError,
        "are mounted at '/a/b' together",
    ),
    'path of the backend': (
        {'volumes': [PersistentVolume('c', '/gcs/bucket')]},
        ValueError,
        "'c' cannot be mounted at '/gcs/bucket': the backend has the volumes",
    ),
    'volume of the backend': (
        {'volumes': [PersistentVolume('s3-scratch', '/a')]},
        ValueError,
        "'s3-scratch' cannot be mounted at '/a'",
    ),
    'name of a variable': ({'env': {'A B=': '1'}}, ValueError, "name in env .* not 'A B='"),
    'label': ({'node_selector': {'a b': ''}}, ValueError, "label in node_selector .* not 'a b'"),
    'value of a label': (
        {'node_selector': {'pool': 'big one'}},
        ValueError,
        "the value of pool in node_selector must be .*, not 'big one'",
    ),
    'pull secret': ({'pull_secrets': ['A_b']}, ValueError, "name in pull_secrets .* not 'A_b'"),
}


@pytest.mark.parametrize('case', WRONG)
def test_wrong_settings_are_refused_by_name_and_value(case):
    arguments, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        Settings(**arguments)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: Toleration(operator='In'), "operator of a Toleration must be .* not 'In'"),
        (lambda: Toleration(effect='Never'), "effect of a Toleration must be .* not 'Never'"),
        (lambda: Toleration('key', value='v'), "takes no value, not 'v'"),
        (lambda: Toleration(operator='Equal'), 'needs a key, whose value it equals'),
        (lambda: Toleration('a b'), "key of a Toleration must be .* not 'a b'"),
        (lambda: Toleration('a', 'Equal', 'b c'), "value of a Toleration must be .* not 'b c'"),
        (lambda: Toleration(seconds=60), 'seconds of a Toleration, 60, go with effect NoExecute'),
        (lambda: Toleration(seconds=1.5), 'seconds of a Toleration must be an int, not 1.5'),
        (lambda: SecretEnv('s', {'a b': 'A'}), "key of a secret must be .* not 'a b'"),
        (lambda: SecretEnv('s', {'a': '1A'}), "variables of a SecretEnv must be .* not '1A'"),
        (lambda: SecretVolume('s.t', '/a'), "secret of a SecretVolume must be .* not 's.t'"),
        (lambda: SecretVolume('s', '/'), "a directory below / without a colon, not '/'"),
        (lambda: PersistentVolume('c', '/a:b'), "a directory below / .*, not '/a:b'"),
        (lambda: SecretEnv('', {'a': 'A'}), "secret of a SecretEnv must be .* not ''"),
        (lambda: SecretEnv('s', {}), 'variables of a SecretEnv must name at least one'),
        (lambda: SecretVolume('s', 'etc'), "mount_path must be an absolute path, not 'etc'"),
        (lambda: PersistentVolume(None, '/a'), 'claim of a PersistentVolume must be .* not None'),
    ],
)
def test_wrong_kubernetes_parts_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
