"""Compiled pipelines made by hand, of nodes that run a few lines of Python: quick to rehearse."""

import yaml

# what each node's code begins with: it reads its input as any container would
PRELUDE = """
import json, os, sys
told = json.loads(sys.argv[1])
def stage(uri):
    return os.path.join(os.environ['TFX_KMEANS_STAGING_ROOT'], uri.replace('://', '/', 1))
def inputs(name):
    return told['inputs']['artifacts'][name]['artifacts'][0]
def outputs(name):
    return told['outputs']['artifacts'][name]['artifacts'][0]
def leave(**content):
    with open(told['outputs']['outputFile'], 'w') as file:
        json.dump(content, file)
"""
SCHEMA = {'artifactType': {'instanceSchema': 'title: tfx.Model\ntype: object\n'}}


def node(code, inputs=None, outputs=('model',), parameters=None, **task):
    """A node that runs `code`.

    Args:
        code: Python; the names of PRELUDE are there.
        inputs: {input: (producer, output)}.
        outputs: names of the outputs.
        parameters: {name: (type, source of the value)}.
        **task: further fields of the task.
    """
    inputs, parameters = inputs or {}, parameters or {}
    artifacts = {
        name: {'taskOutputArtifact': {'producerTask': producer, 'outputArtifactKey': key}}
        for name, (producer, key) in inputs.items()
    }
    values = {name: value for name, (_, value) in parameters.items()}
    return {
        'component': {
            'inputDefinitions': {
                'artifacts': dict.fromkeys(inputs, SCHEMA),
                'parameters': {n: {'parameterType': t} for n, (t, _) in parameters.items()},
            },
            'outputDefinitions': {'artifacts': dict.fromkeys(outputs, SCHEMA)},
        },
        'executor': {
            'container': {'image': 'any', 'command': ['python', '-c', PRELUDE + code, '{{$}}']}
        },
        'task': {'inputs': {'artifacts': artifacts, 'parameters': values}, **task},
    }


def importer(uri):
    """A node that imports what is at `uri`, a source of a value, as `model`."""
    made = node('')
    made['executor'] = {
        'importer': {
            'artifactUri': uri,
            'typeSchema': SCHEMA['artifactType'],
            'metadata': {'span': 7.0, 'splits': ['train', 'eval'], 'good': True},
        }
    }
    return made


def constant(value):
    return {'runtimeValue': {'constant': value}}


def write(path, nodes, parameters=None, **fields):
    """Writes the pipeline of `nodes`, by name, with ParameterSpecs by name; returns the path."""
    spec = {
        'pipelineInfo': {'name': 'by-hand'},
        'schemaVersion': '2.1.0',
        'components': {
            name: {**made['component'], 'executorLabel': f'{name}_executor'}
            for name, made in nodes.items()
        },
        'deploymentSpec': {
            'executors': {f'{name}_executor': made['executor'] for name, made in nodes.items()}
        },
        'root': {
            'inputDefinitions': {'parameters': parameters or {}},
            'dag': {
                'tasks': {
                    name: {
                        'taskInfo': {'name': name},
                        'componentRef': {'name': name},
                        **made['task'],
                    }
                    for name, made in nodes.items()
                }
            },
        },
        **fields,
    }
    path.write_text(yaml.safe_dump(spec))
    return path
