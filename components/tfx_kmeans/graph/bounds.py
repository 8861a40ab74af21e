"""Lloyd's algorithm with most rows left alone: exact, and fast on many rows.

A row whose second nearest centroid is so far behind the nearest that they cannot have changed
places since is not looked at: one lower bound for each row (Hamerly, "Making k-means even faster",
SDM 2010), here kept as the difference of the two distances. So each iteration has the outcome that
it would have in Lloyd's algorithm.
"""

import functools

import tensorflow as tf

from tfx_kmeans.graph import blocks, changes, nearest

# where more than this share of the rows has to be looked at, all are: picking rows costs, too
_MOST_PICKED = 0.5
# bounds are sums of float32 over the iterations: what they may have lost
_ROUNDING = 1e-6
_ROWS_PER_SEARCH = 1 << 17


class RowsInDoubt(changes.RowsThatMove):
    """Compares with all centroids those rows that may have come nearer to another one.

    Besides its centroid each row has a bound, float32: it stays where it is while that is above the
    drift of its cluster. Each cluster has a drift, float32: what its rows have lost of their slack
    so far, the ways of their own centroid, and in each iteration the longest way of another.
    """

    kept = (tf.int32, tf.float32)

    def unmoved(self, n_clusters):
        """No drift."""
        return (tf.zeros([n_clusters]),)

    def compare(self, targets, block, old_ids, of_clusters):
        """Finds centroids and bounds of the rows of a block, and whether each moves."""
        (drift,) = of_clusters
        found = targets.two_nearest(block)
        return [found.ids, found.slack + tf.gather(drift, found.ids)], found.ids != old_ids

    def place_again(self, centroids, updated, placement):
        """Places rows among the updated centroids: those whose bounds let them move."""
        moves = tf.norm(updated - centroids, axis=1)
        (drift,) = placement.of_clusters
        drift += moves + _longest_of_others(moves)
        placement = placement._replace(of_clusters=(drift,))
        ids, bounds = placement.of_rows
        in_doubt = _reached(bounds, ids, drift * (1.0 + _ROUNDING) + _ROUNDING)
        n_picked = tf.math.count_nonzero(in_doubt, dtype=tf.int32)

        def place_some():
            picked = _Picked(self.rows, in_doubt, moves.shape[0])
            return self.place(picked, updated, placement)

        share = tf.cast(n_picked, tf.float64) / tf.cast(self.rows.count, tf.float64)
        return tf.cond(
            share > _MOST_PICKED,
            lambda: self.place(changes.All(self.rows), updated, placement),
            lambda: tf.cond(n_picked > 0, place_some, lambda: placement),
        )


@functools.partial(tf.function, autograph=False, jit_compile=True)
def _reached(bounds, ids, lost):
    """Whether rows have lost all of their slack: bool `[n]`."""
    return tf.logical_not(bounds > tf.gather(lost, ids))  # NaN, of infinite moves, is in doubt


def _longest_of_others(moves):
    """For each centroid the longest of the `moves` `[k]` of all others."""
    if moves.shape[0] == 1:
        return tf.zeros_like(moves)
    longest, which = tf.math.top_k(moves, 2)
    return tf.where(tf.range(moves.shape[0]) == which[0], longest[1], longest[0])


class _Picked:
    """The rows of a mask, bool `[n]`, to be placed."""

    def __init__(self, rows, mask, n_clusters):
        self.rows = rows
        self._mask = mask
        (indices,) = blocks.map_blocks(self._find, rows.count, _ROWS_PER_SEARCH, [tf.int32])
        self.count = tf.size(indices)
        self.padded_count = tf.maximum(
            self.count, nearest.block_rows(*rows.points.shape, n_clusters)
        )
        self._padded = tf.pad(indices, [[0, self.padded_count - self.count]])

    def _find(self, start, stop):
        return [start + tf.cast(tf.where(self._mask[start:stop])[:, 0], tf.int32)]

    def block(self, first, stop):
        return tf.gather(self.rows.points, self._padded[first:stop])

    def take(self, vector, first, stop):
        return tf.gather(vector, self._padded[first:stop])

    def put(self, vector, values):
        # faster than tf.tensor_scatter_nd_update
        indices = self._padded[: self.count]
        spread = tf.math.unsorted_segment_sum(values, indices, tf.size(vector))
        return tf.where(self._mask, spread, vector)
