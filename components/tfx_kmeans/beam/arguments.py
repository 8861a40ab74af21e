"""What the fits over a PCollection accept: arguments are checked, and become fitting.Settings."""

import numpy as np
import tensorflow as tf

from tfx_kmeans.beam import fitting
from tfx_kmeans.graph import arguments

_LEAST_SAMPLE = 20_000
_SAMPLE_PER_CLUSTER = 100


def settings(
    place,
    columns,
    n_clusters,
    *,
    init,
    search,
    n_init,
    max_iter,
    tol,
    seed,
    distance,
    standardize,
    missing,
    sample_size,
    passes,
    passes_name,
):
    """Checks arguments and puts in what was left to us.

    Args:
        place: str, what messages call the data.
        columns: names of the columns, a tuple.
        n_clusters: see fitting.Settings, like all that is not told of here.
        init: the name of a seeding, or an array `[n_clusters, d]`.
        search: str.
        n_init: int, 1 with an array as `init`.
        max_iter: int.
        tol: float.
        seed: int.
        distance: str.
        standardize: bool.
        missing: str.
        sample_size: int, or None for 20,000 or 100 * n_clusters, whichever is more.
        passes: int, Lloyd passes over all the data.
        passes_name: str, what messages call `passes`.

    Returns:
        fitting.Settings.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range.
    """
    arguments.check_n_clusters('n_clusters', n_clusters)
    arguments.check_search('search', search)
    arguments.check_integer('n_init', n_init, at_least=1)
    arguments.check_integer('max_iter', max_iter, at_least=1)
    arguments.check_tolerance('tol', tol)
    arguments.check_seed('seed', seed)
    arguments.check_distance('distance', distance)
    if not isinstance(standardize, bool):
        raise TypeError(f'standardize must be True or False, not {standardize!r}')
    arguments.check_missing('missing', missing, distance)
    init = _check_init(init, n_clusters, len(columns))
    if n_init != 1 and not isinstance(init, str):
        raise ValueError(f'n_init must be 1 when init is an array, not {n_init}')
    if sample_size is None:
        sample_size = max(_LEAST_SAMPLE, _SAMPLE_PER_CLUSTER * int(n_clusters))
    arguments.check_integer('sample_size', sample_size, at_least=n_clusters)
    arguments.check_integer(passes_name, passes, at_least=0)
    return fitting.Settings(
        place=place,
        columns=columns,
        n_clusters=int(n_clusters),
        init=init,
        search=search,
        n_init=int(n_init),
        max_iter=int(max_iter),
        tol=float(tol),
        seed=int(seed),
        distance=distance,
        standardize=standardize,
        missing=missing,
        sample_size=int(sample_size),
        refinement_passes=int(passes),
    )


def as_rows(values, width):
    """Returns a batch of rows of `width` columns as float32 `[b, width]`, C-contiguous.

    Raises:
        TypeError: it is no array of real numbers.
        ValueError: it is of another shape.
    """
    rows = as_float32('a batch', values)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(
            f'a batch must have shape [rows, {width}], as there are names of features, not '
            f'{list(rows.shape)}'
        )
    return rows


def as_float32(name, values):
    """Returns what messages call `name` as a float32 array, C-contiguous; see as_rows."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f'{name} must be a numeric array without a mask, not a masked one: put NaN where a '
            'value is missing, as array.filled(np.nan) does'
        )
    array = np.asarray(values)
    if array.dtype.kind not in 'biuf':
        raise TypeError(
            f'{name} must be a numeric array, not {type(values).__name__} of {array.dtype}'
        )
    return np.ascontiguousarray(array, np.float32)


def _check_init(init, n_clusters, width):
    """Returns the name of the seeding, or the initial centroids as tuples."""
    if isinstance(init, str):
        arguments.check_seeding('init', init)
        return init
    if tf.is_tensor(init) and not hasattr(init, 'numpy'):
        raise TypeError(
            f'init must be the name of a seeding or an array of numbers, not the tensor {init!r}, '
            'which has no value while the graph is built'
        )
    try:
        array = np.asarray(init, np.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f'init cannot be read as an array of numbers: {error}') from error
    if array.shape != (n_clusters, width):
        raise ValueError(
            f'init must have shape {(n_clusters, width)}, [clusters, columns], not {array.shape}'
        )
    if not np.isfinite(array).all():
        raise ValueError('init must hold finite numbers, and has NaN or infinite ones')
    return tuple(map(tuple, array.tolist()))
