"""What tests share: real examples, what Transform and KMeans make of them, the finished demo."""

import fcntl

import pytest
from tfx.types import standard_artifacts

from support import building, demos

SCHEMA = """
feature { name: "x" type: FLOAT presence { min_fraction: 1 } shape {} }
feature { name: "y" type: FLOAT value_count { max: 1 } }
feature { name: "copies" type: INT presence { min_fraction: 1 } shape {} }
feature { name: "word" type: BYTES presence { min_fraction: 1 } shape {} }
feature { name: "tags" type: INT value_count { max: 3 } }
feature { name: "label" type: INT presence { min_fraction: 1 } shape {} }
"""


def pytest_collection_modifyitems(items):
    """Puts what runs whole pipelines first, so that no process is left with it at the end."""
    items.sort(key=lambda item: item.path.parent.name not in ('pipelines', 'kubeflow'))


@pytest.fixture(scope='session')
def raw(tmp_path_factory):
    """Raw Examples and their Schema."""
    directory = tmp_path_factory.mktemp('raw')
    serialized = {
        s: [building.serialize(p, i) for i, p in enumerate(building.rows(s))]
        for s in building.SIZES
    }
    schema = standard_artifacts.Schema()
    schema.uri = str(directory / 'schema')
    (directory / 'schema').mkdir()
    (directory / 'schema' / 'schema.pbtxt').write_text(SCHEMA)
    return building.write_examples(directory / 'examples', serialized), schema


@pytest.fixture(scope='session')
def transformed(raw, tmp_path_factory):
    """What Transform makes of `raw`: transformed_examples and transform_graph."""
    examples, schema = raw
    directory = tmp_path_factory.mktemp('transform')
    return building.run_transform(
        directory, [examples], schema, 'support.preprocessing.preprocessing_fn'
    )


@pytest.fixture(scope='session')
def fitted(transformed, tmp_path_factory):
    """What KMeans makes of `transformed`, on x and y."""
    return building.run_kmeans(
        tmp_path_factory.mktemp('kmeans'),
        transformed['transformed_examples'],
        transformed['transform_graph'],
        features='["x", "y"]',
        missing='drop',
    )


@pytest.fixture(scope='session')
def demo(tmp_path_factory, worker_id):
    """The finished demo: the directory of its output, and what it printed."""
    root = tmp_path_factory.getbasetemp()
    # the processes of pytest-xdist have folders of their own in the one folder of the session
    root = root if worker_id == 'master' else root.parent
    output, printed = root / 'demo', root / 'demo.txt'
    with open(root / 'demo.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            output.mkdir(exist_ok=True)
            printed.write_text(demos.run_demo(output))
    return output, printed.read_text()
