"""Where a fit starts: the initial centroids.

`k_means_plus_plus` is the greedy k-means++ of Arthur & Vassilvitskii, "k-means++: The Advantages of
Careful Seeding" (SODA 2007), section 5, with the 2 + log(k) candidates a step that scikit-learn
draws; `k_means_parallel` is k-means|| (Bahmani et al., "Scalable K-Means++", VLDB 2012), which goes
over the rows a few times instead of once for each cluster; `random_rows` draws rows in proportion
to their weight (Forgy 1965). A row with gaps that is drawn becomes a centroid with the centres of
the columns in them.
"""

import math

import tensorflow as tf

from tfx_kmeans.graph import blocks, distances, tracing
from tfx_kmeans.graph import rows as rows_lib

METHODS = ('k-means++', 'k-means||', 'random')

INIT_STEPS = 5
OVERSAMPLING_FACTOR = 2.0

_ROWS_PER_BLOCK = 1 << 15  # few columns of temporaries: larger blocks are fewer operations
_ROWS_PER_DRAW = 512


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
        rows: rows_lib.Rows of positive weight.
        n_clusters: int.
        seeds: int32 `[2]`, seed of the stateless draws.
        init_steps: int, see `k_means_parallel`.
        oversampling_factor: float, see `k_means_parallel`.

    Returns:
        float32 `[n_clusters, d]` in the space of the prepared rows; some are equal where fewer rows
        than that are distinct.
    """
    if method == 'random':
        return random_rows(rows, n_clusters, seeds)
    static = (method, n_clusters, init_steps, oversampling_factor, rows.partial)
    signature = (rows.signature(), tf.TensorSpec([2], tf.int32))
    return tracing.traced(_seed, static, signature)(rows.tensors(), seeds)


def _seed(static, tensors, seeds):
    method, n_clusters, init_steps, oversampling_factor, partial = static
    rows = rows_lib.Rows.of(tensors, partial)
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
        keys /= tf.cast(rows.weights, tf.float64)
    drawn = tf.math.top_k(keys, n_clusters).indices
    return tf.ensure_shape(rows.take(drawn).values, [n_clusters, rows.values.shape[1]])


def k_means_plus_plus(rows, n_clusters, seeds):
    """Greedy k-means++: each step draws candidates by D^2 and keeps the one that helps most."""
    n_candidates = 2 + int(math.log(n_clusters))
    weights = tf.ones([rows.count]) if rows.weights is None else rows.weights

    def body(step, centroids, closest):
        masses = closest if rows.weights is None else closest * weights
        # at first, and with nothing left to gain, any row will do
        any_row = tf.logical_or(tf.equal(step, 0), tf.logical_not(tf.reduce_any(masses > 0)))
        masses = tf.where(any_row, weights, masses)
        draws = tf.random.experimental.stateless_fold_in(seeds, step)
        candidates = rows.take(_draw(masses, n_candidates, draws)).values
        centroid = tf.gather(candidates, [_best_candidate(rows, closest, candidates)])
        centroids = tf.tensor_scatter_nd_update(centroids, [[step]], centroid)
        return step + 1, centroids, tf.minimum(closest, _distances_to(rows, centroid))

    width = rows.values.shape[1]
    centroids = tf.zeros([n_clusters, width])
    loop = [tf.constant(0), centroids, tf.fill([rows.count], distances.FAR)]
    shapes = [tf.TensorShape(shape) for shape in ([], [n_clusters, width], [None])]
    return tf.while_loop(lambda step, *_: step < n_clusters, body, loop, shapes)[1]


def k_means_parallel(rows, n_clusters, seeds, init_steps, oversampling_factor):
    """k-means||: candidates drawn by D^2, many at a time, of which k-means++ takes n_clusters.

    Args:
        rows: rows_lib.Rows without gaps.
        n_clusters: int.
        seeds: int32 `[2]`.
        init_steps: int, how often candidates are drawn.
        oversampling_factor: float, expected candidates of a step, as a multiple of n_clusters.

    Returns:
        float32 `[n_clusters, d]`; those of k-means++ on all rows where too few candidates differ.
    """
    n_wanted = oversampling_factor * n_clusters
    weights = tf.ones([rows.count]) if rows.weights is None else rows.weights
    first = rows.take(_draw(weights, 1, seeds)).values
    weights = tf.cast(weights, tf.float64)
    closest, owners = _join(rows, None, None, first, 0)

    def body(step, candidates, closest, owners):
        draws = tf.random.experimental.stateless_fold_in(seeds, step)
        masses = tf.cast(closest, tf.float64) * weights
        chances = tf.math.divide_no_nan(n_wanted * masses, tf.reduce_sum(masses))
        uniform = tf.random.stateless_uniform([rows.count], draws, dtype=tf.float64)
        drawn = rows.take(tf.where(uniform < chances)[:, 0]).values
        closest, owners = _join(rows, closest, owners, drawn, blocks.row_count(candidates))
        return step + 1, tf.concat([candidates, drawn], axis=0), closest, owners

    loop = [tf.constant(1), first, closest, owners]
    shapes = [tf.TensorShape(shape) for shape in ([], [None, first.shape[1]], [None], [None])]
    _, candidates, _, owners = tf.while_loop(
        lambda step, *_: step <= init_steps, body, loop, shapes
    )
    weights = tf.math.unsorted_segment_sum(weights, owners, blocks.row_count(candidates))
    # equal candidates have one owner, so that the others weigh nothing
    different = weights > 0
    weights = tf.boolean_mask(weights / tf.reduce_max(weights), different)
    candidates = tf.boolean_mask(candidates, different)
    return tf.cond(
        tf.size(weights) >= n_clusters,
        lambda: k_means_plus_plus(
            rows_lib.Rows(candidates, tf.cast(weights, tf.float32)), n_clusters, seeds
        ),
        lambda: k_means_plus_plus(rows, n_clusters, seeds),
    )


def _join(rows, closest, owners, candidates, n_before):
    """Squared distances float32 `[n]` to the nearest candidate, and its index int32 `[n]`.

    `closest` and `owners` are those among the first `n_before` candidates.
    """
    targets = distances.lay_out(candidates, partial=False)

    def step(start, stop):
        ids, apart = distances.nearest(rows.block(start, stop), targets)
        ids += n_before
        if closest is None:
            return [apart, ids]
        nearer = apart < closest[start:stop]
        return [
            tf.where(nearer, apart, closest[start:stop]),
            tf.where(nearer, ids, owners[start:stop]),
        ]

    def compare():
        rows_per_block = blocks.product_rows(blocks.row_count(candidates))
        return blocks.map_blocks(step, rows.count, rows_per_block, [tf.float32, tf.int32])

    if closest is None:
        return compare()
    return tf.cond(blocks.row_count(candidates) > 0, compare, lambda: [closest, owners])


def _draw(masses, n_draws, seeds):
    """Draws row indices int32 `[n_draws]`, with replacement, in proportion to masses `[n]`.

    Inverse transform sampling in two steps, first some rows and then the row among them, which
    keeps the running sums short; only those of the rows drawn are made, in float64.
    """
    padding = [[0, -tf.size(masses) % _ROWS_PER_DRAW]]
    masses = tf.reshape(tf.pad(masses, padding), [-1, _ROWS_PER_DRAW])
    ends = tf.cumsum(tf.cast(tf.reduce_sum(masses, axis=1), tf.float64))
    uniform = tf.random.stateless_uniform([n_draws], seeds, dtype=tf.float64)
    targets = uniform * ends[-1]
    block = _first_above(ends, targets)
    targets -= tf.gather(tf.concat([[0.0], ends], 0), block)
    within = tf.cumsum(tf.cast(tf.gather(masses, block), tf.float64), axis=1)
    row = tf.searchsorted(within, targets[:, tf.newaxis], side='right')[:, 0]
    # rounding may carry a target past the last positive mass: fall back to that one
    last = tf.argmax(within, axis=1, output_type=tf.int32)
    return block * _ROWS_PER_DRAW + tf.minimum(row, last)


def _first_above(ends, targets):
    """Index of the first running sum above each target, at most the last one that grows."""
    return tf.minimum(
        tf.searchsorted(ends, targets, side='right'), tf.argmax(ends, output_type=tf.int32)
    )


def _best_candidate(rows, closest, candidates):
    """Index of the candidate `[c, d]` that leaves the least weighted sum of squared distances."""
    targets = distances.lay_out(candidates, rows.partial)

    def step(start, stop, potentials):
        block = rows.block(start, stop)
        apart = tf.minimum(distances.squared(block, targets), closest[start:stop, tf.newaxis])
        weights = tf.ones([stop - start]) if block.weights is None else block.weights
        left = tf.linalg.matvec(apart, weights, transpose_a=True)
        return [potentials + tf.cast(left, tf.float64)]

    initial = tf.zeros([candidates.shape[0]], tf.float64)
    (potentials,) = blocks.reduce_blocks(step, rows.count, _ROWS_PER_BLOCK, [initial])
    return tf.argmin(potentials, output_type=tf.int32)


def _distances_to(rows, centroid):
    """Squared distance float32 `[n]` of each row to the centroid `[1, d]`."""

    def step(start, stop):
        return [distances.to_own(rows.block(start, stop), centroid)]

    return blocks.map_blocks(step, rows.count, _ROWS_PER_BLOCK, [tf.float32])[0]
