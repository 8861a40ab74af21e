"""`fit_minibatch`: k-means over a stream of rows that need not fit into memory."""

import tensorflow as tf

from tfx_kmeans.graph import arguments, fitting, lloyd, scoring, streams
from tfx_kmeans.graph import epochs as epochs_lib
from tfx_kmeans.graph import summary as summary_lib

_ROWS_PER_CLUSTER = (
    30  # of the sample: the mean of 30 rows costs 1/30 more inertia than the true one
)
_LEAST_SAMPLE = 3  # batches


@tf.autograph.experimental.do_not_convert
def fit_minibatch(
    dataset,
    n_clusters,
    *,
    init='k-means++',
    n_init=1,
    max_iter=100,
    tol=1e-4,
    seed=0,
    distance='squared_euclidean',
    batch_size=8192,
    init_size=None,
    max_no_improvement=20,
    reassignment_ratio=0.01,
    on_iteration=None,
):
    """Fits k-means to a data set that is larger than memory.

    The first pass over `dataset` checks the rows and draws a sample, to which `graph.fit` is
    fitted. The epochs then go over the data in batches: each moves a centroid towards the mean of
    the rows that the batch gives it, by a rate of its own that falls with the weight it has been
    given so far (Sculley, "Web-scale k-means clustering", WWW 2010), so that a centroid is the mean
    of all those rows. A last pass takes the inertia and the weights of the clusters.

    Memory holds the sample, `init_size` rows, and some batches, however many rows there are; beside
    them `[batch_size, n_clusters]` distances in blocks. The rows should come in an order that is as
    good as random, the same in each pass; for a seed and an order of the rows the outcome is always
    the same, however they are batched. This is a loop in Python around compiled steps: it cannot be
    called inside a tf.function.

    With a seeding by name the clusters are numbered by falling weight, ties by coordinates; with an
    array as `init` cluster i is the one that began at row i of it.

    >>> import tensorflow as tf
    >>> from tfx_kmeans import graph
    >>> points = tf.constant([[0.0], [1.0], [2.0], [8.0], [10.0]])
    >>> fitted = graph.fit_minibatch(tf.data.Dataset.from_tensors(points), n_clusters=2)
    >>> fitted.centroids.numpy().tolist(), float(fitted.inertia)
    ([[1.0], [9.0]], 4.0)

    Args:
        dataset: tf.data.Dataset of points `[b, d]`, or of pairs of points and weights `[b]`;
            numeric, batches of any sizes. float64 stays float64, all else is read as float32.
        n_clusters: int, at least 1 and at most the number of distinct rows.
        init: as in `graph.fit`; a seeding by name is drawn from the sample.
        n_init: int, fits to the sample from different seedings, of which the one of least inertia
            is kept; 1 with an array as `init`.
        max_iter: int >= 1, the most epochs.
        tol: float >= 0; the fit has converged when the squared movement of all centroids together
            in an epoch is at most `tol` times the mean variance of the columns.
        seed: int, seeds the draws.
        distance: 'squared_euclidean' or 'cosine'.
        batch_size: int >= 1, rows of a batch.
        init_size: int, rows of the sample; None takes 3 batches, or 30 rows a cluster if that is
            more. Not below n_clusters.
        max_no_improvement: int >= 1; the fit has also converged when the inertia of the batches,
            smoothed over about an epoch, has reached no new low for so many batches after the first
            epoch. None goes by `tol` alone.
        reassignment_ratio: float >= 0; a centroid to which an epoch gave less than this part of the
            mean weight of a cluster is moved, once in a fit, to a row drawn by its squared
            distance.
        on_iteration: callable `(run, iteration, inertia)` with numbers, called once with iteration
            0 and the inertia that the sample makes us expect, and after each epoch with the inertia
            that the epoch saw; `run` is always 0.

    Returns:
        FitResult: `n_iter` counts epochs, the last of which may have been broken off;
        `inertia_history` is the inertia seen by each epoch while the centroids moved, and at last
        that of the final centroids. `inertia` and `cluster_weights` are those of all the data.

    Raises:
        TypeError: `dataset` is none, or an argument is of the wrong type.
        ValueError: an argument is out of range, or the data cannot be clustered: no rows, NaN or
            infinite values, bad weights, fewer distinct rows in the sample than clusters.
        RuntimeError: called inside a tf.function.
    """
    if not tf.executing_eagerly():
        raise RuntimeError('fit_minibatch cannot be called inside a tf.function; graph.fit can')
    _check(locals())
    if init_size is None:
        init_size = max(_ROWS_PER_CLUSTER * n_clusters, _LEAST_SAMPLE * batch_size)
    stream = streams.Stream(dataset, batch_size)
    scan = streams.scan(stream, init_size, seed)
    summary_lib.check(
        scan.summary._replace(distinct_rows=n_clusters),  # of which the fit to the sample will tell
        n_clusters,
        scan.weights if stream.weighted else None,
        distance,
    )
    rows, tolerance = fitting.prepare(scan.points, scan.weights, scan.summary, tol, distance)
    start = _start(scan, rows, n_clusters, init, n_init=n_init, seed=seed)
    epochs = epochs_lib.Epochs(stream, rows, start, scan.summary, reassignment_ratio, seed)
    if on_iteration:
        _, inertia = scoring.score(rows, epochs.targets())
        on_iteration(0, 0, float(inertia * rows.distance_unit()))
    smoothed = epochs_lib.Smoothed(batch_size / scan.summary.n_rows, max_no_improvement)
    history, converged = [], False
    while len(history) < max_iter and not converged:
        moved, inertia, reassigned = epochs.run(smoothed, last=len(history) + 1 == max_iter)
        history.append(inertia)
        if on_iteration:
            on_iteration(0, len(history), inertia)
        converged = not reassigned and (moved <= float(tolerance) or smoothed.has_settled)
    solution = _solution(stream, rows, epochs.targets(), history, converged)
    return fitting.finish(rows, solution, keep_numbering=not isinstance(init, str))


