"""Small components that tell what they were given."""

import json
import pathlib
import threading
import time

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
def Linger(
    model: tfx.dsl.components.OutputArtifact[standard_artifacts.Model],
):
    """Leaves a thread behind, as libraries do."""
    pathlib.Path(model.uri, 'weights').write_text('1')
    threading.Thread(target=time.sleep, args=[600]).start()
