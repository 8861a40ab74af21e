"""K-means on a weighted sample: restarts, then swaps that no restart would have found."""

import numpy as np
import tensorflow as tf

from tfx_kmeans import graph

_CANDIDATES = 32
_MAX_SWAPS = 50
_BLOCK_VALUES = 1 << 22
_LEAST_GAIN = 1e-4  # of the inertia; below it a swap is not worth a fit


def fit(rows, weights, n_clusters, *, init, n_init, seed, distance, **options):
    """Fits k-means to a sample, and goes on where Lloyd's algorithm is stuck.

    After graph.fit a centroid is moved to a row far from all of them, if that row gains more than
    the centroid's own rows lose, and the fit goes on from there (local search: Lattanzi & Sohler
    2019). Rows to move to are drawn by their squared distance alone, not by their weight, so that
    a small group is found among large ones.

    Args:
        rows: float32 `[s, d]`.
        weights: float `[s]`.
        n_clusters: int.
        init: see graph.fit; with an array as `init` there are no swaps.
        n_init: int, restarts.
        seed: int.
        distance: see graph.fit.
        **options: further arguments of graph.fit.

    Returns:
        graph.FitResult.

    Raises:
        ValueError: the rows cannot be clustered, see graph.fit.
    """
    options |= {'weights': weights.astype(np.float32), 'distance': distance, 'seed': seed}
    best = graph.fit(rows, n_clusters, init=init, n_init=n_init, **options)
    if not isinstance(init, str):
        return best
    rng = np.random.default_rng(seed)
    for _ in range(_MAX_SWAPS):
        swapped = _swap(rows, weights, best, distance, rng)
        if swapped is None:
            break
        result = graph.fit(rows, n_clusters, init=swapped, **options)
        if not result.inertia < best.inertia:
            break
        best = result
    # a fit from an array keeps its numbering; what is returned is numbered by weight
    order = graph.canonical_order(best.centroids, best.cluster_weights)
    return best._replace(
        centroids=tf.gather(best.centroids, order),
        cluster_weights=tf.gather(best.cluster_weights, order),
    )


def _swap(rows, weights, fitted, distance, rng):
    """Returns the centroids after the best swap, or None where none is worth it."""
    centroids = fitted.centroids.numpy()
    if len(centroids) == len(rows):
        return None
    owner, nearest, second = _two_nearest(rows, centroids, distance)
    total = nearest.sum()
    if not total > 0:
        return None
    chosen = np.unique(rng.choice(len(rows), _CANDIDATES, p=nearest / total))
    gains = np.zeros(len(chosen))
    for block, distances in _distances(rows, rows[chosen], distance):
        gains += weights[block] @ np.maximum(nearest[block, np.newaxis] - distances, 0.0)
    losses = np.bincount(owner, weights * (second - nearest), len(centroids))
    gain, loss = gains.max(), losses.min()
    if not gain - loss > _LEAST_GAIN * float(fitted.inertia):
        return None
    centroids[losses.argmin()] = rows[chosen[gains.argmax()]]
    return centroids


def _two_nearest(rows, centroids, distance):
    """The nearest centroid of each row, its distance, and that of the second, float64 `[s]`."""
    owner = np.zeros(len(rows), np.int64)
    nearest, second = np.zeros(len(rows)), np.full(len(rows), np.inf)
    for block, distances in _distances(rows, centroids, distance):
        owner[block] = distances.argmin(axis=1)
        nearest[block] = distances.min(axis=1)
        if len(centroids) > 1:
            second[block] = np.partition(distances, 1, axis=1)[:, 1]
    return owner, nearest, second


def _distances(rows, centroids, distance):
    """Yields slices of the rows and their distances to all centroids, float64 `[b, k]`."""
    step = max(1, _BLOCK_VALUES // len(centroids))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        distances = graph.pairwise_distances(rows[block], centroids, distance=distance)
        yield block, distances.numpy().astype(np.float64)
