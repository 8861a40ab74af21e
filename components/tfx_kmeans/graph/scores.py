"""How good clusters are, without labels to go by: internal validity indices, and elbows.

Each index takes O(n k) here, in two passes over blocks of rows.
"""

import math
import typing

import numpy as np
import tensorflow as tf

from tfx_kmeans.graph import arguments, assignment, blocks, distances, tracing


class ClusterScores(typing.NamedTuple):
    """What `score_clusters` says of rows placed among centroids.

    Attributes:
        silhouette: float64 scalar in [-1, 1], higher is better: the simplified silhouette, weighted
            mean over the rows. NaN where there is one centroid, or no row.
        davies_bouldin: float64 scalar >= 0, lower is better. NaN where fewer than two clusters have
            rows.
        calinski_harabasz: float64 scalar >= 0, higher is better; infinite where no row is away from
            the mean of its cluster. NaN where fewer than two clusters have rows, or where the rows
            do not weigh more than the number of clusters.
        cluster_silhouettes: float64 `[k]`, the silhouette of the rows of each cluster; NaN where
            there are none.
        cluster_weights: float64 `[k]`, weight of the rows nearest to each centroid.
        inertia: float64 scalar, the weighted sum of the squared Euclidean distances (1 - cos under
            the cosine distance) to the nearest centroid.
        unplaced_weight: float64 scalar, weight of the rows that cannot be placed, see
            `graph.assign`; they count for nothing else.
    """

    silhouette: tf.Tensor
    davies_bouldin: tf.Tensor
    calinski_harabasz: tf.Tensor
    cluster_silhouettes: tf.Tensor
    cluster_weights: tf.Tensor
    inertia: tf.Tensor
    unplaced_weight: tf.Tensor


@tf.autograph.experimental.do_not_convert
def score_clusters(
    points, centroids, *, weights=None, distance='squared_euclidean', missing='drop'
):
    """Scores the clusters that rows make by their nearest centroids.

    *Simplified silhouette* (Hruschka, de Castro & Campello, "Evolutionary algorithms for clustering
    gene-expression data", ICDM 2004; Vendramin, Campello & Hruschka 2010): the silhouette of
    Rousseeuw (1987), (b - a) / max(a, b), with a the distance of a row to its own centroid and b
    that to the nearest other one: Euclidean, not squared, or 1 - cos. As there, a row that is alone
    in its cluster has 0; one that lies on both centroids has 0 too. It is *not*
    `sklearn.metrics.silhouette_score`, whose a and b are mean distances to all rows of a cluster,
    in O(n^2). The two are one where the rows of each cluster all lie on its centroid, and for a
    row that scikit-learn is shown together with nothing but the centroids.

    *Davies-Bouldin index* (Davies & Bouldin 1979, with p = 1 and q = 2): the mean over the clusters
    of max over j of (s_i + s_j) / |m_i - m_j|, with s the mean Euclidean distance of the rows of a
    cluster to their mean m.

    *Calinski-Harabasz index* (Calinski & Harabasz 1974): (B / (k - 1)) / (W / (n - k)), with B the
    squared Euclidean distances of the means of the clusters to the mean of all rows, W those of
    the rows to the means of their clusters, and n the weight of all rows.

    The latter two are taken, as in `sklearn.metrics`, from the means of the rows that are here, not
    from `centroids`, and leave out clusters without rows: they are `davies_bouldin_score` and
    `calinski_harabasz_score` of the points and their ids. Where W is 0 scikit-learn's
    `calinski_harabasz_score` is 1 and this one infinite, and its `davies_bouldin_score` is 0 where
    all distances are below 1e-8. Under the cosine distance they are those of the points divided by
    their lengths.

    A row of weight w counts as w rows (but as a single one where it is alone in its cluster).

    >>> from tfx_kmeans import graph
    >>> scores = graph.score_clusters([[0.0], [2.0], [8.0], [10.0]], [[1.0], [9.0]])
    >>> round(float(scores.silhouette), 4), float(scores.davies_bouldin)
    (0.873, 0.25)

    Args:
        points: `[n, d]`, numeric.
        centroids: `[k, d]`, numeric and finite.
        weights: `[n]`, how much each row counts, finite and >= 0; None counts each row once.
        distance: 'squared_euclidean' or 'cosine'.
        missing: see `graph.assign`; with 'partial' all distances are over the observed values,
            rescaled, and means are over the observed values, column by column.

    Returns:
        ClusterScores.

    Raises:
        TypeError: `points`, `centroids` or `weights` are not numeric.
        ValueError: their shapes do not fit, or `distance` or `missing` is unknown, or (eagerly)
            there is a NaN with missing='error'.
        tf.errors.InvalidArgumentError: the latter, from inside a tf.function.
    """
    return score_parts(lambda: [(points, weights)], centroids, distance=distance, missing=missing)


