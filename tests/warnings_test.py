"""Whose deprecations the settings in pyproject.toml make errors."""

import pytest

WARN = """
import warnings
warnings.warn('there is something new', {category})
"""
CATEGORIES = ['DeprecationWarning', 'PendingDeprecationWarning']


def warn_in(module, category):
    exec(WARN.format(category=category), {'__name__': module})


@pytest.mark.parametrize('category', CATEGORIES)
@pytest.mark.parametrize('module', ['tfx_kmeans', 'tfx_kmeans.graph.lloyd', 'taxi.model'])
def test_a_call_of_something_deprecated_in_our_code_is_an_error(module, category):
    with pytest.raises((DeprecationWarning, PendingDeprecationWarning), match='something new'):
        warn_in(module, category)


@pytest.mark.parametrize('category', CATEGORIES)
@pytest.mark.parametrize('module', ['tfx.components', 'tensorflow', 'apache_beam.tfx_kmeans'])
def test_a_call_in_a_library_is_not(module, category):
    warn_in(module, category)
