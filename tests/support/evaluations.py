"""An Evaluation made by hand, of three clusters in two columns."""

import numpy as np

from tfx_kmeans import evaluation


def make(**changes):
    """Makes one of 40 training rows and 10 eval rows against a baseline of two clusters."""
    generator = np.random.default_rng(0)
    train = evaluation.SplitMetrics(
        split='train',
        n_rows=42,
        n_unplaced=2,
        cluster_weights=(20.0, 12.0, 8.0),
        cluster_inertias=(10.0, 6.0, 4.0),
        cluster_silhouettes=(0.6, 0.4, 0.4),
        silhouette=0.5,
        davies_bouldin=0.8,
        calinski_harabasz=90.0,
    )
    judged = evaluation.SplitMetrics(
        split='eval',
        n_rows=10,
        n_unplaced=0,
        cluster_weights=(5.0, 4.0, 1.0),
        cluster_inertias=(3.0, 2.0, 1.0),
        cluster_silhouettes=(0.6, 0.25, 0.0),
        silhouette=0.4,
        davies_bouldin=0.9,
        calinski_harabasz=30.0,
    )
    before = evaluation.SplitMetrics(
        split='eval',
        n_rows=10,
        n_unplaced=0,
        cluster_weights=(5.0, 5.0),
        cluster_inertias=(4.0, 8.0),
        cluster_silhouettes=(0.6, 0.0),
        silhouette=0.3,
        davies_bouldin=1.1,
        calinski_harabasz=25.0,
    )
    fields = {
        'train': train,
        'eval': judged,
        'baseline': before,
        'training_shift': evaluation.Shift(
            (0.5, 0.3, 0.2), (0.5, 0.4, 0.1), (0.0, 0.03, 0.07), (0.0, 0.008, 0.02)
        ),
        'baseline_shift': evaluation.Shift((0.6, 0.4), (0.5, 0.5), (0.02, 0.02), (0.005, 0.005)),
        'stability': evaluation.Stability(10, 0.8, 0.6, (1.0, 0.6), (0.1, 0.4)),
        'thresholds': (
            evaluation.Threshold('min_silhouette', 0.3, 0.4, True),
            evaluation.Threshold('max_training_psi', 0.05, 0.1, False),
        ),
        'baseline_uri': '/baseline',
        'span': 3,
        'quantile_levels': (0.0, 0.5, 1.0),
        'column_means': np.zeros(2),
        'column_stds': np.ones(2),
        'column_quantiles': np.array([[-2.0, -3.0], [0.0, 0.1], [2.0, 3.0]]),
        'cluster_means': np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]]),
        'cluster_stds': np.full((3, 2), 0.5),
        'distance_edges': np.array([0.0, 0.5, 1.0]),
        'train_distances': np.array([30.0, 10.0]),
        'eval_distances': np.array([6.0, 4.0]),
        'sample_points': generator.normal(size=(6, 2)).astype(np.float32),
        'sample_ids': np.array([0, 1, 2, 0, 1, 3]),
        'sample_is_eval': np.array([False, False, False, True, True, True]),
        'example_points': generator.normal(size=(3, 2, 2)).astype(np.float32),
        'example_distances': np.array([[0.1, 0.2], [0.1, 0.3], [0.2, np.nan]], np.float32),
        'baseline_points': np.array([[0.0, 1.1], [1.0, 0.4]], np.float32),
        'transitions': np.array([[5.0, 0.0, 0.0], [0.0, 3.0, 2.0]]),
    }
    return evaluation.Evaluation(**(fields | changes))
