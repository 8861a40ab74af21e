"""Clusterings fitted to made-up rows, and their evaluations, without a pipeline around them."""

import numpy as np

from tfx_kmeans import Clustering, graph
from tfx_kmeans.artifacts import Standardization
from tfx_kmeans.cluster_evaluator import evaluating, lenses
from tfx_kmeans.kmeans import reading


def fit(names, n_clusters, *, rows=3000, seed=0, shift=0.0, spread=1.0):
    """Fits clusters to rows around as many centres, standardised.

    Args:
        names: of the columns.
        n_clusters: int.
        rows: int, how many.
        seed: int, of the rows; the centres are the same for all.
        shift: float, by how much the centres are moved.
        spread: float, of the rows around their centres.

    Returns:
        Clustering, and the rows, float32 `[rows, columns]`; in every 50th a value is missing.
    """
    points = make_rows(len(names), n_clusters, rows, seed, shift, spread)
    whole = points[~np.isnan(points).any(axis=1)]
    mean, scale = whole.mean(axis=0), whole.std(axis=0)
    fitted = graph.fit((whole - mean) / scale, n_clusters, seed=0)
    clustering = Clustering(
        centroids=fitted.centroids.numpy(),
        feature_names=tuple(names),
        feature_widths=(1,) * len(names),
        cluster_weights=tuple(fitted.cluster_weights.numpy().tolist()),
        inertia=float(fitted.inertia),
        n_iter=int(fitted.n_iter),
        seed=0,
        converged=bool(fitted.converged),
        output_prefix='zone',
        standardization=Standardization(tuple(mean.tolist()), tuple(scale.tolist())),
        inertia_history=tuple(fitted.inertia_history.numpy().tolist()),
    )
    return clustering, points


def make_rows(width, n_clusters, rows, seed, shift=0.0, spread=1.0):
    """Rows around centres of uneven size, float32 `[rows, width]`, some with a missing value."""
    centres = np.random.default_rng(0).uniform(-12, 12, size=(n_clusters, width))
    rng = np.random.default_rng([seed, 1])
    shares = rng.dirichlet(np.full(n_clusters, 4.0))
    ids = rng.choice(n_clusters, size=rows, p=shares)
    points = centres[ids] + shift + spread * rng.normal(size=(rows, width))
    points *= 10.0 ** (np.arange(width) % 5 - 2)
    points[::50, 0] = np.nan
    return points.astype(np.float32)


def judge(clustering, train, judged, baseline=None, **bounds):
    """Evaluates a clustering on two splits; `baseline` is another one of the same columns."""
    columns = np.arange(clustering.n_features)
    return evaluating.evaluate(
        {
            name: (name, reading.Rows(rows, None, 0))
            for name, rows in (('train', train), ('eval', judged))
        },
        lenses.Lens(clustering, columns),
        baseline and lenses.Lens(baseline, columns),
        baseline and 'gs://bucket/centroids/7',
        8,
        bounds,
    )
