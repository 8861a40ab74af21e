"""What Kubernetes is to give a node's pod: its place, its secrets, its volumes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Toleration:
    """A taint that the pod tolerates; an empty `key` or `effect` stands for all of them.

    Attributes:
        key: of the taint.
        operator: 'Equal' (to `value`) or 'Exists' (whatever its value).
        value: of the taint, under 'Equal'.
        effect: 'NoSchedule', 'PreferNoSchedule' or 'NoExecute'.
        seconds: how long a running pod may stay after a NoExecute taint came; None: for ever.
    """

    key: str = ''
    operator: str = 'Exists'
    value: str = ''
    effect: str = ''
    seconds: int | None = None

    def __post_init__(self):
        _check_choice('operator of a Toleration', self.operator, ('Equal', 'Exists'))
        effects = ('', 'NoSchedule', 'PreferNoSchedule', 'NoExecute')
        _check_choice('effect of a Toleration', self.effect, effects)
        if self.operator == 'Exists' and self.value:
            raise ValueError(
                f"a Toleration with operator 'Exists' takes no value, not {self.value!r}; "
                "operator='Equal' compares it"
            )

    def to_json(self):
        """Returns it in the form of the IR."""
        seconds = {} if self.seconds is None else {'tolerationSeconds': self.seconds}
        fields = ('key', 'operator', 'value', 'effect')
        return {name: v for name in fields if (v := getattr(self, name))} | seconds


@dataclasses.dataclass(frozen=True)
class SecretEnv:
    """A Kubernetes Secret whose values become environment variables.

    Attributes:
        secret: its name.
        variables: dict from a key of the secret to the name of the variable.
    """

    secret: str
    variables: dict[str, str]

    def __post_init__(self):
        _check_name('secret of a SecretEnv', self.secret)
        if not self.variables:
            raise ValueError('variables of a SecretEnv must name at least one key of the secret')

    def to_json(self):
        """Returns it in the form of the IR."""
        keys = [{'secretKey': key, 'envVar': name} for key, name in sorted(self.variables.items())]
        return {'secretName': self.secret, 'keyToEnv': keys}


@dataclasses.dataclass(frozen=True)
class SecretVolume:
    """A Kubernetes Secret whose values become files.

    Attributes:
        secret: its name.
        mount_path: the directory of the files, an absolute path.
    """

    secret: str
    mount_path: str

    def __post_init__(self):
        _check_name('secret of a SecretVolume', self.secret)
        _check_mount_path(self.mount_path)

    def to_json(self):
        """Returns it in the form of the IR."""
        return {'secretName': self.secret, 'mountPath': self.mount_path}


@dataclasses.dataclass(frozen=True)
class PersistentVolume:
    """A PersistentVolumeClaim that exists already, mounted into the pod.

    Attributes:
        claim: its name.
        mount_path: where to mount it, an absolute path.
    """

    claim: str
    mount_path: str

    def __post_init__(self):
        _check_name('claim of a PersistentVolume', self.claim)
        _check_mount_path(self.mount_path)

    def to_json(self):
        """Returns it in the form of the IR."""
        return {'constant': self.claim, 'mountPath': self.mount_path}


def check_mounted_once(names, argument):
    """Refuses a secret or claim that is mounted twice: the backend names the volume after it.

    Raises:
        ValueError: naming `argument` and the name.
    """
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f'{argument} mounts {name!r} {names.count(name)} times; a pod can mount it once'
            )


def executor_config(settings):
    """Returns the Kubernetes part of `settings` (Settings) in the form of the IR, or {}."""
    secrets = {kind: [s for s in settings.secrets or () if isinstance(s, kind)] for kind in _KINDS}
    parts = {
        'nodeSelector': settings.node_selector and {'labels': dict(settings.node_selector)},
        'tolerations': _to_json(settings.tolerations),
        'secretAsEnv': _to_json(secrets[SecretEnv]),
        'secretAsVolume': _to_json(secrets[SecretVolume]),
        'pvcMount': _to_json(settings.volumes),
        'imagePullSecret': [{'secretName': name} for name in settings.pull_secrets or ()],
        'imagePullPolicy': settings.pull_policy,
    }
    return {key: part for key, part in parts.items() if part}


_KINDS = (SecretEnv, SecretVolume)


def _to_json(parts):
    return [part.to_json() for part in parts or ()]


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f'{name} must be one of {choices}, not {value!r}')


def _check_name(name, value):
    if not isinstance(value, str) or not value:
        raise ValueError(f'{name} must be the name of one, not {value!r}')


def _check_mount_path(path):
    if not isinstance(path, str) or not path.startswith('/'):
        raise ValueError(f'mount_path must be an absolute path, not {path!r}')
