"""KMeans killed at any moment: whatever it leaves is read as what it is, or refused."""

import numpy as np
import pytest

from support import building, faults
from tfx_kmeans import Clustering
from tfx_kmeans.errors import CentroidsError

# the executor, from when everything is imported
FIT = """
import sys
import pathlib
from tfx.types import standard_artifacts
from support import building
from tfx_kmeans.kmeans import reading
reading._FIT_BYTES_PER_ROW = 10**8 // 300  # so that rows are spooled
examples, graph, directory, engine = sys.argv[1:]
made = [standard_artifacts.Examples(), standard_artifacts.TransformGraph()]
made[0].uri, made[1].uri = examples, graph
made[0].split_names = '["train", "eval"]'
print('begun', flush=True)
building.run_kmeans(
    pathlib.Path(directory), *made, features='["x", "y"]', missing='drop', engine=engine,
    memory_budget=10**8,
)
"""


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
@pytest.mark.parametrize('seed', range(4))
def test_a_fit_that_is_killed_leaves_whole_centroids_or_none(
    engine, seed, transformed, fitted, tmp_path
):
    seconds = np.random.default_rng([seed, len(engine)]).uniform(0.1, 6.0)
    print(f'seed {seed}, killed after {seconds:.2f} s')
    (tmp_path / 'tmp').mkdir()
    uris = [artifact.uri for artifact in transformed.values()]
    environment = {'TMPDIR': str(tmp_path / 'tmp')}
    faults.kill_after(seconds, FIT, *uris, tmp_path / 'fit', engine, environment=environment)
    assert not list((tmp_path / 'tmp').glob('tfx-kmeans-*'))
    try:
        left = Clustering.read(str(tmp_path / 'fit' / 'centroids'))
    except CentroidsError:
        left = None
    again = building.run_kmeans(
        tmp_path / 'again', *transformed.values(), features='["x", "y"]', missing='drop',
        engine=engine,
    )  # fmt: skip
    if left is not None:
        wanted = Clustering.read(again['centroids'].uri)
        np.testing.assert_allclose(left.centroids, wanted.centroids, rtol=0.03, atol=0.03)
