"""What a clustering from elsewhere is given as: read as plain arrays and numbers, and checked."""

import numpy as np

from tfx_kmeans import errors


def centroids(values, distance):
    """Reads centroids `[n_clusters, d]` as float32; unit vectors under the cosine distance."""
    array = _floats('centroids', values, np.float32)
    if array.ndim != 2 or 0 in array.shape:
        raise errors.CentroidsError(
            f'centroids must have shape [n_clusters, n_features], not {array.shape}'
        )
    if not np.isfinite(array).all():
        raise errors.CentroidsError('centroids hold NaN or infinite values (as float32)')
    _check_distinct(np.asarray(values), array)
    if distance != 'cosine':
        return array
    lengths = np.linalg.norm(array.astype(np.float64), axis=1, keepdims=True)
    if not lengths.all():
        raise errors.CentroidsError(
            f'centroids: row {int(np.argmin(lengths))} is all zeros and has no direction, which '
            'the cosine distance needs'
        )
    return (array / lengths).astype(np.float32)


def features(names, widths, n_features):
    """Returns the names and widths of features that take up `n_features` columns, as tuples."""
    names = (names,) if isinstance(names, str) else tuple(names)
    if widths is None:
        return names, _only_widths(names, n_features)
    widths = numbers('feature_widths', widths, len(names))
    if any(width != int(width) for width in widths) or sum(widths) != n_features:
        raise errors.CentroidsError(
            f'feature_widths must be whole numbers that add up to the {n_features} columns of '
            f'centroids, not {list(widths)}'
        )
    return names, tuple(int(width) for width in widths)


def numbers(name, values, length):
    """Reads `values`, `length` finite numbers, as a tuple of floats."""
    array = _floats(name, values, np.float64)
    if array.shape != (length,):
        raise errors.CentroidsError(f'{name} must have shape ({length},), not {array.shape}')
    if not np.isfinite(array).all():
        raise errors.CentroidsError(f'{name} holds NaN or infinite values')
    return tuple(array.tolist())


def _only_widths(names, n_features):
    """The widths of features where there is one way only for them to add up to `n_features`."""
    if len(names) == 1:
        return (n_features,)
    if len(names) == n_features:
        return (1,) * n_features
    raise errors.CentroidsError(
        f'feature_widths must be given: centroids have {n_features} columns and feature_names are '
        f'{len(names)}: {list(names)}'
    )


def _floats(name, values, dtype):
    if np.ma.is_masked(values):
        raise errors.CentroidsError(f'{name} holds masked values: fill them, or leave them out')
    try:
        array = np.asarray(values)
        # what NumPy would turn into numbers that mean nothing here
        for part in array.flat if array.dtype.kind == 'O' else [array]:
            if np.asarray(part).dtype.kind in 'cmM':
                raise TypeError(f'there is {np.asarray(part).dtype} in it')
        with np.errstate(over='ignore'):  # what is too large becomes infinite, and is refused
            return np.ascontiguousarray(array.astype(dtype))
    except (TypeError, ValueError, OverflowError) as error:
        raise errors.CentroidsError(f'{name} cannot be read as numbers: {error}') from error


def _check_distinct(given, rounded):
    """Refuses centroids that differ as they were given and are the same as float32."""
    if given.dtype.kind not in 'iuf':  # of text and objects it is not known what makes them differ
        return
    _, first, group = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    first = first[np.reshape(group, -1)]
    differs = (given != given[first]).any(axis=1)
    if differs.any():
        row = int(np.argmax(differs))
        raise errors.CentroidsError(
            f'centroids: rows {first[row]} and {row} differ by less than float32 tells: subtract '
            'what they have in common from the feature'
        )