@tf.autograph.experimental.do_not_convert
def score_parts(parts, centroids, *, distance='squared_euclidean', missing='drop'):
    """Scores clusters of rows that come in parts, of which one at a time is in memory.

    >>> from tfx_kmeans import graph
    >>> parts = [([[0.0], [2.0]], None), ([[8.0], [10.0]], None)]
    >>> scores = graph.score_parts(lambda: parts, [[1.0], [9.0]])
    >>> scores.cluster_weights.numpy().tolist(), float(scores.davies_bouldin)
    ([2.0, 2.0], 0.25)

    Args:
        parts: callable, called twice, that returns the same parts in an iterable each time: pairs
            of points `[b, d]` and weights `[b]` or None, as in `score_clusters`; at least one.
        centroids: see `score_clusters`.
        distance: see `score_clusters`.
        missing: see `score_clusters`.

    Returns:
        ClusterScores of all parts together.

    Raises:
        TypeError: see `score_clusters`.
        ValueError: see `score_clusters`; or there is no part.
    """
    options = {'distance': distance, 'missing': missing}
    places = add_up(place(*part, centroids, **options) for part in parts())
    if places is None:
        raise ValueError('parts: there are none, nothing to score')
    means = tf.cast(means_of(places), tf.float32)
    spread = add_up(measure(*part, centroids, means, **options) for part in parts())
    return finish(places, spread)


def place(points, weights, centroids, *, distance, missing):
    """Sums up the first pass over one part; see `score_parts` for arguments.

    Returns:
        Places.
    """
    return _call(_place, points, weights, centroids, distance, missing)


def means_of(places):
    """Means of the clusters that the Places of all parts give, float64 `[k, d]`, prepared."""
    return tf.math.divide_no_nan(places.sums, places.observed)


def measure(points, weights, centroids, means, *, distance, missing):
    """Sums up the second pass over one part; `means` are those of all parts, float32 `[k, d]`.

    Returns:
        Spread.
    """
    return _call(_measure, points, weights, centroids, distance, missing, means)


def elbow(n_clusters, inertias):
    """Finds the elbow of a curve of inertias: where more clusters stop paying.

    The point farthest below the chord between the ends of the curve, each axis scaled to [0, 1]
    (Satopaa et al., "Finding a 'Kneedle' in a Haystack: Detecting Knee Points in System Behavior",
    2011, without smoothing and with the one highest knee). It is sought in the logarithm of the
    inertia: what counts is by what part more clusters lower it, since the first few clusters
    lower it most whatever the data. An inertia below 1e-9 of the largest counts as that.

    >>> from tfx_kmeans import graph
    >>> graph.elbow([2, 3, 4, 5, 6], [1000.0, 400.0, 20.0, 18.0, 17.0])
    2

    Args:
        n_clusters: increasing ints, at least 3.
        inertias: floats >= 0, the inertia of a fit with each of them.

    Returns:
        int, index of the elbow: never that of an end.

    Raises:
        ValueError: there are fewer than 3, they do not increase, or the lengths differ.
    """
    n_clusters, inertias = np.asarray(n_clusters, float), np.asarray(inertias, float)
    if n_clusters.shape != inertias.shape or n_clusters.ndim != 1:
        raise ValueError(
            f'n_clusters and inertias must be of one length, not of shapes {n_clusters.shape} and '
            f'{inertias.shape}'
        )
    if len(n_clusters) < 3 or (np.diff(n_clusters) <= 0).any():
        raise ValueError(
            f'n_clusters must be at least 3 increasing numbers for an elbow, not {n_clusters}'
        )
    heights = np.log(np.maximum(inertias, max(inertias.max() * 1e-9, np.finfo(float).tiny)))
    shares = (n_clusters - n_clusters[0]) / (n_clusters[-1] - n_clusters[0])
    chord = heights[0] + shares * (heights[-1] - heights[0])
    # along the chord the distance to it is a fixed multiple of the height below it
    return 1 + int(np.argmax((chord - heights)[1:-1]))


