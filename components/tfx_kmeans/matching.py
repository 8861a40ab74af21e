"""Which new cluster continues which old one, so that the ids of clusters keep their meaning."""

import typing

import numpy as np
from scipy import optimize

_TIE = 1e-9  # of the weight of all rows: overlaps that differ by less count as equal


class Matching(typing.NamedTuple):
    """How new clusters are to be numbered.

    Attributes:
        order: tuple of `n_new` ints, the new cluster that takes each number.
        old_numbers: tuple of `n_new`, the old cluster that the one of each number continues, or
            None of one that is new. It is that number, unless there are fewer clusters than before:
            then an old number that is too high cannot be kept.
    """

    order: tuple[int, ...]
    old_numbers: tuple[int | None, ...]


def match(distances, overlap=None):
    """Pairs new clusters with old ones and numbers them by that.

    The pairs are an optimal assignment (Kuhn 1955; scipy's linear_sum_assignment): of all ways to
    pair each cluster with at most one, the one in which most rows stay in the cluster they were in,
    and among equals the one in which centroids move least in all. Where nothing is known of rows
    the movement alone counts, by the square root of its length: its square would rather shift each
    of a chain of centroids by one than have one of them jump.

    A cluster takes the number of the old one it is paired with. It is new all the same if none of
    the rows of that one are in it. The other numbers go to clusters without a pair, and to those
    whose old number is too high for the number of clusters there are now: in their order.

    >>> from tfx_kmeans import matching
    >>> matching.match([[9.0, 0.1], [0.2, 9.0]])
    Matching(order=(1, 0), old_numbers=(0, 1))

    Args:
        distances: `[n_old, n_new]`, squared Euclidean or cosine distances of centroids, as
            `graph.pairwise_distances` gives them.
        overlap: `[n_old, n_new]`, the weight of the rows that were in an old cluster and are in a
            new one; or None.

    Returns:
        Matching.
    """
    cost = np.asarray(distances, np.float64) ** 0.25
    if overlap is not None:
        overlap = np.asarray(overlap, np.float64)
        farthest, total = cost.max(initial=0) or 1.0, overlap.sum() or 1.0
        cost = _TIE * cost / farthest - overlap / total
    olds, news = (side.tolist() for side in optimize.linear_sum_assignment(cost))
    new_of = dict(zip(olds, news, strict=True))
    n_new = cost.shape[1]
    others = iter(sorted(set(range(n_new)) - {new_of.get(number) for number in range(n_new)}))
    order = tuple(new_of[number] if number in new_of else next(others) for number in range(n_new))
    old_of = {new: old for old, new in new_of.items() if overlap is None or overlap[old, new] > 0}
    return Matching(order, tuple(old_of.get(new) for new in order))
