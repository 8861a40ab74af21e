"""Where a fit of rows with gaps starts: k-means++ under the partial distance.

A row that is drawn becomes a centroid with the column means in its gaps.
"""

import dataclasses
import math

import tensorflow as tf

from tfx_kmeans.graph import blocks, seeding
from tfx_kmeans.graph.partial import rows as rows_lib


def seed(method, rows, n_clusters, seeds, *_):
    """Draws initial centroids; see seeding.seed.

    Args:
        method: 'k-means++' or 'random'.
        rows: partial.rows.Rows, at least `n_clusters` of them of positive weight.
        n_clusters: int.
        seeds: int32 `[2]`, seed of the stateless draws.

    Returns:
        float32 `[n_clusters, d]` in the space of the prepared rows.
    """
    if method == 'random':
        return seeding.random_rows(rows, n_clusters, seeds)
    return _k_means_plus_plus(rows, n_clusters, seeds)


def _k_means_plus_plus(rows, n_clusters, seeds):
    """Greedy k-means++, whose candidates are drawn without replacement in each step."""
    first = seeding.random_rows(rows, 1, seeds)
    most_candidates = 2 + int(math.log(n_clusters))
    weights = tf.ones([rows.count]) if rows.weights is None else rows.weights

    def body(step, centroids, closest):
        masses = weights * closest
        # with nothing left to gain any row will do
        masses = tf.where(tf.reduce_any(masses > 0), masses, weights)
        n_candidates = tf.minimum(
            most_candidates, tf.math.count_nonzero(masses > 0, dtype=tf.int32)
        )
        draws = tf.random.experimental.stateless_fold_in(seeds, step)
        drawn = dataclasses.replace(rows, weights=masses)
        candidates = seeding.random_rows(drawn, n_candidates, draws)
        best = _best_candidate(rows, closest, candidates)
        centroid = tf.gather(candidates, [best])
        centroids = tf.tensor_scatter_nd_update(centroids, [[step]], centroid)
        return step + 1, centroids, _closest(rows, closest, centroid)

    centroids = tf.pad(first, [[0, n_clusters - 1], [0, 0]])
    nowhere = tf.fill([rows.count], float('inf'))
    loop = [tf.constant(1), centroids, _closest(rows, nowhere, first)]
    shapes = [tf.TensorShape(shape) for shape in ([], [n_clusters, first.shape[1]], [None])]
    return tf.while_loop(lambda step, *_: step < n_clusters, body, loop, shapes)[1]


def _best_candidate(rows, closest, candidates):
    """Index of the candidate `[c, d]` that leaves the least weighted sum of squared distances."""

    def step(start, stop, potentials):
        distances = rows_lib.squared_distances(*rows.split(rows.points[start:stop]), candidates)
        distances = tf.minimum(distances, closest[start:stop, tf.newaxis])
        distances *= rows.block_weights(start, stop)[:, tf.newaxis]
        return [potentials + tf.cast(tf.reduce_sum(distances, axis=0), tf.float64)]

    initial = tf.zeros([blocks.row_count(candidates)], tf.float64)
    (potentials,) = blocks.reduce_blocks(step, rows.count, _rows_per_block(rows), [initial])
    return tf.argmin(potentials, output_type=tf.int32)


def _closest(rows, closest, centroid):
    """Squared distance float32 `[n]` of each row to the nearest of the centroids so far."""

    def step(start, stop):
        values, observed = rows.split(rows.points[start:stop])
        _, distances = rows_lib.nearest(values, observed, centroid)
        return [tf.minimum(distances, closest[start:stop])]

    return blocks.map_blocks(step, rows.count, _rows_per_block(rows), [tf.float32])[0]


def _rows_per_block(rows):
    return blocks.block_rows(2 * rows.points.shape[1])
