"""preprocessing_fns of the tests, for TFX to import by dotted path."""

import math

import tensorflow as tf
import tensorflow_transform as tft

import tfx_kmeans
from support import analysis


def preprocessing_fn(inputs):
    y = inputs['y']
    y = tf.sparse.to_dense(tf.SparseTensor(y.indices, y.values, [y.dense_shape[0], 1]), math.nan)
    y = tf.squeeze(y, axis=1)
    return {
        'x': inputs['x'],
        'y': y,
        'pair': tf.stack([inputs['x'], -inputs['x']], axis=1),
        'square': tf.reshape(tf.repeat(inputs['x'], 4), [-1, 2, 2]),
        'x_scaled': tft.scale_to_z_score(inputs['x']),
        'infinite': inputs['x'] / 0.0,
        'weight': tf.cast(inputs['copies'], tf.float32),
        'negative': -tf.cast(inputs['copies'], tf.float32),
        'word': inputs['word'],
        'word_id': tft.compute_and_apply_vocabulary(inputs['word'], vocab_filename='words'),
        'tags': inputs['tags'],
        'label': inputs['label'],
    }


def by_cluster(inputs, custom_config):
    """A second stage with an analyzer keyed by the cluster id."""
    key = tf.strings.as_string(inputs['cluster_id'])
    scaled = tft.scale_to_z_score_per_key(inputs['x'], key)
    return {
        'x_in_cluster': scaled * custom_config['factor'],
        'cluster_id': inputs['cluster_id'],
        'x': inputs['x'],
    }


def mean_of_words(inputs):
    """A second stage with an analyzer over an id that an upstream vocabulary gives."""
    number = tf.cast(inputs['word_id'], tf.float32)
    mean = tf.fill(tf.shape(number), tft.mean(tf.square(number)))
    return {'x': inputs['x'], 'number': number, 'mean': mean}


def clusters(inputs):
    """Clusters of points, and their centroids for a test to read."""
    found = tfx_kmeans.kmeans_centroids(
        inputs['point'], 6, sample_size=300, standardize=True, name='points'
    )
    return {
        'point': inputs['point'],
        'id': tfx_kmeans.apply_kmeans(inputs['point'], found).ids,
        'centroids': analysis.repeat(found, inputs['point']),
    }


def other_clusters(inputs):
    """As `clusters`, but for one parameter."""
    found = tfx_kmeans.kmeans_centroids(
        inputs['point'], 6, sample_size=300, standardize=True, name='points', seed=1
    )
    return {'centroids': analysis.repeat(found, inputs['point'])}


def refined_clusters(inputs):
    """As `clusters`, with passes over all rows."""
    found = tfx_kmeans.kmeans_centroids(
        inputs['point'], 6, sample_size=300, standardize=True, refinement_passes=2
    )
    return {'centroids': analysis.repeat(found, inputs['point'])}
