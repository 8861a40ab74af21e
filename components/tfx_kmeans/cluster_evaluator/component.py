"""TFX component ClusterEvaluator."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import component_spec, standard_artifacts

from tfx_kmeans import artifacts, evaluation
from tfx_kmeans.cluster_evaluator import executor, gates, settings
from tfx_kmeans.report import notebook

notebook.register()

_Bound = float | RuntimeParameter | None


class ClusterEvaluatorSpec(component_spec.ComponentSpec):
    """What ClusterEvaluator takes and gives."""

    PARAMETERS = {  # noqa: RUF012 - TFX declares them so
        'weight_feature': component_spec.ExecutionParameter(type=str, optional=True),
        'train_split': component_spec.ExecutionParameter(type=str, optional=True),
        'eval_split': component_spec.ExecutionParameter(type=str),
        'memory_budget': component_spec.ExecutionParameter(type=int),
        **{
            name: component_spec.ExecutionParameter(type=float, optional=True)
            for name in gates.GATES
        },
    }
    INPUTS = {  # noqa: RUF012
        'examples': component_spec.ChannelParameter(type=standard_artifacts.Examples),
        'transform_graph': component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        'centroids': component_spec.ChannelParameter(type=artifacts.Centroids),
        'model': component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        'baseline_centroids': component_spec.ChannelParameter(
            type=artifacts.Centroids, optional=True
        ),
    }
    OUTPUTS = {  # noqa: RUF012
        'evaluation': component_spec.ChannelParameter(type=evaluation.ClusterEvaluation),
        'blessing': component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class ClusterEvaluator(base_component.BaseComponent):
    """A TFX component that judges clusters on an eval split, and blesses them or does not.

    Each threshold that is given has to hold for a blessing; without any the clusters are measured,
    and blessed whatever they are, which the log warns of. A bound may be reached. A threshold that
    compares with the baseline holds where there is none, as at the first run; one whose figure
    cannot be measured for another reason, such as the silhouette of a single cluster, does not.

    ## Example
    ```
      evaluator = ClusterEvaluator(
          examples=transform.outputs['transformed_examples'],
          transform_graph=transform.outputs['transform_graph'],
          centroids=kmeans.outputs['centroids'],
          model=kmeans.outputs['model'],
          max_inertia_ratio=1.2,
          min_cluster_share=0.001,
          max_training_psi=0.25,
      )
      pusher = tfx.components.Pusher(
          model=kmeans.outputs['model'],
          model_blessing=evaluator.outputs['blessing'],
          push_destination=push_destination,
      )
    ```

    Component `outputs` contains:
     - `evaluation`: Channel of type `tfx_kmeans.ClusterEvaluation`: figures, thresholds, and what
                     there is to show; `Evaluation.read` reads it.
     - `blessing`: Channel of type `standard_artifacts.ModelBlessing`, for Pusher or `tfx.dsl.Cond`.
    """

    SPEC_CLASS = ClusterEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        centroids: types.BaseChannel,
        model: types.BaseChannel | None = None,
        baseline_centroids: types.BaseChannel | None = None,
        *,
        max_inertia_per_row: _Bound = None,
        max_inertia_ratio: _Bound = None,
        min_silhouette: _Bound = None,
        max_davies_bouldin: _Bound = None,
        min_calinski_harabasz: _Bound = None,
        min_cluster_share: _Bound = None,
        max_unplaced_share: _Bound = None,
        max_training_psi: _Bound = None,
        max_training_jensen_shannon: _Bound = None,
        max_baseline_psi: _Bound = None,
        max_baseline_jensen_shannon: _Bound = None,
        max_baseline_inertia_ratio: _Bound = None,
        max_silhouette_drop: _Bound = None,
        min_kept_share: _Bound = None,
        min_adjusted_rand: _Bound = None,
        weight_feature: str | RuntimeParameter | None = None,
        train_split: str | RuntimeParameter | None = 'train',
        eval_split: str | RuntimeParameter = 'eval',
        memory_budget: int | RuntimeParameter = 4_000_000_000,
    ):
        """Constructs a ClusterEvaluator component.

        Args:
            examples: Channel of Examples that have the features of the centroids: Transform's
                `transformed_examples`, as gzip TFRecord files of tf.Example.
            transform_graph: Channel of TransformGraph of the same Transform, which tells the types
                and shapes of the features.
            centroids: Channel of Centroids to judge.
            model: Channel of the Model that KMeans gave with them. The blessing then names it, as
                TFX's LatestBlessedModelStrategy needs it, and the centroids otherwise.
            baseline_centroids: Channel of Centroids to compare with, such as those that serve now;
                from a Resolver it may be empty. They may have other features, which must be among
                those of the examples.
            max_inertia_per_row: most mean distance of a row of the eval split to its centroid:
                squared Euclidean, or 1 - cos.
            max_inertia_ratio: most of that by the same of the train split.
            min_silhouette: least simplified silhouette, in [-1, 1], see graph.score_clusters.
            max_davies_bouldin: most Davies-Bouldin index.
            min_calinski_harabasz: least Calinski-Harabasz index.
            min_cluster_share: least share of the placed rows, by weight, that each cluster has.
            max_unplaced_share: most share of the rows that cannot be placed.
            max_training_psi: most population stability index of the sizes of the clusters, against
                those in the fit: below 0.1 is called stable, above 0.25 a large shift.
            max_training_jensen_shannon: most Jensen-Shannon divergence of the same, in bits.
            max_baseline_psi: most population stability index of the sizes of the baseline's
                clusters, against those in the rows that it was fitted to.
            max_baseline_jensen_shannon: most Jensen-Shannon divergence of the same.
            max_baseline_inertia_ratio: most inertia per row by that of the baseline on the same
                rows, each in the space of its own standardisation.
            max_silhouette_drop: most by which the silhouette is lower than that of the baseline on
                the same rows; negative where it has to be higher.
            min_kept_share: least share of the rows, by weight, that have the id that they have in
                the baseline.
            min_adjusted_rand: least adjusted Rand index of both clusterings, which does not mind
                how clusters are numbered.
            weight_feature: name of a numeric scalar transformed feature that says how much a row
                counts, that of the fit as a rule; None counts each row once.
            train_split: split that the fit was made on; None leaves it unread, say where the
                centroids were fitted to other examples. Sizes of clusters are then compared with
                those that the centroids have on record.
            eval_split: split to judge the clusters on.
            memory_budget: bytes of memory for the rows of a split, see KMeans; more of them are put
                on disk.

        Raises:
            TypeError: a parameter is of the wrong type.
            ValueError: a parameter is out of range, or a threshold on something that will not be
                there.
        """
        given = locals()
        parameters = settings.Settings(
            weight_feature=weight_feature,
            train_split=train_split,
            eval_split=eval_split,
            memory_budget=memory_budget,
            bounds={name: given[name] for name in gates.GATES},
        )
        parameters.check(has_baseline=baseline_centroids is not None)
        spec = ClusterEvaluatorSpec(
            examples=examples,
            transform_graph=transform_graph,
            centroids=centroids,
            model=model,
            baseline_centroids=baseline_centroids,
            evaluation=types.Channel(type=evaluation.ClusterEvaluation),
            blessing=types.Channel(type=standard_artifacts.ModelBlessing),
            **parameters.to_exec_properties(),
        )
        super().__init__(spec=spec)
