"""Assigning rows to given centroids, hard (`assign`) and soft (`soft_assign`)."""

import typing

import numpy as np
import tensorflow as tf

from tfx_kmeans.graph import arguments, blocks, distances, tracing
from tfx_kmeans.graph import missing as missing_lib
from tfx_kmeans.graph import rows as rows_lib


class Assignment(typing.NamedTuple):
    """Where rows belong.

    Attributes:
        ids: int64 `[n]`, the nearest centroid (ties go to the lowest), or n_clusters for a row
            that is unassigned: one with an infinite value, with a NaN (with missing='partial'
            one of nothing but NaN) and, under the cosine distance, a row of zeros.
        distances: float32 `[n]`, the squared Euclidean distance to that centroid, or 1 - cos under
            the cosine distance; with missing='partial' that over the observed values, times d and
            divided by their number; NaN for an unassigned row.
    """

    ids: tf.Tensor
    distances: tf.Tensor


@tf.autograph.experimental.do_not_convert
def assign(points, centroids, *, distance='squared_euclidean', missing='drop'):
    """Finds the nearest centroid of every row, in blocks of rows.

    Distances are compared in float32 on data centred on the centroids, and in float64 where two
    centroids are as near as float32 can tell. So a row has one id, in whatever batch it comes. The
    distance returned is computed from the differences.

    >>> from tfx_kmeans import graph
    >>> found = graph.assign([[0.0, 3.0], [9.0, 9.0]], [[0.0, 0.0], [9.0, 8.0]])
    >>> found.ids.numpy().tolist(), found.distances.numpy().tolist()
    ([0, 1], [9.0, 1.0])

    Args:
        points: `[n, d]`, numeric.
        centroids: `[k, d]`, numeric and finite; unit vectors or not under the cosine distance.
        distance: 'squared_euclidean' or 'cosine'.
        missing: what to do about a row with NaN: 'drop' leaves it unassigned, 'partial' (not
            under the cosine distance) assigns it by the values that it has (Dixon 1979), and
            'error' refuses it.

    Returns:
        Assignment.

    Raises:
        TypeError: `points` or `centroids` are not numeric.
        ValueError: their ranks or widths are wrong, or `distance` or `missing` is unknown, or
            (eagerly) there is a NaN with missing='error'.
        tf.errors.InvalidArgumentError: the latter, from inside a tf.function.
    """
    if not tf.executing_eagerly():
        # not as a function of its own: in an exported graph all its outputs would need all inputs
        return _assign((distance, missing), points, centroids)
    points, centroids, missing = check(points, centroids, distance, missing)
    signature = tuple(tracing.matrix(points.dtype, points.shape[1]) for _ in range(2))
    return tracing.traced(_assign, (distance, missing), signature)(points, centroids)


def check(points, centroids, distance, missing):
    """Raises eagerly what `assign` says; a traced function would raise other errors.

    Returns:
        Points and centroids as tensors, and `missing`, which 'error' is no longer.
    """
    points = arguments.as_matrix(points, 'points')
    centroids = arguments.as_centroids(centroids, None, points, 'centroids')
    Space(points[:0], centroids, distance, 'drop' if missing == 'error' else missing)
    if missing == 'error':
        return missing_lib.refuse(points), centroids, 'drop'
    return points, centroids, missing


def _assign(static, points, centroids):
    space = Space(points, centroids, *static)

    def step(start, stop):
        points = space.points[start:stop]
        block = space.rows(points)
        ids = space.nearest(points, block)
        squares = distances.to_own(block, tf.gather(space.targets.centroids, ids))
        assignable = space.assignable(start, stop)
        ids = tf.where(assignable, tf.cast(ids, tf.int64), space.n_clusters)
        return [ids, tf.where(assignable, space.in_unit_of_data(squares), float('nan'))]

    return Assignment(*space.map(step, [tf.int64, tf.float32]))


@tf.autograph.experimental.do_not_convert
def pairwise_distances(points, centroids, *, distance='squared_euclidean', missing='drop'):
    """Distances of every row to every centroid, differentiable in both.

    >>> from tfx_kmeans import graph
    >>> graph.pairwise_distances([[0.0, 3.0]], [[0.0, 0.0], [4.0, 0.0]]).numpy().tolist()
    [[9.0, 25.0]]

    Args:
        points: `[n, d]`, numeric.
        centroids: `[k, d]`, numeric and finite.
        distance: 'squared_euclidean' or 'cosine'.
        missing: what to do about a row with NaN: 'drop' leaves it unassigned, 'partial' (not
            under the cosine distance) assigns it by the values that it has (Dixon 1979), and
            'error' refuses it.

    Returns:
        float32 `[n, k]`: squared Euclidean distances, or 1 - cos under the cosine distance; NaN in
        an unassigned row.

    Raises:
        TypeError: `points` or `centroids` are not numeric.
        ValueError: their ranks or widths are wrong, or `distance` or `missing` is unknown, or
            (eagerly) there is a NaN with missing='error'.
        tf.errors.InvalidArgumentError: the latter, from inside a tf.function.
    """
    space, squares, assignable = _all_distances(points, centroids, distance, missing)
    return tf.where(assignable, space.in_unit_of_data(squares), float('nan'))


