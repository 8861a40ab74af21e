"""Arguments that are refused, each with its name and the value given."""

import re

import numpy as np
import pytest
import tensorflow as tf

from support import reference
from tfx_kmeans import graph

ROWS = reference.sample(0)[0]
NAN = float('nan')
INF = float('inf')


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        ({'n_clusters': 0}, ValueError, 'n_clusters must be at least 1, not 0'),
        ({'n_clusters': -1}, ValueError, 'n_clusters must be at least 1, not -1'),
        ({'n_clusters': 1.5}, TypeError, 'n_clusters must be an integer, not 1.5'),
        ({'n_clusters': True}, TypeError, 'n_clusters must be an integer, not True'),
        ({'n_clusters': '3'}, TypeError, "n_clusters must be an integer, not '3'"),
        ({'n_clusters': None}, TypeError, 'n_clusters must be an integer, not None'),
        ({'n_init': 0}, ValueError, 'n_init must be at least 1, not 0'),
        ({'n_init': 2.0}, TypeError, 'n_init must be an integer, not 2.0'),
        ({'n_init': 2, 'init': ROWS[:5]}, ValueError, 'n_init must be 1 when init is an array'),
        ({'max_iter': 0}, ValueError, 'max_iter must be at least 1, not 0'),
        ({'max_iter': 10.0}, TypeError, 'max_iter must be an integer, not 10.0'),
        ({'seed': -1}, ValueError, 'seed must be at least 0, not -1'),
        ({'seed': 2**63}, ValueError, f'seed must be below 2^63, not {2**63}'),
        ({'seed': None}, TypeError, 'seed must be an integer, not None'),
        ({'tol': -1e-9}, ValueError, 'tol must be finite and >= 0, not -1e-09'),
        ({'tol': NAN}, ValueError, 'tol must be finite and >= 0, not nan'),
        ({'tol': INF}, ValueError, 'tol must be finite and >= 0, not inf'),
        ({'tol': '0'}, TypeError, "tol must be a number, not '0'"),
        ({'tol': False}, TypeError, 'tol must be a number, not False'),
        (
            {'init': 'kmeans++'},
            ValueError,
            "init must be one of ('k-means++', 'k-means||', 'random'), not 'kmeans++'",
        ),
        ({'init': None}, TypeError, 'init cannot be read as a tensor'),
        ({'init': ROWS[:4]}, ValueError, 'init must have shape (5, 4), [clusters, features], not'),
        ({'init': ROWS[:5, :3]}, ValueError, '[clusters, features], not (5, 3)'),
        ({'init': ROWS[0]}, ValueError, 'init must have rank 2'),
        ({'init': np.full([5, 4], 'a')}, TypeError, 'init must be numeric, not string'),
        (
            {'distance': 'euclid'},
            ValueError,
            "distance must be one of ('squared_euclidean', 'cosine'), not 'euclid'",
        ),
        (
            {'search': 'swaps'},
            ValueError,
            "search must be one of ('breathing', 'none'), not 'swaps'",
        ),
        ({'init_size': 4}, ValueError, 'init_size must be at least 5, not 4'),
        ({'init_size': 10.0}, TypeError, 'init_size must be an integer, not 10.0'),
        ({'init_steps': 0}, ValueError, 'init_steps must be at least 1, not 0'),
        ({'oversampling_factor': 0}, ValueError, 'oversampling_factor must be above 0, not 0'),
        ({'on_iteration': 3}, TypeError, 'on_iteration must be callable or None, not 3'),
        (
            {'weights': np.ones(399)},
            ValueError,
            'weights must have shape [400], one for each row of points, not (399,)',
        ),
        ({'weights': np.ones([400, 1])}, ValueError, 'not (400, 1)'),
        ({'weights': 1.0}, ValueError, 'not ()'),
        ({'weights': ['a'] * 400}, TypeError, 'weights must be numeric, not string'),
        ({'weights': np.ones(400, bool)}, TypeError, 'weights must be numeric, not bool'),
        ({'points': ROWS[0]}, ValueError, 'points must have rank 2, [rows, features], not shape'),
        ({'points': ROWS[np.newaxis]}, ValueError, 'not shape (1, 400, 4)'),
        ({'points': 1.0}, ValueError, 'points must have rank 2, [rows, features], not shape ()'),
        (
            {'points': ROWS[:, :0]},
            ValueError,
            'points must have a known number of features, at least 1, not shape (400, 0)',
        ),
        ({'points': [['a', 'b']]}, TypeError, 'points must be numeric, not string'),
        ({'points': ROWS > 0}, TypeError, 'points must be numeric, not bool'),
        ({'points': ROWS + 1j}, TypeError, 'points must be numeric, not complex'),
        ({'points': None}, TypeError, 'points cannot be read as a tensor'),
        ({'points': [[1.0, 2.0], [3.0]]}, TypeError, 'points cannot be read as a tensor'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_fit_refuses(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        graph.fit(**{'points': ROWS, 'n_clusters': 5, **arguments})


FITS = {
    'fit': graph.fit,
    'fit_dataset': lambda x, k: graph.fit_dataset(tf.data.Dataset.from_tensors(x), k),
    'fit_callable': lambda x, k: graph.fit_callable(x, k, lambda points, n_clusters: points),
}


@pytest.mark.parametrize('name', FITS)
@pytest.mark.parametrize('n_clusters', [10**12, 2**31 - 1])
def test_more_clusters_than_ids_can_count_are_refused_by_every_fit(name, n_clusters):
    message = f'n_clusters must be at most 2147483646, not {n_clusters}'
    with pytest.raises(ValueError, match=message):
        FITS[name](ROWS, n_clusters)


@pytest.mark.parametrize('function', [graph.assign, graph.pairwise_distances, graph.soft_assign])
@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        ({'points': ROWS[0]}, ValueError, 'points must have rank 2, [rows, features], not shape'),
        ({'points': [['a']]}, TypeError, 'points must be numeric, not string'),
        ({'points': ROWS[:, :0]}, ValueError, 'not shape (400, 0)'),
        ({'centroids': ROWS[0]}, ValueError, 'centroids must have rank 2'),
        (
            {'centroids': ROWS[:5, :3]},
            ValueError,
            'centroids must have shape (None, 4), [clusters, features], not (5, 3)',
        ),
        ({'centroids': None}, TypeError, 'centroids cannot be read as a tensor'),
        ({'distance': 'manhattan'}, ValueError, "distance must be one of ('squared_euclidean',"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_assignments_refuse(function, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        function(**{'points': ROWS, 'centroids': ROWS[:5], **arguments})


@pytest.mark.parametrize(
    ('temperature', 'error', 'message'),
    [
        (0, ValueError, 'temperature must be above 0, not 0'),
        (-1.5, ValueError, 'temperature must be above 0, not -1.5'),
        (NAN, ValueError, 'temperature must be above 0, not nan'),
        ('1', TypeError, "temperature must be a number, not '1'"),
        (None, TypeError, 'temperature must be a number, not None'),
        (True, TypeError, 'temperature must be a number, not True'),
    ],
)
def test_soft_assign_refuses_a_temperature(temperature, error, message):
    with pytest.raises(error, match=message):
        graph.soft_assign(ROWS, ROWS[:5], temperature=temperature)


def test_a_number_of_features_known_only_to_the_running_graph_is_refused():
    call = tf.function(
        lambda points: graph.fit(points, 5), input_signature=[tf.TensorSpec([None, None])]
    )
    with pytest.raises(ValueError, match=re.escape('not shape (None, None)')):
        call(ROWS)
