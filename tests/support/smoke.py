"""Tries an installed tfx-kmeans, away from its sources: `make dist` runs this.

It needs nothing but what the package asks for.
"""

import importlib.metadata
import importlib.resources
import json
import logging
import pathlib
import sys
import tempfile
import warnings

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from packaging import requirements
from tfx.types import channel_utils, standard_artifacts

import tfx_kmeans
from tfx_kmeans import graph


def installed_versions():
    """Name and version of each package that this Python is asked for, all within their bounds."""
    versions = {}
    for line in importlib.metadata.requires('tfx-kmeans'):
        required = requirements.Requirement(line)
        if required.marker is None or required.marker.evaluate({'extra': ''}):
            version = importlib.metadata.version(required.name)
            assert required.specifier.contains(version), f'{line}: {version} is installed'
            versions[required.name] = version
    return versions


def check_transform(points):
    """Finds clusters in a preprocessing_fn of two phases, as versions that clash cannot."""

    def preprocessing_fn(inputs):
        x = tft.scale_to_0_1(inputs['x'])
        return {
            'zone': tfx_kmeans.compute_and_apply_kmeans([x, inputs['y']], n_clusters=2, name='k')
        }

    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in 'xy'}
    rows = [{'x': x, 'y': y} for x, y in points.tolist()]
    with tempfile.TemporaryDirectory() as directory, tft_beam.Context(temp_dir=directory):
        raw = (rows, tft.DatasetMetadata.from_feature_spec(spec))
        with beam.Pipeline():
            (transformed, _), _ = raw | tft_beam.AnalyzeAndTransformDataset(preprocessing_fn)
    zones = [row['zone'] for row in transformed]
    assert zones == [0] * 30 + [1] * 10, zones


def main():
    """Fits, writes, reads and shows a clustering, transforms rows, declares both components."""
    print(', '.join(f'{name} {version}' for name, version in installed_versions().items()))
    logging.disable(logging.WARNING)
    warnings.filterwarnings('error', category=DeprecationWarning, module='tfx_kmeans')
    installed = pathlib.Path(tfx_kmeans.__file__).parent
    assert pathlib.Path(sys.prefix) in installed.parents, f'{installed} is not in {sys.prefix}'
    files = importlib.resources.files('tfx_kmeans')
    assert files.joinpath('py.typed').is_file()
    schema = json.loads(files.joinpath('clustering.schema.json').read_text())
    assert schema['properties']['format_version'], schema

    points = np.repeat([[0.0, 0.0], [8.0, 8.0]], [30, 10], axis=0).astype(np.float32)
    fitted = graph.fit(points, n_clusters=2)
    clustering = tfx_kmeans.Clustering(
        centroids=fitted.centroids.numpy(),
        feature_names=('x', 'y'),
        feature_widths=(1, 1),
        cluster_weights=tuple(fitted.cluster_weights.numpy().tolist()),
        inertia=float(fitted.inertia),
        n_iter=int(fitted.n_iter),
        seed=0,
    )
    with tempfile.TemporaryDirectory() as directory:
        clustering.write(directory)
        read = tfx_kmeans.Clustering.read(directory)
    assert sorted(read.centroids[:, 0].tolist()) == [0.0, 8.0], read.centroids
    assert '--page:' in tfx_kmeans.report.render(read), 'the report has no style'
    check_transform(points)

    examples, transform_graph, raw_schema = (
        channel_utils.as_channel([kind()])
        for kind in (
            standard_artifacts.Examples,
            standard_artifacts.TransformGraph,
            standard_artifacts.Schema,
        )
    )
    kmeans = tfx_kmeans.KMeans(examples, transform_graph, n_clusters=2)
    cluster_transform = tfx_kmeans.ClusterTransform(
        examples, raw_schema, transform_graph, kmeans.outputs['centroids']
    )
    assert {'centroids', 'model'} <= set(kmeans.outputs.keys())
    assert 'transform_graph' in cluster_transform.outputs
    print(f'tfx-kmeans of {installed} works')


if __name__ == '__main__':
    main()
