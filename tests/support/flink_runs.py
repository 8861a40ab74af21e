"""KMeans on a Flink cluster through TFX, and task managers that are killed while it runs."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import sys
import threading

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

from tfx_kmeans import Centroids, KMeans

FIT = {
    'n_clusters': 4,
    'features': ['x', 'y'],
    'missing': 'drop',
    'weight_feature': 'weight',
    'max_passes': 3,
}
WORKER = pathlib.Path(sys.executable).with_name('tfx-kmeans-beam-worker')
PAUSE = 0.1


def beam_args(cluster, job_server, parallelism=2, worker=WORKER, **environment):
    """Options of Beam: run on the cluster, with workers that its task managers start.

    Args:
        cluster: flink_cluster.FlinkCluster.
        job_server: path to the jar of Beam's job server.
        parallelism: how many workers share each step.
        worker: path to the command that runs a worker.
        **environment: variables of the workers.
    """
    environment = {'TF_CPP_MIN_LOG_LEVEL': '2', **environment}
    config = {'command': str(worker), 'env': environment}
    return [
        '--runner=FlinkRunner',
        '--flink_version=1.19',
        f'--flink_master={cluster.address}',
        f'--flink_job_server_jar={job_server}',
        f'--parallelism={parallelism}',
        '--environment_type=PROCESS',
        f'--environment_config={json.dumps(config)}',
        '--environment_cache_millis=600000',
        '--sdk_container_image=none',  # keeps TFX from building a package of itself for the workers
    ]


def run_kmeans(directory, transformed, args):
    """Runs a TFX pipeline of nothing but KMeans(engine='beam', **FIT).

    Args:
        directory: pathlib.Path to write to.
        transformed: outputs of Transform by name.
        args: options of Beam.
    """
    examples = _importer(
        transformed['transformed_examples'],
        properties={'split_names': transformed['transformed_examples'].split_names},
    )
    transform_graph = _importer(transformed['transform_graph'])
    kmeans = KMeans(
        examples=examples.outputs['result'],
        transform_graph=transform_graph.outputs['result'],
        engine='beam',
        **FIT,
    )
    pipeline = tfx.dsl.Pipeline(
        'flink',
        str(directory / 'root'),
        components=[examples, transform_graph, kmeans],
        metadata_connection_config=_connection(directory),
        beam_pipeline_args=args,
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)


def _importer(artifact, **options):
    kind = type(artifact)
    importer = tfx.dsl.Importer(source_uri=artifact.uri, artifact_type=kind, **options)
    return importer.with_id(kind.TYPE_NAME)


def _connection(directory):
    path = str(directory / 'metadata.db')
    return tfx.orchestration.metadata.sqlite_metadata_connection_config(path)


def published(directory):
    """URIs of the Centroids that the pipeline below `directory` has published."""
    store = metadata_store.MetadataStore(_connection(directory))
    made = store.get_artifacts_by_type(Centroids.TYPE_NAME)
    return [each.uri for each in made if each.state == metadata_store_pb2.Artifact.LIVE]


@contextlib.contextmanager
def killing(cluster, name):
    """Kills a task manager while the job that runs in the `with` block is under way.

    Yields:
        Dict that holds the id of the job as 'id' once the task manager is dead.
    """
    job, over = {}, threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        killed = executor.submit(_kill_in_mid_job, cluster, name, job, over)
        try:
            yield job
        finally:
            over.set()
    killed.result()


def _kill_in_mid_job(cluster, name, job, over):
    """Waits until a third of the tasks of a job have finished, some of them on `name`; kills it."""
    while not over.wait(PAUSE):
        for each in cluster.get('jobs/overview')['jobs']:
            tasks = each['tasks']
            if tasks['finished'] > tasks['total'] / 3 and _has_work(cluster, name):
                if each['state'] != 'RUNNING':
                    raise RuntimeError(f'the job was {each["state"]} before {name} could be killed')
                os.kill(cluster.task_managers[name].pid, signal.SIGKILL)
                job['id'] = each['jid']
                return
    raise RuntimeError(f'there was no job in which to kill {name}')


def _has_work(cluster, name):
    (found,) = (each for each in cluster.get('taskmanagers')['taskmanagers'] if each['id'] == name)
    return found['freeSlots'] < found['slotsNumber']
