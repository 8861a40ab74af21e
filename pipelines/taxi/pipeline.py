"""The taxi pipeline: clusters of where trips begin and end, as features of a model.

An ordinary TFX pipeline but for three nodes, `KMeans`, `ClusterEvaluator` and `ClusterTransform`,
or, with `analyzer`, but for what its preprocessing_fn calls.
"""

from tensorflow_model_analysis.proto import config_pb2
from tfx import v1 as tfx

from taxi import features
from tfx_kmeans import Centroids, ClusterEvaluator, ClusterTransform, KMeans


def create_pipeline(
    pipeline_name,
    pipeline_root,
    data_root,
    schema_path,
    push_destination,
    cluster_push_destination,
    metadata_path=None,
    n_clusters=24,
    train_args=None,
    eval_args=None,
    seed=0,
    analyzer=False,
    previous_centroids=None,
    spans=False,
    enable_cache=True,
    beam_pipeline_args=None,
):
    """Builds the pipeline.

    For Kubeflow, `data_root`, `schema_path`, `push_destination`, `cluster_push_destination`,
    `n_clusters`, `train_args` and `eval_args` may be RuntimeParameters, and so may the URI of
    `previous_centroids`; that of a message is of type str and holds it as JSON.

    Args:
        pipeline_name: str.
        pipeline_root: directory for what the nodes write.
        data_root: directory of CSV files of taxi trips.
        schema_path: the curated schema of these files, a pbtxt file.
        push_destination: tfx.proto.PushDestination: where the blessed model goes.
        cluster_push_destination: tfx.proto.PushDestination: where the model that tells nothing but
            clusters goes, if they are blessed.
        metadata_path: SQLite file of the metadata, or None where Kubeflow keeps them.
        n_clusters: how many zones to find, or several such numbers, of which KMeans keeps the best.
        train_args: tfx.proto.TrainArgs: how many batches to train the model on; None: 800.
        eval_args: tfx.proto.EvalArgs: how many to evaluate it on after each epoch; None: 40.
        seed: of the clusters and of the model.
        analyzer: whether Transform finds the clusters, with the analyzers in its preprocessing_fn,
            instead of KMeans and ClusterTransform.
        previous_centroids: where the zones are that the new ones are to continue, so that their
            ids mean the same in the next model: 'latest' for those of the last run of this
            pipeline (none in the first run; not on Kubeflow), or the URI of a Centroids artifact.
            None: the zones are numbered anew.
        spans: whether `data_root` has a directory `span-1`, `span-2` and so on for each span of
            the data, of which the last one is read.
        enable_cache: whether nodes whose inputs are unchanged reuse what they wrote before.
        beam_pipeline_args: options of the Beam runner.

    Returns:
        tfx.dsl.Pipeline.
    """
    example_gen = tfx.components.CsvExampleGen(
        input_base=data_root, input_config=_span_by_directory() if spans else None
    )
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs['examples'])
    schema_gen = tfx.components.ImportSchemaGen(schema_file=schema_path)
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs['statistics'], schema=schema_gen.outputs['schema']
    )
    raw = {
        'examples': example_gen.outputs['examples'],
        'schema': schema_gen.outputs['schema'],
    }
    if analyzer:
        transform = tfx.components.Transform(
            **raw,
            preprocessing_fn='taxi.single_transform.preprocessing_fn',
            custom_config={'n_clusters': n_clusters, 'seed': seed},
        )
        features_from, nodes = transform, [transform]
    else:
        transform = tfx.components.Transform(
            **raw, preprocessing_fn='taxi.preprocessing.preprocessing_fn'
        )
        previous = _previous(previous_centroids)
        # the nodes that bring clusters into the pipeline
        kmeans = KMeans(
            examples=transform.outputs['transformed_examples'],
            transform_graph=transform.outputs['transform_graph'],
            features=list(features.COORDINATES),
            output_prefix=features.CLUSTER_PREFIX,
            n_clusters=n_clusters,
            selection='davies_bouldin',  # zones that are far apart, as measured by their widths
            n_init=5,
            missing='drop',  # trips without a place stay out of the fit, with an id of their own
            seed=seed,
            previous_centroids=previous[0].outputs['result'] if previous else None,
        )
        cluster_transform = ClusterTransform(
            **raw,
            transform_graph=transform.outputs['transform_graph'],
            centroids=kmeans.outputs['centroids'],
        )
        # from here on ClusterTransform stands where Transform would
        features_from = cluster_transform
        nodes = [
            *previous,
            transform,
            kmeans,
            *_judge_clusters(transform, kmeans, previous, cluster_push_destination),
            cluster_transform,
        ]

    trainer = tfx.components.Trainer(
        run_fn='taxi.model.run_fn',
        examples=features_from.outputs['transformed_examples'],
        transform_graph=features_from.outputs['transform_graph'],
        train_args=train_args or tfx.proto.TrainArgs(num_steps=800),
        eval_args=eval_args or tfx.proto.EvalArgs(num_steps=40),
        custom_config={'seed': seed},
    )
    evaluator = tfx.components.Evaluator(
        examples=example_gen.outputs['examples'],
        model=trainer.outputs['model'],
        eval_config=_eval_config(),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs['model'],
        model_blessing=evaluator.outputs['blessing'],
        push_destination=push_destination,
    )
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            *nodes,
            trainer,
            evaluator,
            pusher,
        ],
        enable_cache=enable_cache,
        metadata_connection_config=metadata_path
        and tfx.orchestration.metadata.sqlite_metadata_connection_config(metadata_path),
        beam_pipeline_args=beam_pipeline_args,
    )


