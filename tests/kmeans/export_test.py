import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans import Clustering
from tfx_kmeans.kmeans import export

CENTROIDS = np.array([[0.0], [1.0]], np.float32)


def write(directory, *names, shape=()):
    """Writes a model of clusters of `names` around 0 and 1; returns its signatures."""
    clustering = Clustering(
        centroids=np.repeat(CENTROIDS, len(names), axis=1),
        feature_names=names,
        feature_widths=(1,) * len(names),
        cluster_weights=(1.0, 1.0),
        inertia=1.0,
        n_iter=1,
        seed=0,
        output_prefix='my cluster',
    )
    spec = {name: tf.io.FixedLenFeature(shape, tf.float32) for name in names}
    export.write_model(clustering, spec, str(directory))
    return tf.saved_model.load(str(directory)).signatures


def serialize(**features):
    features = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        for name, value in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.mark.parametrize('shape', [(), (1,)])
@pytest.mark.parametrize(
    'name', ['trip miles', '_hidden', 'größe', 'self', 'a:b', 'a-b', 'a/b', 'a.b', '1st', 'lambda']
)
def test_every_name_that_a_feature_can_have_is_served(tmp_path, name, shape):
    signatures = write(tmp_path, name, shape=shape)
    examples = tf.constant([serialize(**{name: value}) for value in (0.1, 0.9)])
    served = signatures['serving_default'](examples=examples)
    assert served['my cluster_id'].numpy().tolist() == [0, 1]
    argument = export.argument_names([name])[name]
    values = tf.reshape(tf.constant([0.1, 0.9]), [-1, *shape])
    served = signatures['features'](**{argument: values})
    assert served['my cluster_id'].numpy().tolist() == [0, 1]


@pytest.mark.parametrize('name', ['x', 'trip_miles', 'trip-miles', 'a/b', 'a.b', '1st', 'examples'])
def test_names_that_tensorflow_takes_stay(name):
    assert export.argument_names([name]) == {name: name}


@pytest.mark.parametrize('name', ['self', 'lambda', 'class'])
def test_names_that_python_keeps_for_itself_get_another_on_every_line(name):
    assert export.argument_names([name]) == {name: f'feature_{name}'}


def test_names_that_differ_in_punctuation_only_are_told_apart(tmp_path):
    names = ('a_b', 'a-b', 'a b', 'c')
    arguments = export.argument_names(names)
    assert arguments == {
        'a_b': 'a_b', 'a-b': 'feature_a_b', 'a b': 'feature_a_b_2', 'c': 'c',
    }  # fmt: skip
    signatures = write(tmp_path, *names)
    ones = {arguments[name]: tf.constant([0.0, 1.0]) for name in names}
    assert signatures['features'](**ones)['my cluster_id'].numpy().tolist() == [0, 1]


@pytest.mark.parametrize('names', [('x',), ('x', 'y')])
@pytest.mark.parametrize('value', [1.8e19, 2e19, -2e19, 1e30, -3.4e38])
def test_the_distance_of_a_finite_value_is_served_as_it_is_however_far(value, names, tmp_path):
    signatures = write(tmp_path, *names)
    examples = tf.constant([serialize(**dict.fromkeys(names, value)), serialize(x=1.0, y=1.0)])
    served = signatures['serving_default'](examples=examples)
    assert served['my cluster_id'].numpy().tolist() == [int(value > 0), 1]
    wanted = min(abs(value) * len(names) ** 0.5, np.finfo(np.float32).max)
    np.testing.assert_allclose(served['my cluster_distance'], [wanted, 0], rtol=1e-6)
