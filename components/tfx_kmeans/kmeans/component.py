"""TFX component KMeans."""

from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import component_spec, standard_artifacts

from tfx_kmeans import artifacts
from tfx_kmeans.kmeans import executor, settings
from tfx_kmeans.report import notebook

notebook.register()


class KMeansSpec(component_spec.ComponentSpec):
    """What KMeans takes and gives."""

    PARAMETERS = {  # noqa: RUF012 - TFX declares them so
        'n_clusters': component_spec.ExecutionParameter(type=int, optional=True),
        'candidates': component_spec.ExecutionParameter(type=str, optional=True),
        'features': component_spec.ExecutionParameter(type=str, optional=True),
        'output_prefix': component_spec.ExecutionParameter(type=str),
        'init': component_spec.ExecutionParameter(type=str),
        'search': component_spec.ExecutionParameter(type=str),
        'n_init': component_spec.ExecutionParameter(type=int),
        'max_iter': component_spec.ExecutionParameter(type=int),
        'tol': component_spec.ExecutionParameter(type=float),
        'seed': component_spec.ExecutionParameter(type=int),
        'distance': component_spec.ExecutionParameter(type=str),
        'weight_feature': component_spec.ExecutionParameter(type=str, optional=True),
        'missing': component_spec.ExecutionParameter(type=str),
        'standardize': component_spec.ExecutionParameter(type=int),
        'solver': component_spec.ExecutionParameter(type=str),
        'engine': component_spec.ExecutionParameter(type=str, optional=True),
        'max_passes': component_spec.ExecutionParameter(type=int, optional=True),
        'memory_budget': component_spec.ExecutionParameter(type=int),
        'train_split': component_spec.ExecutionParameter(type=str),
        'eval_split': component_spec.ExecutionParameter(type=str, optional=True),
        'selection': component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        'examples': component_spec.ChannelParameter(type=standard_artifacts.Examples),
        'transform_graph': component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        'previous_centroids': component_spec.ChannelParameter(
            type=artifacts.Centroids, optional=True
        ),
    }
    OUTPUTS = {  # noqa: RUF012
        'centroids': component_spec.ChannelParameter(type=artifacts.Centroids),
        'model': component_spec.ChannelParameter(type=standard_artifacts.Model),
        'model_run': component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }


