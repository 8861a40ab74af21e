"""Lloyd's algorithm with most rows left alone: exact, and fast on many rows.

A row whose second nearest centroid is so far behind the nearest that they cannot have changed
places since is not looked at: one lower bound for each row (Hamerly, "Making k-means even faster",
SDM 2010), here kept as the difference of the two distances. So each iteration has the outcome that
it would have in Lloyd's algorithm. The sums of the clusters are carried along: only rows that
changed clusters are moved.
"""

import functools
import typing

import tensorflow as tf

from tfx_kmeans.graph import blocks, lloyd, nearest

# where more than this share of the rows has to be looked at, all are: picking rows costs, too
_MOST_PICKED = 0.5
# bounds are sums of float32 over the iterations: what they may have lost
_ROUNDING = 1e-6
# below this share of the sum of the squares, inertia is more than the rounding of a difference
_LEAST_DIFFERENCE = 1e-7
# a cluster that has lost all but this share of its weight is summed up anew
_LEAST_LEFT = 2.0**-20
_ROWS_PER_SEARCH = 1 << 17


class _Placement(typing.NamedTuple):
    """Where the rows are.

    Attributes:
        ids: int32 `[n]`, the nearest centroid of each row.
        bounds: float32 `[n]`; a row stays where it is while this is above `drift` of its cluster.
        drift: float32 `[k]`, what rows of each cluster have lost of their slack so far: the ways of
            their own centroid, and in each iteration the longest way of another.
        totals: float64 `[k, d + 2]`, of the rows of each cluster: sums of the rows times their
            weights, sum of the weights, number of rows whose weight is above 0.
        peaks: float64 `[k]`, the largest weight of each cluster since `totals` were summed up.
    """

    ids: tf.Tensor
    bounds: tf.Tensor
    drift: tf.Tensor
    totals: tf.Tensor
    peaks: tf.Tensor

    @property
    def weights(self):
        """Weight of each cluster, float64 `[k]`; exactly 0 where it has no rows."""
        return tf.where(self.totals[:, -1] > 0, self.totals[:, -2], 0.0)

    @property
    def sums(self):
        """Weighted sums of the rows of each cluster, float64 `[k, d]`."""
        return tf.where(self.totals[:, -1:] > 0, self.totals[:, :-2], 0.0)


class RowsInDoubt:
    """Compares with all centroids those rows that may have come nearer to another one."""

    def __init__(self, rows):
        """Places `rows`, rows_lib.Rows with a static number of rows."""
        self.rows = rows
        self._total_square = _total_square(rows)

    def first(self, centroids):
        """Places the rows for the first time: a state for `follow`, and lloyd.Statistics."""
        n_clusters, width = centroids.shape
        nowhere = _Placement(
            ids=None,
            bounds=None,
            drift=tf.zeros([n_clusters]),
            totals=tf.zeros([n_clusters, width + 2], tf.float64),
            peaks=tf.zeros([n_clusters], tf.float64),
        )
        placement = _place(_All(self.rows), centroids, nowhere)
        return placement, self._statistics(centroids, placement)

    def follow(self, centroids, updated, placement):
        """Places the rows after the centroids moved: the next state, and lloyd.Statistics."""
        placement = _follow(self.rows, centroids, updated, placement)
        return placement, self._statistics(updated, placement)

    def update(self, centroids, placement, statistics):
        """The next centroids, float32 `[k, d]`."""
        return lloyd.update(self, centroids, placement, statistics)

    def own_centroids(self, centroids, placement):
        """Where the rows are: ids int32 `[n]`, and squared distances float32 `[n]`."""

        def step(start, stop):
            return [_own_distances(self.rows, centroids, placement.ids, start, stop)]

        rows_per_block = blocks.block_rows(self.rows.points.shape[1])
        (distances,) = blocks.map_blocks(step, self.rows.count, rows_per_block, [tf.float32])
        return placement.ids, distances

    def _statistics(self, centroids, placement):
        """The inertia comes from the sums, without a look at the rows, unless it is too small."""
        targets = tf.cast(centroids, tf.float64)
        inertia = (
            self._total_square
            - 2.0 * tf.reduce_sum(targets * placement.sums)
            + tf.reduce_sum(tf.reduce_sum(tf.square(targets), axis=1) * placement.weights)
        )

        def step(start, stop, total):
            distances = _own_distances(self.rows, centroids, placement.ids, start, stop)
            return [total + _dot(distances, self.rows.block_weights(start, stop))]

        inertia = tf.cond(
            inertia > _LEAST_DIFFERENCE * self._total_square,
            lambda: inertia,
            lambda: _add_up(self.rows, step),
        )
        return lloyd.Statistics(placement.sums, placement.weights, inertia)


def _total_square(rows):
    """Weighted sum of the squared lengths of all prepared rows, float64."""

    def step(start, stop, total):
        squares = tf.reduce_sum(tf.square(tf.cast(rows.block(start, stop), tf.float64)), axis=1)
        return [total + _dot(squares, rows.block_weights(start, stop))]

    return _add_up(rows, step)


def _add_up(rows, step):
    """Sum over all rows, of which `step` adds those of a block to a float64."""
    rows_per_block = blocks.block_rows(rows.points.shape[1])
    initial = [tf.zeros([], tf.float64)]
    return blocks.reduce_blocks(step, rows.count, rows_per_block, initial)[0]


def _dot(first, second):
    return tf.tensordot(tf.cast(first, tf.float64), tf.cast(second, tf.float64), 1)


