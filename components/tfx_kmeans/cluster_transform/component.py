"""TFX component ClusterTransform."""

from collections.abc import Sequence
from typing import Any

from tfx import types
from tfx.components.util import udf_utils
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto import transform_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from tfx_kmeans import artifacts
from tfx_kmeans.cluster_transform import executor, preprocessing

_STATISTICS = {
    'pre_transform_schema': standard_artifacts.Schema,
    'pre_transform_stats': standard_artifacts.ExampleStatistics,
    'post_transform_schema': standard_artifacts.Schema,
    'post_transform_stats': standard_artifacts.ExampleStatistics,
    'post_transform_anomalies': standard_artifacts.ExampleAnomalies,
}


class ClusterTransformSpec(component_spec.ComponentSpec):
    """What Transform takes and gives, and centroids and their transform graph."""

    PARAMETERS = {  # noqa: RUF012 - TFX declares them so
        **standard_component_specs.TransformSpec.PARAMETERS,
        'emit': component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        **standard_component_specs.TransformSpec.INPUTS,
        executor.UPSTREAM_KEY: component_spec.ChannelParameter(
            type=standard_artifacts.TransformGraph
        ),
        executor.CENTROIDS_KEY: component_spec.ChannelParameter(type=artifacts.Centroids),
    }
    OUTPUTS = standard_component_specs.TransformSpec.OUTPUTS


class ClusterTransform(base_beam_component.BaseBeamComponent):
    """A TFX component that adds cluster features to what a Transform gives.

    It takes the raw examples that Transform had and Transform's graph, which it embeds without
    analysing the data again, and gives what Transform gives. A Trainer therefore takes it in place
    of Transform without a change, and the exported graph goes from raw features to transformed and
    cluster features: what was trained is what is served.

    ## Example
    ```
      cluster_transform = ClusterTransform(
          examples=example_gen.outputs['examples'],
          schema=schema_gen.outputs['schema'],
          transform_graph=transform.outputs['transform_graph'],
          centroids=kmeans.outputs['centroids'],
      )
    ```

    Each set of centroids adds `<output_prefix>_<kind>` for each kind in `emit`; the id is
    categorical in the transformed schema, with the domain [0, n_clusters].

    Component `outputs` contains the same as Transform's:
     - `transform_graph`: Channel of type `standard_artifacts.TransformGraph`.
     - `transformed_examples`: Channel of type `standard_artifacts.Examples`, unless `materialize`
                               is False.
     - `updated_analyzer_cache`: Channel of type `standard_artifacts.TransformCache`, unless
                                 `disable_analyzer_cache`.
     - `pre_transform_schema`, `pre_transform_stats`, `post_transform_schema`,
       `post_transform_stats`, `post_transform_anomalies`: unless `disable_statistics`.
    """

    SPEC_CLASS = ClusterTransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        transform_graph: types.BaseChannel,
        centroids: types.BaseChannel | Sequence[types.BaseChannel],
        emit: Sequence[str] = ('id', 'distance'),
        module_file: str | RuntimeParameter | None = None,
        preprocessing_fn: str | RuntimeParameter | None = None,
        splits_config: transform_pb2.SplitsConfig | None = None,
        analyzer_cache: types.BaseChannel | None = None,
        materialize: bool = True,
        disable_analyzer_cache: bool = False,
        custom_config: dict[str, Any] | None = None,
        disable_statistics: bool = False,
        stats_options_updater_fn: str | None = None,
    ):
        """Constructs a ClusterTransform component.

        Args:
            examples: Channel of Examples: the raw ones that Transform had.
            schema: Channel of Schema: the one that Transform had.
            transform_graph: Channel of TransformGraph: Transform's.
            centroids: Channel of Centroids, or a list of such channels whose KMeans have different
                `output_prefix`.
            emit: what each set of centroids adds, of 'id' (int64), 'distance' (float32 scalar, to
                the nearest centroid), 'distances' (float32 `[n_clusters]`, to each centroid) and
                'similarity' (float32 `[n_clusters]`, soft assignment); see
                `transform.placing.place` for units and for rows that cannot be placed.
            module_file: path of a Python file with a `preprocessing_fn` that gets the transformed
                and cluster features and returns those to keep; it may use tf.Transform analyzers.
                At most one of `module_file` and `preprocessing_fn`.
            preprocessing_fn: the same as a dotted path of a function.
            splits_config: as in Transform.
            analyzer_cache: as in Transform.
            materialize: as in Transform.
            disable_analyzer_cache: as in Transform.
            custom_config: as in Transform.
            disable_statistics: as in Transform.
            stats_options_updater_fn: as in Transform.

        Raises:
            ValueError: `emit` is empty or names something else, `centroids` is an empty list, or
                arguments exclude each other.
        """
        emit = _checked_emit(emit)
        _check_exclusive(module_file=module_file, preprocessing_fn=preprocessing_fn)
        _check_exclusive(module_file=module_file, stats_options_updater_fn=stats_options_updater_fn)
        if disable_analyzer_cache and analyzer_cache:
            raise ValueError('analyzer_cache must not be given with disable_analyzer_cache=True')
        channels = _by_key(centroids)
        spec = _spec_class(channels)(
            examples=examples,
            schema=schema,
            analyzer_cache=analyzer_cache,
            module_file=module_file,
            preprocessing_fn=preprocessing_fn,
            stats_options_updater_fn=stats_options_updater_fn,
            force_tf_compat_v1=0,
            custom_config=json_utils.dumps(custom_config),
            splits_config=splits_config,
            disable_statistics=int(disable_statistics),
            emit=json_utils.dumps(emit),
            **{executor.UPSTREAM_KEY: transform_graph},
            **channels,
            **_outputs(materialize, disable_statistics, disable_analyzer_cache),
        )
        super().__init__(spec=spec)
        if udf_utils.should_package_user_modules():
            udf_utils.add_user_module_dependency(
                self,
                standard_component_specs.MODULE_FILE_KEY,
                standard_component_specs.MODULE_PATH_KEY,
            )


def _checked_emit(emit):
    emit = [emit] if isinstance(emit, str) else list(emit)
    preprocessing.check_emit(emit)
    return emit


def _check_exclusive(**arguments):
    if all(arguments.values()):
        first, second = arguments
        raise ValueError(f'at most one of {first} and {second} may be given, not {arguments}')


def _by_key(centroids):
    channels = [centroids] if isinstance(centroids, types.BaseChannel) else list(centroids)
    if not channels:
        raise ValueError('centroids must be a channel or a list of at least one, not []')
    key = executor.CENTROIDS_KEY
    return {f'{key}_{i}' if i else key: channel for i, channel in enumerate(channels)}


def _spec_class(channels):
    """TFX wants inputs declared in a class: for several centroids that is one with more of them."""
    more = dict.fromkeys(channels, ClusterTransformSpec.INPUTS[executor.CENTROIDS_KEY])
    inputs = {**ClusterTransformSpec.INPUTS, **more}
    return type('ClusterTransformSpec', (ClusterTransformSpec,), {'INPUTS': inputs})


def _outputs(materialize, disable_statistics, disable_analyzer_cache):
    channel_types = {'transform_graph': standard_artifacts.TransformGraph}
    if not disable_analyzer_cache:
        channel_types['updated_analyzer_cache'] = standard_artifacts.TransformCache
    if not disable_statistics:
        channel_types.update(_STATISTICS)
    channels = {key: types.Channel(type=kind) for key, kind in channel_types.items()}
    if materialize:
        channels['transformed_examples'] = types.Channel(type=standard_artifacts.Examples)
        channels['transformed_examples'].matching_channel_name = 'examples'
    return channels
