"""preprocessing_fn of the taxi pipeline's Transform."""

import math

import tensorflow as tf
import tensorflow_transform as tft

from taxi import features

_LOOP = (41.8786, -87.6251)  # latitude and longitude of the centre of Chicago
_KM_PER_DEGREE = 111.2  # of latitude


def preprocessing_fn(inputs):
    """Turns raw taxi trips into features, a label, and coordinates to cluster.

    Args:
        inputs: dict of raw features, sparse where values may be missing.

    Returns:
        Dict of dense tensors.
    """
    name = features.transformed_name
    outputs = {}
    for key in features.DENSE:
        outputs[name(key)] = tft.scale_to_z_score(tf.cast(_dense(inputs[key], 0), tf.float32))
    for key in features.BUCKETIZED:
        outputs[name(key)] = tft.bucketize(_dense(inputs[key], 0.0), features.BUCKETS)
    for key in features.VOCABULARIES:
        outputs[name(key)] = tft.compute_and_apply_vocabulary(
            _dense(inputs[key], ''),
            top_k=features.VOCABULARY_SIZE,
            num_oov_buckets=features.OOV_BUCKETS,
            vocab_filename=key,
        )
    for key in features.CATEGORICAL:
        outputs[name(key)] = _dense(inputs[key], 0)
    for end in features.ENDS:
        # NaN where the place is not known: such trips get the zone of trips without a place
        latitude = _dense(inputs[f'{end}_latitude'], math.nan)
        longitude = _dense(inputs[f'{end}_longitude'], math.nan)
        outputs[f'{end}_east'], outputs[f'{end}_north'] = _kilometres(latitude, longitude)
    tips, fare = _dense(inputs[features.LABEL], 0.0), _dense(inputs[features.FARE], 0.0)
    outputs[name(features.LABEL)] = tf.cast(tips > 0.2 * fare, tf.int64)
    return outputs


def _dense(feature, default):
    """Makes a sparse feature of at most one value a row dense: `[batch]`."""
    if isinstance(feature, tf.SparseTensor):
        shape = [feature.dense_shape[0], 1]
        feature = tf.sparse.to_dense(
            tf.SparseTensor(feature.indices, feature.values, shape), default
        )
        return tf.squeeze(feature, axis=1)
    return feature


def _kilometres(latitude, longitude):
    """Distances east and north of the Loop, on a plane: good to 0.1 % within a city."""
    north = (latitude - _LOOP[0]) * _KM_PER_DEGREE
    east = (longitude - _LOOP[1]) * _KM_PER_DEGREE * math.cos(math.radians(_LOOP[0]))
    return east, north