def _own_distances(rows, centroids, ids, start, stop):
    """Squared distances of rows `[start, stop)` to their own centroids, from the differences."""
    offsets = rows.block(start, stop) - tf.gather(centroids, ids[start:stop])
    return tf.reduce_sum(tf.square(offsets), axis=1)


def _follow(rows, centroids, updated, placement):
    """Places rows among the updated centroids: those whose bounds let them move."""
    moves = tf.norm(updated - centroids, axis=1)
    placement = placement._replace(drift=placement.drift + moves + _longest_of_others(moves))
    lost = placement.drift * (1.0 + _ROUNDING) + _ROUNDING
    in_doubt = _reached(placement.bounds, placement.ids, lost)
    n_picked = tf.math.count_nonzero(in_doubt, dtype=tf.int32)

    def place_some():
        picked = _Picked(rows, in_doubt, moves.shape[0])
        return _place(picked, updated, placement)

    share = tf.cast(n_picked, tf.float64) / tf.cast(rows.count, tf.float64)
    placement = tf.cond(
        share > _MOST_PICKED,
        lambda: _place(_All(rows), updated, placement),
        lambda: tf.cond(n_picked > 0, place_some, lambda: placement),
    )
    drained = placement.weights < _LEAST_LEFT * placement.peaks
    drained = tf.logical_and(drained, placement.weights > 0)
    return tf.cond(tf.reduce_any(drained), lambda: _sum_up_anew(rows, placement), lambda: placement)


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


class _All:
    """All rows, to be placed."""

    def __init__(self, rows):
        self.rows = rows
        self.count = self.padded_count = rows.count

    def block(self, first, stop):
        """Rows `[first, stop)` of these, not prepared."""
        return self.rows.points[first:stop]

    def take(self, vector, first, stop):
        return vector[first:stop]

    def put(self, _, values):
        return values


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


def _place(chosen, centroids, placement):
    """Places the chosen rows, _All or _Picked, and carries the totals along."""
    n_clusters, width = centroids.shape
    targets = nearest.Targets(chosen.rows, centroids)
    size = nearest.block_rows(*chosen.rows.points.shape, n_clusters)
    n_blocks = (chosen.count + size - 1) // size

    def body(index, ids, bounds, totals):
        start = index * size
        stop = tf.minimum(start + size, chosen.count)
        # blocks have a static size: the last one begins before its first new row
        first = tf.minimum(start, chosen.padded_count - size)
        block = tf.ensure_shape(chosen.block(first, first + size), [size, width])
        found = targets.nearest(block)
        found = nearest.TwoNearest(*(part[start - first : stop - first] for part in found))
        old_ids = None if placement.ids is None else chosen.take(placement.ids, start, stop)
        weights = None
        if chosen.rows.weights is not None:
            weights = chosen.take(chosen.rows.weights, start, stop)
        block = block[start - first :]
        totals += _change(chosen.rows, block, weights, old_ids, found.ids, n_clusters)
        ids = ids.write(index, found.ids)
        bounds = bounds.write(index, found.slack + tf.gather(placement.drift, found.ids))
        return index + 1, ids, bounds, totals

    arrays = [
        tf.TensorArray(dtype, n_blocks, element_shape=[None], infer_shape=False)
        for dtype in (tf.int32, tf.float32)
    ]
    loop = [tf.zeros([], tf.int32), *arrays, placement.totals]
    ids, bounds, totals = blocks.while_below(n_blocks, body, loop)
    return placement._replace(
        ids=chosen.put(placement.ids, ids.concat()),
        bounds=chosen.put(placement.bounds, bounds.concat()),
        totals=totals,
        peaks=tf.maximum(placement.peaks, totals[:, -2]),
    )


def _change(rows, block, weights, old_ids, ids, n_clusters):
    """What the rows of a block that changed clusters take along: float64 `[k, d + 2]`."""
    if old_ids is None:
        return tf.math.unsorted_segment_sum(_terms(rows, block, weights), ids, n_clusters)
    moved = tf.where(old_ids != ids)[:, 0]
    moved_weights = None if weights is None else tf.gather(weights, moved)
    terms = _terms(rows, tf.gather(block, moved), moved_weights)
    both_ids = tf.concat([tf.gather(ids, moved), tf.gather(old_ids, moved)], axis=0)
    return tf.math.unsorted_segment_sum(tf.concat([terms, -terms], axis=0), both_ids, n_clusters)


def _terms(rows, block, weights):
    """What each row of a block adds to the totals of its cluster: float64 `[b, d + 2]`."""
    block = tf.cast(rows.prepare(block), tf.float64)
    if weights is None:
        return tf.pad(block, [[0, 0], [0, 2]], constant_values=1.0)
    weights = tf.cast(weights, tf.float64)[:, tf.newaxis]
    return tf.concat([block * weights, weights, tf.cast(weights > 0, tf.float64)], axis=1)


def _sum_up_anew(rows, placement):
    """Totals that nothing has ever been taken off."""
    n_clusters = placement.totals.shape[0]

    def step(start, stop, totals):
        weights = None if rows.weights is None else rows.weights[start:stop]
        ids = placement.ids[start:stop]
        block = rows.points[start:stop]
        return [totals + _change(rows, block, weights, None, ids, n_clusters)]

    rows_per_block = blocks.block_rows(rows.points.shape[1])
    (totals,) = blocks.reduce_blocks(
        step, rows.count, rows_per_block, [tf.zeros_like(placement.totals)]
    )
    return placement._replace(totals=totals, peaks=totals[:, -2])
