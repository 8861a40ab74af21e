import math

import pytest

from tfx_kmeans.report import numbers


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (0, '0'), (1234567.0, '1,234,567'), (12, '12'), (1234.5678, '1235'), (12345.678, '12,346'),
        (0.000123456, '0.0001235'), (-2.5, '\N{MINUS SIGN}2.5'), (1e12, '1e+12'),
        (None, '\N{EN DASH}'), (math.nan, '\N{EN DASH}'), (math.inf, 'inf'),
    ],
)  # fmt: skip
def test_numbers_are_rounded(value, text):
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ('share', 'text'),
    [
        (0.0, '0'),
        (0.00123, '0.12'),
        (0.1234, '12.3'),
        (0.99999, '100'),
        (1.0, '100'),
    ],
)
def test_shares_are_percentages(share, text):
    assert numbers.percent(share) == f'{text}\N{NARROW NO-BREAK SPACE}%'


@pytest.mark.parametrize(
    ('value', 'text'),
    [(1500.0, '1.5k'), (-2e6, '\N{MINUS SIGN}2M'), (999, '999'), (3e15, '3,000T')],
)
def test_numbers_at_an_axis_are_short(value, text):
    assert numbers.short(value) == text


@pytest.mark.parametrize(
    ('low', 'high', 'found'),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 7, [0, 2, 4, 6]), (-0.3, 0.3, [-0.2, 0, 0.2]),
        (1000, 1001, [1000, 1000.2, 1000.4, 1000.6, 1000.8, 1001]), (5, 5, [5]),
    ],
)  # fmt: skip
def test_ticks_are_round(low, high, found):
    assert numbers.ticks(low, high) == pytest.approx(found)
