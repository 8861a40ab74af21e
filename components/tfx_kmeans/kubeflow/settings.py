"""What a node's container is given: image, resources, retries, environment, caching."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

from tfx_kmeans.kubeflow import kubernetes

# what a quantity's suffix stands for; https://kubernetes.io/docs/reference/kubernetes-api/
_DECIMAL = {'': 1, 'k': 10**3, 'M': 10**6, 'G': 10**9, 'T': 10**12}
_BINARY = {'Ki': 2**10, 'Mi': 2**20, 'Gi': 2**30, 'Ti': 2**40}
_PULL_POLICIES = ('Always', 'IfNotPresent', 'Never')
_KUBERNETES_GPU = 'nvidia.com/gpu'
_FOR_KUBERNETES = (
    'node_selector', 'tolerations', 'secrets', 'volumes', 'pull_secrets', 'pull_policy',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a node's container; what is None stays as it is.

    Attributes:
        image: container image.
        cpu_request: cores, a number or a Kubernetes quantity ('500m', '2').
        cpu_limit: the same.
        memory_request: a Kubernetes quantity in bytes ('512Mi', '4Gi', '4G'), at least 1M.
        memory_limit: the same.
        gpus: how many accelerators.
        gpu_type: which ones; None takes 'nvidia.com/gpu'. Vertex wants a type of its own, such as
            'NVIDIA_TESLA_T4'.
        retries: how often a failed node is run again, within a week of its first start. Backends
            before 2.4.1 know no retries.
        retry_delay: seconds before the first retry; the delay doubles with each.
        env: dict of environment variables.
        cache: whether outputs of an earlier run with the same arguments, inputs and image are
            reused. The backend does not look at data that arguments merely name: a node without
            inputs, ExampleGen above all, therefore has no cache unless it is asked for here.
        node_selector: dict of labels that the Kubernetes node must have.
        tolerations: sequence of Toleration.
        secrets: sequence of SecretEnv and SecretVolume.
        volumes: sequence of PersistentVolume.
        pull_secrets: names of secrets to pull the image with.
        pull_policy: 'Always', 'IfNotPresent' or 'Never'.
    """

    image: str | None = None
    cpu_request: float | str | None = None
    cpu_limit: float | str | None = None
    memory_request: str | None = None
    memory_limit: str | None = None
    gpus: int | None = None
    gpu_type: str | None = None
    retries: int | None = None
    retry_delay: float | None = None
    env: Mapping[str, str] | None = None
    cache: bool | None = None
    node_selector: Mapping[str, str] | None = None
    tolerations: Sequence[kubernetes.Toleration] | None = None
    secrets: Sequence[kubernetes.SecretEnv | kubernetes.SecretVolume] | None = None
    volumes: Sequence[kubernetes.PersistentVolume] | None = None
    pull_secrets: Sequence[str] | None = None
    pull_policy: str | None = None

    def __post_init__(self):
        """Checks each setting, and those that belong together.

        Raises:
            TypeError: one is of the wrong type.
            ValueError: one is out of range, or they contradict each other.
        """
        for name, check in _CHECKS.items():
            if getattr(self, name) is not None:
                check(name, getattr(self, name))
        for kind, amount in (('cpu', _cores), ('memory', _gigabytes)):
            request, limit = getattr(self, f'{kind}_request'), getattr(self, f'{kind}_limit')
            if None not in (request, limit) and amount('', request) > amount('', limit):
                raise ValueError(f'{kind}_request {request!r} is above {kind}_limit {limit!r}')
        if self.gpu_type is not None and self.gpus is None:
            raise ValueError(f'gpu_type {self.gpu_type!r} needs gpus, how many of them')
        if self.retry_delay is not None and self.retries is None:
            raise ValueError(f'retry_delay {self.retry_delay!r} needs retries, how many of them')
        mounted = [s for s in self.secrets or () if isinstance(s, kubernetes.SecretVolume)]
        kubernetes.check_mounts([*(self.volumes or ()), *mounted])

    def over(self, defaults):
        """Returns these settings laid over `defaults`; mappings are merged, all else replaced."""
        merged = {}
        for field in dataclasses.fields(self):
            mine, other = getattr(self, field.name), getattr(defaults, field.name)
            if isinstance(mine, Mapping) and isinstance(other, Mapping):
                merged[field.name] = {**other, **mine}
            else:
                merged[field.name] = other if mine is None else mine
        return Settings(**merged)

    def kubernetes_only(self):
        """Names of the settings given here that Vertex does not know."""
        return [name for name in _FOR_KUBERNETES if getattr(self, name)]

    def resources(self):
        """Returns the resources in the form of the IR: cores, gigabytes (10^9), accelerators.

        These fields are what all backends know, from 2.0 on; that with quantities is newer.
        """
        fields = {
            'cpuRequest': self.cpu_request and _cores('cpu_request', self.cpu_request),
            'cpuLimit': self.cpu_limit and _cores('cpu_limit', self.cpu_limit),
            'memoryRequest': self.memory_request
            and _gigabytes('memory_request', self.memory_request),
            'memoryLimit': self.memory_limit and _gigabytes('memory_limit', self.memory_limit),
        }
        resources = {key: value for key, value in fields.items() if value is not None}
        if self.gpus:
            # an int64, which JSON has as a string
            accelerator = {'type': self.gpu_type or _KUBERNETES_GPU, 'count': str(self.gpus)}
            resources['accelerator'] = accelerator
        return resources

    def retry_policy(self):
        """Returns the retry policy in the form of the IR, or None."""
        if not self.retries:
            return None
        return {
            'maxRetryCount': self.retries,
            'backoffDuration': f'{self.retry_delay or 0:g}s',
            'backoffFactor': 2.0,
            # Argo's limit of all attempts together, however long they run: none starts after it,
            # and one that runs is killed. Left out, the backend writes 0 seconds.
            'backoffMaxDuration': '604800s',
        }