@tf.autograph.experimental.do_not_convert
def soft_assign(
    points, centroids, *, temperature=1.0, distance='squared_euclidean', missing='drop'
):
    """Soft assignment: softmax of -distance / temperature, differentiable in points and centroids.

    >>> from tfx_kmeans import graph
    >>> graph.soft_assign([[1.0]], [[0.0], [2.0]], temperature=2.0).numpy().tolist()
    [[0.5, 0.5]]

    Args:
        points: `[n, d]`, numeric.
        centroids: `[k, d]`, numeric and finite.
        temperature: float > 0 or scalar tensor, in the unit of the distance (squared for
            'squared_euclidean'); towards 0 the assignment becomes hard.
        distance: 'squared_euclidean' or 'cosine'.
        missing: what to do about a row with NaN: 'drop' leaves it unassigned, 'partial' (not
            under the cosine distance) assigns it by the values that it has (Dixon 1979), and
            'error' refuses it.

    Returns:
        float32 `[n, k]`, rows adding up to 1; NaN in an unassigned row.

    Raises:
        TypeError: `points`, `centroids` or `temperature` are not numeric.
        ValueError: their ranks or widths are wrong, `distance` or `missing` is unknown,
            `temperature` is a number that is not above 0, or (eagerly) there is a NaN with
            missing='error'.
        tf.errors.InvalidArgumentError: the latter, from inside a tf.function.
    """
    if not tf.is_tensor(temperature):
        arguments.check_positive('temperature', temperature)
    space, squares, assignable = _all_distances(points, centroids, distance, missing)
    # only differences count, and with the nearest at 0 no temperature is too low for one of them
    squares -= tf.stop_gradient(tf.reduce_min(squares, axis=1, keepdims=True))
    logits = -space.in_unit_of_data(squares) / tf.cast(temperature, tf.float32)
    return tf.where(assignable, tf.nn.softmax(logits, axis=1), float('nan'))


