"""Fits to samples, as the analyzers make them, without tf.Transform."""

import dataclasses

import numpy as np

from tfx_kmeans.beam import fitting, sampling

SETTINGS = fitting.Settings(
    place="kmeans_centroids(x, n_clusters=5, name='zones')",
    columns=('a', 'b', 'c', 'd'),
    n_clusters=5,
    init='k-means++',
    search='breathing',
    n_init=3,
    max_iter=300,
    tol=1e-4,
    seed=0,
    distance='squared_euclidean',
    standardize=False,
    missing='error',
    sample_size=1000,
    refinement_passes=0,
)


def fit(rows, weights=None, **changes):
    """Fits to a sample of `rows`, with SETTINGS but for `changes`; returns a Fitted."""
    settings = dataclasses.replace(SETTINGS, **changes)
    sample = sampling.Sample(settings.sampling())
    sample.add(rows, weights, settings.sampling().as_unit_vectors)
    return fit_sample(sample, **changes)


def fit_sample(sample, **changes):
    """Fits to a Sample, with SETTINGS but for `changes`; returns a Fitted."""
    return fitting.fit_sample(sample, dataclasses.replace(SETTINGS, **changes))


def as_init(centroids):
    """Centroids as the setting `init` takes them."""
    return tuple(map(tuple, np.asarray(centroids).tolist()))
