"""Better optima than Lloyd's algorithm finds alone: breathing k-means (Fritzke 2020).

A seeding decides which optimum Lloyd's algorithm ends in. Breathing k-means (B. Fritzke, "The
breathing k-means algorithm", arXiv:2006.15666) goes on from there: it adds a few centroids where
the error is largest, runs Lloyd's algorithm, removes those of least use, and runs it again. What is
better is kept; if nothing is, fewer are added the next time. Here the inner runs are a few steps
each, on a sample.
"""

import typing

import tensorflow as tf

from tfx_kmeans.graph import distances, lloyd

METHODS = ('breathing', 'none')

_MOST_ADDED = 5  # as in the paper, or for many clusters
_CLUSTERS_PER_ADDED = 20
_STEPS = 3  # of Lloyd's algorithm after centroids came or went
_LEAST_GAIN = 1e-3  # of the inertia; a cycle that gains less has failed
_MOST_CYCLES = 20
_CHEAP = (
    1 << 20
)  # distances of a pass: up to so many, a cycle is tried twice before fewer are added


class _Breath(typing.NamedTuple):
    """Centroids and where the rows of the sample are.

    Attributes:
        centroids: float32 `[k + added, d]`.
        active: bool `[k + added]`, which of them there are.
        state: lloyd.State.
        inertia: float64 scalar.
    """

    centroids: tf.Tensor
    active: tf.Tensor
    state: lloyd.State
    inertia: tf.Tensor


def improve(rows, centroids, seeds, cosine=False):
    """Looks for a better optimum on a sample.

    Args:
        rows: rows_lib.Rows, the sample.
        centroids: float32 `[k, d]`, where to begin.
        seeds: int32 `[2]`, seed of the stateless draws.
        cosine: bool, whether centroids are unit vectors.

    Returns:
        float32 `[k, d]`, centroids of no greater inertia on the sample after a few steps.
    """
    n_clusters = centroids.shape[0]
    if n_clusters == 1:
        return centroids
    added = min(max(_MOST_ADDED, n_clusters // _CLUSTERS_PER_ADDED), n_clusters)
    padded = tf.pad(centroids, [[0, added], [0, 0]])
    active = tf.range(n_clusters + added) < n_clusters
    best = _settle(rows, lloyd.begin(rows, padded, active, cosine), active, cosine)

    fewer = max(1, added // _MOST_ADDED)
    tries = tf.where(rows.count * n_clusters <= _CHEAP, 2, 1)

    def body(cycle, added, failed, best):
        draws = tf.random.experimental.stateless_fold_in(seeds, cycle)
        breath = _breathe_out(rows, _breathe_in(rows, best, added, draws, cosine), added, cosine)
        gained = breath.inertia < best.inertia * (1.0 - _LEAST_GAIN)
        best = tf.cond(breath.inertia < best.inertia, lambda: breath, lambda: best)
        failed = tf.where(gained, 0, failed + 1)
        given_up = failed >= tries
        added = tf.where(given_up, added - fewer, added)
        return cycle + 1, added, tf.where(given_up, 0, failed), best

    *_, best = tf.while_loop(
        lambda cycle, added, *_: tf.logical_and(added > 0, cycle < _MOST_CYCLES),
        body,
        (tf.constant(0), tf.constant(added), tf.constant(0), best),
    )
    return tf.ensure_shape(tf.boolean_mask(best.centroids, best.active), centroids.shape)


def _settle(rows, found, active, cosine):
    """Some steps of Lloyd's algorithm from a lloyd.Found."""

    def step(number, found):
        found = lloyd.follow(rows, found.centroids, active, found.state, cosine, move=True)
        return number + 1, found

    shapes = tf.nest.map_structure(lambda tensor: tensor.shape, found)
    _, found = tf.while_loop(
        lambda number, _: number < _STEPS, step, (0, found), (tf.TensorShape([]), shapes)
    )
    return _Breath(found.centroids, active, found.state, found.inertia)


def _breathe_in(rows, breath, added, seeds, cosine):
    """Adds `added` centroids to the clusters of largest error, each at a row of its cluster.

    The row is drawn by its squared distance.
    """
    errors = lloyd.cluster_inertias(rows, breath.centroids, breath.state.totals)
    worst = tf.math.top_k(tf.where(breath.active, errors, -1.0), added).indices
    own, _ = lloyd.two_nearest(rows, breath.centroids, breath.active, breath.state)
    drawn = _draw_of_each(own if rows.weights is None else own * rows.weights, breath, seeds)
    block = rows.take(tf.gather(drawn, worst))
    values = block.values
    if block.observed is not None:
        values = tf.where(block.observed > 0, values, tf.gather(breath.centroids, worst))
    idle = tf.where(tf.logical_not(breath.active))[:added]
    centroids = tf.tensor_scatter_nd_update(breath.centroids, idle, values)
    active = tf.tensor_scatter_nd_update(breath.active, idle, tf.fill([added], True))
    return _assign(rows, breath, centroids, active, cosine)


def _draw_of_each(masses, breath, seeds):
    """Draws a row of each cluster in proportion to `masses` `[n]`: int32 `[k]`."""
    uniform = tf.random.stateless_uniform(tf.shape(masses), seeds)
    # the keys of Efraimidis & Spirakis (2006)
    keys = tf.math.log(tf.maximum(uniform, 1e-30)) / tf.maximum(masses, 1e-30)
    n_clusters = tf.size(breath.active)
    best = tf.math.unsorted_segment_max(keys, breath.state.ids, n_clusters)
    chosen = tf.where(keys >= tf.gather(best, breath.state.ids))[:, 0]
    owners = tf.gather(breath.state.ids, chosen)
    chosen = tf.math.unsorted_segment_max(tf.cast(chosen, tf.int32), owners, n_clusters)
    return tf.maximum(chosen, 0)  # of no cluster without rows


def _breathe_out(rows, breath, added, cosine):
    """Takes away `added` centroids of least use, and of two neighbours at first only one."""
    own, other = lloyd.two_nearest(rows, breath.centroids, breath.active, breath.state)
    losses = other - own if rows.weights is None else (other - own) * rows.weights
    use = tf.math.unsorted_segment_sum(losses, breath.state.ids, tf.size(breath.active))

    def take_away(number, active, use):
        at = tf.argmin(tf.where(active, use, float('inf')), output_type=tf.int32)
        active = tf.tensor_scatter_nd_update(active, [[at]], [False])
        offsets = breath.centroids - tf.gather(breath.centroids, at)
        apart = tf.reduce_sum(tf.square(offsets), axis=1)
        nearest = tf.argmin(tf.where(active, apart, float('inf')), output_type=tf.int32)
        # its rows go to the neighbour, which is of more use now
        return number + 1, active, tf.tensor_scatter_nd_update(use, [[nearest]], [distances.FAR])

    _, active, _ = tf.while_loop(
        lambda number, *_: number < added, take_away, (0, breath.active, use)
    )
    return _assign(rows, breath, breath.centroids, active, cosine)


def _assign(rows, breath, centroids, active, cosine):
    """Assigns the rows to centroids that came or went, and settles."""
    found = lloyd.follow(rows, centroids, active, breath.state, cosine, move=False)
    return _settle(rows, found, active, cosine)
