"""The two nearest centroids of rows: what every pass of an exact solver comes down to."""

import functools
import typing

import tensorflow as tf

from tfx_kmeans.graph import rows as rows_lib

# centroids compared in one go: more would not stay in the registers of a core
_LANES = 8
_FAR = 3e38  # the squared distance of what fills up the last lanes
_FAR_AWAY = 1e18  # and a coordinate of it
_FEW_COLUMNS = 8  # so many columns are faster by differences than by a matrix product
_BLOCK_DISTANCES = 1 << 20  # 4 MiB of float32
_LEAST_BLOCK, _MOST_BLOCK = 1024, 8192
_MOST_BLOCK_OF_FEW = 32768  # of _FEW_COLUMNS, without any products
# below this number of distances in a pass, compiling the comparison costs more than it saves
_WORTH_COMPILING = 1 << 23
# what float32 may get wrong in |x|^2 - 2xc + |c|^2, as a share of |x|^2 + |c|^2
_ROUNDING = 2.0**-20


class TwoNearest(typing.NamedTuple):
    """The nearest centroid of each row of a block, and how far the second is behind it.

    Attributes:
        ids: int32 `[b]`, the nearest centroid (ties go to the lowest).
        slack: float32 `[b]`, the distance (not squared) to the second less that to the nearest, of
            which what rounding may have added is taken off: negative where they may be the same.
    """

    ids: tf.Tensor
    slack: tf.Tensor


class Targets:
    """Centroids, laid out for comparing blocks of rows with all of them."""

    def __init__(self, rows, centroids):
        """Lays out `centroids`, float32 `[k, d]`, for blocks of `rows`, rows_lib.Rows."""
        filling = [[0, -centroids.shape[0] % _LANES], [0, 0]]
        squares = tf.reduce_sum(tf.square(centroids), axis=1)
        self._rows = rows
        self._farthest = tf.reduce_max(squares)
        self._squares = tf.pad(squares, filling[:1], constant_values=_FAR)
        self._centroids = tf.pad(centroids, filling, constant_values=_FAR_AWAY)

    def nearest(self, block):
        """Finds the two nearest centroids of each row of a block: TwoNearest.

        Args:
            block: `[b, d]`, both static, of the caller's data, not yet prepared.
        """
        preparation = block, self._rows.shift, self._rows.scale, self._rows.distance
        if block.shape[1] <= _FEW_COLUMNS:
            return TwoNearest(*_compare_columns(*preparation, self._centroids))
        block, squares = _prepare(*preparation)
        products = tf.matmul(self._centroids, block, transpose_b=True)
        return TwoNearest(*_compare_products(products, squares, self._squares, self._farthest))


def block_rows(n_rows, width, n_clusters):
    """Rows of a block, an int: a power of two, at most n_rows."""
    few = width <= _FEW_COLUMNS
    rows = _MOST_BLOCK_OF_FEW if few else _MOST_BLOCK
    while rows > n_rows or (
        rows > _LEAST_BLOCK and not few and rows * n_clusters > _BLOCK_DISTANCES
    ):
        rows //= 2
    return rows


def worth_compiling(n_rows, n_clusters):
    """Whether so many rows (int, or None where unknown) are worth a compiled comparison."""
    return n_rows is not None and n_rows * n_clusters >= _WORTH_COMPILING


# what float32 rows are made of is compiled, too: a broadcast costs more than the comparison
_compiled = functools.partial(tf.function, autograph=False, jit_compile=True)


@_compiled
def _prepare(block, shift, scale, distance):
    """Prepared rows of a block, and their squared lengths."""
    block = rows_lib.prepare(block, shift, scale, distance)
    return block, tf.reduce_sum(tf.square(block), axis=1)


@_compiled
def _compare_columns(block, shift, scale, distance, centroids):
    """Ids and slack of rows of few columns, from differences.

    One walk over the rows for _LANES centroids; in plain operations it would be one for each.
    """
    columns = tf.unstack(rows_lib.prepare(block, shift, scale, distance), axis=1)

    def distances_to(group):
        lanes = tf.slice(centroids, [group * _LANES, 0], [_LANES, len(columns)])
        for lane in range(_LANES):
            yield tf.add_n([tf.square(x - lanes[lane, i]) for i, x in enumerate(columns)])

    least, second, ids = _two_least(distances_to, columns[0].shape[0], centroids.shape[0])
    return ids, tf.sqrt(second) - tf.sqrt(least)


@_compiled
def _compare_products(products, row_squares, squares, farthest):
    """Ids and slack of rows by their products with the centroids `[k, b]`."""
    n_rows = products.shape[1]

    def distances_to(group):
        lanes = tf.slice(products, [group * _LANES, 0], [_LANES, n_rows])
        lane_squares = tf.slice(squares, [group * _LANES], [_LANES])
        for lane in range(_LANES):
            yield lane_squares[lane] - 2.0 * lanes[lane]

    least, second, ids = _two_least(distances_to, n_rows, products.shape[0])
    return ids, _slack(least, second, row_squares, farthest)


def _two_least(distances_to, n_rows, n_centroids):
    """The two least of the distances to all centroids, and the index of the least; `[b]` each."""

    def compare(group, least, second, ids):
        for lane, distances in enumerate(distances_to(group)):
            ids = tf.where(distances < least, group * _LANES + lane, ids)
            second = tf.minimum(second, tf.maximum(distances, least))
            least = tf.minimum(least, distances)
        return group + 1, least, second, ids

    far = tf.fill([n_rows], _FAR)
    loop = [0, far, far, tf.zeros([n_rows], tf.int32)]
    n_groups = n_centroids // _LANES
    return tf.while_loop(lambda group, *_: group < n_groups, compare, loop)[1:]


def _slack(least, second, squares, farthest):
    doubt = _ROUNDING * (squares + farthest)
    nearest = tf.sqrt(tf.maximum(least + squares, 0.0) + doubt)
    return tf.sqrt(tf.maximum(second + squares - doubt, 0.0)) - nearest
