import ast
import pathlib
import subprocess
import sys

import pytest

import tfx_kmeans

PACKAGE = pathlib.Path(tfx_kmeans.__file__).parent
# each layer may import what stands before it, and no other part of the package
LAYERS = [
    'errors',
    'versions',
    'hashing',
    'defects',
    'moments',
    'drift',
    'matching',
    'graph',
    'foreign',
    'files',
    'records',
    'payloads',
    'artifacts',
    'evaluation',
    'beam',
    'transform',
    'report',
    'kmeans',
    'cluster_evaluator',
    'cluster_transform',
    'kubeflow',
    'cli',
]
LIBRARIES_OF_GRAPH = {'tensorflow', 'numpy', 'tfx_kmeans'}


def imported_by(path):
    """Dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def modules_of(layer):
    path = PACKAGE / layer
    return sorted(path.rglob('*.py')) if path.is_dir() else [path.with_suffix('.py')]


def test_every_part_of_the_package_is_a_layer():
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == '.py' or path.is_dir()}
    assert parts - {'__init__', '__pycache__'} == set(LAYERS)


@pytest.mark.parametrize('layer', LAYERS)
def test_imports_point_one_way(layer):
    allowed = {layer, *LAYERS[: LAYERS.index(layer)]}
    if layer == 'cluster_transform':
        allowed -= {'kmeans'}
    for path in modules_of(layer):
        for name in imported_by(path):
            if name.startswith('tfx_kmeans.'):
                assert name.split('.')[1] in allowed, f'{path} imports {name}'


def test_graph_needs_nothing_but_tensorflow_and_numpy():
    for path in modules_of('graph'):
        libraries = {name.split('.')[0] for name in imported_by(path)}
        foreign = libraries - LIBRARIES_OF_GRAPH - set(sys.stdlib_module_names)
        assert not foreign, f'{path} imports {foreign}'


def test_the_package_knows_nothing_of_the_pipelines_and_tests():
    above = {'taxi', 'local_runner', 'demo', 'retrain', 'running', 'locations', 'pipelines'}
    above |= {'support', 'tests'}
    for path in PACKAGE.rglob('*.py'):
        assert not above & {name.split('.')[0] for name in imported_by(path)}, path


def run_python(code):
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)


def test_importing_the_package_loads_no_heavy_library():
    done = run_python(
        'import sys, tfx_kmeans; '
        'print({"tensorflow", "tfx", "apache_beam", "numpy"} & set(sys.modules))'
    )
    assert done.stdout.strip() == 'set()', done.stderr


def test_graph_alone_loads_no_tfx():
    done = run_python(
        'import sys; from tfx_kmeans import graph; print({"tfx", "apache_beam"} & set(sys.modules))'
    )
    assert done.stdout.strip() == 'set()', done.stderr


def test_every_public_name_is_there():
    for name in tfx_kmeans.__all__:
        assert getattr(tfx_kmeans, name) is not None
    assert set(tfx_kmeans.__all__) <= set(dir(tfx_kmeans))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'tfx_kmeans' has no attribute 'kmeens'"):
        tfx_kmeans.kmeens  # noqa: B018
