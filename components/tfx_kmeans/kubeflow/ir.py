"""The compiled pipeline as files: IR YAML for an open-source backend, job JSON for Vertex."""

import json

import yaml

SCHEMA_VERSION = '2.1.0'
# the backend finds a node's Kubernetes settings, and its executor, under this key
EXECUTOR_LABEL = '{}_executor'


class _Dumper(yaml.SafeDumper):
    """Writes strings of several lines as blocks, so that a change to one shows as a line."""


def _represent_string(dumper, text):
    style = '|' if '\n' in text else None
    return dumper.represent_scalar('tag:yaml.org,2002:str', text, style=style)


_Dumper.add_representer(str, _represent_string)


def to_yaml(spec, platforms=None):
    """Returns the IR as text.

    Args:
        spec: the PipelineSpec, a dict.
        platforms: the platform spec (Kubernetes settings), a dict, or None; it becomes the second
            document.
    """
    documents = [spec, {'platforms': platforms}] if platforms else [spec]
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True, width=100)


def to_json(job):
    """Returns a Vertex job, a dict, as text."""
    return json.dumps(job, indent=2, sort_keys=True) + '\n'
