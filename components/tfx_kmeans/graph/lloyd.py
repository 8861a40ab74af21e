"""Lloyd's algorithm (S. Lloyd, "Least squares quantization in PCM", 1982) over blocks of rows.

The E-step is incremental: a row stays where it is if the distance to its own centroid equals the
least of its distances, which are numbers of one product, so that this is exact; only the rows that
move change the sums of clusters. Once few rows move, most are not even compared: a row whose second
nearest centroid was so far behind the nearest that they cannot have changed places since is left
alone (Hamerly, "Making k-means even faster", SDM 2010).
"""

import typing

import tensorflow as tf

from tfx_kmeans.graph import blocks, distances, tracing
from tfx_kmeans.graph import rows as rows_lib

# Bounds take a second minimum and picking of rows: they pay where few rows move, and as long as
# fewer than so many are in doubt.
_FEW_MOVES = 0.2
_MOST_IN_DOUBT = 0.6
# Iterations without bounds, at first and after they did not pay. The first bounds are traced, which
# takes as long as so many operations: shorter fits do without.
_FIRST_WAIT, _LATER_WAIT = 2, 10
_OPERATIONS_OF_TRACING = 4e9
# bounds are sums of float32 over the iterations: what they may have lost
_ROUNDING = 1e-6
_NO_WEIGHT = 1e-12  # of the weight of a cluster: what sums of fractions may leave of nothing


class State(typing.NamedTuple):
    """Where rows are.

    Attributes:
        ids: int32 `[n]`, the cluster of each row.
        totals: float64 `[k, columns]`, what `_columns` gives, added up by cluster.
    """

    ids: tf.Tensor
    totals: tf.Tensor


class Bounds(typing.NamedTuple):
    """What keeps rows from being compared.

    Attributes:
        slack: float32 `[n]`, or `[0]` while there are no bounds. While that of a row is above the
            drift of its cluster, it stays there.
        drift: float32 `[k]`, how far each cluster's rows have come since: the ways of their own
            centroid, and in each iteration the longest way of another.
    """

    slack: tf.Tensor
    drift: tf.Tensor


class Solution(typing.NamedTuple):
    """Where one run of Lloyd's algorithm ended, in the space of the prepared rows.

    Attributes:
        centroids: float32 `[k, d]`.
        weights: float64 `[k]`, weight of the rows nearest to each centroid.
        inertia: float64 scalar.
        n_iter: int32 scalar, updates made.
        converged: bool scalar, whether the centroids moved by no more than the tolerance.
        history: float64 `[n_iter + 1]`, inertia of the initial and of each updated centroids.
    """

    centroids: tf.Tensor
    weights: tf.Tensor
    inertia: tf.Tensor
    n_iter: tf.Tensor
    converged: tf.Tensor
    history: tf.Tensor


