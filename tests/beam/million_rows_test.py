import numpy as np
import pytest

from support import sampled
from tfx_kmeans import graph
from tfx_kmeans.beam import sampling

ROWS = 1_000_000


def fit(rows, n_clusters, seed):
    """Fits to a sample of 20,000 rows, which come in batches as tf.Transform makes them."""
    names = tuple(f'x{i}' for i in range(rows.shape[1]))
    combine_fn = sampling.SampleFn(sampling.Sampling(rows.shape[1], size=20_000, seed=seed))
    gathering = combine_fn.create_accumulator()
    for start in range(0, len(rows), 1000):
        gathering = combine_fn.add_input(gathering, (rows[start : start + 1000],))
    return sampled.fit_sample(
        combine_fn.extract_output(gathering),
        columns=names,
        n_clusters=n_clusters,
        n_init=3,
        seed=seed,
        sample_size=20_000,
    ).centroids


@pytest.mark.parametrize('seed', range(2))
def test_a_million_rows_are_clustered_as_well_as_from_their_true_centres(seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=3, size=(20, 16)).astype(np.float32)
    rows = centres[rng.integers(20, size=ROWS)] + rng.normal(size=(ROWS, 16)).astype(np.float32)
    best = float(graph.fit(rows, 20, init=centres).inertia)
    found = graph.assign(rows, fit(rows, 20, seed)).distances.numpy().sum(dtype=np.float64)
    assert found <= 1.02 * best


@pytest.mark.parametrize('seed', range(3))
def test_a_cluster_of_fifty_rows_in_a_million_is_found(seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=5, size=(9, 8))
    rows = (centres[rng.integers(9, size=ROWS)] + rng.normal(size=(ROWS, 8))).astype(np.float32)
    small = rng.choice(ROWS, 50, replace=False)
    rows[small] = rng.normal(scale=0.5, size=(50, 8)) + 300
    ids = graph.assign(rows, fit(rows, 10, seed)).ids.numpy()
    np.testing.assert_array_equal(np.flatnonzero(ids == ids[small[0]]), np.sort(small))
