"""The two nearest centroids of rows: what every pass of an exact solver comes down to."""

import functools
import typing

import tensorflow as tf

from tfx_kmeans.graph import rows as rows_lib

# centroids whose products are compared in one go: more would not stay in the registers of a core
_LANES = 8
_FAR = 3e38  # the squared distance of what fills up the last lanes
_FAR_AWAY = 1e18  # and a coordinate of it
_FEW_COLUMNS = 8  # so many columns are faster by differences than by a matrix product
# differences that are written out one by one: of more, the compiler makes no vector code
_MOST_IN_A_WALK = 512
# for so many, comparing a row takes less time than telling whether it has to be compared
_FEW_DIFFERENCES = 512
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
        self._rows = rows
        n_clusters, width = centroids.shape
        self._few_columns = width <= _FEW_COLUMNS
        if self._few_columns:
            n_walks = -(-n_clusters * width // _MOST_IN_A_WALK)
            self._walks = tf.split(_fill_up(centroids, n_walks, _FAR_AWAY), n_walks)
            return
        squares = tf.reduce_sum(tf.square(centroids), axis=1)
        self._farthest = tf.reduce_max(squares)
        self._squares = _fill_up(squares, _LANES, _FAR)
        self._centroids = _fill_up(centroids, _LANES, _FAR_AWAY)

    def two_nearest(self, block):
        """Finds the two nearest centroids of each row of a block: TwoNearest.

        Args:
            block: `[b, d]`, both static, of the caller's data, not yet prepared.
        """
        if self._few_columns:
            far = tf.fill([block.shape[0]], _FAR)
            nowhere = tf.zeros_like(far, tf.int32)
            return TwoNearest(*self._walk(block, nowhere, [far, nowhere, far]))
        block, squares = _prepare(block, *self._preparation())
        products = tf.matmul(self._centroids, block, transpose_b=True)
        return TwoNearest(*_compare_products(products, squares, self._squares, self._farthest))

    def nearest(self, block, old_ids):
        """Finds the nearest centroid of each row of a block, where there are few columns.

        Args:
            block: `[b, d]`, both static, of the caller's data, not yet prepared.
            old_ids: int32 `[b]`, where the rows have been.

        Returns:
            ids, int32 `[b]` (ties go to the lowest), and whether they are new, bool `[b]`.
        """
        return self._walk(block, old_ids, [tf.fill([block.shape[0]], _FAR), old_ids])

    def _walk(self, block, old_ids, state):
        """Compares rows of few columns with all centroids, so many at a time."""
        for number, centroids in enumerate(self._walks):
            state = _compare_columns(
                tf.constant(True),
                tf.constant(number * centroids.shape[0]),
                state,
                old_ids,
                block,
                centroids,
                *self._preparation(),
                first=number == 0,
                last=number == len(self._walks) - 1,
            )
        return state

    def _preparation(self):
        return self._rows.shift, self._rows.scale, self._rows.distance


def _fill_up(values, multiple, filling):
    """Appends rows of `filling`, so that their number is a multiple."""
    paddings = [[0, -values.shape[0] % multiple], *[[0, 0]] * (len(values.shape) - 1)]
    return tf.pad(values, paddings, constant_values=filling)


def block_rows(n_rows, width, n_clusters):
    """Rows of a block, an int: a power of two, at most n_rows."""
    few = width <= _FEW_COLUMNS
    rows = _MOST_BLOCK_OF_FEW if few else _MOST_BLOCK
    while rows > n_rows or (
        rows > _LEAST_BLOCK and not few and rows * n_clusters > _BLOCK_DISTANCES
    ):
        rows //= 2
    return rows


def cheaper_than_bounds(width, n_clusters):
    """Whether comparing all rows takes less time than telling which need not be compared."""
    return width <= _FEW_COLUMNS and width * n_clusters <= _FEW_DIFFERENCES


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
def _compare_columns(
    run, first_id, state, old_ids, block, centroids, shift, scale, distance, first, last
):
    """The nearest centroids of rows of few columns, so far, from differences.

    Each centroid is written out: vectors of rows go through all of them in the registers of a core.
    In a branch, since the compiler leaves branches to one thread; it would share out each step to
    all of them, of which every one has a block of its own already.

    Args:
        run: bool scalar that is true, and not known before it runs: a branch would be none.
        first_id: int32 scalar, the id of the first of the `centroids`.
        state: what the walk before this one returned: least distances, float32 `[b]`, their ids,
            int32 `[b]`, and, where they are wanted, the second least distances, float32 `[b]`.
        old_ids: int32 `[b]`.
        block: `[b, d]`.
        centroids: float32 `[k, d]`.
        shift: of Rows, like `scale` and `distance`.
        scale: see `shift`.
        distance: see `shift`.
        first: whether no walk went before.
        last: whether none comes after.

    Returns:
        A state; after the last walk ids and slack, as in TwoNearest, or where no second distances
        are wanted ids and whether they differ from `old_ids`.
    """

    def walk():
        columns = tf.unstack(rows_lib.prepare(block, shift, scale, distance), axis=1)
        least, ids, *seconds = state
        if not first:
            ids -= centroids.shape[0]  # they count from the first centroid of a walk
        for index in range(centroids.shape[0]):
            differences = [column - centroids[index, i] for i, column in enumerate(columns)]
            distances = tf.add_n([tf.square(difference) for difference in differences])
            ids = tf.where(distances < least, index, ids)
            seconds = [tf.minimum(second, tf.maximum(distances, least)) for second in seconds]
            least = tf.minimum(least, distances)
        if not last:
            return [least, ids, *seconds]
        return [ids + first_id, *(tf.sqrt(second) - tf.sqrt(least) for second in seconds)]

    found = tf.cond(run, walk, lambda: state[1:] if last else state)
    if not last or len(found) == 2:
        return found
    # out here, or the compiler would do the whole walk again for it
    return [*found, found[0] != old_ids]


@_compiled
def _compare_products(products, row_squares, squares, farthest):
    """Ids and slack of rows by their products with the centroids `[k, b]`.

    One walk over the rows for _LANES centroids; in plain operations it would be one for each.
    """
    n_centroids, n_rows = products.shape

    def compare(group, least, second, ids):
        lanes = tf.slice(products, [group * _LANES, 0], [_LANES, n_rows])
        lane_squares = tf.slice(squares, [group * _LANES], [_LANES])
        for lane in range(_LANES):
            distances = lane_squares[lane] - 2.0 * lanes[lane]
            ids = tf.where(distances < least, group * _LANES + lane, ids)
            second = tf.minimum(second, tf.maximum(distances, least))
            least = tf.minimum(least, distances)
        return group + 1, least, second, ids

    far = tf.fill([n_rows], _FAR)
    loop = [0, far, far, tf.zeros([n_rows], tf.int32)]
    n_groups = n_centroids // _LANES
    _, least, second, ids = tf.while_loop(lambda group, *_: group < n_groups, compare, loop)
    return ids, _slack(least, second, row_squares, farthest)


def _slack(least, second, squares, farthest):
    doubt = _ROUNDING * (squares + farthest)
    nearest = tf.sqrt(tf.maximum(least + squares, 0.0) + doubt)
    return tf.sqrt(tf.maximum(second + squares - doubt, 0.0)) - nearest
