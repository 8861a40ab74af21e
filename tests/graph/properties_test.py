"""What a fit must keep, whatever the data, on every way that it can take; see support.paths."""

import hashlib
import os
import pathlib
import subprocess
import sys
import textwrap

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as numpy_strategies

from support import paths, reference

FEW = hypothesis.settings(deadline=None, derandomize=True, max_examples=5)
# other examples in each run; a failure prints how to see it again
FRESH = hypothesis.settings(
    deadline=None, derandomize=False, database=None, print_blob=True, max_examples=8
)
FILL = np.float32(9.96921e36)  # what NetCDF writes where there is no value


@strategies.composite
def problems(draw, k=3, d=2, most=40):
    """Points with more than k distinct rows on a coarse grid, whole weights, initial centroids."""
    n = draw(strategies.integers(k, most))
    whole = strategies.integers(-50, 50)
    points = draw(numpy_strategies.arrays(np.float32, [n, d], elements=whole)) / np.float32(4)
    distinct = np.unique(points, axis=0)
    hypothesis.assume(len(distinct) >= k)
    weights = draw(numpy_strategies.arrays(np.int64, [n], elements=strategies.integers(1, 4)))
    order = draw(strategies.permutations(range(len(distinct))))
    return points, weights, distinct[order[:k]]


def separated(points, init, weights=None):
    """Whether no row is so near to equally far centroids that rounding may decide.

    Nor may rows be equally far where the farthest are given to empty clusters. Followed along the
    run of the reference: only then must every solver take the same way.
    """
    margin = 1e-4 * reference.spread(points) ** 2
    for n_iter in range(12):
        found = reference.lloyd(points, init, weights, max_iter=n_iter) if n_iter else None
        centroids = np.asarray(init, float) if found is None else found.centroids
        table = reference.distances(points, centroids)
        n_empty = np.sum(np.bincount(table.argmin(axis=1), minlength=len(centroids)) == 0)
        farthest = np.sort(table.min(axis=1))[::-1][: n_empty + 1]
        table.sort(axis=1)
        if np.any(table[:, 1] - table[:, 0] < margin):
            return False
        if n_empty and np.any(-np.diff(farthest) < margin):
            return False
        if found is not None and found.converged:
            return True
    return False


def assert_same(found, wanted, scale, rtol=1e-5):
    np.testing.assert_allclose(found.centroids, wanted.centroids, rtol=0, atol=2e-6 * scale)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, rtol=1e-6)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=rtol, atol=1e-9 * scale**2)
    assert found.n_iter == wanted.n_iter


def assert_follows_reference(fit, problem):
    points, weights, init = problem
    hypothesis.assume(separated(points, init, weights))
    found = fit(points, 3, init=init, weights=weights)
    wanted = reference.lloyd(points, init, weights)
    assert_same(found, wanted, reference.spread(points))


# from given centroids


@paths.EVERY_SOLVER
@FEW
@hypothesis.given(problem=problems())
def test_the_float64_reference_is_followed(fit, problem):
    assert_follows_reference(fit, problem)


@paths.EVERY_SOLVER
@FRESH
@hypothesis.given(problem=problems())
def test_the_float64_reference_is_followed_on_other_examples_in_each_run(fit, problem):
    assert_follows_reference(fit, problem)


@paths.EVERY_SOLVER
@FEW
@hypothesis.given(problem=problems())
def test_weights_are_repetitions(fit, problem):
    points, weights, init = problem
    hypothesis.assume(separated(points, init, weights))
    found = fit(points, 3, init=init, weights=weights)
    wanted = fit(np.repeat(points, weights, axis=0), 3, init=init)
    assert_same(found, wanted, reference.spread(points))


@paths.EVERY_SOLVER
@FEW
@hypothesis.given(problem=problems(), data=strategies.data())
def test_the_order_of_the_rows_does_not_matter(fit, problem, data):
    points, weights, init = problem
    hypothesis.assume(separated(points, init, weights))
    order = np.array(data.draw(strategies.permutations(range(len(points)))))
    found = fit(points[order], 3, init=init, weights=weights[order])
    assert_same(found, fit(points, 3, init=init, weights=weights), reference.spread(points))


