"""Where a fit starts: the initial centroids.

`k_means_plus_plus` is the greedy k-means++ of Arthur & Vassilvitskii, "k-means++: The Advantages of
Careful Seeding" (SODA 2007), section 5, with the 2 + log(k) candidates a step that scikit-learn
draws; `k_means_parallel` is k-means|| (Bahmani et al., "Scalable K-Means++", VLDB 2012), which goes
over the rows a few times instead of once for each cluster; `random_rows` draws rows in proportion
to their weight (Forgy 1965).
"""

import math

import tensorflow as tf

from tfx_kmeans.graph import blocks
from tfx_kmeans.graph import rows as rows_lib

METHODS = ('k-means++', 'k-means||', 'random')

INIT_STEPS = 5
OVERSAMPLING_FACTOR = 2.0


def seed(
    method,
    rows,
    n_clusters,
    seeds,
    init_steps=INIT_STEPS,
    oversampling_factor=OVERSAMPLING_FACTOR,
):
    """Draws initial centroids.

    Args:
        method: one of METHODS.
        rows: rows_lib.Rows with at least `n_clusters` distinct rows of positive weight.
        n_clusters: int.
        seeds: int32 `[2]`, seed of the stateless draws.
        init_steps: int, see `k_means_parallel`.
        oversampling_factor: float, see `k_means_parallel`.

    Returns:
        float32 `[n_clusters, d]` in the space of the prepared rows.
    """
    if method == 'random':
        return random_rows(rows, n_clusters, seeds)
    if method == 'k-means||':
        return k_means_parallel(rows, n_clusters, seeds, init_steps, oversampling_factor)
    return k_means_plus_plus(rows, n_clusters, seeds)


def random_rows(rows, n_clusters, seeds):
    """Draws `n_clusters` rows without replacement, in proportion to their weights.

    The keys u^(1/w) of Efraimidis & Spirakis, "Weighted random sampling with a reservoir" (2006).
    """
    # 1 - u lies in (0, 1], so the logarithm is finite
    keys = tf.math.log(1.0 - tf.random.stateless_uniform([rows.count], seeds, dtype=tf.float64))
    if rows.weights is not None:
        weights = tf.cast(rows.weights, tf.float64)
        keys = tf.where(weights > 0, keys / weights, -math.inf)
    return rows.gather(tf.math.top_k(keys, n_clusters).indices)


def k_means_plus_plus(rows, n_clusters, seeds):
    """Greedy k-means++: each step draws candidates by D^2 and keeps the one that helps most."""
    n_candidates = 2 + int(math.log(n_clusters))
    rows_per_block = blocks.block_rows(n_candidates)
    first = rows.gather(_draw(_masses(rows, rows_per_block, None), 1, seeds))

    def body(step, centroids, closest):
        draws = tf.random.experimental.stateless_fold_in(seeds, step)
        masses = _masses(rows, rows_per_block, closest)
        candidates = rows.gather(_draw(masses, n_candidates, draws))
        best = _best_candidate(rows, rows_per_block, closest, candidates)
        centroid = tf.gather(candidates, [best])
        centroids = tf.tensor_scatter_nd_update(centroids, [[step]], centroid)
        closest = _closest(rows, rows_per_block, closest, centroid)
        return step + 1, centroids, closest

    centroids = tf.pad(first, [[0, n_clusters - 1], [0, 0]])
    closest = _closest(rows, rows_per_block, None, first)
    loop = [tf.constant(1), centroids, closest]
    shapes = [
        tf.TensorShape([]),
        tf.TensorShape([n_clusters, first.shape[1]]),
        tf.TensorShape([None]),
    ]
    return tf.while_loop(lambda step, *_: step < n_clusters, body, loop, shapes)[1]


def k_means_parallel(rows, n_clusters, seeds, init_steps, oversampling_factor):
    """k-means||: candidates drawn by D^2, many at a time, of which k-means++ takes n_clusters.

    Args:
        rows: rows_lib.Rows.
        n_clusters: int.
        seeds: int32 `[2]`.
        init_steps: int, how often candidates are drawn.
        oversampling_factor: float, expected candidates of a step, as a multiple of n_clusters.

    Returns:
        float32 `[n_clusters, d]`; those of k-means++ on all rows where too few candidates differ.
    """
    n_wanted = oversampling_factor * n_clusters
    weights = tf.ones([rows.count], tf.float64)
    if rows.weights is not None:
        weights = tf.cast(rows.weights, tf.float64)
    first = rows.gather(_draw(_masses(rows, blocks.block_rows(1), None), 1, seeds))
    closest, owners = _join(rows, None, None, first, 0)

    def body(step, candidates, closest, owners):
        draws = tf.random.experimental.stateless_fold_in(seeds, step)
        masses = tf.cast(closest, tf.float64) * weights
        chances = tf.math.divide_no_nan(n_wanted * masses, tf.reduce_sum(masses))
        uniform = tf.random.stateless_uniform([rows.count], draws, dtype=tf.float64)
        drawn = rows.gather(tf.where(uniform < chances)[:, 0])
        closest, owners = _join(rows, closest, owners, drawn, blocks.row_count(candidates))
        return step + 1, tf.concat([candidates, drawn], axis=0), closest, owners

    loop = [tf.constant(1), first, closest, owners]
    shapes = [first.shape[:0], [None, first.shape[1]], [None], [None]]
    shapes = [tf.TensorShape(shape) for shape in shapes]
    _, candidates, _, owners = tf.while_loop(
        lambda step, *_: step <= init_steps, body, loop, shapes
    )
    weights = tf.math.unsorted_segment_sum(weights, owners, blocks.row_count(candidates))
    weights = tf.cast(weights / tf.reduce_max(weights), tf.float32)
    # candidates are prepared rows already; equal ones have one owner, so that the others weigh 0
    prepared = rows_lib.Rows(candidates, weights, 0.0, 1.0, 'squared_euclidean')
    n_different = tf.math.count_nonzero(weights > 0, dtype=tf.int32)
    return tf.cond(
        n_different >= n_clusters,
        lambda: k_means_plus_plus(prepared, n_clusters, seeds),
        lambda: k_means_plus_plus(rows, n_clusters, seeds),
    )


