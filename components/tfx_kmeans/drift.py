"""How much two clusterings of rows, or the sizes of clusters at two times, differ."""

import numpy as np

_LEAST_SHARE = 1e-4  # an empty cluster would make the stability index infinite


def shares(weights):
    """Returns the shares, float64 `[k]`, of `weights`, numbers >= 0; None if they are all 0."""
    weights = np.asarray(weights, np.float64)
    total = weights.sum()
    return weights / total if total else None


def psi_terms(expected, actual):
    """What each cluster adds to the population stability index of its shares.

    The index is the sum of (a - e) ln(a / e): the divergence of Jeffreys (1946), which is used on
    the scores of credits (Siddiqi 2006, Credit Risk Scorecards), where below 0.1 is called stable
    and above 0.25 a shift. Shares below 0.0001 count as 0.0001.

    Args:
        expected: float64 `[k]`, shares before.
        actual: float64 `[k]`, shares now.

    Returns:
        float64 `[k]`, all >= 0.
    """
    expected, actual = np.maximum(expected, _LEAST_SHARE), np.maximum(actual, _LEAST_SHARE)
    return (actual - expected) * np.log(actual / expected)


def jensen_shannon_terms(expected, actual):
    """What each cluster adds to the Jensen-Shannon divergence in bits (Lin 1991), in [0, 1].

    Args:
        expected: float64 `[k]`, shares before.
        actual: float64 `[k]`, shares now.

    Returns:
        float64 `[k]`, all >= 0; scipy.spatial.distance.jensenshannon with base 2 is the square root
        of their sum.
    """
    middle = (expected + actual) / 2
    terms = np.zeros(len(middle))
    for part in (expected, actual):
        there = part > 0  # 0 log 0 is 0
        terms[there] += part[there] * np.log2(part[there] / middle[there]) / 2
    return np.maximum(terms, 0.0)


def adjusted_rand(table):
    """Adjusted Rand index of two clusterings (Hubert & Arabie 1985).

    It is that of sklearn.metrics.adjusted_rand_score: 1 where they are the same but for the names
    of clusters, 0 on average where they have nothing to do with each other.

    Args:
        table: integers `[i, j]`, number of rows by their clusters in one and in the other.

    Returns:
        float; None without rows.
    """
    together, first, second = (
        # pairs are counted in Python's integers, which do not overflow
        sum(int(count) ** 2 for count in counts[counts > 0])
        for counts in (table, table.sum(axis=1), table.sum(axis=0))
    )
    n_rows = int(table.sum())
    if not n_rows:
        return None
    both = together - n_rows
    one, other = first - together, second - together
    neither = n_rows**2 - both - one - other - n_rows
    if not one and not other:
        return 1.0
    chance = (both + one) * (one + neither) + (both + other) * (other + neither)
    return 2.0 * (both * neither - one * other) / chance
