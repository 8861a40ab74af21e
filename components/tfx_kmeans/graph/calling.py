"""`fit_callable`: centroids from any Python code, the rest from here."""

import inspect

import numpy as np
import tensorflow as tf

from tfx_kmeans.graph import arguments, fitting, lloyd
from tfx_kmeans.graph import missing as missing_lib
from tfx_kmeans.graph import rows as rows_lib
from tfx_kmeans.graph import summary as summary_lib

_SEEDS = 2**32  # NumPy's RandomState and scikit-learn take no larger ones


@tf.autograph.experimental.do_not_convert
def fit_callable(
    points,
    n_clusters,
    solver,
    *,
    weights=None,
    init='k-means++',
    n_init=1,
    max_iter=300,
    tol=1e-4,
    seed=0,
    distance='squared_euclidean',
):
    """Fits k-means with a solver from elsewhere, which runs as a tf.py_function.

    A *function* takes the arguments `points` (array `[n, d]`) and `n_clusters`, and returns
    centroids `[n_clusters, d]`. Anything else that can be called, such as a class of scikit-learn,
    makes an *estimator*: it takes `n_clusters`, and what it returns has `fit(points)`, and then
    `cluster_centers_`. Of `init`, `n_init`, `max_iter`, `tol`, `distance` and `seed` (or
    `random_state`, modulo 2^32) a solver is given those that it has a parameter for, and the
    weights as `weights` or `sample_weight`, to an estimator in `fit`. The array is a copy that the
    solver may change; under the cosine distance its rows are unit vectors.

    The weights of the clusters and the inertia are taken here, from the centroids. Clusters are
    numbered by falling weight, ties by coordinates.

    >>> from tfx_kmeans import graph
    >>> def extremes(points, n_clusters):
    ...     return [points.min(axis=0), points.max(axis=0)]
    >>> fitted = graph.fit_callable([[0.0], [1.0], [2.0], [8.0], [10.0]], 2, extremes)
    >>> fitted.centroids.numpy().tolist(), float(fitted.inertia)
    ([[0.0], [10.0]], 9.0)

    Args:
        points: see `fit`.
        n_clusters: see `fit`.
        solver: callable, see above.
        weights: see `fit`.
        init: name of a seeding, 'k-means++' or 'random', or an array; handed on as it is.
        n_init: int, handed on.
        max_iter: int, handed on.
        tol: float, handed on.
        seed: int, handed on.
        distance: 'squared_euclidean' or 'cosine'.

    Returns:
        FitResult with `n_iter` 0, `converged` True and one entry of `inertia_history`: what the
        solver did on its way is not known.

    Raises:
        TypeError: `solver` cannot be called or does not take what is needed, or see `fit`.
        ValueError: what it returned is no finite `[n_clusters, d]`, or see `fit`.
        Exception: eagerly, whatever the solver raised.
        tf.errors.OpError: any of these from inside a tf.function.
    """
    arguments.check_fit(n_clusters, 'k-means++', n_init, max_iter, tol, seed, distance, None)
    given = {'init': init, 'n_init': n_init, 'max_iter': max_iter, 'tol': tol, 'seed': seed}
    given |= {'n_clusters': n_clusters, 'distance': distance}
    run = _Run(solver, given, weighted=weights is not None)
    points = arguments.as_matrix(points, 'points')
    weights = arguments.as_weights(weights, points)
    kept = missing_lib.keep(points, weights, 'error')
    prepared = summary_lib.prepare(kept.points, kept.weights, n_clusters, distance)
    assertions = summary_lib.check(prepared.summary, n_clusters, weights, distance, kept.indices)
    with tf.control_dependencies(assertions):
        points = tf.identity(kept.points)
    centroids = _call(run, points, kept.weights, n_clusters, distance)
    rows = rows_lib.Rows(prepared.values, kept.weights)
    centroids = prepared.coordinates.prepare(centroids)
    everywhere = tf.fill([n_clusters], True)
    found = lloyd.begin(rows, centroids, everywhere, distance == 'cosine')
    solution = lloyd.Solution(
        centroids=centroids,
        weights=found.state.totals[:, -3],
        inertia=found.inertia,
        n_iter=tf.constant(0),
        converged=tf.constant(True),
        history=found.inertia[tf.newaxis],
    )
    return fitting.finish(prepared.coordinates, solution, points.dtype, keep_numbering=False)


