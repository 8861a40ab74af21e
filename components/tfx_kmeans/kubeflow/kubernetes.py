"""What Kubernetes is to give a node's pod: its place, its secrets, its volumes."""

import dataclasses
import posixpath
import re

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_LABEL = '[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?'
_DOMAIN = rf'{_LABEL}(\.{_LABEL})*'
_NAME = re.compile(_DOMAIN), 'lower-case letters, digits, hyphens and dots'
# the backend names the volume after the secret or the claim
_VOLUME = re.compile(_LABEL), 'at most 63 lower-case letters, digits and hyphens'
_PART = '[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?'
_KEY = re.compile(rf'({_DOMAIN}/)?{_PART}'), 'letters, digits, hyphens, underscores and dots'
_VALUE = re.compile(rf'({_PART})?'), 'at most 63 letters, digits, hyphens, underscores and dots'
_VARIABLE = (
    re.compile('[-._a-zA-Z][-._a-zA-Z0-9]*'),
    'letters, digits, underscores, hyphens and dots, and no digit first',
)
_SECRET_KEY = (
    re.compile('[-._a-zA-Z0-9]{1,253}'),
    'at most 253 letters, digits, underscores, hyphens and dots',
)
# what the backend mounts into every pod
_TAKEN_VOLUMES = (
    'kfp-launcher', 'ca-bundle', 'gcs-scratch', 's3-scratch', 'minio-scratch', 'dot-local-scratch',
    'dot-cache-scratch', 'dot-config-scratch',
)  # fmt: skip
_TAKEN_PATHS = ('/gcs', '/s3', '/minio', '/kfp-launcher', '/.local', '/.cache', '/.config')


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
        if self.operator == 'Equal' and not self.key:
            raise ValueError(
                "a Toleration with operator 'Equal' needs a key, whose value it equals"
            )
        if self.key:
            _check_name('key of a Toleration', self.key, _KEY)
        _check_name('value of a Toleration', self.value, _VALUE)
        if self.seconds is not None:
            if type(self.seconds) is not int:
                raise ValueError(f'seconds of a Toleration must be an int, not {self.seconds!r}')
            if self.effect != 'NoExecute':
                raise ValueError(
                    f'seconds of a Toleration, {self.seconds}, go with effect NoExecute alone, not '
                    f'with {self.effect!r}: no other ends a running pod'
                )

    @classmethod
    def from_json(cls, part):
        """Reads the form of the IR."""
        seconds = part.get('tolerationSeconds')
        names = ('key', 'value', 'effect')
        return cls(
            operator=part.get('operator') or 'Equal',
            seconds=None if seconds is None else int(seconds),
            **{name: part.get(name, '') for name in names},
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
        for key in self.variables:
            _check_name('key of a secret', key, _SECRET_KEY)
        check_variables('variables of a SecretEnv', self.variables.values())

    @classmethod
    def from_json(cls, part):
        """Reads the form of the IR; None if the name is known only when the pipeline runs."""
        variables = {each['secretKey']: each['envVar'] for each in part.get('keyToEnv', ())}
        return cls(part['secretName'], variables) if 'secretName' in part else None

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
        _check_name('secret of a SecretVolume', self.secret, _VOLUME)
        _check_mount_path(self.mount_path)

    @property
    def volume(self):
        """The name that the backend gives the volume."""
        return self.secret

    @classmethod
    def from_json(cls, part):
        """Reads the form of the IR; None if the name is known only when the pipeline runs."""
        return cls(part['secretName'], part.get('mountPath')) if 'secretName' in part else None

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
        _check_name('claim of a PersistentVolume', self.claim, _VOLUME)
        _check_mount_path(self.mount_path)

    @property
    def volume(self):
        """The name that the backend gives the volume."""
        return self.claim

    @classmethod
    def from_json(cls, part):
        """Reads the form of the IR; None if the name is known only when the pipeline runs."""
        return cls(part['constant'], part.get('mountPath')) if 'constant' in part else None

    def to_json(self):
        """Returns it in the form of the IR."""
        return {'constant': self.claim, 'mountPath': self.mount_path}


def check_mounts(mounts):
    """Refuses volumes of one pod that Kubernetes does not take together.

    Args:
        mounts: list of SecretVolume and PersistentVolume.

    Raises:
        ValueError: a secret or claim is mounted twice, or has the name of another; two are mounted
            at one path, or one at a path of the backend's own.
    """
    names = [mount.volume for mount in mounts]
    paths = [posixpath.normpath(mount.mount_path) for mount in mounts]
    for name, path in zip(names, paths, strict=True):
        if names.count(name) > 1:
            raise ValueError(
                f'volumes and secrets mount {name!r} {names.count(name)} times; a pod can mount it '
                'once, and a secret and a claim cannot have one name'
            )
        if paths.count(path) > 1:
            raise ValueError(f'volumes and secrets are mounted at {path!r} together; give each one')
        taken = [own for own in _TAKEN_PATHS if path == own or path.startswith(f'{own}/')]
        if name in _TAKEN_VOLUMES or taken:
            raise ValueError(
                f'{name!r} cannot be mounted at {path!r}: the backend has the volumes '
                f'{_TAKEN_VOLUMES} in every pod, at {_TAKEN_PATHS}'
            )


def check_variables(argument, names):
    """Refuses names that no environment variable of a pod can have.

    Raises:
        ValueError: naming `argument` and the name.
    """
    for name in names:
        _check_name(f'each name in {argument}', name, _VARIABLE)


def check_labels(argument, labels):
    """Refuses labels, a dict, that no Kubernetes node can have.

    Raises:
        ValueError: naming `argument` and the label.
    """
    for key, value in labels.items():
        _check_name(f'each label in {argument}', key, _KEY)
        _check_name(f'the value of {key} in {argument}', value, _VALUE)


def check_names(argument, names):
    """Refuses names that no Kubernetes object can have.

    Raises:
        ValueError: naming `argument` and the name.
    """
    for name in names:
        _check_name(f'each name in {argument}', name)


def problems_of_config(config):
    """Finds what Kubernetes would refuse in what `executor_config` gives, as sentences."""
    parts = {}
    for field, kind in _KINDS.items():
        for part in config.get(field, ()):
            try:
                parts.setdefault(kind, []).append(kind.from_json(part))
            except (ValueError, TypeError, KeyError) as error:
                yield f'{field}: {error}'
    mounts = [*parts.get(SecretVolume, ()), *parts.get(PersistentVolume, ())]
    pull_secrets = [part.get('secretName') for part in config.get('imagePullSecret', ())]
    for check, argument, value in (
        (lambda _, value: check_mounts(value), '', [mount for mount in mounts if mount]),
        (check_labels, 'nodeSelector', config.get('nodeSelector', {}).get('labels', {})),
        (check_names, 'imagePullSecret', [name for name in pull_secrets if name is not None]),
    ):
        try:
            check(argument, value)
        except ValueError as error:
            yield str(error)


def executor_config(settings):
    """Returns the Kubernetes part of `settings` (Settings) in the form of the IR, or {}."""
    given = [*(settings.tolerations or ()), *(settings.secrets or ()), *(settings.volumes or ())]
    parts = {
        'nodeSelector': settings.node_selector and {'labels': dict(settings.node_selector)},
        **{
            field: [part.to_json() for part in given if isinstance(part, kind)]
            for field, kind in _KINDS.items()
        },
        'imagePullSecret': [{'secretName': name} for name in settings.pull_secrets or ()],
        'imagePullPolicy': settings.pull_policy,
    }
    return {key: part for key, part in parts.items() if part}


_KINDS = {
    'tolerations': Toleration,
    'secretAsEnv': SecretEnv,
    'secretAsVolume': SecretVolume,
    'pvcMount': PersistentVolume,
}


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f'{name} must be one of {choices}, not {value!r}')


def _check_name(name, value, form=_NAME):
    pattern, words = form
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f'{name} must be of {words}, not {value!r}')


def _check_mount_path(path):
    if not isinstance(path, str) or not path.startswith('/'):
        raise ValueError(f'mount_path must be an absolute path, not {path!r}')
    if ':' in path or posixpath.normpath(path).strip('/') == '':
        raise ValueError(f'mount_path must be a directory below / without a colon, not {path!r}')
