"""Small components that tell what they were given."""

import json
import os
import pathlib
import threading
import time

import tensorflow as tf
from tfx import v1 as tfx
from tfx.types import standard_artifacts


@tfx.dsl.components.component
def Tell(
    examples: tfx.dsl.components.InputArtifact[standard_artifacts.Examples],
    model: tfx.dsl.components.OutputArtifact[standard_artifacts.Model],
    steps: tfx.dsl.components.Parameter[int],
):
    """Writes what it knows of its input into its output."""
    told = {
        'uri': examples.uri,
        'splits': examples.split_names,
        'steps': steps,
        'directory_is_there': pathlib.Path(model.uri).is_dir(),
    }
    if told['directory_is_there']:
        pathlib.Path(model.uri, 'told.json').write_text(json.dumps(told))
    model.set_json_value_custom_property('told', told)
    model.set_string_custom_property('examples_uri', examples.uri)
    # a property without a value, which TFX writes as null
    model.mlmd_artifact.custom_properties['nothing'].Clear()


@tfx.dsl.components.component
def Save(
    model: tfx.dsl.components.OutputArtifact[standard_artifacts.Model],
    nothing: tfx.dsl.components.OutputArtifact[standard_artifacts.Model],
):
    """Writes what tf.saved_model.save does, beside an output that stays empty."""
    module = tf.Module()
    module.value = tf.Variable(7.0)
    module.read = tf.function(lambda: module.value + 0.0, input_signature=[])
    tf.saved_model.save(module, os.path.join(model.uri, 'Format-Serving'))


@tfx.dsl.components.component
def Load(model: tfx.dsl.components.InputArtifact[standard_artifacts.Model]):
    """Reads it."""
    loaded = tf.saved_model.load(os.path.join(model.uri, 'Format-Serving'))
    print('the value is', loaded.read().numpy())


@tfx.dsl.components.component
def Linger(
    model: tfx.dsl.components.OutputArtifact[standard_artifacts.Model],
):
    """Leaves a thread behind, as libraries do."""
    pathlib.Path(model.uri, 'weights').write_text('1')
    threading.Thread(target=time.sleep, args=[600]).start()
