import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance
from sklearn import metrics

from tfx_kmeans import drift


def table_of(first, second):
    table = np.zeros((first.max() + 1, second.max() + 1), np.int64)
    np.add.at(table, (first, second), 1)
    return table


LABELLINGS = {
    'unrelated': lambda ids, rng: rng.integers(0, 7, len(ids)),
    'renumbered': lambda ids, rng: rng.permutation(ids.max() + 1)[ids],
    'a tenth changed': lambda ids, rng: np.where(
        rng.random(len(ids)) < 0.1, rng.integers(0, 5, len(ids)), ids
    ),
    'merged': lambda ids, rng: ids // 2,
    'one cluster': lambda ids, rng: np.zeros_like(ids),
    'a cluster each': lambda ids, rng: np.arange(len(ids)),
}


@pytest.mark.parametrize('n_rows', [1, 2, 3, 1000])
@pytest.mark.parametrize('case', LABELLINGS)
def test_adjusted_rand_is_that_of_scikit_learn(case, n_rows):
    rng = np.random.default_rng(n_rows)
    ids = rng.integers(0, 5, n_rows)
    other = LABELLINGS[case](ids, rng)
    expected = metrics.adjusted_rand_score(ids, other)
    assert drift.adjusted_rand(table_of(ids, other)) == pytest.approx(expected, abs=1e-12)


def test_adjusted_rand_of_many_rows_does_not_overflow():
    table = np.array([[3, 1], [1, 4]], np.int64)
    few = drift.adjusted_rand(table * 10**6)
    assert drift.adjusted_rand(table * 10**12) == pytest.approx(few, rel=1e-6)


def test_adjusted_rand_of_no_rows_is_unknown():
    assert drift.adjusted_rand(np.zeros((2, 3), np.int64)) is None


@pytest.fixture(params=range(5))
def two_shares(request):
    rng = np.random.default_rng(request.param)
    return rng.dirichlet(np.ones(8)), rng.dirichlet(np.ones(8))


def test_psi_is_the_sum_of_both_relative_entropies(two_shares):
    expected, actual = two_shares
    both = stats.entropy(expected, actual) + stats.entropy(actual, expected)
    terms = drift.psi_terms(expected, actual)
    assert (terms >= 0).all()
    assert terms.sum() == pytest.approx(both, rel=1e-2)  # shares below 0.0001 are lifted to it


def test_jensen_shannon_is_that_of_scipy(two_shares):
    expected, actual = two_shares
    terms = drift.jensen_shannon_terms(expected, actual)
    assert (terms >= 0).all()
    assert terms.sum() == pytest.approx(distance.jensenshannon(expected, actual, 2) ** 2)


def test_equal_shares_have_not_shifted():
    same = np.array([0.5, 0.5, 0.0])
    assert drift.psi_terms(same, same).tolist() == [0, 0, 0]
    assert drift.jensen_shannon_terms(same, same).tolist() == [0, 0, 0]


def test_an_emptied_cluster_adds_a_finite_amount():
    before, now = np.array([0.6, 0.4]), np.array([1.0, 0.0])
    terms = drift.psi_terms(before, now)
    assert terms[1] == pytest.approx(0.3999 * np.log(4000))
    assert drift.jensen_shannon_terms(before, now).sum() < 1


def test_shares_that_exclude_each_other_are_one_bit_apart():
    assert drift.jensen_shannon_terms(np.array([1.0, 0]), np.array([0, 1.0])).sum() == 1


def test_shares_add_up_to_one():
    assert drift.shares([1, 3]).tolist() == [0.25, 0.75]
    assert drift.shares([0, 0]) is None