def check_solver(solver, name, weighted):
    """Checks that a solver can be called with what it will be given.

    Args:
        solver: see `fit_callable`.
        name: str, what messages call it.
        weighted: bool, whether there will be weights.

    Raises:
        TypeError: it cannot.
    """
    if not callable(solver):
        raise TypeError(f'{name} must be callable, not {solver!r}')
    parameters = _parameters(solver)
    if 'n_clusters' not in parameters:
        raise TypeError(
            f'{name} must take n_clusters: a function takes points and n_clusters, a class or '
            f'factory of estimators takes n_clusters; {solver!r} takes {sorted(parameters)}'
        )
    if weighted and 'points' in parameters and not _WEIGHTS & parameters:
        raise TypeError(
            f'{name} {solver!r} takes neither weights nor sample_weight, but there are weights'
        )


_WEIGHTS = {'weights', 'sample_weight'}


class _Run:
    """A solver and what it is given."""

    def __init__(self, solver, given, weighted):
        check_solver(solver, 'solver', weighted)
        self._solver = solver
        self._given = given | {'random_state': given['seed'] % _SEEDS}
        self.failure = None

    def __call__(self, points, weights):
        """Returns the centroids for arrays `[n, d]` and `[n]`, or None."""
        parameters = _parameters(self._solver)
        given = {name: value for name, value in self._given.items() if name in parameters}
        if 'points' in parameters:
            if weights is not None:
                given |= dict.fromkeys(_WEIGHTS & parameters, weights)
            return self._checked(self._solver(points=points, **given), points)
        estimator = self._solver(**given)
        if not callable(getattr(estimator, 'fit', None)):
            raise TypeError(
                f'solver {self._solver!r} has no parameter points, so it should return an '
                f'estimator with fit(points), not {estimator!r}'
            )
        fitted = estimator.fit(points, **self._weights_of_fit(estimator, weights))
        fitted = estimator if fitted is None else fitted
        if not hasattr(fitted, 'cluster_centers_'):
            raise TypeError(
                f'solver {self._solver!r}: {fitted!r} has no cluster_centers_ after fit'
            )
        return self._checked(fitted.cluster_centers_, points)

    def _weights_of_fit(self, estimator, weights):
        if weights is None:
            return {}
        names = sorted(_WEIGHTS & _parameters(estimator.fit))
        if not names:
            raise TypeError(
                f'solver {self._solver!r}: fit takes neither weights nor sample_weight, but there '
                'are weights'
            )
        return {names[0]: weights}

    def _checked(self, centroids, points):
        """Returns what the solver gave as a matrix, or says what is wrong with it."""
        try:
            centroids = np.asarray(centroids, points.dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f'solver {self._solver!r} returned no matrix of numbers: {error}'
            ) from error
        wanted = (self._given['n_clusters'], points.shape[1])
        if centroids.shape != wanted:
            raise ValueError(
                f'solver {self._solver!r} returned centroids of shape {centroids.shape}, not '
                f'{wanted}, [n_clusters, features]'
            )
        bad = int(np.sum(~np.isfinite(centroids).all(axis=1)))
        if bad:
            raise ValueError(
                f'solver {self._solver!r} returned {bad} centroids with NaN or infinite values'
            )
        if self._given['distance'] == 'cosine' and not centroids.any(axis=1).all():
            raise ValueError(
                f'solver {self._solver!r} returned centroids that are all zeros and have no '
                'direction, which the cosine distance needs'
            )
        return centroids


def _call(run, points, weights, n_clusters, distance):
    """Runs the solver on the rows: `[n_clusters, d]` in the dtype of the points."""
    if distance == 'cosine':
        points = rows_lib.normalise(points)
    weighted = weights is not None

    def call(points, weights):
        try:
            return run(points.numpy(), weights.numpy() if weighted else None)
        except Exception as error:
            run.failure = error
            raise

    weights = weights if weighted else tf.zeros([0])
    try:
        centroids = tf.py_function(call, [points, weights], points.dtype)
    except tf.errors.OpError:
        if run.failure is None:
            raise
        raise run.failure from None
    return tf.ensure_shape(centroids, [n_clusters, points.shape[1]])


def _parameters(function):
    """Names of the parameters of a callable."""
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some builtins tell nothing about themselves
        return set()