def solve(rows, centroids, max_iter, tolerance, cosine=False, on_iteration=None):
    """Runs Lloyd's algorithm until the centroids stand still.

    Args:
        rows: rows_lib.Rows.
        centroids: float32 `[k, d]`, initial centroids in the space of the prepared rows.
        max_iter: int32 scalar tensor, the most updates to make.
        tolerance: float64 scalar tensor; stop when the squared movement of all centroids together
            is not above it.
        cosine: bool, whether centroids are unit vectors.
        on_iteration: callable `(iteration, inertia)` that returns a tensor to evaluate, or None.

    Returns:
        Solution, whose weights and inertia belong to its centroids.
    """

    def record(history, iteration, inertia):
        reports = [on_iteration(iteration, inertia)] if on_iteration else []
        with tf.control_dependencies(reports):
            return history.write(iteration, tf.identity(inertia))

    def body(iteration, centroids, state, bounds, wait, _, history):
        n_empty = tf.math.count_nonzero(state.totals[:, -1] < 0.5, dtype=tf.int32)
        totals = tf.cond(
            n_empty > 0,
            lambda: reassign_to_empty(state.totals, farthest_rows(rows, centroids, state, n_empty)),
            lambda: state.totals,
        )

        def with_bounds():
            new = tf.size(bounds.slack) < rows.count
            slack = tf.cond(new, lambda: tf.fill([rows.count], float('-inf')), lambda: bounds.slack)
            given = Bounds(slack, bounds.drift)
            found, kept = _call(_follow_in_doubt, static, rows, centroids, state, totals, given)
            stay = tf.logical_or(new, found.share < _MOST_IN_DOUBT)
            return found, kept, tf.where(stay, 0, _LATER_WAIT)

        def without():
            found = _call(_follow, static, rows, centroids, state, totals, everywhere)
            none = Bounds(tf.zeros([0]), tf.zeros_like(bounds.drift))
            return found, none, tf.maximum(wait - 1, tf.where(found.share < _FEW_MOVES, 0, 1))

        found, bounds, wait = tf.cond(wait <= 0, with_bounds, without)
        history = record(history, iteration + 1, found.inertia)
        stands = found.movement <= tolerance
        return iteration + 1, found.centroids, found.state, bounds, wait, stands, history

    def unfinished(iteration, _, __, ___, ____, converged, _____):
        return tf.logical_and(iteration < max_iter, tf.logical_not(converged))

    static = (rows.partial, cosine)
    everywhere = tf.fill([blocks.row_count(centroids)], True)
    first = begin(rows, centroids, everywhere, cosine)
    history = tf.TensorArray(
        tf.float64, size=1, dynamic_size=True, element_shape=[], clear_after_read=False
    )
    history = record(history, 0, first.inertia)
    bounds = Bounds(tf.zeros([0]), tf.zeros_like(centroids[:, 0]))
    any_length = tf.TensorShape([None])
    loop = (0, centroids, first.state, bounds, _first_wait(rows, centroids), False, history)
    shapes = (
        tf.TensorShape([]),
        tf.TensorShape([None, centroids.shape[1]]),
        State(any_length, first.state.totals.shape),
        Bounds(any_length, any_length),
        *[tf.TensorShape([])] * 3,
    )
    n_iter, updated, state, _, _, converged, history = tf.while_loop(
        unfinished, body, tf.nest.map_structure(_as_tensor, loop), shapes
    )
    history = history.stack()
    weights = state.totals[:, -3]
    updated = tf.ensure_shape(updated, centroids.shape)
    return Solution(updated, weights, history[-1], n_iter, converged, history)


def _first_wait(rows, centroids):
    """How many iterations to make before there are bounds, int32: as long as tracing takes."""
    n_clusters, width = tf.unstack(tf.cast(tf.shape(centroids), tf.float32), num=2)
    operations = tf.cast(rows.count, tf.float32) * (n_clusters * (width + 16.0) + 200.0)
    return tf.maximum(tf.cast(_OPERATIONS_OF_TRACING / operations, tf.int32), _FIRST_WAIT)


def _as_tensor(value):
    return value if isinstance(value, tf.TensorArray) else tf.convert_to_tensor(value)


class Found(typing.NamedTuple):
    """What an iteration led to.

    Attributes:
        centroids: float32 `[k, d]`.
        state: State of the rows among them.
        inertia: float64 scalar.
        movement: float64 scalar, squared movement of all centroids together.
        share: float32 scalar, the share of the rows that moved, or with bounds were compared.
    """

    centroids: tf.Tensor
    state: State
    inertia: tf.Tensor
    movement: tf.Tensor
    share: tf.Tensor


def begin(rows, centroids, active, cosine):
    """Assigns every row for the first time, to a centroid that is `active`, bool `[k]`: Found."""
    n_clusters = blocks.row_count(centroids)
    nowhere = tf.fill([rows.count], -1)
    totals = tf.zeros([n_clusters, _n_columns(rows)], tf.float64)
    return follow(rows, centroids, active, State(nowhere, totals), cosine, move=False)


def follow(rows, centroids, active, state, cosine, move):
    """One iteration: centroids become means, and every row is assigned again.

    Args:
        rows: rows_lib.Rows.
        centroids: float32 `[k, d]`.
        active: bool `[k]`, which of the centroids rows may belong to.
        state: State.
        cosine: bool, whether centroids are unit vectors.
        move: bool, whether centroids become means; else rows are assigned to them as they are.

    Returns:
        Found.
    """
    static = (rows.partial, cosine)
    totals = state.totals if move else tf.zeros_like(state.totals)  # a cluster of none stays
    return _call(_follow, static, rows, centroids, state, totals, active)


