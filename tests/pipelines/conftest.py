"""The taxi pipeline as `make demo` runs it, once for all tests here."""

import pytest

from support import demos


@pytest.fixture(scope='session')
def demo(tmp_path_factory):
    """The finished demo: the directory of its output, and what it printed."""
    output = tmp_path_factory.mktemp('demo')
    return output, demos.run_demo(output)


@pytest.fixture(scope='session')
def served(demo):
    """What the pushed model says of the raw eval examples, in a fresh process."""
    return demos.serve(demo[0])
