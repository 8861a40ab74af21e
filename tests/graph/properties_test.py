"""What every exact solver must keep, whatever the data; a new solver joins by a line in SOLVERS."""

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

from support import reference
from tfx_kmeans import graph
from tfx_kmeans.graph import nearest


def fit_with_gaps(points, k, *, weights=None, **options):
    """The arithmetic for gaps on whole rows: one with a gap and without weight leads to it."""
    gap = np.full([1, points.shape[1]], np.nan, points.dtype)
    gap[0, 0] = points[0, 0]
    points = np.concatenate([points, gap])
    weights = np.ones(len(points) - 1) if weights is None else weights
    return graph.fit(points, k, weights=[*weights, 0], missing='partial', **options)


def fit_many_rows(points, k, *, weights=None, **options):
    """The solver for many rows; rows without weight fill up to few sizes, each compiled once."""
    missing = next(size for size in (256, 8192, 16384) if size >= len(points)) - len(points)
    weights = np.ones(len(points)) if weights is None else weights
    points = np.concatenate([points, np.repeat(points[:1], missing, axis=0)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, '_WORTH_COMPILING', 1)
        return graph.fit(points, k, weights=[*weights, *[0] * missing], **options)


# each takes points, k, weights, init, max_iter, tol and seed, and gives a FitResult
SOLVERS = {
    'lloyd': graph.fit,
    'many rows': fit_many_rows,
    'partial': fit_with_gaps,
}
EVERY_SOLVER = pytest.mark.parametrize('fit', SOLVERS.values(), ids=SOLVERS)
ANY = hypothesis.settings(deadline=None, derandomize=True, max_examples=15)


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

    Followed along the run of the reference: only then must every solver take the same way.
    """
    for n_iter in range(12):
        found = reference.lloyd(points, init, weights, max_iter=n_iter) if n_iter else None
        centroids = np.asarray(init, float) if found is None else found.centroids
        table = np.sort(reference.distances(points, centroids), axis=1)
        if np.any(table[:, 1] - table[:, 0] < 1e-4 * reference.spread(points) ** 2):
            return False
        if found is not None and found.converged:
            return True
    return False


def assert_same(found, wanted, scale, rtol=1e-5):
    np.testing.assert_allclose(found.centroids, wanted.centroids, rtol=0, atol=2e-6 * scale)
    np.testing.assert_allclose(found.cluster_weights, wanted.cluster_weights, rtol=1e-6)
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=rtol, atol=1e-9 * scale**2)
    assert found.n_iter == wanted.n_iter


@EVERY_SOLVER
@ANY
@hypothesis.given(problem=problems())
def test_the_float64_reference_is_followed(fit, problem):
    points, weights, init = problem
    hypothesis.assume(separated(points, init, weights))
    found = fit(points, 3, init=init, weights=weights)
    wanted = reference.lloyd(points, init, weights)
    assert_same(found, wanted, reference.spread(points))


@EVERY_SOLVER
@ANY
@hypothesis.given(problem=problems())
def test_weights_are_repetitions(fit, problem):
    points, weights, init = problem
    hypothesis.assume(separated(points, init, weights))
    found = fit(points, 3, init=init, weights=weights)
    wanted = fit(np.repeat(points, weights, axis=0), 3, init=init)
    assert_same(found, wanted, reference.spread(points))


@EVERY_SOLVER
@ANY
@hypothesis.given(problem=problems(), data=strategies.data())
def test_the_order_of_the_rows_does_not_matter(fit, problem, data):
    points, weights, init = problem
    hypothesis.assume(separated(points, init, weights))
    order = np.array(data.draw(strategies.permutations(range(len(points)))))
    found = fit(points[order], 3, init=init, weights=weights[order])
    assert_same(found, fit(points, 3, init=init, weights=weights), reference.spread(points))


@EVERY_SOLVER
@ANY
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


@EVERY_SOLVER
@pytest.mark.parametrize('init', ['k-means++', 'random'])
@pytest.mark.parametrize('times', [1, 7])
@ANY
@hypothesis.given(problem=problems(k=5))
def test_as_many_clusters_as_distinct_rows_lie_on_them(fit, init, times, problem):
    distinct = np.unique(problem[0], axis=0)[:5]
    points = np.repeat(distinct, times, axis=0)
    for seed in range(3):
        found = fit(points, 5, init=init, seed=seed)
        scale = reference.spread(points)
        np.testing.assert_allclose(found.inertia, 0, atol=1e-9 * scale**2)
        np.testing.assert_array_equal(found.cluster_weights, np.full(5, times))
        apart = reference.distances(distinct, found.centroids)
        np.testing.assert_allclose(apart.min(axis=1), 0, atol=1e-9 * scale**2)


@EVERY_SOLVER
@ANY
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


THREADS = """
    import hashlib
    import sys
    sys.path.insert(0, 'graph')
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import properties_test
    for name, fit in properties_test.SOLVERS.items():
        print(name, properties_test.digest_of_a_fit(fit), sep=':')
"""


def digest_of_a_fit(fit):
    points, weights, _ = reference.sample(0, n=10_000, d=8)
    found = fit(points, 5, weights=weights, n_init=2, max_iter=10)
    return hashlib.sha256(b''.join(tensor.numpy().tobytes() for tensor in found)).hexdigest()


@pytest.fixture(scope='module')
def digests_of_one_thread():
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(THREADS)],
        capture_output=True,
        text=True,
        env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'PYTHONPATH': '.'},
        check=False,
        cwd=pathlib.Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.rsplit(':', 1) for line in done.stdout.splitlines() if ':' in line]
    return dict(lines)


@pytest.mark.parametrize('name', SOLVERS)
def test_the_number_of_threads_changes_no_bit(digests_of_one_thread, name):
    assert digest_of_a_fit(SOLVERS[name]) == digests_of_one_thread[name]
