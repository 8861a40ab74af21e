import doctest
import inspect
import pathlib
import sys
import types

import numpy as np
import pytest

import tfx_kmeans
from support import analysis
from tfx_kmeans import graph

README = pathlib.Path(__file__).resolve().parent.parent / 'README.md'
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


def test_the_preprocessing_fn_of_the_readme_runs(module, tmp_path):
    blocks = README.read_text().split('```')
    (code,) = [block for block in blocks if 'def preprocessing_fn(inputs):\n    pick_up' in block]
    exec(code.removeprefix('python'), vars(module))
    rng = np.random.default_rng(0)
    names = ('pickup_x', 'pickup_y', 'dropoff_x', 'dropoff_y', 'fare')
    columns = {name: rng.normal(size=200).astype(np.float32) for name in names}
    columns['dropoff_x'][:3] = np.nan
    features, _ = analysis.run(tmp_path, module.preprocessing_fn, columns)
    assert features['to'][:3].tolist() == [16, 16, 16]
    assert features['trip'].max() == 24
    assert features['trip_similarity'].shape == (200, 24)
    assert set(features['payment']) == set(range(5))
