"""Runs the taxi pipeline and tells, on one screen, what came of it: `make demo`.

With --analyzer the clusters are found inside Transform: `make demo-analyzer`.
"""

import argparse
import os

import locations
from running import console, latest, newest_version, run

TRAIN_STEPS = 800
_LOG = locations.OUTPUT / 'demo.log'


def main():
    """Runs the pipeline with its logs in a file, then prints the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--analyzer', action='store_true', help='find clusters inside Transform')
    analyzer = parser.parse_args().analyzer
    with console(_LOG) as terminal:
        seconds = run(terminal, _pipeline(analyzer))
        print(*_summary(sum(seconds.values()), analyzer), sep='\n', file=terminal)


def _pipeline(analyzer):
    from tfx import v1 as tfx

    import local_runner

    return local_runner.create_pipeline(
        train_args=tfx.proto.TrainArgs(num_steps=TRAIN_STEPS), analyzer=analyzer
    )


def _summary(seconds, analyzer):
    """Returns the lines that say what came of the run."""
    from taxi import cluster_map, comparison

    node = 'Transform' if analyzer else 'ClusterTransform'
    transform_graph = latest(f'{node}/transform_graph')
    examples = latest(f'{node}/transformed_examples')
    pushed = locations.OUTPUT / 'serving_model'
    if not pushed.exists():
        raise RuntimeError('the Evaluator did not bless the model, so Pusher pushed none')
    served = newest_version(pushed)
    picture = locations.OUTPUT / 'clusters.png'
    cluster_map.draw(transform_graph, examples, picture)
    with_clusters = comparison.evaluate_served(served, latest('CsvExampleGen/examples'))
    without = comparison.train_and_evaluate(
        transform_graph, examples, with_clusters=False, seed=0, train_steps=TRAIN_STEPS
    )
    return [
        f'  {"all nodes":20}{seconds:6.1f} s',
        '',
        *(_found_in_transform(transform_graph, examples) if analyzer else _found_by_kmeans()),
        '',
        'Who gives a big tip? Area under the ROC curve on the eval split:',
        f'  with clusters     {with_clusters:.4f}   the pushed model, fed raw examples',
        f'  without clusters  {without:.4f}   the same model, trained without them',
        '',
        f'Picture of the clusters  {picture}',
        *([] if analyzer else _artifacts_of_kmeans()),
        f'Pushed model             {served}',
        f'Metadata (SQLite)        {locations.OUTPUT / "metadata.sqlite"}',
        f'Log                      {_LOG}',
    ]


def _found_by_kmeans():
    """Lines about the clusters, read from the Centroids artifact."""
    from tfx_kmeans import Clustering, Evaluation

    clustering = Clustering.read(latest('KMeans/centroids'))
    evaluation = Evaluation.read(latest('ClusterEvaluator/evaluation'))
    return [
        f'{clustering.n_clusters} clusters of {clustering.total_weight:.0f} trips by where they '
        f'begin and end, found in {clustering.n_iter} iterations',
        *_sizes(clustering.cluster_weights),
        *_scores(clustering),
        f'Mean squared distance of a trip to its centre: {clustering.inertia_per_row:.2f} km2 in '
        f'training, {clustering.eval_inertia_per_row:.2f} km2 in evaluation',
        *_judged(evaluation),
    ]


def _judged(evaluation):
    """Lines about how the clusters were judged, read from the ClusterEvaluation artifact."""
    passed = [threshold.passed for threshold in evaluation.thresholds]
    return [
        f'Silhouette {evaluation.eval.silhouette:.2f}, shift against training '
        f'{evaluation.training_shift.psi:.3f} (PSI); {sum(passed)} of {len(passed)} thresholds '
        f'passed: {"blessed and pushed" if evaluation.blessed else "NOT blessed, so not pushed"}',
        *(f'  {threshold}' for threshold in evaluation.thresholds if not threshold.passed),
    ]


def _scores(clustering):
    """Lines of the scores by number of clusters, the one that was kept marked."""
    criterion = clustering.selection.criterion
    scores = [
        f'{row.n_clusters}: {getattr(row, criterion):.3f}'
        + ('*' if row.n_clusters == clustering.n_clusters else '')
        for row in clustering.selection.table
    ]
    return [f'Kept* by {criterion} from these numbers of clusters: {", ".join(scores)}']


def _artifacts_of_kmeans():
    report = os.path.join(latest('ClusterEvaluator/evaluation'), 'report.html')
    return [
        f'Report on the clusters   {report}',
        f'Centroids artifact       {latest("KMeans/centroids")}',
        f'Fit in TensorBoard       {latest("KMeans/model_run")}',
    ]


def _found_in_transform(transform_graph, examples):
    """Lines about the clusters, read from the transformed examples."""
    import numpy as np

    from taxi import features, trips

    read = {split: trips.read(transform_graph, examples, split) for split in ('train', 'eval')}
    n_clusters = trips.n_clusters(transform_graph, features.ZONE_ID)
    placed = {split: found[features.ZONE_ID] < n_clusters for split, found in read.items()}
    squares = {
        split: np.square(found[features.ZONE_DISTANCE][placed[split]]).mean()
        for split, found in read.items()
    }
    ids = read['train'][features.ZONE_ID][placed['train']]
    start, end = (read['train'][name][placed['train']] for name in features.PLACE_IDS)
    return [
        f'{n_clusters} clusters of {len(ids)} trips by where they begin and end, found inside '
        'Transform',
        *_sizes(np.bincount(ids, minlength=n_clusters)),
        f'Mean squared distance of a trip to its centre: {squares["train"]:.2f} km2 in training, '
        f'{squares["eval"]:.2f} km2 in evaluation',
        f'{features.PLACES} places shared by pick-ups and drop-offs: {np.mean(start == end):.0%} '
        'of the trips end in the place where they began',
    ]


def _sizes(weights, per_line=8):
    """Lines of `id:trips`, cluster by cluster."""
    cells = [f'{cluster:>4}:{weight:>5.0f}' for cluster, weight in enumerate(weights)]
    return ['  ' + ''.join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]


if __name__ == '__main__':
    main()
