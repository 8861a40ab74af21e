"""Tries an installed tfx-kmeans, away from its sources: `make dist` runs this.

It needs nothing but what the package asks for.
"""

import importlib.resources
import json
import pathlib
import sys
import tempfile
import warnings

import numpy as np
from tfx.types import channel_utils, standard_artifacts

import tfx_kmeans
from tfx_kmeans import graph


def main():
    """Fits, writes, reads and shows a clustering, and declares both components."""
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