def _quantity(name, value, suffixes, example):
    match = re.fullmatch(r'(\d+(?:\.\d+)?)([A-Za-z]*)', value) if isinstance(value, str) else None
    if not match or match[2] not in suffixes:
        raise ValueError(f'{name} must be a Kubernetes quantity such as {example}, not {value!r}')
    return float(match[1]) * suffixes[match[2]]


def _cores(name, value):
    if isinstance(value, str):
        value = _quantity(name, value, {'': 1, 'm': 1e-3}, "'500m' or '2'")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f'{name} must be a number of cores, not {value!r}')
    if not value >= 1e-3:
        raise ValueError(f'{name} must be at least 0.001 cores, not {value!r}')
    return float(value)


def _gigabytes(name, value):
    size = _quantity(name, value, {**_DECIMAL, **_BINARY}, "'512Mi' or '4Gi'")
    if size < 10**6:
        raise ValueError(f"{name} must be at least 1M (did you mean '{value}Gi'?), not {value!r}")
    return size / 10**9


def _check_name(name, value):
    if not isinstance(value, str) or not value:
        raise TypeError(f'{name} must be a string that is not empty, not {value!r}')


def _check_count(name, value):
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f'{name} must be an integer, not {value!r}')
    if value < 0:
        raise ValueError(f'{name} must not be negative, not {value!r}')


def _check_seconds(name, value):
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f'{name} must be a number of seconds, not {value!r}')
    if not 0 <= value <= 3600:
        raise ValueError(f'{name} must be in [0, 3600] seconds, not {value!r}')


def _check_bool(name, value):
    if not isinstance(value, bool):
        raise TypeError(f'{name} must be True or False, not {value!r}')


def _check_strings(name, value):
    entries = [*value, *value.values()] if isinstance(value, Mapping) else [None]
    if not all(isinstance(entry, str) for entry in entries):
        raise TypeError(f'{name} must be a dict from string to string, not {value!r}')


def _check_env(name, value):
    _check_strings(name, value)
    kubernetes.check_variables(name, value)


def _check_labels(name, value):
    _check_strings(name, value)
    kubernetes.check_labels(name, value)


def _check_pull_secrets(name, value):
    _check_all(str, 'names of secrets')(name, value)
    kubernetes.check_names(name, value)


def _check_all(kind, words):
    def check(name, value):
        parts = value if isinstance(value, Sequence) and not isinstance(value, str) else [None]
        if not all(isinstance(part, kind) for part in parts):
            raise TypeError(f'{name} must be a sequence of {words}, not {value!r}')

    return check


def _check_pull_policy(name, value):
    if value not in _PULL_POLICIES:
        raise ValueError(f'{name} must be one of {_PULL_POLICIES}, not {value!r}')


_CHECKS = {
    'image': _check_name,
    'cpu_request': _cores,
    'cpu_limit': _cores,
    'memory_request': _gigabytes,
    'memory_limit': _gigabytes,
    'gpus': _check_count,
    'gpu_type': _check_name,
    'retries': _check_count,
    'retry_delay': _check_seconds,
    'env': _check_env,
    'cache': _check_bool,
    'node_selector': _check_labels,
    'tolerations': _check_all(kubernetes.Toleration, 'Toleration'),
    'secrets': _check_all(
        (kubernetes.SecretEnv, kubernetes.SecretVolume), 'SecretEnv and SecretVolume'
    ),
    'volumes': _check_all(kubernetes.PersistentVolume, 'PersistentVolume'),
    'pull_secrets': _check_pull_secrets,
    'pull_policy': _check_pull_policy,
}
