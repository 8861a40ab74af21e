"""Rows and clusterings in, an Evaluation out."""

import dataclasses

import numpy as np

from tfx_kmeans import evaluation
from tfx_kmeans.cluster_evaluator import comparing, gates, measuring, profiling

_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_QUANTILE_ROWS = 20_000
_SHOWN_ROWS = 1000  # of each split
_EXAMPLES = 5  # of each cluster
_BINS = 40
_WITHIN_BINS = 0.995  # share of rows that the bins are spread over; a few are far out


def evaluate(splits, lens, baseline=None, baseline_uri=None, span=None, bounds=None):
    """Evaluates a clustering.

    Args:
        splits: pairs of the name of a split and its rows, reading.Rows or reading.SpooledRows, by
            'eval' and, where it is there, 'train'.
        lens: lenses.Lens of the clustering.
        baseline: lenses.Lens of the baseline, or None.
        baseline_uri: str, or None.
        span: int, or None.
        bounds: floats by name of a threshold, see gates.judge.

    Returns:
        evaluation.Evaluation.
    """
    samples = {key: profiling.sample(rows, _QUANTILE_ROWS) for key, (_, rows) in splits.items()}
    profiled = 'train' if 'train' in splits else 'eval'
    edges = _edges(lens, samples[profiled])
    passes = {
        key: _Pass(rows, lens, samples[key], edges, key == profiled, key == 'eval' and baseline)
        for key, (_, rows) in splits.items()
    }
    measured = {
        key: measuring.metrics(split, rows, lens, passes[key].tally)
        for key, (split, rows) in splits.items()
    }
    judged = evaluation.Evaluation(
        train=measured.get('train'),
        eval=measured['eval'],
        training_shift=_training_shift(lens.clustering, measured),
        thresholds=(),
        span=span,
        distance_edges=edges,
        train_distances=passes['train'].distances if 'train' in passes else None,
        eval_distances=passes['eval'].distances,
        clustering_fingerprint=lens.clustering.fingerprint,
        **_compared(*splits['eval'], lens, baseline, baseline_uri, passes['eval']),
        **_profiled(lens, samples[profiled], passes[profiled]),
        **_shown(lens, samples),
    )
    return dataclasses.replace(judged, thresholds=gates.judge(judged, bounds or {}))


class _Pass:
    """All that one pass over the rows of a split adds up."""

    def __init__(self, rows, lens, sample, edges, profile, baseline):
        """Makes the pass; with `profile` for Profile and Nearest too, and for a baseline's Lens."""
        clustering = lens.clustering
        n_clusters = clustering.n_clusters
        self.tally = measuring.Tally(n_clusters)
        self.distances = np.zeros(len(edges) - 1)
        self.profile = self.nearest = self.baseline_tally = self.transitions = None
        if profile:
            self.profile = profiling.Profile(_middles(lens, sample))
            self.nearest = profiling.Nearest(n_clusters, clustering.n_features, _EXAMPLES)
        if baseline:
            n_before = baseline.clustering.n_clusters
            self.baseline_tally = measuring.Tally(n_before)
            self.transitions = comparing.Transitions(n_before, n_clusters)
        for block, weights in measuring.blocks(rows):
            ids, distances = lens.place(block)
            self.tally.add(ids, distances, weights)
            placed = ids < n_clusters
            lengths = lens.lengths(distances[placed])
            self.distances += profiling.histogram(lengths, edges, weights[placed])
            if profile:
                self.profile.add(lens.values(block), ids, weights)
                self.nearest.add(lens.values(block), ids, distances)
            if baseline:
                before, apart = baseline.place(block)
                self.baseline_tally.add(before, apart, weights)
                self.transitions.add(before, ids, weights)


def _edges(lens, sample):
    """Edges of bins for the distances to the own centroid, from those of a sample of the rows."""
    ids, distances = lens.place(sample)
    lengths = lens.lengths(distances[ids < lens.clustering.n_clusters])
    far = float(np.quantile(lengths, _WITHIN_BINS)) if len(lengths) else 0.0
    return np.linspace(0.0, far or 1.0, _BINS + 1)


def _middles(lens, sample):
    """Points near the middle of each cluster, and of the rows that have none: see Profile."""
    mean = np.nan_to_num(_nan_quantiles(lens.values(sample), [0.5]))
    if lens.clustering.distance == 'cosine':  # a direction is no point
        return np.repeat(mean, lens.clustering.n_clusters + 1, axis=0)
    return np.concatenate([lens.clustering.points, mean])


def _nan_quantiles(values, levels):
    """Quantiles of each column, float64 `[q, d]`, without its NaN; NaN where there is no other."""
    quantiles = np.full((len(levels), values.shape[1]), np.nan)
    for column in range(values.shape[1]):
        observed = values[~np.isnan(values[:, column]), column]
        if len(observed):
            quantiles[:, column] = np.quantile(observed.astype(np.float64), levels)
    return quantiles


def _training_shift(clustering, measured):
    """Shift of the eval split against the rows of the fit, by what is known of those."""
    before = clustering.cluster_weights
    if before is None and 'train' in measured:
        before = measured['train'].cluster_weights
    return comparing.shift(before, measured['eval'].cluster_weights)


def _compared(split, rows, lens, baseline, baseline_uri, judged):
    """The fields of an Evaluation that compare with the baseline."""
    names = ('baseline', 'baseline_uri', 'baseline_shift', 'stability', 'baseline_points')
    if baseline is None:
        return dict.fromkeys((*names, 'transitions'))
    tally, clustering = judged.baseline_tally, baseline.clustering
    comparable = comparing.same_space(lens.clustering, clustering)
    return {
        'baseline': measuring.metrics(split, rows, baseline, tally),
        'baseline_uri': baseline_uri,
        'baseline_shift': comparing.shift(clustering.cluster_weights, tally.weights),
        'stability': comparing.stability(
            judged.transitions, comparing.moves(lens.clustering, clustering)
        ),
        'baseline_points': clustering.points.astype(np.float32) if comparable else None,
        'transitions': judged.transitions.weights[:-1, :-1].copy(),
    }


def _profiled(lens, sample, profiled):
    """The fields of an Evaluation that say what the clusters look like."""
    mean, std = profiled.profile.whole()
    cluster_means, cluster_stds = profiled.profile.clusters()
    values, distances = profiled.nearest.finish()
    return {
        'quantile_levels': _LEVELS,
        'column_means': mean,
        'column_stds': std,
        'column_quantiles': _nan_quantiles(lens.values(sample), _LEVELS),
        'cluster_means': cluster_means,
        'cluster_stds': cluster_stds,
        'example_points': values,
        'example_distances': lens.lengths(distances).astype(np.float32),
    }


def _shown(lens, samples):
    """The fields of an Evaluation that hold a sample of the rows."""
    shown = {key: rows[profiling.evenly(len(rows), _SHOWN_ROWS)] for key, rows in samples.items()}
    return {
        'sample_points': np.concatenate([lens.values(rows) for rows in shown.values()]),
        'sample_ids': np.concatenate([lens.place(rows)[0] for rows in shown.values()]),
        'sample_is_eval': np.repeat([key == 'eval' for key in shown], [*map(len, shown.values())]),
    }
