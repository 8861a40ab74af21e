import doctest
import inspect
import sys
import types

import pytest

import tfx_kmeans
from tfx_kmeans import graph

FUNCTIONS = {
    name: value
    for home in (tfx_kmeans, graph)
    for name in home.__all__
    if inspect.isfunction(value := getattr(home, name))
}


@pytest.fixture
def module(monkeypatch):
    """A module for the names of an example: Beam pickles the functions in it by reference."""
    module = types.ModuleType('docstring_example')
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.parametrize('name', FUNCTIONS)
def test_every_public_function_shows_an_example_that_runs(name, module):
    (example,) = doctest.DocTestFinder(recurse=False).find(
        FUNCTIONS[name], name, module=False, globs=vars(module)
    )
    assert example.examples, f'{name} has no example'
    told = []
    runner = doctest.DocTestRunner(verbose=False)
    example.globs = vars(module)
    assert runner.run(example, out=told.append).failed == 0, ''.join(told)
