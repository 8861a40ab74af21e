import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import util

from support import reference
from tfx_kmeans import graph
from tfx_kmeans.beam import arguments, fit_rows, quality


@pytest.mark.parametrize(
    ('distance', 'missing', 'spooled'),
    [
        ('squared_euclidean', 'error', True),
        ('cosine', 'error', False),
        ('squared_euclidean', 'partial', True),
        ('squared_euclidean', 'partial', False),
    ],
)
def test_scores_are_those_of_all_rows_at_once(distance, missing, spooled, tmp_path):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(900, 3)).astype(np.float32) + np.repeat(np.eye(3) * 5, 300, axis=0)
    points = points.astype(np.float32)
    weights = rng.uniform(size=900).astype(np.float32)
    if missing == 'partial':
        points = reference.with_gaps(points, 0)
    settings = arguments.settings(
        'rows', ('a', 'b', 'c'), 3,
        init='k-means++', search='none', n_init=1, max_iter=9, tol=1e-4, seed=0, distance=distance,
        standardize=True, missing=missing, sample_size=None, passes=1, passes_name='passes',
    )  # fmt: skip

    def check(tried):
        ((fitted, scores),) = tried
        scaled = (points - fitted.mean) / fitted.scale
        options = {'distance': distance, 'missing': missing}
        expected = graph.score_clusters(scaled, fitted.centroids, weights=weights, **options)
        assert 0 < expected.silhouette < 1
        for value, wanted in zip(scores, expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-5)

    parts = zip(np.split(points, 6), np.split(weights, 6), strict=True)
    with beam.Pipeline() as pipeline:
        batches = pipeline | beam.Create(list(parts))
        rows = fit_rows.Rows(batches, settings.sampling(), str(tmp_path) if spooled else None)
        fitted = rows.sample | fit_rows.FitSample(rows, settings)
        tried = fitted | quality.ScoreFit(rows, distance)
        util.assert_that(tried, check)