class Places(typing.NamedTuple):
    """What the first pass sums up, of parts that add up; prepared rows, see rows_lib.Rows.

    Attributes:
        sums: float64 `[k, d]`, weighted sums of the observed values of each cluster.
        observed: float64 `[k, d]`, the weight of those values.
        weights: float64 `[k]`.
        counts: int64 `[k]`, rows of positive weight.
        silhouettes: float64 `[k]`, weighted sums of the silhouettes, whoever is alone.
        inertia: float64 scalar, in the unit of the data.
        unplaced: float64 scalar, weight.
    """

    sums: tf.Tensor
    observed: tf.Tensor
    weights: tf.Tensor
    counts: tf.Tensor
    silhouettes: tf.Tensor
    inertia: tf.Tensor
    unplaced: tf.Tensor


class Spread(typing.NamedTuple):
    """What the second pass sums up: float64, of the rows from the means of their clusters.

    Attributes:
        distances: `[k]`, weighted sums of the Euclidean distances.
        squares: scalar, weighted sum of the squared ones.
    """

    distances: tf.Tensor
    squares: tf.Tensor


def _call(step, points, weights, centroids, distance, missing, *more):
    """Runs a pass, traced once, over one part."""
    arguments.check_distance('distance', distance)
    arguments.check_missing('missing', missing, distance)
    centroids = arguments.as_matrix(centroids, 'centroids')
    points = arguments.as_matrix(points, 'points')
    if tf.executing_eagerly():
        points, centroids, missing = assignment.check(points, centroids, distance, missing)
    weights = arguments.as_weights(weights, points)
    rows = (points,) if weights is None else (points, weights)
    signature = (
        (tracing.matrix(points.dtype, points.shape[1]), tracing.vector(tf.float32))[: len(rows)],
        tracing.matrix(centroids.dtype, centroids.shape[1]),
        *(tracing.matrix(tf.float32, centroids.shape[1]) for _ in more),
    )
    return tracing.traced(step, (distance, missing), signature)(rows, centroids, *more)


def add_up(parts):
    """Adds up Places, or Spreads; None of none."""
    total = None
    for part in parts:
        total = part if total is None else type(part)(*map(tf.add, total, part))
    return total


class _Part:
    """Blocks of rows and how far they are from their centroids, prepared; see assignment.Space."""

    def __init__(self, static, points, weights=None, *, centroids):
        self._space = assignment.Space(points, centroids, *static)
        self._points, self._weights = self._space.points, weights
        self._centroids = self._space.targets.centroids
        self.unit = self._space.distance_unit()

    def block(self, start, stop):
        """Returns points, a rows_lib.Block of them, weights float64, and that of unassigned rows.

        The latter weigh 0 among the others.
        """
        points = self._points[start:stop]
        weights = tf.ones([stop - start], tf.float64)
        if self._weights is not None:
            weights = tf.cast(self._weights[start:stop], tf.float64)
        assignable = self._space.assignable(start, stop)
        points = tf.where(assignable[:, tf.newaxis], points, tf.ones([], points.dtype))
        unassigned = tf.reduce_sum(tf.where(assignable, tf.zeros([], tf.float64), weights))
        weights = tf.where(assignable, weights, tf.zeros([], tf.float64))
        return points, self._space.rows(points), weights, unassigned

    def two_nearest(self, points, block):
        """Ids int32 `[b]` of the nearest and of the second nearest centroid.

        Of a single centroid both are its own.
        """
        relative = distances.relative(block, self._space.targets)
        nearest = self._space.nearest(points, block, relative)
        n_clusters = blocks.row_count(self._centroids)
        own = tf.one_hot(nearest, n_clusters, on_value=True, off_value=False)
        others = tf.where(own, math.inf, relative)
        return nearest, tf.argmin(others, axis=1, output_type=tf.int32)

    def squares(self, block, ids, centroids=None):
        """Squared distances float64 `[b]` of rows to the centroids of those ids."""
        centroids = self._centroids if centroids is None else centroids
        return tf.cast(distances.to_own(block, tf.gather(centroids, ids)), tf.float64)

    def fold(self, step, initial):
        """Folds `step` over the blocks; see blocks.reduce_blocks."""
        n_clusters, width = tf.unstack(tf.shape(self._centroids), num=2)
        rows_per_block = blocks.block_rows(tf.maximum(n_clusters, 2 * width))
        return blocks.reduce_blocks(step, blocks.row_count(self._points), rows_per_block, initial)