class KMeans(base_beam_component.BaseBeamComponent):
    """A TFX component that fits k-means inside the TensorFlow graph on Transform's output.

    The same seed and the same examples give the same clusters, in whatever order of files and
    shards they come. Clusters are numbered by falling weight, or as `previous_centroids` were.

    ## Example
    ```
      kmeans = KMeans(
          examples=transform.outputs['transformed_examples'],
          transform_graph=transform.outputs['transform_graph'],
          features=['latitude', 'longitude'],
          n_clusters=20,
      )
    ```

    Component `outputs` contains:
     - `centroids`: Channel of type `tfx_kmeans.Centroids`, for `ClusterTransform`.
     - `model`: Channel of type `standard_artifacts.Model`, a SavedModel that maps serialized
                transformed tf.Examples to cluster ids and distances.
     - `model_run`: Channel of type `standard_artifacts.ModelRun`, TensorBoard logs of the fit.
    """

    SPEC_CLASS = KMeansSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        n_clusters: int | Sequence[int] | RuntimeParameter,
        features: Sequence[str] | None = None,
        output_prefix: str | RuntimeParameter = 'cluster',
        init: str | RuntimeParameter = 'k-means++',
        search: str | RuntimeParameter = 'breathing',
        n_init: int | RuntimeParameter = 1,
        max_iter: int | RuntimeParameter = 300,
        tol: float | RuntimeParameter = 1e-4,
        seed: int | RuntimeParameter = 0,
        distance: str | RuntimeParameter = 'squared_euclidean',
        weight_feature: str | RuntimeParameter | None = None,
        missing: str | RuntimeParameter = 'error',
        standardize: bool = False,
        solver: str | RuntimeParameter = 'auto',
        engine: str | RuntimeParameter = 'auto',
        max_passes: int | RuntimeParameter = 10,
        memory_budget: int | RuntimeParameter = 4_000_000_000,
        train_split: str | RuntimeParameter = 'train',
        eval_split: str | RuntimeParameter | None = 'eval',
        selection: str | RuntimeParameter = 'silhouette',
        previous_centroids: types.BaseChannel | None = None,
    ):
        """Constructs a KMeans component.

        Args:
            examples: Channel of Examples: Transform's `transformed_examples`, as gzip TFRecord
                files of tf.Example, or under engine='beam' as Parquet.
            transform_graph: Channel of TransformGraph of the same Transform, which tells the types
                and shapes of the features.
            n_clusters: how many clusters to fit, at least 1; or a sequence of such numbers, each of
                which is fitted to the rows, read once, and the best by `selection` is kept. A
                RuntimeParameter is of type int, or of type str and holds either as JSON.
            features: names of dense numeric transformed features, scalars or vectors; None takes
                all dense float ones (a float label among them, so name them where there is one).
            output_prefix: downstream features are called `<output_prefix>_id` and so on.
            init: 'k-means++' (greedy, as in scikit-learn), 'k-means||' (the same from candidates
                that a few passes over the rows draw: for many clusters) or 'random'.
            search: 'breathing' draws the seeding from a sample and improves it there, 'none' seeds
                from all rows and goes on at once, as scikit-learn does; see `graph.fit`.
            n_init: runs from different seedings, of which the one of least inertia is kept.
            max_iter: the most updates in a run; under the solver 'streaming' the most passes.
            tol: a run has converged when the squared movement of all centroids together is at most
                `tol` times the mean variance of the columns.
            seed: an integer in [0, 2^63).
            distance: 'squared_euclidean' or 'cosine'.
            weight_feature: name of a numeric scalar transformed feature that says how much a row
                counts; None counts each row once.
            missing: what to do with training rows that have NaN in a feature: 'error', 'drop' to
                leave them out of the fit, which is logged with their number, or 'partial' (not
                under the cosine distance) to take part by the values that they have, see
                `graph.fit`. With 'partial' such rows of the eval split and in serving are placed
                alike; otherwise, and where all values are missing, they get the id n_clusters.
            standardize: whether to bring each column to mean 0 and variance 1 before the fit; the
                means and deviations become part of the artifact and of every exported graph.
            solver: 'lloyd' is exact and holds the features in memory; 'streaming' goes over rows
                on disk, see
                `graph.fit_dataset`; 'auto' takes 'lloyd' where its memory is within
                `memory_budget` and else 'streaming', and logs why. Anything else is the import path
                of a callable, such as 'sklearn.cluster.MiniBatchKMeans' or a function of your own,
                see `graph.fit_callable`: it finds the centroids in memory, and what is exported is
                TensorFlow alone.
            engine: 'tensorflow' fits in this process; 'beam' on the Beam runner of the pipeline (or
                of `with_beam_pipeline_args`), see `tfx_kmeans.beam.FitKMeans`: no process holds
                more than a part of the rows, which are kept in files beside the output, 4 bytes a
                value, while it runs. It goes with the solvers 'auto' and 'lloyd'. With
                missing='partial' the sample that it begins with is drawn from the rows without NaN,
                among which there must be at least `n_clusters` distinct ones. 'auto' takes 'beam',
                where it goes, if an exact fit to the train split would take more than
                `memory_budget`, judged by how its files begin, or they are Parquet, else
                'tensorflow', and logs why.
            max_passes: the most iterations over all rows under engine='beam', after the fit of a
                sample, to which `max_iter` goes there.
            memory_budget: bytes that an exact fit may take, at least 100 MB: some 64 for each row
                and 8 for each of its values, of the features that are clustered and the weight.
                Under the solvers 'auto' and 'streaming' more rows than that are put on disk, in the
                directory for temporary files (TMPDIR), where they take 4 bytes a value, and twice
                that for a while; with missing='partial' they are refused, since no solver streams
                them. The other solvers do not go by it.
            train_split: split to fit on.
            eval_split: split to score the fit on; None scores none.
            selection: which of several n_clusters is kept: that of highest 'silhouette' (the
                simplified one), of lowest 'davies_bouldin' or of highest 'calinski_harabasz' on the
                train split, each at least 2, see `graph.score_clusters`; or that at the 'elbow' of
                the inertia, at least 3 numbers, see `graph.elbow`. Of equals it is the smallest.
            previous_centroids: Channel of Centroids of an earlier run, from a Resolver or an
                Importer; None, or a channel without an artifact, where there is none. The fit
                starts from them in place of a seeding (`init`, `search` and `n_init` are ignored),
                standardises by the means and deviations that they had, and its clusters take the
                ids of those that they continue, see `matching.match`. Features, distance and
                whether to standardise must be as they were. With fewer clusters than before it
                starts from the heaviest, with more of them from rows drawn by their squared
                distance besides. A callable solver is given them as `init` if it has a parameter of
                that name, and is renumbered anyway.

        Raises:
            TypeError: a parameter is of the wrong type.
            ValueError: a parameter is out of range.
        """
        parameters = settings.Settings(
            n_clusters=settings.candidates(n_clusters),
            features=tuple(features) if isinstance(features, list) else features,
            output_prefix=output_prefix,
            init=init,
            search=search,
            n_init=n_init,
            max_iter=max_iter,
            tol=tol,
            seed=seed,
            distance=distance,
            weight_feature=weight_feature,
            missing=missing,
            standardize=standardize,
            solver=solver,
            engine=engine,
            max_passes=max_passes,
            memory_budget=memory_budget,
            train_split=train_split,
            eval_split=eval_split,
            selection=selection,
        )
        parameters.check()
        spec = KMeansSpec(
            examples=examples,
            transform_graph=transform_graph,
            previous_centroids=previous_centroids,
            centroids=types.Channel(type=artifacts.Centroids),
            model=types.Channel(type=standard_artifacts.Model),
            model_run=types.Channel(type=standard_artifacts.ModelRun),
            **parameters.to_exec_properties(),
        )
        super().__init__(spec=spec)
