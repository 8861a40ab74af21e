"""A Keras model that goes on training the centroids of a fit, end to end."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from support import reference
from tfx_kmeans import graph


@keras.saving.register_keras_serializable('tests')
class SoftClusters(keras.layers.Layer):
    """Shares of each row in clusters whose centroids are trained."""

    def __init__(self, n_clusters, temperature=1.0, missing='drop', **options):
        super().__init__(**options)
        self.n_clusters = n_clusters
        self.temperature = temperature
        self.missing = missing

    def build(self, shape):
        self.centroids = self.add_weight(shape=(self.n_clusters, shape[-1]), name='centroids')

    def call(self, points):
        return graph.soft_assign(
            points, self.centroids, temperature=self.temperature, missing=self.missing
        )

    def compute_output_shape(self, shape):
        return (shape[0], self.n_clusters)

    def get_config(self):
        settings = {name: getattr(self, name) for name in ('n_clusters', 'temperature', 'missing')}
        return {**super().get_config(), **settings}


def sample():
    """Rows whose label depends on their heap, and on where in it they lie."""
    points, heaps = reference.blobs(0)
    labels = ((heaps % 2 == 0) ^ (points[:, 0] > np.median(points[:, 0]))).astype(np.float32)
    return points, labels


def make_model(points, missing='drop'):
    """A model that begins with the centroids of a fit, and those centroids."""
    fitted = graph.fit(points, 8, n_init=4, missing='error' if missing == 'drop' else missing)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input([2]),
        SoftClusters(8, temperature=200.0, missing=missing),
        keras.layers.Dense(1, activation='sigmoid'),
    ])  # fmt: skip
    model.layers[0].set_weights([fitted.centroids])
    model.compile(keras.optimizers.Adam(0.1), 'binary_crossentropy')
    return model, fitted.centroids.numpy()


def train(trainable):
    """A model after 100 steps on all rows, the centroids of its fit, and the loss."""
    points, labels = sample()
    model, start = make_model(points)
    model.layers[0].trainable = trainable
    model.compile(keras.optimizers.Adam(0.1), 'binary_crossentropy')
    model.fit(points, labels, epochs=100, batch_size=len(points), verbose=0)
    return model, start, model.evaluate(points, labels, verbose=0)


@pytest.fixture(scope='module')
def trained():
    return train(trainable=True)


def test_training_the_centroids_gives_a_lower_loss_than_training_the_rest_alone(trained):
    model, start, loss = trained
    frozen, kept, loss_of_frozen = train(trainable=False)
    np.testing.assert_array_equal(frozen.layers[0].get_weights()[0], kept)
    np.testing.assert_array_equal(kept, start)
    moved = np.abs(model.layers[0].get_weights()[0] - start).max(axis=1)
    assert np.all(moved > 1e-3)
    assert loss < 0.95 * loss_of_frozen


def test_a_saved_model_is_loaded_with_its_centroids(trained, tmp_path):
    model, _, _ = trained
    points, _ = sample()
    model.save(tmp_path / 'model.keras')
    loaded = keras.saving.load_model(tmp_path / 'model.keras')
    np.testing.assert_array_equal(loaded.layers[0].get_weights(), model.layers[0].get_weights())
    np.testing.assert_allclose(
        loaded.predict(points, verbose=0), model.predict(points, verbose=0), rtol=1e-6
    )


def test_an_exported_model_is_served_as_a_saved_model(trained, tmp_path):
    model, _, _ = trained
    points, _ = sample()
    model.export(tmp_path / 'exported', verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / 'exported'))
    np.testing.assert_allclose(loaded.serve(points), model.predict(points, verbose=0), rtol=1e-5)


def test_rows_with_gaps_train_the_centroids_too():
    points, labels = sample()
    points = reference.with_gaps(points, 0, share=0.3)
    model, start = make_model(points, missing='partial')
    before = model.evaluate(points, labels, verbose=0)
    model.fit(points, labels, epochs=5, batch_size=len(points), verbose=0)
    assert model.evaluate(points, labels, verbose=0) < before
    assert np.all(np.isfinite(model.layers[0].get_weights()[0]))
    assert np.any(model.layers[0].get_weights()[0] != start)


def test_a_fit_of_a_users_own_tf_function_is_exported_and_fits_elsewhere(tmp_path):
    class Fitter(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2])])
        def fit(self, points):
            fitted = graph.fit(points, 8, n_init=2)
            ids, _ = graph.assign(points, fitted.centroids)
            return fitted.centroids, ids

    points, _ = sample()
    tf.saved_model.save(Fitter(), str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    centroids, ids = loaded.fit(points)
    wanted = graph.fit(points, 8, n_init=2)
    np.testing.assert_array_equal(centroids, wanted.centroids)
    np.testing.assert_array_equal(np.bincount(ids), wanted.cluster_weights)