def two_nearest(rows, centroids, active, state):
    """Squared distances float32 `[n]` of rows to their own centroid and to the nearest other."""
    totals = tf.zeros_like(state.totals)
    return _call(_two_nearest, rows.partial, rows, centroids, state, totals, active)


def _call(step, static, rows, centroids, state, totals, more):
    """Calls `step`, traced once for any number of rows and clusters."""
    vector, sums = tracing.vector(tf.float32), tracing.matrix(tf.float64, _n_columns(rows))
    signature = (
        rows.signature(),
        tracing.matrix(tf.float32, rows.values.shape[1]),
        State(tracing.vector(tf.int32), sums),
        sums,
        Bounds(vector, vector) if isinstance(more, Bounds) else tracing.vector(tf.bool),
    )
    return tracing.traced(step, static, signature)(rows.tensors(), centroids, state, totals, more)


def _follow(static, tensors, centroids, state, totals, active):
    partial, cosine = static
    rows = rows_lib.Rows.of(tensors, partial)
    updated = means(totals, centroids, partial, cosine)
    targets = distances.lay_out(updated, partial, active)

    def step(start, stop, totals):
        block = rows.block(start, stop)
        old = state.ids[start:stop]
        found = compare(block, old, targets)
        totals = _carry(totals, block, found, old)
        return [start + found.moved, found.new_ids], [totals]

    rows_per_block = blocks.product_rows(blocks.row_count(centroids))
    (moved, new_ids), (totals,) = blocks.scan_blocks(
        step, rows.count, rows_per_block, [tf.int32, tf.int32], [state.totals]
    )
    ids = tf.tensor_scatter_nd_update(state.ids, moved[:, tf.newaxis], new_ids)
    return _found(rows, centroids, updated, State(ids, totals), moved)


def _follow_in_doubt(static, tensors, centroids, state, totals, bounds):
    """As `_follow`, but compares only the rows that may move: Found and Bounds."""
    partial, cosine = static
    rows = rows_lib.Rows.of(tensors, partial)
    updated = means(totals, centroids, partial, cosine)
    targets = distances.lay_out(updated, partial)
    moves = tf.norm(updated - centroids, axis=1)
    drift = bounds.drift + moves + _longest_of_others(moves)
    reached = drift * (1.0 + _ROUNDING) + _ROUNDING
    # also where infinite moves have made it no number
    in_doubt = tf.logical_not(bounds.slack > tf.gather(reached, state.ids))
    in_doubt = tf.cast(tf.where(in_doubt)[:, 0], tf.int32)
    farthest = tf.reduce_max(tf.reduce_sum(tf.square(updated), axis=1))

    def step(start, stop, totals):
        picked = in_doubt[start:stop]
        block = rows.take(picked)
        old = tf.gather(state.ids, picked)
        found = compare(block, old, targets)
        totals = _carry(totals, block, found, old)
        ids = tf.tensor_scatter_nd_update(old, found.moved[:, tf.newaxis], found.new_ids)
        squares = block.squares()
        error = distances.ROUNDING * (squares + farthest)
        second = _second(found.relative, ids)
        gap = tf.sqrt(tf.maximum(second + squares - error, 0.0))
        gap -= tf.sqrt(tf.maximum(found.least + squares, 0.0) + error)
        return [ids, gap + tf.gather(drift, ids)], [totals]

    rows_per_block = blocks.product_rows(blocks.row_count(centroids))
    (ids, gaps), (totals,) = blocks.scan_blocks(
        step, tf.size(in_doubt), rows_per_block, [tf.int32, tf.float32], [state.totals]
    )
    places = in_doubt[:, tf.newaxis]
    state = State(tf.tensor_scatter_nd_update(state.ids, places, ids), totals)
    slack = tf.tensor_scatter_nd_update(bounds.slack, places, gaps)
    return _found(rows, centroids, updated, state, in_doubt), Bounds(slack, drift)