def _place(static, rows, centroids):
    """The first pass over a part: Places."""
    part = _Part(static, *rows, centroids=centroids)
    n_clusters, width = blocks.row_count(centroids), centroids.shape[1]

    def step(start, stop, *totals):
        points, block, weights, unassigned = part.block(start, stop)
        ids, others = part.two_nearest(points, block)
        squares, apart = part.squares(block, ids), part.squares(block, others)
        if static[0] == 'squared_euclidean':
            silhouettes = _silhouettes(tf.sqrt(squares), tf.sqrt(apart))
        else:  # half the squared chord is 1 - cos
            silhouettes = _silhouettes(squares, apart)
        observed = tf.ones_like(block.values) if block.observed is None else block.observed
        columns = tf.concat([block.values, observed], axis=1)
        columns = tf.cast(columns, tf.float64) * weights[:, tf.newaxis]
        columns = tf.math.unsorted_segment_sum(columns, ids, n_clusters)
        parts = Places(
            *tf.split(columns, 2, axis=1),
            tf.math.unsorted_segment_sum(weights, ids, n_clusters),
            tf.math.unsorted_segment_sum(tf.cast(weights > 0, tf.int64), ids, n_clusters),
            tf.math.unsorted_segment_sum(weights * silhouettes, ids, n_clusters),
            tf.reduce_sum(weights * squares) * part.unit,
            unassigned,
        )
        return [total + part for total, part in zip(totals, parts, strict=True)]

    shapes = [[n_clusters, width]] * 2 + [[n_clusters]] * 3 + [[], []]
    initial = [tf.zeros(shape, tf.float64) for shape in shapes]
    initial[3] = tf.zeros([n_clusters], tf.int64)
    return Places(*part.fold(step, initial))


def _silhouettes(own, other):
    return tf.math.divide_no_nan(other - own, tf.maximum(own, other))


def _measure(static, rows, centroids, means):
    """The second pass over a part: Spread about the means of the clusters, float32 `[k, d]`."""
    part = _Part(static, *rows, centroids=centroids)
    n_clusters = blocks.row_count(centroids)

    def step(start, stop, apart, total):
        points, block, weights, _ = part.block(start, stop)
        ids, _ = part.two_nearest(points, block)
        squares = part.squares(block, ids, means)
        weighted = weights * tf.sqrt(squares)
        return [
            apart + tf.math.unsorted_segment_sum(weighted, ids, n_clusters),
            total + tf.reduce_sum(weights * squares),
        ]

    return Spread(*part.fold(step, [tf.zeros([n_clusters], tf.float64), tf.zeros([], tf.float64)]))


def finish(places, spread):
    """Returns the ClusterScores of what both passes found in all parts."""
    means = means_of(places)
    nan = tf.constant(math.nan, tf.float64)
    total = tf.reduce_sum(places.weights)
    silhouettes = tf.where(places.counts > 1, places.silhouettes, tf.zeros([], tf.float64))
    silhouettes = tf.where(tf.size(silhouettes) > 1, silhouettes, nan)
    filled = places.weights > 0
    n_filled = tf.math.count_nonzero(filled, dtype=tf.float64)
    whole_mean = tf.math.divide_no_nan(
        tf.reduce_sum(places.sums, axis=0), tf.reduce_sum(places.observed, axis=0)
    )
    between = tf.reduce_sum(tf.square(means - whole_mean), axis=1)
    between = tf.tensordot(between, places.weights, 1)
    calinski_harabasz = between * (total - n_filled) / (spread.squares * (n_filled - 1))
    spreads = tf.math.divide_no_nan(spread.distances, places.weights)
    davies_bouldin = _davies_bouldin(
        tf.boolean_mask(means, filled), tf.boolean_mask(spreads, filled)
    )
    return ClusterScores(
        silhouette=tf.reduce_sum(silhouettes) / total,
        davies_bouldin=tf.where(n_filled > 1, davies_bouldin, nan),
        calinski_harabasz=tf.where(
            tf.logical_and(n_filled > 1, total > n_filled), calinski_harabasz, nan
        ),
        cluster_silhouettes=silhouettes / places.weights,
        cluster_weights=places.weights,
        inertia=places.inertia,
        unplaced_weight=places.unplaced,
    )


def _davies_bouldin(means, spreads):
    """The index of clusters with means float64 `[k, d]` and mean distances to them `[k]`."""

    def step(start, stop):
        # differences, since |a|^2 - 2ab + |b|^2 would lose the distance of near means
        apart = tf.map_fn(lambda mean: tf.norm(means - mean, axis=1), means[start:stop])
        ratios = (spreads[start:stop, tf.newaxis] + spreads) / apart
        return [tf.reduce_max(tf.where(apart > 0, ratios, 0.0), axis=1)]

    n_clusters = blocks.row_count(means)
    rows_per_block = blocks.block_rows(n_clusters)
    (worst,) = blocks.map_blocks(step, n_clusters, rows_per_block, [tf.float64])
    return tf.reduce_mean(worst)
