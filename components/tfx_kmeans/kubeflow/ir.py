"""The compiled pipeline: IR YAML for an open-source backend, job JSON for Vertex."""

import dataclasses
import json
import pathlib
from typing import Any

import yaml

SCHEMA_VERSION = '2.1.0'


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled pipeline.

    Attributes:
        spec: the PipelineSpec, a dict.
        platforms: by platform, what it is to give each executor; {} without such settings.
        job: the rest of a Vertex job (display name, labels, runtime config); None in IR.
    """

    spec: dict[str, Any]
    platforms: dict[str, Any] = dataclasses.field(default_factory=dict)
    job: dict[str, Any] | None = None

    def to_text(self):
        """Returns the file's content: YAML of one or two documents, or a job as JSON."""
        if self.job is not None:
            return to_json({**self.job, 'pipelineSpec': self.spec})
        documents = [self.spec, {'platforms': self.platforms}] if self.platforms else [self.spec]
        return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True, width=100)

    @classmethod
    def from_text(cls, text):
        """Reads what `to_text` gives, and what other compilers give.

        Raises:
            ValueError: `text` is neither.
        """
        try:
            # JSON is YAML too, but for tabs
            documents = [json.loads(text)] if text.startswith('{') else [*yaml.safe_load_all(text)]
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(f'this is no compiled pipeline: {error}') from error
        if not all(isinstance(document, dict) for document in documents) or not documents:
            raise ValueError('this is no compiled pipeline: it holds no mapping')
        first, *more = documents
        if 'pipelineSpec' in first:
            spec = first.pop('pipelineSpec')
            return cls(spec=spec, job=first)
        if len(more) > 1 or any(set(document) != {'platforms'} for document in more):
            raise ValueError('this is no compiled pipeline: the second document is not `platforms`')
        return cls(spec=first, platforms=more[0]['platforms'] if more else {})

    @classmethod
    def read(cls, path):
        """Reads the file `path` on this machine."""
        try:
            return cls.from_text(pathlib.Path(path).read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error


def executor_label(node_id):
    """Key of a node's container, and of its Kubernetes settings."""
    return f'{node_id}_executor'


def task(spec, node_id):
    """The task of a node, a dict in `spec`."""
    return spec['root']['dag']['tasks'][node_id]


def container(spec, node_id):
    """The container of a node, a dict in `spec`; None for an Importer, which has none."""
    return spec['deploymentSpec']['executors'][executor_label(node_id)].get('container')


def to_json(value):
    """Returns `value` as JSON that reads well and does not change without need."""
    return json.dumps(value, indent=2, sort_keys=True) + '\n'


class _Dumper(yaml.SafeDumper):
    """Writes strings of several lines as blocks, so that a change to one shows as a line."""


def _represent_string(dumper, text):
    style = '|' if '\n' in text else None
    return dumper.represent_scalar('tag:yaml.org,2002:str', text, style=style)


_Dumper.add_representer(str, _represent_string)