class Space:
    """Points and centroids where rows are compared: centred and scaled by the centroids.

    Attributes:
        points: `[n, d]`.
        centroids: `[k, d]`.
        targets: distances.Targets.
        n_clusters: int64 scalar tensor.
    """

    def __init__(self, points, centroids, distance, missing):
        """Checks and converts the arguments of `assign`, and raises what it says."""
        arguments.check_distance('distance', distance)
        arguments.check_missing('missing', missing, distance)
        points = arguments.as_matrix(points, 'points')
        if missing == 'error':
            points = missing_lib.refuse(points)
        centroids = arguments.as_centroids(centroids, None, points, 'centroids')
        self.points, self.centroids = points, centroids
        self._partial, self._cosine = missing == 'partial', distance == 'cosine'
        self._known = _are_finite(centroids)
        if self._cosine:
            self._coordinates = rows_lib.Coordinates(None, None)
        else:
            shift = tf.reduce_mean(centroids, axis=0)
            spread = tf.cast(tf.reduce_max(tf.abs(centroids - shift)), tf.float64)
            scale = rows_lib.power_of_two_scale(spread, points.dtype)
            # the unit of a distance is read from them, and they carry no gradient of their own
            shift, scale = tf.stop_gradient(shift), tf.stop_gradient(scale)
            self._coordinates = rows_lib.Coordinates(shift, scale)
        self.targets = distances.lay_out(self._coordinates.prepare(centroids), self._partial)
        self.n_clusters = tf.cast(blocks.row_count(centroids), tf.int64)

    def rows(self, points):
        """Returns points `[b, d]` as a rows_lib.Block."""
        prepared = self._coordinates.prepare(points)
        return rows_lib.Rows(prepared, None, self._partial).block(0, blocks.row_count(points))

    def nearest(self, points, block, relative=None):
        """Ids int32 `[b]` of the nearest centroids, the same in whatever block a row comes.

        A matrix product may round by the shape of the matrices. So where two centroids are as near
        as float32 can tell, they are compared in float64, column after column, and as they were
        given: centring may round, too.

        Args:
            points: `[b, d]`.
            block: what `rows` made of them.
            relative: distances.relative of them, where it is known.
        """
        if relative is None:
            relative = distances.relative(block, self.targets)
        ids = tf.argmin(relative, axis=1, output_type=tf.int32)
        farthest = tf.reduce_max(tf.reduce_sum(tf.square(self.targets.centroids), axis=1))
        error = distances.ROUNDING * (block.squares() + farthest)
        limit = tf.reduce_min(relative, axis=1) + error
        # also where the limit is infinite or no number, but not where the row is none
        far = tf.cast(relative > limit[:, tf.newaxis], tf.int32)
        doubtful = tf.reduce_sum(far, axis=1) < blocks.row_count(self.centroids) - 1
        if not self._partial:
            known = tf.logical_not(tf.reduce_any(tf.math.is_nan(points), axis=1))
            doubtful = tf.logical_and(doubtful, known)
        doubtful = tf.where(doubtful)
        given = (block.values, self.targets.centroids) if self._cosine else (points, self.centroids)

        def decide():
            rows = tf.gather(given[0], doubtful[:, 0])
            exact = _nearest_in_float64(rows, given[1])
            return tf.tensor_scatter_nd_update(ids, doubtful, exact)

        return tf.cond(tf.size(doubtful) > 0, decide, lambda: ids)

    def assignable(self, start, stop):
        """Which of the points `[start, stop)` can belong to a cluster, bool; see Assignment."""
        block = self.points[start:stop]
        if self._partial:
            infinite = tf.reduce_any(tf.math.is_inf(block), axis=1)
            missing = tf.reduce_all(tf.math.is_nan(block), axis=1)
            sound = tf.logical_not(tf.logical_or(infinite, missing))
        else:
            sound = tf.reduce_all(tf.math.is_finite(block), axis=1)
        if self._cosine:
            sound = tf.logical_and(sound, tf.reduce_any(tf.not_equal(block, 0), axis=1))
        return tf.logical_and(sound, self._known)

    def map(self, step, dtypes):
        """Maps `step` over all points in blocks; see blocks.map_blocks."""
        rows_per_block = blocks.block_rows(blocks.row_count(self.targets.centroids))
        return blocks.map_blocks(step, blocks.row_count(self.points), rows_per_block, dtypes)

    def distance_unit(self):
        """What a squared distance of 1 is worth in the unit of the data, float64 scalar."""
        return self._coordinates.distance_unit()

    def in_unit_of_data(self, squares):
        """Brings squared distances of prepared rows back to the unit of the data, float32."""
        return tf.cast(tf.cast(squares, tf.float64) * self.distance_unit(), tf.float32)


def _are_finite(centroids):
    """Refuses NaN and infinite centroids; in a graph that cannot tell yet, returns what it finds.

    There rows are unassigned, since an exported graph should hold no assertions.
    """
    known = tf.get_static_value(centroids)
    if known is not None and not np.all(np.isfinite(known)):
        raise ValueError(
            f'centroids: {np.sum(~np.isfinite(known))} values are NaN or infinite, so that no row '
            'is near to one; the fit that they are from has failed, or the file is damaged'
        )
    return tf.reduce_all(tf.math.is_finite(centroids))


def _nearest_in_float64(points, centroids):
    """Ids int32 `[b]`, column after column; ties go to the lowest.

    By (c - r) (c + r - 2x), which is (x - c)^2 - (x - r)^2 for the first centroid r: no square of a
    far row or a far origin is in it. NaN says that a value is missing: a rescaling would not change
    which centroid is the nearest.
    """

    def step(column, total):
        values = tf.cast(points[:, column], tf.float64)
        targets = tf.cast(centroids[:, column], tf.float64)
        first = targets[:1]
        part = (targets - first) * (targets + first - 2.0 * values[:, tf.newaxis])
        return column + 1, total + tf.where(tf.math.is_nan(part), tf.zeros_like(part), part)

    shape = [tf.shape(points)[0], tf.shape(centroids)[0]]
    width = tf.shape(centroids)[1]
    loop = (0, tf.zeros(shape, tf.float64))
    shapes = (tf.TensorShape([]), tf.TensorShape([None, None]))
    _, total = tf.while_loop(lambda column, _: column < width, step, loop, shapes)
    return tf.argmin(total, axis=1, output_type=tf.int32)


def _all_distances(points, centroids, distance, missing):
    """Returns the Space, squared distances `[n, k]` in it, and which rows are assignable."""
    space = Space(points, centroids, distance, missing)
    assignable = space.assignable(0, blocks.row_count(space.points))[:, tf.newaxis]
    # the others must stay out of the arithmetic, where 0 * NaN would spoil every gradient
    sound = tf.where(assignable, space.points, tf.ones([], space.points.dtype))
    return space, distances.squared(space.rows(sound), space.targets), assignable
