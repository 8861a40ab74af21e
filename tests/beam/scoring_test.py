import copy

import numpy as np

from tfx_kmeans import defects
from tfx_kmeans.beam import scoring


def score(weight, missing):
    counts = defects.Defects(np.int64(missing), np.zeros(2, int))
    return scoring.Score(weight, 2 * weight, counts, n_rows=10)


def test_scores_are_added_up_without_a_change_to_the_elements_of_the_runner():
    parts = [score(1.0, [1, 0]), score(2.0, [0, 5]), None]
    before = copy.deepcopy(parts)
    total = scoring._add(parts)
    assert (total.weight, total.inertia, total.defects.missing.tolist()) == (3, 6, [1, 5])
    assert total.n_rows == 20
    for part, was in zip(parts[:2], before[:2], strict=True):
        assert (part.weight, part.defects.missing.tolist()) == (
            was.weight,
            was.defects.missing.tolist(),
        )
