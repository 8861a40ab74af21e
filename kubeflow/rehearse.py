"""Compiles, checks and rehearses the taxi pipeline on this machine: `make kubeflow`.

What the cluster has in its image and on its volume is here in the checkout and below `output/`.
"""

import json
import os
import shutil
import sys

# this is about the pipeline, not about what TensorFlow finds in the machine
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import kubeflow_runner

import local_runner
import locations
from tfx_kmeans import Clustering, kubeflow

TRAIN_STEPS = 200
_WORKDIR = kubeflow_runner.OUTPUT / 'rehearsal'
_SERVING = kubeflow_runner.OUTPUT / 'serving_model'
_CLUSTERS = kubeflow_runner.OUTPUT / 'serving_clusters'


def main():
    """Goes through the three steps, and says on one screen what came of them."""
    path = kubeflow_runner.OUTPUT / f'{kubeflow_runner.PIPELINE_NAME}.yaml'
    for directory in (_WORKDIR, _SERVING, _CLUSTERS):
        shutil.rmtree(directory, ignore_errors=True)
    kubeflow_runner.run(path)
    print(f'Compiled  {path}')
    parameters = {
        'data_root': str(local_runner.DATA),
        'schema_path': str(locations.SCHEMA),
        'push_destination': json.dumps({'filesystem': {'base_directory': str(_SERVING)}}),
        'cluster_push_destination': json.dumps({'filesystem': {'base_directory': str(_CLUSTERS)}}),
        'train_args': json.dumps({'num_steps': TRAIN_STEPS}),
    }
    kubeflow.validate(path, parameters=parameters)
    print('Valid     for an open-source backend, with the parameters of the rehearsal')
    # in the image, the modules of the pipeline are on PYTHONPATH
    modules = [str(locations.REPOSITORY / 'pipelines'), os.environ.get('PYTHONPATH', '')]
    result = kubeflow.local_run(
        path,
        parameters,
        workdir=_WORKDIR,
        env={'PYTHONPATH': os.pathsep.join(filter(None, modules))},
    )
    print(*_summary(result), sep='\n')


def _summary(result):
    """Returns the lines that say what the rehearsal left."""

    def place(node, output):
        return result.store.path(result.outputs[node][output].uri)

    clustering = Clustering.read(str(place('KMeans', 'centroids')))
    blessed = result.outputs['Evaluator']['blessing'].metadata['blessed']
    return [
        f'{clustering.n_clusters} clusters of {clustering.total_weight:.0f} trips; the model is '
        f'{"blessed and pushed" if blessed else "not blessed"} after {TRAIN_STEPS} steps',
        f'Centroids {place("KMeans", "centroids")}',
        f'Model     {_SERVING if blessed else place("Trainer", "model")}',
    ]


if __name__ == '__main__':
    try:
        main()
    except (ValueError, RuntimeError) as error:
        sys.exit(str(error))
