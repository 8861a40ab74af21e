import dataclasses

import numpy as np
import pytest

from support import reference
from support.sampled import SETTINGS, as_init, fit
from tfx_kmeans import graph


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('seed', range(3))
def test_what_fits_in_the_sample_is_fitted_exactly(seed, distance):
    rows, weights, init = reference.sample(seed)
    found = fit(rows, weights, init=as_init(init), n_init=1, distance=distance)
    expected = reference.lloyd(rows, init, weights, distance=distance)
    np.testing.assert_allclose(found.centroids, expected.centroids, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.cluster_weights, expected.cluster_weights, rtol=1e-5)
    assert found.inertia == pytest.approx(expected.inertia, rel=1e-4)
    assert found.total_weight == pytest.approx(weights.sum(), rel=1e-6)


@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_standardised_rows_are_fitted_in_standard_deviations(distance):
    rows, weights, _ = reference.sample(0)
    rows = rows * np.float32([1, 100, 0.01, 5]) + 3
    found = fit(rows, weights, standardize=True, distance=distance)
    mean = np.average(rows, axis=0, weights=weights)
    scale = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-5)
    true = reference.inertia_of((rows - mean) / scale, found.centroids, weights, distance)
    assert found.inertia == pytest.approx(true, rel=1e-4)
    plain = graph.fit((rows - mean) / scale, 5, weights=weights, n_init=3, distance=distance)
    assert found.inertia <= 1.03 * float(plain.inertia)


def test_no_value_lies_beyond_the_largest():
    rows, weights, _ = reference.sample(0)
    for options in ({}, {'standardize': True}, {'distance': 'cosine'}):
        found = fit(rows, weights, **options)
        points = (rows - found.mean) / found.scale
        if 'distance' in options:
            points = reference.project(points, 'cosine')
        assert np.abs(points).max() <= found.largest


def raises(match, rows, weights=None, **changes):
    with pytest.raises(ValueError, match=match) as caught:
        fit(np.asarray(rows, np.float32), weights, **changes)
    assert "name='zones'" in str(caught.value)


def test_missing_values_are_told_by_column_and_count():
    rows = np.zeros((6, 4))
    rows[2:, 1] = rows[4, 3] = np.nan
    raises(r"missing values \(NaN\) .*'b' \(4 values\), 'd' \(1 values\).*missing='drop'", rows)


def test_nothing_left_to_cluster_is_told():
    raises('nothing to cluster: there are no rows', np.zeros((0, 4)))
    nothing = np.full((6, 4), np.nan)
    raises('nothing to cluster: all 6 rows have missing', nothing, missing='drop')
    raises('nothing to cluster: no weight is above 0', np.zeros((2, 4)), np.zeros(2, np.float32))


def test_too_few_rows_without_gaps_are_told():
    rows = np.random.default_rng(0).normal(size=(50, 4))
    rows[2:, 1] = np.nan
    message = r'than the 2 distinct rows .*2 of 50 rows have no missing .*drawn from rows without'
    raises(message, rows, missing='partial')
    message = r'nothing to cluster: all 48 rows have missing .*drawn from rows without'
    raises(message, rows[2:], missing='partial')


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('seed', range(3))
def test_rows_with_gaps_count_in_what_is_known_of_all_rows(seed, weighted):
    rows, weights, _ = reference.sample(seed)
    rows = rows * np.float32([1, 100, 0.01, 5]) + 3
    rows = reference.with_gaps(rows, seed)
    weights = weights if weighted else np.ones(len(rows), np.float32)
    found = fit(rows, weights, missing='partial', standardize=True)
    mean = reference.mean_of(rows.astype(float), weights)
    variance = reference.mean_of((rows - mean) ** 2, weights)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(found.scale, np.sqrt(variance), rtol=1e-5)
    assert found.total_weight == pytest.approx(weights.sum(), rel=1e-6)
    assert np.nanmax(np.abs((rows - found.mean) / found.scale)) <= found.largest
    assert found.tolerance == pytest.approx(SETTINGS.tol, rel=1e-5)
    plain = fit(rows, weights, missing='partial')
    assert plain.tolerance == pytest.approx(SETTINGS.tol * variance.mean(), rel=1e-5)


def test_infinite_values_and_bad_weights_are_told():
    raises(r"infinite values in .*'c' \(1 values\)", [[1, 2, np.inf, 3]])
    raises('1 weights of .* are negative', np.zeros((2, 4)), np.float32([1, -1]))


def test_too_few_distinct_rows_are_told():
    raises('n_clusters=5 is more than the 2 distinct rows', [[1, 2, 3, 4], [2] * 4] * 10)


def test_rows_without_direction_are_told():
    raises('have no direction', np.eye(6, 4), distance='cosine')


def test_repr_shows_every_setting():
    for field in dataclasses.fields(SETTINGS):
        assert f'{field.name}=' in repr(SETTINGS)
