"""A picture of the clusters: where the trips of each begin and end."""

import matplotlib
import numpy as np

from taxi import features
from taxi import trips as trips_lib

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
        transform_graph: directory of the transform graph that the clusters are part of.
        examples: directory of its transformed examples.
        path: PNG file to write.
    """
    trips = trips_lib.read(transform_graph, examples, 'train')
    n_clusters = trips_lib.n_clusters(transform_graph, features.ZONE_ID)
    placed = trips[features.ZONE_ID] < n_clusters
    colours = plt.get_cmap('turbo')(np.random.default_rng(3).permutation(n_clusters) / n_clusters)
    figure, axes = plt.subplots(1, 2, figsize=(12, 6.5), sharex=True, sharey=True, dpi=120)
    for axis, (title, (east, north)) in zip(axes, _PANELS.items(), strict=True):
        ids = trips[features.ZONE_ID][placed]
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
