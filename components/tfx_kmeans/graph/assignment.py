"""Placing rows among given centroids, hard (`assign`) and soft (`soft_assign`)."""

import typing

import tensorflow as tf

from tfx_kmeans.graph import arguments, blocks
from tfx_kmeans.graph import missing as missing_lib
from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph.partial import assignment as partial


class Assignment(typing.NamedTuple):
    """Where rows belong.

    Attributes:
        ids: int64 `[n]`, the nearest centroid (ties go to the lowest), or n_clusters for a row
            that cannot be placed: one with an infinite value, with a NaN (with missing='partial'
            one of nothing but NaN) and, under the cosine distance, a row of zeros.
        distances: float32 `[n]`, the squared Euclidean distance to that centroid, or 1 - cos under
            the cosine distance; with missing='partial' that over the observed values, times d and
            divided by their number; NaN for a row that cannot be placed.
    """

    ids: tf.Tensor
    distances: tf.Tensor


@tf.autograph.experimental.do_not_convert
def assign(points, centroids, *, distance='squared_euclidean', missing='drop'):
    """Finds the nearest centroid of every row, in blocks of rows.

    Nearness is judged in float32 on data centred on the centroids, so that of two centroids whose
    squared distances differ by less than some 1e-6 of the squared extent of the centroids either
    may be taken. The distance returned is computed from the differences and is that of the
    centroid taken.

    >>> from tfx_kmeans import graph
    >>> found = graph.assign([[0.0, 3.0], [9.0, 9.0]], [[0.0, 0.0], [9.0, 8.0]])
    >>> found.ids.numpy().tolist(), found.distances.numpy().tolist()
    ([0, 1], [9.0, 1.0])

    Args:
        points: `[n, d]`, numeric.
        centroids: `[k, d]`, numeric and finite; unit vectors or not under the cosine distance.
        distance: 'squared_euclidean' or 'cosine'.
        missing: what to do about a row with NaN: 'drop' leaves it without a place, 'partial' (not
            under the cosine distance) places it by the values that it has (Dixon 1979), and
            'error' refuses it.

    Returns:
        Assignment.

    Raises:
        TypeError: `points` or `centroids` are not numeric.
        ValueError: their ranks or widths are wrong, or `distance` or `missing` is unknown, or
            (eagerly) there is a NaN with missing='error'.
        tf.errors.InvalidArgumentError: the latter, from inside a tf.function.
    """
    rows, targets = prepare(points, centroids, distance, missing)
    if missing == 'partial':
        ids, distances = partial.assign(rows, targets)
        return Assignment(ids, _in_unit_of_data(distances, rows))
    n_clusters = tf.cast(blocks.row_count(targets), tf.int64)

    def step(start, stop):
        block = rows.points[start:stop]
        ids, distances = rows_lib.nearest(rows.prepare(block), targets)
        placeable = placeable_rows(block, distance)
        ids = tf.where(placeable, tf.cast(ids, tf.int64), n_clusters)
        return [ids, tf.where(placeable, _in_unit_of_data(distances, rows), float('nan'))]

    rows_per_block = blocks.block_rows(blocks.row_count(targets))
    return Assignment(*blocks.map_blocks(step, rows.count, rows_per_block, [tf.int64, tf.float32]))


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
        missing: what to do about a row with NaN: 'drop' leaves it without a place, 'partial' (not
            under the cosine distance) places it by the values that it has (Dixon 1979), and
            'error' refuses it.

    Returns:
        float32 `[n, k]`: squared Euclidean distances, or 1 - cos under the cosine distance; NaN in
        a row that cannot be placed.

    Raises:
        TypeError: `points` or `centroids` are not numeric.
        ValueError: their ranks or widths are wrong, or `distance` or `missing` is unknown, or
            (eagerly) there is a NaN with missing='error'.
        tf.errors.InvalidArgumentError: the latter, from inside a tf.function.
    """
    rows, distances, placeable = _all_distances(points, centroids, distance, missing)
    return tf.where(placeable, _in_unit_of_data(distances, rows), float('nan'))


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
        missing: what to do about a row with NaN: 'drop' leaves it without a place, 'partial' (not
            under the cosine distance) places it by the values that it has (Dixon 1979), and
            'error' refuses it.

    Returns:
        float32 `[n, k]`, rows adding up to 1; NaN in a row that cannot be placed.

    Raises:
        TypeError: `points`, `centroids` or `temperature` are not numeric.
        ValueError: their ranks or widths are wrong, `distance` or `missing` is unknown,
            `temperature` is a number that is not above 0, or (eagerly) there is a NaN with
            missing='error'.
        tf.errors.InvalidArgumentError: the latter, from inside a tf.function.
    """
    if not tf.is_tensor(temperature):
        arguments.check_positive('temperature', temperature)
    rows, distances, placeable = _all_distances(points, centroids, distance, missing)
    # only differences count, and with the nearest at 0 no temperature is too low for one of them
    distances -= tf.stop_gradient(tf.reduce_min(distances, axis=1, keepdims=True))
    logits = -_in_unit_of_data(distances, rows) / tf.cast(temperature, tf.float32)
    return tf.where(placeable, tf.nn.softmax(logits, axis=1), float('nan'))


def prepare(points, centroids, distance, missing):
    """Returns Rows centred on the centroids, and the centroids in the same space, float32."""
    arguments.check_distance('distance', distance)
    arguments.check_missing('missing', missing, distance)
    points = arguments.as_matrix(points, 'points')
    if missing == 'error':
        points = missing_lib.refuse(points)
    centroids = arguments.as_centroids(centroids, None, points, 'centroids')
    shift = tf.reduce_mean(centroids, axis=0)
    largest = tf.cast(tf.reduce_max(tf.abs(centroids - shift)), tf.float64)
    scale = rows_lib.power_of_two_scale(largest, points.dtype)
    # the unit of a distance is read from shift and scale, which carry no gradient of their own
    rows = rows_lib.Rows(points, None, tf.stop_gradient(shift), tf.stop_gradient(scale), distance)
    return rows, rows.prepare(centroids)


def _all_distances(points, centroids, distance, missing):
    """Returns Rows, their squared distances to all centroids, and which of them can be placed."""
    rows, targets = prepare(points, centroids, distance, missing)
    if missing == 'partial':
        placeable = partial.placeable(rows.points)[:, tf.newaxis]
        return rows, partial.all_distances(rows, targets), placeable
    placeable = placeable_rows(rows.points, distance)[:, tf.newaxis]
    # the others must stay out of the arithmetic, where 0 * NaN would spoil every gradient
    sound = tf.where(placeable, rows.points, tf.ones([], rows.points.dtype))
    return rows, rows_lib.squared_distances(rows.prepare(sound), targets), placeable


def _in_unit_of_data(distances, rows):
    """Brings squared distances of prepared rows back to the unit of the data, float32."""
    return tf.cast(tf.cast(distances, tf.float64) * rows.distance_unit(), tf.float32)


def placeable_rows(block, distance):
    """Which rows of `block` `[b, d]` without gaps can be placed, bool `[b]`; see Assignment."""
    finite = tf.reduce_all(tf.math.is_finite(block), axis=1)
    if distance == 'cosine':
        return tf.logical_and(finite, tf.reduce_any(tf.not_equal(block, 0), axis=1))
    return finite
