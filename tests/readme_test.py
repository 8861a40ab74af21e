"""The Python examples of README.md that stand by themselves run as they are written."""

import pathlib
import re

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


def run_section(title, **names):
    """Runs the Python blocks of a section one after the other; returns what they leave behind."""
    (section,) = re.findall(rf'^## {title}$(.*?)(?=^## )', README.read_text(), re.M | re.S)
    blocks = re.findall(r'^```python$(.*?)^```$', section, re.M | re.S)
    assert blocks
    for block in blocks:
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


def test_k_means_in_your_own_graph(points):
    labels = points[:, 0] > np.median(points[:, 0])
    dataset = tf.data.Dataset.from_tensor_slices(points).batch(64)
    left = run_section(
        'K-means in your own graph', points=points, dataset=dataset, labels=labels.astype(float)
    )
    assert left['weights'].shape == (len(points), 20)
    trained = left['model'].layers[0].get_weights()[0]
    assert np.any(np.abs(trained - left['fitted'].centroids) > 1e-6)
