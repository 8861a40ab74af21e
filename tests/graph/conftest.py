"""What tests of the solvers for many rows share."""

import pytest

from tfx_kmeans.graph import fitting, nearest


@pytest.fixture
def few_rows_count_as_many(monkeypatch):
    """Fits of few rows are compiled; returns a function that sets what still is compared whole."""
    monkeypatch.setattr(nearest, '_WORTH_COMPILING', 1)
    fitting._compiled.cache_clear()

    def compare_all_up_to(n_differences):
        monkeypatch.setattr(nearest, '_FEW_DIFFERENCES', n_differences)

    yield compare_all_up_to
    fitting._compiled.cache_clear()