def _check(given):
    arguments.check_fit(
        *(given[name] for name in ('n_clusters', 'init', 'n_init', 'max_iter', 'tol', 'seed')),
        given['distance'],
        given['on_iteration'],
    )
    arguments.check_integer('batch_size', given['batch_size'], at_least=1)
    if given['init_size'] is not None:
        arguments.check_integer('init_size', given['init_size'], at_least=given['n_clusters'])
    if given['max_no_improvement'] is not None:
        arguments.check_integer('max_no_improvement', given['max_no_improvement'], at_least=1)
    arguments.check_tolerance('reassignment_ratio', given['reassignment_ratio'])


def _start(scan, rows, n_clusters, init, *, n_init, seed):
    """Returns the initial means and counts, see epochs.State."""
    if not isinstance(init, str):
        initial = arguments.as_centroids(init, n_clusters, scan.points, 'init')
        summary_lib.check_initial(initial, rows.distance)
        return tf.cast(rows.prepare(initial), tf.float64), tf.zeros([n_clusters], tf.float64)
    try:
        fitted = fitting.fit(
            scan.points,
            n_clusters,
            weights=scan.weights,
            init=init,
            n_init=n_init,
            seed=seed,
            distance=rows.distance,
        )
    except ValueError as error:
        n_rows = scan.summary.n_rows
        if len(scan.points) == n_rows:
            raise
        raise ValueError(
            f'in a sample of {len(scan.points)} of {n_rows} rows (init_size sets how many): {error}'
        ) from error
    # the sample counts like so many rows of the data: it has no more to say than they
    share = len(scan.points) / scan.summary.n_rows
    return tf.cast(rows.prepare(fitted.centroids), tf.float64), fitted.cluster_weights * share


def _solution(stream, rows, targets, history, converged):
    """Places all rows once more: the lloyd.Solution of the final centroids."""
    score = epochs_lib.compiled(scoring.score, *targets.shape, stream.dtype, rows.distance)
    cluster_weights, inertia = tf.zeros([len(targets)], tf.float64), tf.zeros([], tf.float64)
    for points, weights in stream.batches():
        parts = score(rows.shift, rows.scale, points, weights, targets)
        cluster_weights, inertia = cluster_weights + parts[0], inertia + parts[1]
    history = tf.constant(history, tf.float64) / rows.distance_unit()
    return lloyd.Solution(
        centroids=targets,
        weights=cluster_weights,
        inertia=inertia,
        n_iter=tf.size(history),
        converged=tf.constant(converged),
        history=tf.concat([history, [inertia]], 0),
    )