def _span_by_directory():
    split = tfx.proto.Input.Split(name='trips', pattern='span-{SPAN}/*')
    return tfx.proto.Input(splits=[split])


def _previous(where):
    """Returns a list of the node that finds the centroids to continue; empty where None are."""
    if where is None:
        return []
    if where == 'latest':
        node = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
            result=tfx.dsl.Channel(type=Centroids),
        )
    else:
        node = tfx.dsl.Importer(source_uri=where, artifact_type=Centroids, reimport=True)
    return [node.with_id('PreviousCentroids')]


def _judge_clusters(transform, kmeans, previous, push_destination):
    """Nodes that push the model of the clusters if they are good enough.

    Of clusters that continue others that includes that most trips keep their id.
    """
    against_previous = {}
    if previous:
        against_previous = {
            'baseline_centroids': previous[0].outputs['result'],
            'min_kept_share': 0.9,
        }
    cluster_evaluator = ClusterEvaluator(
        examples=transform.outputs['transformed_examples'],
        transform_graph=transform.outputs['transform_graph'],
        centroids=kmeans.outputs['centroids'],
        model=kmeans.outputs['model'],
        max_inertia_ratio=1.25,  # trips of the eval split are as near to the centres
        min_silhouette=0.3,
        min_cluster_share=0.0002,
        max_unplaced_share=0.1,  # trips without a place
        max_training_psi=0.1,
        **against_previous,
    )
    cluster_pusher = tfx.components.Pusher(
        model=kmeans.outputs['model'],
        model_blessing=cluster_evaluator.outputs['blessing'],
        push_destination=push_destination,
    ).with_id('ClusterPusher')
    return cluster_evaluator, cluster_pusher


def _eval_config():
    """The model is blessed if its AUC over all trips is above 0.9."""
    all_trips = config_pb2.SlicingSpec()
    threshold = config_pb2.PerSliceMetricThreshold(
        slicing_specs=[all_trips],
        threshold=config_pb2.MetricThreshold(
            value_threshold=config_pb2.GenericValueThreshold(lower_bound={'value': 0.9})
        ),
    )
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name='serving_default',
                prediction_key='big_tip',
                label_key=features.transformed_name(features.LABEL),
                preprocessing_function_names=['transform_features'],
            )
        ],
        slicing_specs=[all_trips, config_pb2.SlicingSpec(feature_keys=['payment_type'])],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(class_name='ExampleCount'),
                    config_pb2.MetricConfig(class_name='AUC', per_slice_thresholds=[threshold]),
                ],
            )
        ],
    )
