"""Executor of the TFX component ClusterTransform."""

import dataclasses
import os

from tfx.components.transform import executor as transform_executor
from tfx.components.transform import labels
from tfx.types import artifact_utils
from tfx.utils import json_utils

from tfx_kmeans import artifacts, files
from tfx_kmeans.cluster_transform import preprocessing

CENTROIDS_KEY = 'centroids'
# TFX wants the names of inputs and outputs apart, and transform_graph is an output
UPSTREAM_KEY = 'upstream_transform_graph'


class Executor(transform_executor.Executor):
    """TFX's Transform executor, run on the upstream graph with clusters added to it."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Runs Transform; see the component for inputs, outputs and parameters.

        Args:
            input_dict: lists of artifacts by name, as Transform has them, and
                `upstream_transform_graph`, `centroids`, `centroids_1`, ...
            output_dict: lists of artifacts by name, as Transform has them.
            exec_properties: as Transform has them, and `emit`, a JSON list.

        Raises:
            ValueError: the centroids do not fit the transform graph or each other, or Transform's
                temporary directory is a symbolic link.
            CentroidsError: an artifact is damaged.
        """
        graph_uri = artifact_utils.get_single_uri(output_dict['transform_graph'])
        files.check_no_link(os.path.join(graph_uri, '.temp_path'))  # Transform writes there
        self._stages = preprocessing.Stages(
            upstream_uri=artifact_utils.get_single_uri(input_dict[UPSTREAM_KEY]),
            clusterings=tuple(
                artifacts.Clustering.read(artifact.uri)
                for key in sorted(input_dict)
                if key.startswith(CENTROIDS_KEY)
                for artifact in input_dict[key]
            ),
            emit=tuple(json_utils.loads(exec_properties['emit'])),
            second_stage=None,
        )
        self._stages.check()
        super().Do(input_dict, output_dict, exec_properties)

    def _GetPreprocessingFn(self, inputs, unused_outputs):
        """Wraps the user's preprocessing_fn, where there is one, in the stages before it."""
        keys = (labels.MODULE_FILE, labels.MODULE_PATH, labels.PREPROCESSING_FN)
        if not any(inputs.get(key) for key in keys):
            return self._stages
        second_stage = super()._GetPreprocessingFn(inputs, unused_outputs)
        return dataclasses.replace(self._stages, second_stage=second_stage)
