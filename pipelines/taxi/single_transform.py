"""preprocessing_fn with the clusters in it: one Transform, without KMeans and ClusterTransform."""

import tensorflow as tf

from taxi import features, preprocessing
from tfx_kmeans import apply_kmeans, kmeans_centroids


def preprocessing_fn(inputs, custom_config):
    """Turns raw taxi trips into features, a label, and clusters.

    Args:
        inputs: dict of raw features, sparse where values may be missing.
        custom_config: dict with `n_clusters` and `seed`.

    Returns:
        Dict of dense tensors.
    """
    outputs = preprocessing.preprocessing_fn(inputs)
    # trips without a place are left out of the fit and get an id of their own
    options = {'missing': 'drop', 'seed': custom_config['seed']}

    trips = [outputs[name] for name in features.COORDINATES]
    zones = kmeans_centroids(trips, custom_config['n_clusters'], name='zones', **options)
    zone = apply_kmeans(trips, zones)
    outputs[features.ZONE_ID], outputs[features.ZONE_DISTANCE] = zone.ids, zone.distances

    # pick-ups and drop-offs share one set of centroids: what is 3 for one is 3 for the other
    pickup, dropoff = ([outputs[f'{end}_east'], outputs[f'{end}_north']] for end in features.ENDS)
    both = [tf.concat(pair, axis=0) for pair in zip(pickup, dropoff, strict=True)]
    places = kmeans_centroids(both, features.PLACES, name='places', **options)
    for name, end in zip(features.PLACE_IDS, (pickup, dropoff), strict=True):
        outputs[name] = apply_kmeans(end, places).ids
    return outputs
