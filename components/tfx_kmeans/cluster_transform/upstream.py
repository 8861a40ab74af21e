"""The graph of an upstream Transform, laid open inside another preprocessing_fn."""

import hashlib
import os

import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.io import fileio

_NAME = 'tfx_kmeans_upstream_transform'
_FINGERPRINT = '_tfx_kmeans_upstream_files'


def apply(transform_output, inputs):
    """Applies the graph of a Transform to raw features.

    The operations are imported one by one. As the call of a single function they would make every
    output depend on every input, and a server that has no label would get no features at all:
    tf.Transform leaves out what depends on inputs that are not fed.

    Each operation is marked with a hash of the upstream vocabularies and variables. tf.Transform
    looks up its analyzer cache by the attributes of the operations before an analyzer, and would
    else take what it cached under other vocabularies.

    Args:
        transform_output: tft.TFTransformOutput.
        inputs: dict of raw features, as a preprocessing_fn gets them.

    Returns:
        Dict of transformed features.

    Raises:
        ValueError: the graph was exported with force_tf_compat_v1, or a raw feature is missing.
    """
    directory = transform_output.transform_savedmodel_dir
    # tracked, so that its vocabularies are exported with the new graph
    loaded = tft.make_and_track_object(lambda: tf.saved_model.load(directory), _NAME)
    if not hasattr(loaded, 'transform_fn'):
        raise ValueError(
            f'transform_graph: {directory} was exported with force_tf_compat_v1=True; '
            'ClusterTransform needs a Transform without it'
        )
    function = loaded.transform_fn
    signature = function.structured_input_signature[0][0]
    missing = sorted(set(signature) - set(inputs))
    if missing:
        raise ValueError(f'schema: the raw features {missing} of transform_graph are not in it')
    feeds = tf.nest.flatten({key: inputs[key] for key in signature}, expand_composites=True)
    # reading a captured resource through an identity captures it in the new graph as well
    feeds += [tf.identity(tensor) for tensor in function.captured_inputs]
    graph_def = function.graph.as_graph_def()
    fingerprint = _fingerprint(directory)
    for node in graph_def.node:
        node.attr[_FINGERPRINT].s = fingerprint
    fetches = tf.graph_util.import_graph_def(
        graph_def,
        input_map={t.name: feed for t, feed in zip(function.inputs, feeds, strict=True)},
        return_elements=[t.name for t in function.outputs],
        name='upstream',
    )
    for fetch, output in zip(fetches, function.outputs, strict=True):
        fetch.set_shape(output.shape)
    return tf.nest.pack_sequence_as(function.structured_outputs, fetches, expand_composites=True)


def _fingerprint(directory):
    """Hashes the files of a SavedModel that its graph reads, of which the graph itself is none."""
    digest = hashlib.sha256()
    for folder in (tf.saved_model.ASSETS_DIRECTORY, tf.saved_model.VARIABLES_DIRECTORY):
        for path in sorted(fileio.glob(os.path.join(directory, folder, '*'))):
            with fileio.open(path, 'rb') as file:
                content = hashlib.sha256(file.read()).digest()
            digest.update(os.path.basename(path).encode() + b'\0' + content)
    return digest.hexdigest().encode()
