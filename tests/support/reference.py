"""Lloyd's algorithm in plain NumPy float64, and the data that the tests share.

NaN says that a value is missing: distances are over the observed values, rescaled, and means too.
"""

import typing

import numpy as np

from tfx_kmeans import graph

DISTANCES = ('squared_euclidean', 'cosine')


class Fit(typing.NamedTuple):
    """What `lloyd` found; the fields mean what they do in graph.FitResult."""

    centroids: np.ndarray
    inertia: float
    n_iter: int
    cluster_weights: np.ndarray
    converged: bool
    inertia_history: np.ndarray


def lloyd(points, init, weights=None, *, max_iter=300, tol=1e-4, distance=DISTANCES[0]):
    """Fits k-means from the initial centroids `init`."""
    rows, centroids = project(points, distance), project(init, distance)
    weights = np.ones(len(rows)) if weights is None else np.asarray(weights, float)
    mean = mean_of(rows, weights)
    tolerance = tol * mean_of((rows - mean) ** 2, weights).mean()
    history = [inertia_of(rows, centroids, weights, distance)]
    converged = False
    while len(history) <= max_iter and not converged:
        updated = update(rows, centroids, weights, distance)
        converged = bool(np.sum((updated - centroids) ** 2) <= tolerance)
        centroids = updated
        history.append(inertia_of(rows, centroids, weights, distance))
    ids = distances(rows, centroids, distance).argmin(axis=1)
    cluster_weights = np.bincount(ids, weights, len(centroids))
    history = np.array(history)
    return Fit(centroids, history[-1], len(history) - 1, cluster_weights, converged, history)


def update(rows, centroids, weights, distance):
    """Cluster means, after each empty cluster has been given one of the farthest rows."""
    table = distances(rows, centroids, distance)
    ids = table.argmin(axis=1)
    empty = np.flatnonzero(np.bincount(ids, weights, len(centroids)) == 0)
    farthest = np.argsort(np.where(weights > 0, -table.min(axis=1), np.inf), kind='stable')
    ids[farthest[: len(empty)]] = empty
    updated = centroids.copy()
    for cluster in range(len(centroids)):
        mine = ids == cluster
        mean = mean_of(rows[mine], weights[mine], otherwise=centroids[cluster])
        if distance != 'cosine':
            updated[cluster] = mean
        elif np.linalg.norm(mean) > 0:
            updated[cluster] = mean / np.linalg.norm(mean)
    return updated


def mean_of(rows, weights, otherwise=np.nan):
    """Weighted mean of the observed values of each column, `otherwise` where there is none."""
    observed = ~np.isnan(rows)
    totals = weights @ observed
    sums = weights @ np.where(observed, rows, 0)
    return np.where(totals > 0, sums / np.where(totals > 0, totals, 1), otherwise)


def project(rows, distance):
    """Rows as float64, on the unit sphere under the cosine distance."""
    rows = np.array(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True) if distance == 'cosine' else rows


def distances(points, centroids, distance=DISTANCES[0]):
    """All distances `[n, k]`: squared Euclidean, or 1 - cos."""
    rows, targets = project(points, distance), project(centroids, distance)
    squares = np.nansum((rows[:, np.newaxis] - targets) ** 2, axis=2)
    squares *= rows.shape[1] / np.sum(~np.isnan(rows), axis=1, keepdims=True)
    return squares / 2 if distance == 'cosine' else squares


def inertia_of(points, centroids, weights=None, distance=DISTANCES[0]):
    """Weighted sum of the distances to the nearest centroid."""
    nearest = distances(points, centroids, distance).min(axis=1)
    return float(nearest.sum() if weights is None else nearest @ weights)


def spread(points):
    """Largest absolute difference from the mean: the yardstick of float32 errors."""
    points = np.asarray(points, np.float64)
    return np.abs(points - points.mean(axis=0)).max()


def sample(seed, n=400, d=4, k=5):
    """Overlapping heaps of rows, on which a fit takes a while.

    Returns:
        points float32 `[n, d]`, weights float32 `[n]`, initial centroids float32 `[k, d]`.
    """
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, d)) + rng.normal(size=(k, d))[rng.integers(k, size=n)] + 0.5
    points = points.astype(np.float32)
    weights = rng.uniform(0.1, 3, size=n).astype(np.float32)
    return points, weights, points[rng.choice(n, k, replace=False)]


def with_gaps(points, seed, share=0.2):
    """A copy of `points` with a share of the values missing, though not all those of a row."""
    rng = np.random.default_rng([seed, len(points)])
    gaps = rng.random(points.shape) < share
    gaps[np.arange(len(points)), rng.integers(points.shape[1], size=len(points))] = False
    return np.where(gaps, np.nan, points).astype(points.dtype)


def blobs(seed, k=8, d=2, per_blob=50):
    """Heaps far apart from each other: points float32 `[k * per_blob, d]` and their heap."""
    rng = np.random.default_rng(seed)
    places = np.stack([np.arange(k) % 3, np.arange(k) // 3], axis=1) * 20.0
    places = np.pad(places, [[0, 0], [0, d - 2]])
    heaps = rng.permutation(np.repeat(np.arange(k), per_blob))
    return (places[heaps] + rng.normal(size=(k * per_blob, d))).astype(np.float32), heaps


def assert_followed(points, init, weights=None, **settings):
    """Asserts that graph.fit does what `lloyd` does in each iteration; returns what it found."""
    found = graph.fit(points, len(init), init=init, weights=weights, **settings)
    wanted = lloyd(points, init, weights, **settings)
    scale = spread(points) if settings.get('distance') != 'cosine' else 1.0
    np.testing.assert_allclose(found.centroids, wanted.centroids, rtol=0, atol=1e-6 * scale)
    assert found.n_iter == wanted.n_iter
    assert bool(found.converged) == wanted.converged
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=1e-6)
    np.testing.assert_allclose(found.inertia_history, wanted.inertia_history, rtol=1e-6)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, rtol=1e-12)
    return found
