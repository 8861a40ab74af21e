"""What a process that is killed leaves behind."""

import numpy as np
import pytest

from support import faults
from tfx_kmeans import Clustering
from tfx_kmeans.errors import CentroidsError

WRITE = """
import itertools
import os
import sys
import numpy as np
from tfx_kmeans import Clustering
centroids = np.arange(40_000.0).reshape(2_000, 20)
clustering = Clustering.from_array(centroids, [str(i) for i in range(20)])
print('begun', flush=True)
for number in itertools.count():
    clustering.write(os.path.join(sys.argv[1], str(number)))
"""


@pytest.mark.parametrize('seed', range(3))
def test_a_clustering_whose_writing_is_killed_is_whole_or_refused(seed, tmp_path):
    print(f'seed {seed}')
    seconds = np.random.default_rng(seed).uniform(0.2, 0.8)
    assert faults.kill_after(seconds, WRITE, tmp_path)
    wanted = np.arange(40_000.0).reshape(2_000, 20)
    written = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    for path in written[:-1]:
        np.testing.assert_array_equal(Clustering.read(str(path)).centroids, wanted)
    try:
        last = Clustering.read(str(written[-1]))
    except CentroidsError:
        return
    np.testing.assert_array_equal(last.centroids, wanted)
