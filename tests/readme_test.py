"""The Python examples of README.md that stand by themselves run as they are written."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tfx import types
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from support import reference
from tfx_kmeans import Centroids, Clustering, KMeans

README = pathlib.Path(__file__).parent.parent / 'README.md'


class Outputs:
    """What a component of the reader's pipeline gives."""

    def __init__(self, **types_by_name):
        self.outputs = {name: types.Channel(type=kind) for name, kind in types_by_name.items()}


def blocks_of(title):
    """The Python blocks of a section."""
    (section,) = re.findall(rf'^## {title}$(.*?)(?=^## )', README.read_text(), re.M | re.S)
    blocks = re.findall(r'^```python$(.*?)^```$', section, re.M | re.S)
    assert blocks
    return blocks


def run_section(title, **names):
    """Runs the Python blocks of a section one after the other; returns what they leave behind."""
    for block in blocks_of(title):
        exec(compile(block, f'README.md, {title}', 'exec'), names)
    return names


@pytest.fixture
def points():
    return reference.blobs(0)[0]


def test_centroids_from_elsewhere(points, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    left = run_section(
        'Centroids from elsewhere',
        points=points,
        example_gen=Outputs(examples=standard_artifacts.Examples),
        schema_gen=Outputs(schema=standard_artifacts.Schema),
        transform=Outputs(transform_graph=standard_artifacts.TransformGraph),
    )
    written = Clustering.read(str(tmp_path / 'centroids' / '1'))
    np.testing.assert_allclose(written.centroids, left['model'].cluster_centers_, rtol=1e-6)
    assert written.total_weight == len(points)
    assert left['cluster_transform'].inputs['centroids'] is left['importer'].outputs['result']


TRANSFORM = Outputs(
    transformed_examples=standard_artifacts.Examples,
    transform_graph=standard_artifacts.TransformGraph,
)


def test_judging_clusters():
    left = run_section(
        'Judging clusters',
        tfx=tfx,
        transform=TRANSFORM,
        kmeans=Outputs(centroids=Centroids, model=standard_artifacts.Model),
        push_destination=tfx.proto.PushDestination(),
        ClusterTransform=lambda _: None,
    )
    blessing = left['cluster_evaluator'].outputs['blessing']
    assert left['pusher'].inputs['model_blessing'] is blessing
    assert left['cluster_evaluator'].exec_properties['min_kept_share'] == 0.95


def test_more_rows_than_one_machine_holds():
    left = run_section('More rows than one machine holds', KMeans=KMeans, transform=TRANSFORM)
    assert left['kmeans'].exec_properties['engine'] == 'beam'


def test_choosing_and_keeping_clusters():
    left = run_section('Choosing and keeping clusters', tfx=tfx, KMeans=KMeans, transform=TRANSFORM)
    assert left['kmeans'].inputs['previous_centroids'].type is Centroids
    assert left['kmeans'].exec_properties['candidates'] == '[8, 12, 16, 20, 24, 28, 32]'


@pytest.fixture
def own_graph(points, tmp_path, monkeypatch):
    """What the section on k-means in one's own graph leaves behind, its files in `tmp_path`."""
    title = 'K-means in your own graph'
    (layer,) = [block for block in blocks_of(title) if '# soft_clusters.py' in block]
    (tmp_path / 'soft_clusters.py').write_text(layer)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    labels = points[:, 0] > np.median(points[:, 0])
    dataset = tf.data.Dataset.from_tensor_slices(points).batch(64)
    yield run_section(title, points=points, dataset=dataset, labels=labels.astype(float))
    sys.modules.pop('soft_clusters', None)


def test_k_means_in_your_own_graph(points, own_graph):
    assert own_graph['weights'].shape == (len(points), 20)
    trained = own_graph['model'].layers[0].get_weights()[0]
    assert np.any(np.abs(trained - own_graph['fitted'].centroids) > 1e-6)


def test_the_keras_model_is_loaded_and_trained_on_in_a_fresh_process(points, own_graph, tmp_path):
    *_, load = blocks_of('K-means in your own graph')
    assert 'load_model' in load
    np.save('points.npy', points)
    (tmp_path / 'load.py').write_text(
        f'{load}\nimport numpy as np\n'
        "points = np.load('points.npy')\n"
        "np.save('predicted.npy', model.predict(points, verbose=0))\n"
        'before = model.layers[0].get_weights()[0]\n'
        'model.fit(points, points[:, 0], verbose=0)\n'
        'assert np.any(model.layers[0].get_weights()[0] != before)\n'
    )
    done = subprocess.run(
        [sys.executable, 'load.py'], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    predicted = own_graph['model'].predict(points, verbose=0)
    np.testing.assert_allclose(np.load('predicted.npy'), predicted, rtol=1e-6)
