"""A small compiled pipeline, as YAML of two documents: IR and Kubernetes settings."""

import copy

import yaml

PIPELINE = {
    'pipelineInfo': {'name': 'zones'},
    'schemaVersion': '2.1.0',
    'sdkVersion': 'tfx-1.16.0',
    'components': {
        name: {
            'executorLabel': f'{name}_executor',
            'inputDefinitions': {'parameters': {'n_clusters': {'parameterType': 'NUMBER_INTEGER'}}},
        }
        for name in ('KMeans', 'Trainer')
    },
    'deploymentSpec': {
        'executors': {
            f'{name}_executor': {
                'container': {
                    'image': 'registry.example.com/zones:1',
                    'command': ['python', '-m', 'tfx_kmeans.kubeflow.run_executor'],
                }
            }
            for name in ('KMeans', 'Trainer')
        }
    },
    'root': {
        'inputDefinitions': {
            'parameters': {
                'data_root': {'parameterType': 'STRING'},
                'n_clusters': {'parameterType': 'NUMBER_INTEGER', 'defaultValue': 24},
                'tol': {'parameterType': 'NUMBER_DOUBLE', 'defaultValue': 0.0001},
                'standardize': {'parameterType': 'BOOLEAN', 'defaultValue': False},
            }
        },
        'dag': {
            'tasks': {
                name: {
                    'taskInfo': {'name': name},
                    'componentRef': {'name': name},
                    'cachingOptions': {'enableCache': True},
                    'inputs': {
                        'parameters': {'n_clusters': {'componentInputParameter': 'n_clusters'}}
                    },
                }
                for name in ('KMeans', 'Trainer')
            }
        },
    },
}
PLATFORMS = {
    'platforms': {
        'kubernetes': {
            'deploymentSpec': {
                'executors': {'Trainer_executor': {'nodeSelector': {'labels': {'pool': 'gpu'}}}}
            }
        }
    }
}


def write(path, **changes):
    """Writes the package to `path` with top-level `changes` to the pipeline; returns the path."""
    documents = [{**copy.deepcopy(PIPELINE), **changes}, PLATFORMS]
    path.write_text(yaml.safe_dump_all(documents))
    return path
