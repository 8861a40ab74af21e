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
    try:
        with np.errstate(over='ignore'):  # what is too large becomes infinite, and is refused
            return np.ascontiguousarray(np.asarray(values).astype(dtype))
    except (TypeError, ValueError) as error:
        raise errors.CentroidsError(f'{name} cannot be read as numbers: {error}') from error
