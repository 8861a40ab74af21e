"""Runs the demo and looks at what it left."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

NODES = {
    'CsvExampleGen', 'StatisticsGen', 'ImportSchemaGen', 'ExampleValidator', 'Transform', 'KMeans',
    'ClusterEvaluator', 'ClusterTransform', 'Trainer', 'Evaluator', 'Pusher',
}  # fmt: skip
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent

# run in a process of its own, which has nothing but TensorFlow
SERVE = """
import sys
import numpy as np
import tensorflow as tf
model, examples, output = sys.argv[1:]
serialized = tf.stack(list(tf.data.TFRecordDataset(tf.io.gfile.glob(examples), 'GZIP')))
signatures = tf.saved_model.load(model).signatures
served = signatures['serving_default'](examples=serialized)
transformed = signatures['transform_features'](examples=serialized)
np.savez(output, served_id=served['zone_id'], big_tip=served['big_tip'], **transformed)
"""


def run(output, *command):
    environment = {
        **os.environ,
        # as in an activated environment: TFX's command line calls pip by its name
        'PATH': f'{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
        'TFX_KMEANS_OUTPUT': str(output),
        'HOME': str(output),
        'PYTHONWARNINGS': 'default::DeprecationWarning',
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_demo(output, *options):
    """Runs the demo with all that it writes below `output`; returns what it printed."""
    done = run(output, sys.executable, 'pipelines/demo.py', *options)
    log = output / 'demo.log'
    assert done.returncode == 0, done.stdout + done.stderr + log.read_text()[-5000:]
    return done.stdout


def serve(output):
    """What the pushed model says of the raw eval examples, in a fresh process."""
    examples = newest(output / 'pipeline_root/CsvExampleGen/examples')
    return serve_model(newest(output / 'serving_model'), examples, output)


def serve_model(model, examples, directory):
    """What a model of the pipeline says of the eval split of raw examples, in a fresh process.

    Args:
        model: pathlib.Path of the SavedModel.
        examples: pathlib.Path of the Examples.
        directory: pathlib.Path to write to.

    Returns:
        Arrays by name: the ids and scores served, and all transformed features.
    """
    result = directory / 'served.npz'
    files = examples / 'Split-eval' / '*'
    done = run(directory, sys.executable, '-c', SERVE, model, files, result)
    assert done.returncode == 0, done.stderr
    return np.load(result)


def newest(directory):
    return max(directory.iterdir(), key=lambda path: int(path.name))


def executions(output):
    """Executions by node and state, e.g. ('KMeans', COMPLETE)."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(output / 'metadata.sqlite')
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    store = metadata_store.MetadataStore(config)
    types = {kind.id: kind.name.split('.')[-1] for kind in store.get_execution_types()}
    return [(types[e.type_id], e.last_known_state) for e in store.get_executions()]


def materialised(output, node, split):
    """What a Transform or ClusterTransform wrote, as a dict of arrays."""
    outputs = output / 'pipeline_root' / node
    graph, examples = (newest(outputs / k) for k in ('transform_graph', 'transformed_examples'))
    return read_transformed(graph, examples, split)


def read_transformed(graph, examples, split):
    """A split of transformed examples, as a dict of arrays."""
    spec = tft.TFTransformOutput(str(graph)).transformed_feature_spec()
    files = tf.io.gfile.glob(str(examples / f'Split-{split}' / '*'))
    serialized = list(tf.data.TFRecordDataset(files, 'GZIP').as_numpy_iterator())
    parsed = tf.io.parse_example(serialized, spec)
    return {key: value.numpy() for key, value in parsed.items()}


def sorted_rows(columns):
    rows = np.stack([np.nan_to_num(column.astype(np.float64), nan=1e9) for column in columns], 1)
    return rows[np.lexsort(rows.T)]
