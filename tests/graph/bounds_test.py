"""Lloyd's algorithm with most rows left alone: the outcome is that of looking at every row."""

import numpy as np
import pytest

from support import reference
from tfx_kmeans import graph
from tfx_kmeans.graph import bounds


@pytest.fixture(autouse=True)
def rows_in_doubt_alone_are_compared(few_rows_count_as_many):
    few_rows_count_as_many(0)


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('k', [7, 16])
def test_many_columns_are_compared_by_products(k, weighted, distance):
    for seed in range(3):
        points, weights, init = reference.sample(seed, n=900, d=20, k=k)
        found = reference.assert_followed(
            points, init, weights if weighted else None, tol=0.0, distance=distance
        )
        assert found.n_iter > 5


def test_bounds_leave_rows_alone():
    """The share of rows looked at falls below a half within a few iterations."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=5, size=(8, 3)).astype(np.float32)
    points = centres[rng.integers(8, size=2048)] + rng.normal(size=(2048, 3)).astype(np.float32)
    looked_at = []
    picked = bounds._Picked

    class Counting(picked):
        def __init__(self, rows, mask, n_clusters):
            super().__init__(rows, mask, n_clusters)
            bounds.tf.py_function(lambda count: looked_at.append(int(count)), [self.count], [])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, '_Picked', Counting)
        found = graph.fit(points, 8, init=points[:8], on_iteration=lambda *_: None)
    assert len(looked_at) >= int(found.n_iter) / 2
    assert np.mean(looked_at) < 0.5 * len(points)