@paths.EVERY_SOLVER
@FEW
@hypothesis.given(problem=problems(), data=strategies.data())
def test_rows_of_weight_0_are_as_if_left_out_whatever_they_hold(fit, problem, data):
    points, weights, init = problem
    hypothesis.assume(separated(points, init, weights))
    at = data.draw(strategies.lists(strategies.integers(0, len(points)), min_size=1, max_size=9))
    value = data.draw(strategies.sampled_from([FILL, -FILL, np.float32(np.nan)]))
    found = fit(
        np.insert(points, at, value, axis=0), 3, init=init, weights=np.insert(weights, at, 0)
    )
    assert_same(found, fit(points, 3, init=init, weights=weights), reference.spread(points))


@paths.EVERY_SOLVER
@FEW
@hypothesis.given(
    problem=problems(),
    exponent=strategies.floats(-20, 20),
    offset=strategies.floats(-100, 100),
)
def test_the_unit_of_centred_data_does_not_matter(fit, problem, exponent, offset):
    points, _, init = problem
    hypothesis.assume(separated(points, init))
    unit = 10.0**exponent
    scaled = (points.astype(float) + offset) * unit
    found = fit(scaled, 3, init=(init + offset) * unit)
    wanted = fit(points.astype(float), 3, init=init.astype(float))
    spread = reference.spread(points)
    np.testing.assert_allclose(
        found.centroids / unit - offset, wanted.centroids, rtol=0, atol=1e-5 * max(spread, 1)
    )
    np.testing.assert_allclose(
        found.inertia / unit / unit, wanted.inertia, rtol=1e-4, atol=1e-6 * spread**2
    )
    np.testing.assert_array_equal(found.cluster_weights, wanted.cluster_weights)


@paths.EVERY_SOLVER
@FEW
@hypothesis.given(problem=problems(), exponent=strategies.integers(-18, 18))
def test_the_unit_of_float32_rows_does_not_matter(fit, problem, exponent):
    points, weights, init = problem
    hypothesis.assume(separated(points, init, weights))
    unit = np.float32(10.0**exponent)
    found = fit(points * unit, 3, init=init * unit, weights=weights)
    wanted = reference.lloyd(points, init, weights)
    spread = reference.spread(points)
    np.testing.assert_allclose(found.centroids / unit, wanted.centroids, atol=3e-6 * spread)
    np.testing.assert_allclose(
        found.inertia / float(unit) ** 2, wanted.inertia, rtol=1e-4, atol=1e-6 * spread**2
    )
    np.testing.assert_array_equal(found.cluster_weights, wanted.cluster_weights)


# from a seeding by name


@paths.EVERY_SEARCH
@pytest.mark.parametrize('init', ['k-means++', 'random'])
@pytest.mark.parametrize('times', [1, 7])
@FEW
@hypothesis.given(problem=problems(k=5))
def test_as_many_clusters_as_distinct_rows_lie_on_them(fit, init, times, problem):
    distinct = np.unique(problem[0], axis=0)[:5]
    points = np.repeat(distinct, times, axis=0)
    for seed in range(2):
        found = fit(points, 5, init=init, seed=seed)
        scale = reference.spread(points)
        np.testing.assert_allclose(found.inertia, 0, atol=1e-9 * scale**2)
        np.testing.assert_array_equal(found.cluster_weights, np.full(5, times))
        apart = reference.distances(distinct, found.centroids)
        np.testing.assert_allclose(apart.min(axis=1), 0, atol=1e-9 * scale**2)


@paths.EVERY_SEARCH
@FEW
@hypothesis.given(
    problem=problems(most=12),
    copies=strategies.integers(2, 400),
    init=strategies.sampled_from(['k-means++', 'random']),
    seed=strategies.integers(0, 2**63 - 1),
)
def test_duplicates_do_not_upset_a_fit(fit, problem, copies, init, seed):
    points = np.repeat(problem[0], copies, axis=0)
    found = fit(points, 3, init=init, seed=seed)
    assert found.cluster_weights.numpy().sum() == len(points)
    assert np.all(found.cluster_weights.numpy() % copies == 0)
    np.testing.assert_allclose(
        found.inertia,
        reference.inertia_of(points, found.centroids),
        rtol=1e-4,
        atol=1e-7 * len(points) * reference.spread(points) ** 2,
    )


