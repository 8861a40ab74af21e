"""A row between two centroids gets one id, whoever assigns it and whatever rows are beside it."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans import Clustering, graph
from tfx_kmeans.artifacts import Standardization
from tfx_kmeans.beam import assigning
from tfx_kmeans.cli import main
from tfx_kmeans.kmeans import export
from tfx_kmeans.transform import features as features_lib

SEEDS = range(3)


def tied(seed, width):
    """A clustering, and rows midway between two of its centroids, in its units."""
    print(f'seed {seed}, {width} columns')
    rng = np.random.default_rng([seed, width])
    centroids = rng.integers(-8, 9, size=(6, width)).astype(np.float32)
    pairs = rng.integers(6, size=(60, 2))
    rows = (centroids[pairs[:, 0]] + centroids[pairs[:, 1]]) / 2
    space = Standardization((1.0,) * width, (0.5,) * width) if seed % 2 else None
    if space:
        rows = rows * 0.5 + 1
    names = [f'x{i}' for i in range(width)]
    clustering = Clustering.from_array(centroids, names, standardization=space)
    return clustering, rows.astype(np.float32)


def in_graph(clustering, rows, directory):
    if clustering.standardization:
        rows = (rows - np.float32(1)) / np.float32(0.5)
    return graph.assign(rows, clustering.centroids).ids.numpy()


def in_graph_one_by_one(clustering, rows, directory):
    return np.concatenate([in_graph(clustering, row[np.newaxis], directory) for row in rows])


def by_beam(clustering, rows, directory):
    parts = np.array_split(rows, 7)
    return np.concatenate([assigning.place(part, clustering)[0] for part in parts])


def by_transform(clustering, rows, directory):
    by_name = dict(zip(clustering.feature_names, tf.constant(rows.T), strict=True))
    return features_lib.cluster_features(by_name, clustering)['cluster_id'].numpy()


def served(clustering, rows, directory):
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in clustering.feature_names}
    export.write_model(clustering, spec, str(directory / 'model'))
    place = tf.saved_model.load(str(directory / 'model')).signatures['serving_default']
    examples = [serialize(clustering, row) for row in rows]
    each = [place(examples=tf.constant([example])) for example in examples]
    whole = place(examples=tf.constant(examples))['cluster_id'].numpy()
    np.testing.assert_array_equal(whole, [one['cluster_id'][0] for one in each])
    return whole


def serialize(clustering, row):
    features = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        for name, value in zip(clustering.feature_names, row, strict=True)
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def on_the_command_line(clustering, rows, directory):
    clustering.write(str(directory / 'centroids'))
    table = [
        ','.join(clustering.feature_names),
        *(','.join(map(str, row)) for row in rows.tolist()),
    ]
    (directory / 'rows.csv').write_text('\n'.join(table))
    output = directory / 'ids.csv'
    arguments = [str(directory / 'centroids'), str(directory / 'rows.csv')]
    assert main.main(['assign', *arguments, '--output', str(output)]) == main.DONE
    return np.array([int(line.split(',')[0]) for line in output.read_text().split()[1:]])


ASSIGNERS = [in_graph_one_by_one, by_beam, by_transform, served, on_the_command_line]


@pytest.mark.parametrize('assigner', ASSIGNERS, ids=lambda function: function.__name__)
def test_a_row_midway_between_centroids_gets_one_id_of_every_assigner(assigner, tmp_path):
    for width, seed in itertools.product([2, 3, 16], SEEDS):
        directory = tmp_path / f'{width}-{seed}'
        directory.mkdir()
        clustering, rows = tied(seed, width)
        found = assigner(clustering, rows, directory)
        np.testing.assert_array_equal(found, in_graph(clustering, rows, directory))
