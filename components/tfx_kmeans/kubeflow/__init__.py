"""Pipelines on Kubeflow Pipelines v2: compile, check, rehearse on this machine, submit.

The public names load what they need on first use (PEP 562), so importing this module stays cheap.
"""

import importlib

_HOMES = {
    'compile': 'tfx_kmeans.kubeflow.compiler',
    'validate': 'tfx_kmeans.kubeflow.validation',
    'local_run': 'tfx_kmeans.kubeflow.rehearsal',
    'submit': 'tfx_kmeans.kubeflow.submission',
    'Settings': 'tfx_kmeans.kubeflow.settings',
    'PersistentVolume': 'tfx_kmeans.kubeflow.kubernetes',
    'SecretEnv': 'tfx_kmeans.kubeflow.kubernetes',
    'SecretVolume': 'tfx_kmeans.kubeflow.kubernetes',
    'Toleration': 'tfx_kmeans.kubeflow.kubernetes',
}

__all__ = [*_HOMES]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
    return sorted([*globals(), *__all__])