def _found(rows, centroids, updated, state, indices):
    # what rounding left of clusters that have lost all rows
    totals = tf.where(state.totals[:, -1:] > 0.5, state.totals, 0.0)
    return Found(
        updated,
        State(state.ids, totals),
        tf.reduce_sum(cluster_inertias(rows, updated, totals)),
        tf.reduce_sum(tf.square(tf.cast(updated - centroids, tf.float64))),
        tf.cast(tf.size(indices), tf.float32) / tf.cast(rows.count, tf.float32),
    )


def _two_nearest(partial, tensors, centroids, state, totals, active):
    del totals
    rows = rows_lib.Rows.of(tensors, partial)
    targets = distances.lay_out(centroids, partial, active)

    def step(start, stop):
        block = rows.block(start, stop)
        relative = distances.relative(block, targets)
        ids = state.ids[start:stop]
        own = tf.gather(relative, ids, batch_dims=1)
        pair = tf.maximum(tf.stack([own, _second(relative, ids)]) + block.squares(), 0.0)
        factors = block.rescaling()
        return tf.unstack(pair if factors is None else pair * factors, num=2)

    rows_per_block = blocks.product_rows(blocks.row_count(centroids))
    return blocks.map_blocks(step, rows.count, rows_per_block, [tf.float32, tf.float32])


class Comparison(typing.NamedTuple):
    """What comparing a block of rows with all centroids finds.

    Attributes:
        relative: float32 `[b, k]`, see distances.relative.
        least: float32 `[b]`, the least of them.
        moved: int32 `[p]`, indices of the rows that are not nearest to their own centroid.
        new_ids: int32 `[p]`, the centroids that those are nearest to.
    """

    relative: tf.Tensor
    least: tf.Tensor
    moved: tf.Tensor
    new_ids: tf.Tensor


def compare(block, old, targets):
    """Compares rows, which belong to the clusters `old`, int32 `[b]`, with all centroids.

    Rows that belong to none, -1, move to the nearest.
    """
    relative = distances.relative(block, targets)
    least = tf.reduce_min(relative, axis=1)
    n_rows, n_clusters = tf.shape(relative)[0], tf.shape(relative)[1]
    at = tf.range(n_rows) * n_clusters + tf.maximum(old, 0)
    own = tf.gather(tf.reshape(relative, [-1]), at)
    moves = tf.logical_or(own > least, old < 0)
    moved = tf.cast(tf.where(moves)[:, 0], tf.int32)
    # vector code finds a minimum, but not where it is
    new_ids = tf.argmin(tf.gather(relative, moved), axis=1, output_type=tf.int32)
    return Comparison(relative, least, moved, new_ids)


def _second(relative, ids):
    """The least of each row `[b, k]` but for those at `ids`, int32 `[b]`."""
    places = tf.stack([tf.range(tf.shape(ids)[0]), ids], axis=1)
    far = tf.fill(tf.shape(ids), distances.FAR)
    return tf.reduce_min(tf.tensor_scatter_nd_update(relative, places, far), axis=1)


def _longest_of_others(moves):
    """For each centroid the longest of the `moves` `[k]` of all others; 0 where there is none."""
    longest = tf.reduce_max(moves)
    at = tf.argmax(moves, output_type=tf.int32)
    others = tf.tensor_scatter_nd_update(moves, [[at]], [0.0])
    return tf.where(tf.range(tf.size(moves)) == at, tf.reduce_max(others), longest)


def _n_columns(rows):
    width = rows.values.shape[1]
    return (4 * width if rows.partial else width) + 3


def _columns(block):
    """What a row adds to the totals of its cluster: float64 `[b, columns]`.

    Its values and, of rows with gaps, which of them are observed; of rows with gaps the same once
    more, rescaled, as the inertia takes them; all of this times the weight, and then the weight,
    the weighted squared length, as the inertia takes it, and 1.
    """
    values = tf.cast(block.values, tf.float64)
    squares = tf.reduce_sum(tf.square(values), axis=1, keepdims=True)
    ones = tf.ones_like(squares)
    weights = ones if block.weights is None else tf.cast(block.weights, tf.float64)[:, tf.newaxis]
    if block.observed is not None:
        rescaling = tf.cast(block.rescaling(), tf.float64)[:, tf.newaxis]
        values = tf.concat([values, tf.cast(block.observed, tf.float64)], axis=1)
        values = tf.concat([values, values * rescaling], axis=1)
        squares *= rescaling
    if block.weights is not None:
        values, squares = values * weights, squares * weights
    return tf.concat([values, weights, squares, ones], axis=1)


