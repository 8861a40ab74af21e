"""What given centroids are worth: the weight of each cluster and the inertia."""

import tensorflow as tf

from tfx_kmeans.graph import blocks
from tfx_kmeans.graph import rows as rows_lib


def score(rows, centroids):
    """Places every row.

    Args:
        rows: rows_lib.Rows.
        centroids: float32 `[k, d]`, in the space of the prepared rows.

    Returns:
        float64 `[k]`, weight of the rows nearest to each centroid, and float64 scalar, weighted sum
        of the squared distances of the prepared rows.
    """
    n_clusters = centroids.shape[0]

    def step(start, stop, cluster_weights, inertia):
        ids, distances = rows_lib.nearest(rows.block(start, stop), centroids)
        weights = tf.cast(rows.block_weights(start, stop), tf.float64)
        return [
            cluster_weights + tf.math.unsorted_segment_sum(weights, ids, n_clusters),
            inertia + tf.reduce_sum(weights * tf.cast(distances, tf.float64)),
        ]

    initial = [tf.zeros([n_clusters], tf.float64), tf.zeros([], tf.float64)]
    return blocks.reduce_blocks(step, rows.count, blocks.block_rows(n_clusters), initial)
