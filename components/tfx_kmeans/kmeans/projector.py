"""Centroids for TensorBoard's embedding projector."""

import os

from tensorboard.plugins import projector
from tfx.dsl.io import fileio

_TENSOR_FILE, _METADATA_FILE = 'centroids.tsv', 'clusters.tsv'
_MOST_COLUMNS = 50  # of the centroids, to colour clusters by


def write(directory, clustering):
    """Writes what the projector shows: centroids, and by cluster its weight, share and columns.

    Args:
        directory: str, a run's directory of TensorBoard logs, there already.
        clustering: artifacts.Clustering of known weights.
    """
    _write_table(os.path.join(directory, _TENSOR_FILE), clustering.centroids.tolist())
    names = [_in_one_field(name) for name in clustering.column_names[:_MOST_COLUMNS]]
    rows = [['cluster', 'weight', 'share', *names]]
    for index, point in enumerate(clustering.points[:, :_MOST_COLUMNS].tolist()):
        weight = clustering.cluster_weights[index]
        rows.append([index, weight, weight / clustering.total_weight, *point])
    _write_table(os.path.join(directory, _METADATA_FILE), rows)
    config = projector.ProjectorConfig()
    config.embeddings.add(
        tensor_name=f'{clustering.output_prefix} centroids',
        tensor_path=_TENSOR_FILE,
        metadata_path=_METADATA_FILE,
    )
    projector.visualize_embeddings(directory, config)


def _write_table(path, rows):
    with fileio.open(path, 'w') as file:
        file.write(''.join('\t'.join(map(str, row)) + '\n' for row in rows))


def _in_one_field(name):
    """Returns a name without what ends a field or a line there."""
    return ' '.join(name.split())