def _carry(totals, block, found, old):
    """Takes the rows that move out of the totals of their old clusters into those of the new."""
    part = _columns(block.take(found.moved))
    ids = tf.concat([found.new_ids, tf.gather(old, found.moved)], axis=0)
    carried = tf.math.unsorted_segment_sum(
        tf.concat([part, -part], axis=0), ids, tf.shape(totals)[0]
    )
    return totals + carried


def cluster_inertias(rows, centroids, totals):
    """Weighted sum of squared distances of each cluster: float64 `[k]`.

    From the sums in float64, which tell it to 1e-16 of the squared lengths of the rows.
    """
    width = centroids.shape[1]
    centroids = tf.cast(centroids, tf.float64)
    if rows.partial:
        sums, observed = totals[:, 2 * width : 3 * width], totals[:, 3 * width : 4 * width]
    else:
        sums, observed = totals[:, :width], totals[:, -3:-2]
    crossed = tf.reduce_sum(centroids * (observed * centroids - 2.0 * sums), axis=1)
    return tf.maximum(totals[:, -2] + crossed, 0.0)


def means(totals, centroids, partial, cosine):
    """The M-step: cluster means float32 `[k, d]`; where there is none, what `centroids` has."""
    width = centroids.shape[1]
    sums, weights = totals[:, :width], totals[:, -3:-2]
    observed = totals[:, width : 2 * width] if partial else weights
    usable = observed > _NO_WEIGHT * weights
    updated = tf.math.divide_no_nan(sums, observed)
    if cosine:
        usable = tf.logical_and(usable, tf.norm(updated, axis=1, keepdims=True) > 0)
        updated = rows_lib.normalise(updated)
    return tf.where(usable, tf.cast(updated, tf.float32), centroids)


class FarRows(typing.NamedTuple):
    """The rows farthest from their centroids, by falling distance.

    Attributes:
        distances: float32 `[m]`, squared.
        ids: int32 `[m]`, the clusters that they are in.
        columns: float64 `[m, columns]`, what they add to the totals of their clusters.
    """

    distances: tf.Tensor
    ids: tf.Tensor
    columns: tf.Tensor

    def merge(self, other, count):
        """Returns the farthest `count` rows of both."""
        both = [tf.concat(parts, axis=0) for parts in zip(self, other, strict=True)]
        first = tf.math.top_k(both[0], tf.minimum(count, tf.size(both[0]))).indices
        return FarRows(*(tf.gather(part, first) for part in both))


def farthest_rows(rows, centroids, state, count):
    """Finds the `count` rows farthest from their centroids, or all if there are fewer: FarRows."""

    def step(start, stop):
        own = tf.gather(centroids, state.ids[start:stop])
        return [distances.to_own(rows.block(start, stop), own)]

    rows_per_block = blocks.product_rows(rows.values.shape[1])
    (apart,) = blocks.map_blocks(step, rows.count, rows_per_block, [tf.float32])
    first = tf.math.top_k(apart, tf.minimum(count, rows.count))
    return FarRows(
        first.values, tf.gather(state.ids, first.indices), _columns(rows.take(first.indices))
    )


def reassign_to_empty(totals, far):
    """Moves the farthest rows, FarRows, into the empty clusters, one each: totals as in State.

    The rule of scikit-learn: the row leaves its old cluster's sum, so the weights stay whole.
    """
    empty = tf.cast(tf.where(totals[:, -1] < 0.5)[:, 0], tf.int32)[: tf.size(far.ids)]
    columns, left = far.columns[: tf.size(empty)], far.ids[: tf.size(empty)]
    ids, parts = tf.concat([empty, left], axis=0), tf.concat([columns, -columns], axis=0)
    return totals + tf.math.unsorted_segment_sum(parts, ids, tf.shape(totals)[0])
