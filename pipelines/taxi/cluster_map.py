"""A picture of the clusters: where the trips of each begin and end."""

import matplotlib
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from taxi import features
from taxi import model as model_lib

matplotlib.use('Agg')
from matplotlib import pyplot as plt

_PANELS = {
    'Pick-up': ('pickup_east', 'pickup_north'),
    'Drop-off': ('dropoff_east', 'dropoff_north'),
}

_MAP_LIMITS = {'xlim': (-25.5, 5), 'ylim': (-13, 16)}  # few trips begin or end beyond


def draw(transform_graph, examples, path):
    """Draws the training trips, coloured by cluster, as a PNG.

    Args:
        transform_graph: directory of ClusterTransform's transform graph.
        examples: directory of its transformed examples.
        path: PNG file to write.
    """
    trips = _read(transform_graph, examples)
    n_clusters = trips['n_clusters']
    placed = trips[model_lib.ZONE_ID] < n_clusters
    colours = plt.get_cmap('turbo')(np.random.default_rng(3).permutation(n_clusters) / n_clusters)
    figure, axes = plt.subplots(1, 2, figsize=(12, 6.5), sharex=True, sharey=True, dpi=120)
    for axis, (title, (east, north)) in zip(axes, _PANELS.items(), strict=True):
        ids = trips[model_lib.ZONE_ID][placed]
        x, y = trips[east][placed], trips[north][placed]
        jitter = np.random.default_rng(0).normal(scale=0.12, size=(2, len(x)))
        axis.scatter(x + jitter[0], y + jitter[1], c=colours[ids], s=7, alpha=0.6, linewidths=0)
        for cluster in range(n_clusters):
            members = ids == cluster
            centre = (x[members].mean(), y[members].mean())
            circle = {'boxstyle': 'circle,pad=0.2', 'fc': 'white', 'ec': colours[cluster]}
            axis.annotate(str(cluster), centre, ha='center', va='center', fontsize=7, bbox=circle)
        axis.set(title=title, xlabel='km east of the Loop', aspect='equal', **_MAP_LIMITS)
        axis.grid(alpha=0.2)
    axes[0].set_ylabel('km north of the Loop')
    figure.suptitle(f'{placed.sum():,} Chicago taxi trips in {n_clusters} clusters')
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _read(transform_graph, examples):
    """Returns coordinates and cluster ids of the training trips as arrays, and n_clusters."""
    transform_output = tft.TFTransformOutput(transform_graph)
    names = (*features.COORDINATES, model_lib.ZONE_ID)
    spec = {name: transform_output.transformed_feature_spec()[name] for name in names}
    files = tf.io.gfile.glob(f'{examples}/Split-train/*')
    serialized = list(tf.data.TFRecordDataset(files, 'GZIP').as_numpy_iterator())
    trips = {k: v.numpy() for k, v in tf.io.parse_example(serialized, spec).items()}
    buckets = transform_output.num_buckets_for_transformed_feature(model_lib.ZONE_ID)
    return {**trips, 'n_clusters': buckets - 1}
