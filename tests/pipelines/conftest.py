"""The taxi pipeline as `make demo` runs it, once for all tests here."""

import pytest

from support import demos


@pytest.fixture(scope='session')
def served(demo):
    """What the pushed model says of the raw eval examples, in a fresh process."""
    return demos.serve(demo[0])
