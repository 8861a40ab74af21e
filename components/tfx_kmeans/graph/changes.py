"""Lloyd's algorithm in which only those rows are summed up that changed clusters.

The sums of the clusters are carried along: a row that changes is taken off one and added to
another. So each iteration has the outcome that it would have if all rows were summed up.
"""

import typing

import tensorflow as tf

from tfx_kmeans.graph import blocks, lloyd, nearest

# below this share of the sum of the squares, inertia is more than the rounding of a difference
_LEAST_DIFFERENCE = 1e-7
# a cluster that has lost all but this share of its weight is summed up anew
_LEAST_LEFT = 2.0**-20


class Placement(typing.NamedTuple):
    """Where the rows are.

    Attributes:
        of_rows: what a solver keeps of each row, `[n]` each: first the nearest centroid, int32.
        of_clusters: and of each cluster besides its totals, `[k]` each.
        totals: float64 `[k, d + 2]`, of the rows of each cluster: sums of the rows times their
            weights, sum of the weights, number of rows whose weight is above 0.
        peaks: float64 `[k]`, the largest weight of each cluster since `totals` were summed up.
    """

    of_rows: tuple
    of_clusters: tuple
    totals: tf.Tensor
    peaks: tf.Tensor

    @property
    def ids(self):
        """The nearest centroid of each row, int32 `[n]`."""
        return self.of_rows[0]

    @property
    def weights(self):
        """Weight of each cluster, float64 `[k]`; exactly 0 where it has no rows."""
        return tf.where(self.totals[:, -1] > 0, self.totals[:, -2], 0.0)

    @property
    def sums(self):
        """Weighted sums of the rows of each cluster, float64 `[k, d]`."""
        return tf.where(self.totals[:, -1:] > 0, self.totals[:, :-2], 0.0)


class RowsThatMove:
    """Compares every row with every centroid in each iteration, and sums up those that move."""

    # dtypes of what is kept of each row
    kept = (tf.int32,)

    def __init__(self, rows):
        """Places `rows`, rows_lib.Rows with a static number of rows."""
        self.rows = rows
        self._total_square = _total_square(rows)

    def first(self, centroids):
        """Places the rows for the first time: a state for `follow`, and lloyd.Statistics."""
        n_clusters, width = centroids.shape
        nowhere = Placement(
            of_rows=(),
            of_clusters=self.unmoved(n_clusters),
            totals=tf.zeros([n_clusters, width + 2], tf.float64),
            peaks=tf.zeros([n_clusters], tf.float64),
        )
        placement = self.place(All(self.rows), centroids, nowhere)
        return placement, self._statistics(centroids, placement)

    def follow(self, centroids, updated, placement):
        """Places the rows after the centroids moved: the next state, and lloyd.Statistics."""
        placement = self.place_again(centroids, updated, placement)
        drained = placement.weights < _LEAST_LEFT * placement.peaks
        drained = tf.logical_and(drained, placement.weights > 0)
        placement = tf.cond(
            tf.reduce_any(drained),
            lambda: _sum_up_anew(self.rows, placement),
            lambda: placement,
        )
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

    def unmoved(self, n_clusters):
        """`Placement.of_clusters` before any centroid has moved."""
        del n_clusters
        return ()

    def place_again(self, centroids, updated, placement):
        """Places the rows among `updated`: the next Placement."""
        del centroids
        return self.place(All(self.rows), updated, placement)

    def compare(self, targets, block, old_ids, of_clusters):
        """Finds what is kept of the rows of a block, and whether each is in a cluster anew."""
        del of_clusters
        ids, moved = targets.nearest(block, old_ids)
        return [ids], moved

    def place(self, chosen, centroids, placement):
        """Places the chosen rows, All or others like them, and carries the totals along."""
        n_clusters, width = centroids.shape
        targets = nearest.Targets(chosen.rows, centroids)
        size = nearest.block_rows(*chosen.rows.points.shape, n_clusters)
        n_blocks = (chosen.count + size - 1) // size

        def body(index, totals, *kept):
            start = index * size
            stop = tf.minimum(start + size, chosen.count)
            # blocks have a static size: the last one begins before its first new row
            first = tf.minimum(start, chosen.padded_count - size)

            def new_part(values):
                return values[start - first : stop - first]

            block = tf.ensure_shape(chosen.block(first, first + size), [size, width])
            old_ids = tf.zeros([size], tf.int32)
            if placement.of_rows:
                old_ids = chosen.take(placement.ids, first, first + size)
                old_ids = tf.ensure_shape(old_ids, [size])
            found, moved = self.compare(targets, block, old_ids, placement.of_clusters)
            found = [new_part(values) for values in found]
            weights = None
            if chosen.rows.weights is not None:
                weights = chosen.take(chosen.rows.weights, start, stop)
            rows = chosen.rows, new_part(block), weights
            if placement.of_rows:
                ids = new_part(old_ids), found[0]
                totals += _change(*rows, *ids, new_part(moved), n_clusters)
            else:
                totals += _sums(*rows, found[0], n_clusters)
            kept = (array.write(index, part) for array, part in zip(kept, found, strict=True))
            return index + 1, totals, *kept

        arrays = [
            tf.TensorArray(dtype, n_blocks, element_shape=[None], infer_shape=False)
            for dtype in self.kept
        ]
        loop = [tf.zeros([], tf.int32), placement.totals, *arrays]
        totals, *kept = blocks.while_below(n_blocks, body, loop)
        kept = [array.concat() for array in kept]
        if placement.of_rows:
            kept = [chosen.put(*pair) for pair in zip(placement.of_rows, kept, strict=True)]
        return placement._replace(
            of_rows=tuple(kept),
            totals=totals,
            peaks=tf.maximum(placement.peaks, totals[:, -2]),
        )

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


class All:
    """All rows, to be placed."""

    def __init__(self, rows):
        """Takes `rows`, rows_lib.Rows."""
        self.rows = rows
        self.count = self.padded_count = rows.count
        self._flat = tf.reshape(rows.points, [-1])

    def block(self, first, stop):
        """Rows `[first, stop)` of these, not prepared."""
        width = self.rows.points.shape[1]
        # of a vector, TensorFlow need not copy the slice
        first, stop = tf.cast(first, tf.int64) * width, tf.cast(stop, tf.int64) * width
        return tf.reshape(self._flat[first:stop], [-1, width])

    def take(self, vector, first, stop):
        """What `vector` `[n]` has for rows `[first, stop)` of these."""
        return vector[first:stop]

    def put(self, old, values):
        """`old` `[n]` with the `values` of these rows."""
        del old
        return values


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


def _sums(rows, block, weights, ids, n_clusters):
    """Totals of the rows of a block: float64 `[k, d + 2]`."""
    return tf.math.unsorted_segment_sum(_terms(rows, block, weights), ids, n_clusters)


def _change(rows, block, weights, old_ids, ids, moved, n_clusters):
    """What the rows of a block that moved take along: float64 `[k, d + 2]`."""
    moved = tf.where(moved)[:, 0]
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
        return [totals + _sums(rows, block, weights, ids, n_clusters)]

    rows_per_block = blocks.block_rows(rows.points.shape[1])
    (totals,) = blocks.reduce_blocks(
        step, rows.count, rows_per_block, [tf.zeros_like(placement.totals)]
    )
    return placement._replace(totals=totals, peaks=totals[:, -2])
