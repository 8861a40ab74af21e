"""What the public functions accept: conversion to tensors and checks of static arguments."""

import numbers

import tensorflow as tf

from tfx_kmeans.graph import blocks, checks, sampling, search, seeding
from tfx_kmeans.graph import missing as missing_lib
from tfx_kmeans.graph import rows as rows_lib

_MOST_CLUSTERS = 2**31 - 2  # ids are int32, and n_clusters is one


def check_fit(
    n_clusters, init, n_init, max_iter, tol, seed, distance, on_iteration, missing='error'
):
    """Checks the arguments of a fit that need no data; see `graph.fit` for their meaning.

    Raises:
        TypeError: one is of the wrong type.
        ValueError: one is out of range.
    """
    check_n_clusters('n_clusters', n_clusters)
    check_integer('n_init', n_init, at_least=1)
    check_integer('max_iter', max_iter, at_least=1)
    check_seed('seed', seed)
    check_tolerance('tol', tol)
    if isinstance(init, str):
        check_seeding('init', init)
    elif n_init != 1:
        raise ValueError(
            f'n_init must be 1 when init is an array, not {n_init}: all runs are alike'
        )
    check_distance('distance', distance)
    check_missing('missing', missing, distance)
    if missing == 'partial' and isinstance(init, str) and init == 'k-means||':
        raise ValueError(
            "init='k-means||' needs whole rows; with missing='partial' take 'k-means++' or 'random'"
        )
    if on_iteration is not None and not callable(on_iteration):
        raise TypeError(f'on_iteration must be callable or None, not {on_iteration!r}')


def check_integer(name, value, at_least=None):
    """Raises TypeError or ValueError unless `value` is an integer that is not below `at_least`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f'{name} must be an integer, not {value!r}')
    if at_least is not None and value < at_least:
        raise ValueError(f'{name} must be at least {at_least}, not {value}')


def check_n_clusters(name, value):
    """Raises TypeError or ValueError unless `value` is a number of clusters that ids can count."""
    check_integer(name, value, at_least=1)
    if value > _MOST_CLUSTERS:
        raise ValueError(f'{name} must be at most {_MOST_CLUSTERS}, not {value}')


def sample_size(name, value, n_clusters):
    """Returns how many rows a sample has: `value`, checked, or the usual number for None."""
    if value is None:
        return sampling.size_for(n_clusters)
    check_integer(name, value, at_least=n_clusters)
    return int(value)


def check_seed(name, value):
    """Raises TypeError or ValueError unless `value` is an integer in [0, 2^63)."""
    check_integer(name, value, at_least=0)
    if value >= 2**63:
        raise ValueError(f'{name} must be below 2^63, not {value}')


def check_tolerance(name, value):
    """Raises TypeError or ValueError unless `value` is a finite number >= 0."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f'{name} must be a number, not {value!r}')
    if not 0 <= value < float('inf'):
        raise ValueError(f'{name} must be finite and >= 0, not {value!r}')


def check_positive(name, value):
    """Raises TypeError or ValueError unless `value` is a number above 0."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f'{name} must be a number, not {value!r}')
    if not value > 0:
        raise ValueError(f'{name} must be above 0, not {value!r}')


def check_seeding(name, value):
    """Raises ValueError unless `value` names a seeding."""
    if value not in seeding.METHODS:
        raise ValueError(f'{name} must be one of {seeding.METHODS}, not {value!r}')


def check_search(name, value):
    """Raises ValueError unless `value` names a search."""
    if value not in search.METHODS:
        raise ValueError(f'{name} must be one of {search.METHODS}, not {value!r}')


def check_distance(name, value):
    """Raises ValueError unless `value` is one of the known distances."""
    if value not in rows_lib.DISTANCES:
        raise ValueError(f'{name} must be one of {rows_lib.DISTANCES}, not {value!r}')


def check_missing(name, value, distance=None):
    """Raises ValueError unless `value` says what to do about NaN, and `distance` allows for it."""
    if value not in missing_lib.CHOICES:
        raise ValueError(f'{name} must be one of {missing_lib.CHOICES}, not {value!r}')
    if value == 'partial' and distance == 'cosine':
        raise ValueError(
            f"{name}='partial' goes with distance='squared_euclidean' alone, not {distance!r}: a "
            'row with a gap has no length, and so no direction'
        )


def as_matrix(values, name):
    """Converts `values` to a tensor `[n, d]`: float64 stays float64, all else becomes float32.

    Raises:
        TypeError: not numeric.
        ValueError: not of rank 2, or without a static, positive number of columns.
    """
    matrix = _as_numeric(values, name)
    if matrix.shape.rank != 2:
        raise ValueError(f'{name} must have rank 2, [rows, features], not shape {matrix.shape}')
    if not matrix.shape[1]:
        raise ValueError(
            f'{name} must have a known number of features, at least 1, not shape {matrix.shape}'
        )
    return matrix if matrix.dtype in (tf.float32, tf.float64) else tf.cast(matrix, tf.float32)


def as_weights(values, points):
    """Converts `values` to a float32 tensor `[n]` to go with `points`; None stays None.

    Raises:
        TypeError: not numeric.
        ValueError: not of rank 1, or of another length than `points`.
        tf.errors.InvalidArgumentError: of another length, where only the running graph can tell.
    """
    if values is None:
        return None
    weights = _as_numeric(values, 'weights')
    if not weights.shape.is_compatible_with(points.shape[:1]) or weights.shape.rank != 1:
        raise ValueError(
            f'weights must have shape [{points.shape[0]}], one for each row of points, '
            f'not {weights.shape}'
        )
    same_length = checks.require(
        tf.size(weights) == blocks.row_count(points),
        'weights: there are {} of them for {} rows of points',
        tf.size(weights),
        blocks.row_count(points),
    )
    weights = tf.cast(weights, tf.float32)
    if same_length is None:
        return weights
    with tf.control_dependencies([same_length]):
        return tf.identity(weights)


def as_centroids(values, n_clusters, points, name):
    """Converts `values` to a tensor `[n_clusters, d]` in the dtype of `points`.

    Args:
        values: array or tensor.
        n_clusters: int, or None where any number will do.
        points: tensor `[n, d]`.
        name: str, what messages call `values`.

    Raises:
        TypeError: not numeric.
        ValueError: of another shape.
    """
    centroids = as_matrix(values, name)
    wanted = tf.TensorShape([n_clusters, points.shape[1]])
    if not centroids.shape.is_compatible_with(wanted):
        raise ValueError(
            f'{name} must have shape {wanted}, [clusters, features], not {centroids.shape}'
        )
    return tf.ensure_shape(tf.cast(centroids, points.dtype), wanted)


def _as_numeric(values, name):
    try:
        tensor = tf.convert_to_tensor(values, name=name)
    except (TypeError, ValueError) as error:
        raise TypeError(f'{name} cannot be read as a tensor: {error}') from error
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
        raise TypeError(f'{name} must be numeric, not {tensor.dtype.name}')
    return tensor