def _join(rows, closest, owners, candidates, n_before):
    """Squared distances float32 `[n]` to the nearest candidate, and its index int32 `[n]`.

    `closest` and `owners` are those among the first `n_before` candidates.
    """

    def step(start, stop):
        ids, distances = rows_lib.nearest(rows.block(start, stop), candidates)
        ids += n_before
        if closest is None:
            return [distances, ids]
        nearer = distances < closest[start:stop]
        return [
            tf.where(nearer, distances, closest[start:stop]),
            tf.where(nearer, ids, owners[start:stop]),
        ]

    def compare():
        rows_per_block = blocks.block_rows(blocks.row_count(candidates))
        return blocks.map_blocks(step, rows.count, rows_per_block, [tf.float32, tf.int32])

    if closest is None:
        return compare()
    return tf.cond(blocks.row_count(candidates) > 0, compare, lambda: [closest, owners])


def _masses(rows, rows_per_block, closest):
    """Sampling masses w * D^2 (w alone before the first centroid), float32 `[n_blocks, block]`.

    Rows that fill up the last block have mass 0.
    """
    n_blocks = (rows.count + rows_per_block - 1) // rows_per_block
    padding = [[0, n_blocks * rows_per_block - rows.count]]
    masses = tf.ones([rows.count]) if closest is None else closest
    if rows.weights is not None:
        masses *= rows.weights
    return tf.reshape(tf.pad(masses, padding), [n_blocks, rows_per_block])


def _draw(masses, n_draws, seeds):
    """Draws row indices int32 `[n_draws]`, with replacement, in proportion to their masses.

    Inverse transform sampling in two steps, first the block and then the row in it, which keeps
    the running sums short; only those of the blocks drawn are made, in float64.
    """
    ends = tf.cumsum(tf.cast(tf.reduce_sum(masses, axis=1), tf.float64))
    uniform = tf.random.stateless_uniform([n_draws], seeds, dtype=tf.float64)
    targets = uniform * ends[-1]
    block = _first_above(ends, targets)
    targets -= tf.gather(tf.concat([[0.0], ends], 0), block)
    within = tf.cumsum(tf.cast(tf.gather(masses, block), tf.float64), axis=1)
    row = tf.searchsorted(within, targets[:, tf.newaxis], side='right')[:, 0]
    # rounding may carry a target past the last positive mass: fall back to that one
    last = tf.argmax(within, axis=1, output_type=tf.int32)
    return block * tf.shape(masses)[1] + tf.minimum(row, last)


def _first_above(ends, targets):
    """Index of the first running sum above each target, at most the last one that grows."""
    return tf.minimum(
        tf.searchsorted(ends, targets, side='right'), tf.argmax(ends, output_type=tf.int32)
    )


def _best_candidate(rows, rows_per_block, closest, candidates):
    """Index of the candidate `[c, d]` that leaves the least weighted sum of squared distances."""

    def step(start, stop, potentials):
        distances = rows_lib.squared_distances(rows.block(start, stop), candidates)
        distances = tf.minimum(distances, closest[start:stop, tf.newaxis])
        distances *= rows.block_weights(start, stop)[:, tf.newaxis]
        return [potentials + tf.cast(tf.reduce_sum(distances, axis=0), tf.float64)]

    initial = tf.zeros([candidates.shape[0]], tf.float64)
    (potentials,) = blocks.reduce_blocks(step, rows.count, rows_per_block, [initial])
    return tf.argmin(potentials, output_type=tf.int32)


def _closest(rows, rows_per_block, closest, centroid):
    """Squared distance float32 `[n]` of each row to the nearest of the centroids so far."""

    def step(start, stop):
        distances = tf.reduce_sum(tf.square(rows.block(start, stop) - centroid), axis=1)
        if closest is None:
            return [distances]
        return [tf.minimum(distances, closest[start:stop])]

    return blocks.map_blocks(step, rows.count, rows_per_block, [tf.float32])[0]