@paths.EVERY_SEARCH
@FEW
@hypothesis.given(problem=problems(), seed=strategies.integers(0, 2**63 - 1))
def test_a_search_ends_where_lloyds_algorithm_stands(fit, problem, seed):
    points, weights, _ = problem
    found = fit(points, 3, weights=weights, seed=seed, tol=0.0)
    again = reference.lloyd(points, found.centroids.numpy(), weights, max_iter=1)
    scale = reference.spread(points)
    assert found.converged
    np.testing.assert_allclose(again.centroids, found.centroids, atol=3e-6 * scale)
    np.testing.assert_allclose(
        found.inertia, reference.inertia_of(points, found.centroids, weights), rtol=1e-5, atol=1e-6
    )


@paths.EVERY_SEARCH
@pytest.mark.parametrize('seed', range(2))
def test_heaps_are_found_whatever_the_order_the_unit_or_the_repetition(fit, seed):
    points, _ = reference.blobs(seed, k=5)
    rng = np.random.default_rng(seed)
    weights, order = rng.integers(1, 4, size=len(points)), rng.permutation(len(points))
    # of one run k-means++ alone would not promise it
    wanted = fit(points, 5, weights=weights, n_init=3)
    many = np.repeat(points, weights, axis=0)
    scale = reference.spread(points)
    assert float(wanted.inertia) < 2.5 * weights.sum()
    for found in (
        fit(points[order], 5, weights=weights[order], n_init=3),
        fit(rng.permutation(many), 5, n_init=3),
        fit(np.insert(points, 7, FILL, axis=0), 5, weights=np.insert(weights, 7, 0), n_init=3),
    ):
        np.testing.assert_allclose(found.centroids, wanted.centroids, atol=2e-6 * scale)
        np.testing.assert_array_equal(found.cluster_weights, wanted.cluster_weights)
    for unit in (1e-18, 1e18):
        found = fit(points * np.float32(unit), 5, weights=weights, n_init=3)
        np.testing.assert_allclose(found.centroids / np.float32(unit), wanted.centroids, atol=1e-4)
        np.testing.assert_array_equal(found.cluster_weights, wanted.cluster_weights)


# the number of threads

THREADS = """
    import sys
    sys.path.insert(0, 'graph')
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads({count})
    tf.config.threading.set_inter_op_parallelism_threads({count})
    import properties_test
    for name, fit in properties_test.WAYS.items():
        print(name, properties_test.digest_of_a_fit(fit), sep=':')
"""
# blocks of seven rows would take long for so many, and need no more threads
WAYS = {
    name: fit
    for name, fit in {**paths.SOLVERS, **paths.SEARCHES}.items()
    if 'small blocks' not in name
}


def digest_of_a_fit(fit):
    points, weights, init = reference.sample(0, n=20_000, d=8)
    init = {'init': init} if fit in paths.SOLVERS.values() else {'n_init': 2}
    found = fit(points, 5, weights=weights, max_iter=10, **init)
    return hashlib.sha256(b''.join(tensor.numpy().tobytes() for tensor in found)).hexdigest()


@pytest.fixture(scope='module')
def digests():
    """What processes of 1, 2 and 8 threads found, at the same time."""
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'PYTHONPATH': _path()}
    running = {
        count: subprocess.Popen(
            [sys.executable, '-c', textwrap.dedent(THREADS.format(count=count))],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=pathlib.Path(__file__).parent.parent,
        )
        for count in (1, 2, 8)
    }
    found = {}
    for count, process in running.items():
        out, _ = process.communicate()
        assert process.returncode == 0
        found[count] = dict(line.rsplit(':', 1) for line in out.splitlines() if ':' in line)
    return found


def _path():
    return os.pathsep.join(['.', os.environ.get('PYTHONPATH', '')])


@pytest.mark.parametrize('name', WAYS)
def test_the_number_of_threads_changes_no_bit(digests, name):
    assert digests[1][name] == digests[2][name] == digests[8][name]
