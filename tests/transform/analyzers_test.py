import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from sklearn import datasets
from tensorflow_transform.beam import analysis_graph_builder, analyzer_cache

import tfx_kmeans
from support import analysis, reference
from tfx_kmeans import graph


def fit(directory, points, n_clusters, batch_size=None, weights=None, **options):
    """Centroids that the analyzer finds of points `[n, d]`."""
    columns = {'x': points} if weights is None else {'x': points, 'w': weights}
    has_weights = weights is not None

    def preprocessing_fn(inputs):
        found = tfx_kmeans.kmeans_centroids(
            inputs['x'], n_clusters, weights=inputs['w'] if has_weights else None, **options
        )
        assert found.shape == [n_clusters, points.shape[1]]
        return {'centroids': analysis.repeat(found, inputs['x'])}

    features, _ = analysis.run(directory, preprocessing_fn, columns, batch_size)
    return analysis.centroids_of(features, width=points.shape[1])


@pytest.mark.parametrize('distance', reference.DISTANCES)
@pytest.mark.parametrize('refinement_passes', [0, 2])
def test_few_rows_are_fitted_exactly(refinement_passes, distance, tmp_path):
    points, weights, init = reference.sample(0)
    found = fit(
        tmp_path,
        points,
        5,
        weights=weights,
        init=init,
        tol=0,
        distance=distance,
        refinement_passes=refinement_passes,
    )
    expected = reference.lloyd(points, init, weights, tol=0, distance=distance)
    np.testing.assert_allclose(found, expected.centroids, rtol=1e-4, atol=1e-5)


def test_digits_are_clustered_as_well_as_by_the_best_of_ten_fits(tmp_path):
    from sklearn import cluster

    points = datasets.load_digits().data.astype(np.float32)
    best = cluster.KMeans(10, n_init=10, random_state=0).fit(points).inertia_
    found = fit(tmp_path, points, 10)
    assert reference.inertia_of(points, found) <= 1.005 * best


@pytest.mark.parametrize('batch_size', [1, 64])
def test_the_size_of_batches_does_not_matter(batch_size, tmp_path):
    points, _, _ = reference.sample(1, n=300)
    options = {'sample_size': 100, 'refinement_passes': 1}
    first = fit(tmp_path / 'one', points, 5, **options)
    order = np.random.default_rng(0).permutation(len(points))
    other = fit(tmp_path / 'other', points[order], 5, batch_size=batch_size, **options)
    np.testing.assert_allclose(first, other, rtol=1e-6)


def test_it_works_after_and_before_other_analyzers(tmp_path):
    points, heaps = reference.blobs(0, k=4)
    points *= np.float32([1, 1000])

    def preprocessing_fn(inputs):
        scaled = tf.stack([tft.scale_to_z_score(inputs['x'][:, i]) for i in range(2)], axis=1)
        ids = tfx_kmeans.compute_and_apply_kmeans(scaled, 4)
        key = tf.strings.as_string(ids)
        return {'id': ids, 'y': tft.scale_to_z_score_per_key(inputs['y'], key)}

    y = (100 * heaps + np.arange(len(heaps)) % 5).astype(np.float32)
    features, _ = analysis.run(tmp_path, preprocessing_fn, {'x': points, 'y': y})
    assert len(set(zip(features['id'], heaps, strict=True))) == 4
    for heap in range(4):
        mine = features['y'][heaps == heap]
        assert mine.mean() == pytest.approx(0, abs=1e-4)
        assert mine.std() == pytest.approx(1, rel=1e-3)


def test_what_is_applied_in_the_pipeline_is_what_is_served(tmp_path):
    points, _ = reference.blobs(1, k=5)

    def preprocessing_fn(inputs):
        centroids = tfx_kmeans.kmeans_centroids(inputs['x'], 5, standardize=True)
        placed = tfx_kmeans.apply_kmeans(
            inputs['x'], centroids, all_distances=True, similarity=True
        )
        return {
            'id': placed.ids,
            'distance': placed.distances,
            'distances': placed.all_distances,
            'similarity': placed.similarity,
            'centroids': analysis.repeat(centroids, inputs['x']),
        }

    features, output = analysis.run(tmp_path, preprocessing_fn, {'x': points})
    assert output.num_buckets_for_transformed_feature('id') == 6
    spec = output.transformed_feature_spec()
    assert spec['id'].dtype == tf.int64
    assert spec['distances'].shape == [5]

    centroids = analysis.centroids_of(features, width=2)
    mean, scale = points.mean(axis=0), points.std(axis=0)
    squares = reference.distances((points - mean) / scale, (centroids - mean) / scale)
    np.testing.assert_array_equal(features['id'], squares.argmin(axis=1))
    np.testing.assert_allclose(features['distances'], np.sqrt(squares), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        features['distance'], np.sqrt(squares.min(axis=1)), rtol=1e-3, atol=1e-4
    )
    logits = -squares / squares.min(axis=1).mean()
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(features['similarity'], expected, atol=1e-3)

    nothing = output.transform_features_layer()({'x': tf.constant([[np.nan, 0], [0, np.inf]])})
    assert nothing['id'].numpy().tolist() == [5, 5]
    assert nothing['distance'].numpy().tolist() == [-1, -1]
    assert nothing['similarity'].numpy().tolist() == [[0] * 5] * 2


def test_one_set_of_centroids_places_two_feature_groups(tmp_path):
    rng = np.random.default_rng(0)
    places = np.float32([[0, 0], [50, 0], [0, 50]])
    start, end = rng.integers(3, size=(2, 300))
    noise = rng.normal(size=(2, 300, 2)).astype(np.float32)
    columns = {
        'start_east': places[start, 0] + noise[0, :, 0],
        'start_north': places[start, 1] + noise[0, :, 1],
        'end_east': places[end, 0] + noise[1, :, 0],
        'end_north': places[end, 1] + noise[1, :, 1],
    }

    def preprocessing_fn(inputs):
        pick_up = tf.stack([inputs['start_east'], inputs['start_north']], axis=1)
        drop_off = tf.stack([inputs['end_east'], inputs['end_north']], axis=1)
        zones = tfx_kmeans.kmeans_centroids(tf.concat([pick_up, drop_off], axis=0), 3)
        return {
            'from': tfx_kmeans.apply_kmeans(pick_up, zones).ids,
            'to': tfx_kmeans.apply_kmeans([inputs['end_east'], inputs['end_north']], zones).ids,
            'way': tfx_kmeans.compute_and_apply_kmeans(inputs, 9),
        }

    features, _ = analysis.run(tmp_path, preprocessing_fn, columns)
    names = dict(zip(start, features['from'], strict=True))
    np.testing.assert_array_equal(features['from'], [names[zone] for zone in start])
    np.testing.assert_array_equal(features['to'], [names[zone] for zone in end])
    assert len(set(zip(start, end, features['way'], strict=True))) == 9


def test_rows_with_missing_values_may_be_left_out(tmp_path):
    points, _ = reference.blobs(0, k=3)
    holes = np.concatenate([points, np.full((5, 2), np.nan, np.float32)])
    full = fit(tmp_path / 'full', points, 3)
    np.testing.assert_array_equal(fit(tmp_path / 'holes', holes, 3, missing='drop'), full)


def test_clusters_are_numbered_by_falling_weight(tmp_path):
    rng = np.random.default_rng(0)
    sizes = [50, 400, 200]
    points = np.repeat([[0], [10], [20]], sizes, axis=0) + rng.normal(size=(650, 1))
    found = fit(tmp_path, points.astype(np.float32), 3, refinement_passes=1)
    np.testing.assert_allclose(found, [[10], [20], [0]], atol=0.5)


POINTS = tf.zeros([4, 2])


@pytest.mark.parametrize(
    ('options', 'error', 'match'),
    [
        ({'n_clusters': 0}, ValueError, 'n_clusters must be at least 1, not 0'),
        ({'n_clusters': 2.5}, TypeError, 'n_clusters must be an integer, not 2.5'),
        ({'n_clusters': 10**12}, ValueError, 'n_clusters must be at most 2147483646, not 10'),
        ({'n_init': 0}, ValueError, 'n_init must be at least 1, not 0'),
        ({'max_iter': 0}, ValueError, 'max_iter must be at least 1'),
        ({'tol': -1}, ValueError, 'tol must be finite and >= 0, not -1'),
        ({'seed': -1}, ValueError, 'seed must be at least 0, not -1'),
        ({'distance': 'manhattan'}, ValueError, "distance must be one of .*not 'manhattan'"),
        ({'standardize': 1}, TypeError, 'standardize must be True or False, not 1'),
        ({'missing': 'ignore'}, ValueError, "missing must be one of .* not 'ignore'"),
        ({'missing': 'partial'}, ValueError, "missing='partial' is for the component KMeans"),
        ({'sample_size': 2}, ValueError, 'sample_size must be at least 3, not 2'),
        ({'refinement_passes': -1}, ValueError, 'refinement_passes must be at least 0, not -1'),
        ({'init': 'farthest'}, ValueError, "init must be one of .*not 'farthest'"),
        ({'init': [[1, 2]]}, ValueError, r'init must have shape \(3, 2\).* not \(1, 2\)'),
        ({'init': [[1, 2]] * 2 + [[np.nan, 1]]}, ValueError, 'init must hold finite numbers'),
        ({'init': [['a']]}, TypeError, 'init cannot be read as an array of numbers'),
        (
            {'init': [[1, 2]] * 3, 'n_init': 2},
            ValueError,
            'n_init must be 1 when init is an array, not 2',
        ),
        ({'weights': tf.zeros([4, 2])}, ValueError, r'weights must have shape \[batch\]'),
        ({'weights': tf.constant(['a'])}, TypeError, "'weights' must be a tensor of numbers"),
        ({'x': tf.zeros([4, 2, 2])}, ValueError, r"'x' must have shape .* not \(4, 2, 2\)"),
        ({'x': {'name': tf.constant(['a'])}}, TypeError, "'name' must be a tensor of numbers"),
    ],
)
def test_bad_arguments_are_told_where_the_function_is_called(options, error, match):
    arguments = {'x': POINTS, 'n_clusters': 3} | options
    with pytest.raises(error, match=match):
        tfx_kmeans.kmeans_centroids(**arguments)


def test_initial_centroids_cannot_be_a_tensor_of_the_graph():
    @tf.function
    def build(init):
        return tfx_kmeans.kmeans_centroids(POINTS, 3, init=init)

    with pytest.raises(TypeError, match='init must be the name of a seeding or an array'):
        build(tf.zeros([3, 2]))


EMPTY, NAN = np.zeros((0, 2), np.float32), np.full((9, 2), np.nan, np.float32)


@pytest.mark.parametrize('refinement_passes', [0, 1])
@pytest.mark.parametrize(
    ('points', 'options', 'match'),
    [
        (EMPTY, {}, 'nothing to cluster: there are no rows'),
        (NAN, {}, r"missing values \(NaN\) in .*'x\[:, 0\]' \(9 values\).*missing='drop'"),
        (NAN, {'missing': 'drop'}, r'nothing to cluster: all 9 rows have missing values'),
        (np.ones((9, 2), np.float32), {}, 'n_clusters=3 is more than the 1 distinct rows'),
        (np.float32([[1, 2], [np.inf, 0]]), {}, "infinite values in .*'x\\[:, 0\\]'"),
        (np.float32([[1, 2], [2, 2]] * 9), {}, 'n_clusters=3 is more than the 2 distinct rows'),
    ],
)
def test_bad_data_is_told_in_the_words_of_the_call(
    points, options, match, refinement_passes, tmp_path
):
    options = options | {'refinement_passes': refinement_passes, 'name': 'zones'}
    with pytest.raises(Exception, match=match) as caught:
        fit(tmp_path, points, 3, **options)
    assert "kmeans_centroids(x, n_clusters=3, name='zones')" in str(caught.value)


@pytest.mark.parametrize('distance', reference.DISTANCES)
def test_centroids_from_elsewhere_are_taken_as_they_stand(distance):
    points, _, _ = reference.sample(0)
    centroids = graph.fit(points, 4, distance=distance).centroids.numpy()
    placed = tfx_kmeans.apply_kmeans(
        points, centroids, distance=distance, similarity=True, temperature=0.5
    )
    table = reference.distances(points, centroids, distance)
    np.testing.assert_array_equal(placed.ids, table.argmin(axis=1))
    expected = table.min(axis=1) if distance == 'cosine' else np.sqrt(table.min(axis=1))
    np.testing.assert_allclose(placed.distances, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(placed.similarity, axis=1), 1, rtol=1e-5)
    assert placed.all_distances is None


@pytest.mark.parametrize(
    ('x', 'options', 'match'),
    [
        (tf.zeros([2, 3]), {}, r'x has 3 columns \(x\[:, 0\], .*\) and centroids have 2'),
        (tf.zeros([2]), {}, r'x has 1 columns \(x\) and centroids have 2'),
        (POINTS, {'similarity': True}, 'temperature must be given'),
        (POINTS, {'temperature': 0}, 'temperature must be above 0, not 0'),
        (POINTS, {'distance': 'l1'}, "distance must be one of .* not 'l1'"),
    ],
)
def test_what_cannot_be_placed_is_told(x, options, match):
    with pytest.raises(ValueError, match=match):
        tfx_kmeans.apply_kmeans(x, tf.zeros([3, 2]), **options)


def test_rows_with_gaps_are_placed_by_what_is_observed_where_it_is_asked_for():
    points = [[0.0, np.nan], [np.nan, 9.0], [np.nan, np.nan]]
    centroids = [[1.0, 0.0], [9.0, 8.0]]
    found = tfx_kmeans.apply_kmeans(tf.constant(points), centroids, missing='partial')
    assert found.ids.numpy().tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.distances, [np.sqrt(2), np.sqrt(2), -1], rtol=1e-6)
    assert tfx_kmeans.apply_kmeans(tf.constant(points), centroids).ids.numpy().tolist() == [2] * 3


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        ({'missing': 'error'}, "missing must be 'drop' or 'partial', not 'error'"),
        ({'missing': 'ignore'}, "missing must be one of .* not 'ignore'"),
        ({'missing': 'partial', 'distance': 'cosine'}, "missing='partial' goes with distance="),
    ],
)
def test_other_ways_to_place_rows_with_gaps_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        tfx_kmeans.apply_kmeans(tf.constant([[0.0]]), [[1.0]], **options)


def test_another_distance_than_that_of_the_fit_is_refused(tmp_path):
    def preprocessing_fn(inputs):
        centroids = tfx_kmeans.kmeans_centroids(inputs['x'], 3, distance='cosine')
        return tfx_kmeans.apply_kmeans(
            inputs['x'], centroids, distance='squared_euclidean'
        )._asdict()

    with pytest.raises(ValueError, match="distance must be None or 'cosine', to which"):
        analysis.run(tmp_path, preprocessing_fn, {'x': reference.sample(0)[0]})


def cache_keys(**options):
    """The keys under which tf.Transform's cache holds what the analyzer has made of a span."""

    def preprocessing_fn(inputs):
        found = tfx_kmeans.kmeans_centroids(inputs['x'], **({'n_clusters': 3} | options))
        return {'centroids': analysis.repeat(found, inputs['x'])}

    specs = {'x': tf.TensorSpec([None, 2], tf.float32)}
    spans = {analyzer_cache.DatasetKey('span')}
    return analysis_graph_builder.get_analysis_cache_entry_keys(
        preprocessing_fn, specs, spans, force_tf_compat_v1=False
    )


def test_the_same_call_has_the_same_key_in_the_cache():
    assert len(cache_keys()) == 1
    assert cache_keys() == cache_keys()


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('n_clusters', 4),
        ('init', 'random'),
        ('init', [[0, 0], [1, 1], [2, 3]]),
        ('n_init', 2),
        ('max_iter', 20),
        ('tol', 1e-3),
        ('seed', 1),
        ('distance', 'cosine'),
        ('standardize', True),
        ('missing', 'drop'),
        ('sample_size', 500),
        ('name', 'zones'),
    ],
)
def test_every_parameter_changes_the_key_in_the_cache(option, value):
    assert not cache_keys() & cache_keys(**{option: value})


def test_refinement_is_not_cached():
    assert not cache_keys(refinement_passes=1)


def test_outside_a_preprocessing_fn_it_says_where_it_belongs():
    with pytest.raises(ValueError, match=r'inside a preprocessing_fn.*graph\.fit'):
        tfx_kmeans.kmeans_centroids(POINTS, 3)


# centroids on their way from the fit to the rows


def stretched(seed=0):
    """Rows of two columns of unequal scale, in which standardising changes the clusters."""
    points, _ = reference.blobs(seed, k=4)
    return points * np.float32([1, 1000])


WAYS_THAT_KEEP = {
    'identity': tf.identity,
    'stop_gradient': tf.stop_gradient,
    'ensure_shape': lambda centroids: tf.ensure_shape(centroids, [4, 2]),
    'twice': lambda centroids: tf.identity(tf.stop_gradient(centroids)),
}


@pytest.mark.parametrize('options', [{'standardize': True}, {'distance': 'cosine'}], ids=str)
def test_the_same_centroids_under_another_name_give_the_same_ids(options, tmp_path):
    def preprocessing_fn(inputs):
        x = inputs['x']
        centroids = tfx_kmeans.kmeans_centroids(x, 4, **options)
        ids = {'direct': tfx_kmeans.apply_kmeans(x, centroids).ids}
        for name, way in WAYS_THAT_KEEP.items():
            ids[name] = tfx_kmeans.apply_kmeans(x, way(centroids)).ids
        # with a captured tensor instead of an argument
        ids['captured'] = tf.function(
            lambda: tfx_kmeans.apply_kmeans(x, tf.identity(centroids)).distances
        )()
        ids['distances'] = tfx_kmeans.apply_kmeans(x, centroids).distances
        return ids

    points = stretched() + np.float32([20, 20000])
    features, _ = analysis.run(tmp_path, preprocessing_fn, {'x': points})
    assert len(set(features['direct'])) == 4
    for name in WAYS_THAT_KEEP:
        np.testing.assert_array_equal(features[name], features['direct'])
    np.testing.assert_array_equal(features['captured'], features['distances'])


WAYS_THAT_LOSE = {
    'part': lambda centroids: centroids[:3],
    'scaled': lambda centroids: centroids * 2,
    'reordered': lambda centroids: tf.gather(centroids, [1, 0, 3, 2]),
    'branch': lambda centroids: tf.cond(
        tf.reduce_sum(centroids) > 0, lambda: centroids + 1, lambda: centroids
    ),
}


@pytest.mark.parametrize('way', WAYS_THAT_LOSE)
@pytest.mark.parametrize(
    ('fit_options', 'options', 'message'),
    [
        ({'standardize': True}, {}, 'standardize=True'),
        ({'standardize': True}, {'distance': 'squared_euclidean'}, 'standardize=True'),
        ({'distance': 'cosine'}, {}, "distance='cosine'"),
    ],
)
def test_centroids_computed_from_a_fit_that_measured_in_another_way_are_refused(
    way, fit_options, options, message, tmp_path
):
    def preprocessing_fn(inputs):
        centroids = tfx_kmeans.kmeans_centroids(inputs['x'], 4, **fit_options)
        changed = WAYS_THAT_LOSE[way](centroids)
        return {'id': tfx_kmeans.apply_kmeans(inputs['x'], changed, **options).ids}

    with pytest.raises(ValueError, match=f'computed from those that .*{message}'):
        analysis.run(tmp_path, preprocessing_fn, {'x': stretched()})


def test_centroids_given_to_an_inner_function_are_refused_where_they_may_be_standardised(tmp_path):
    def preprocessing_fn(inputs):
        centroids = tfx_kmeans.kmeans_centroids(inputs['x'], 4, standardize=True)
        place = tf.function(lambda given: tfx_kmeans.apply_kmeans(inputs['x'], given).ids)
        return {'id': place(centroids)}

    with pytest.raises(ValueError, match=r'computed from those that .*standardize=True'):
        analysis.run(tmp_path, preprocessing_fn, {'x': stretched()})


def test_centroids_computed_from_a_fit_that_measured_alike_are_taken_as_they_stand(tmp_path):
    def preprocessing_fn(inputs):
        x = inputs['x']
        centroids = tfx_kmeans.kmeans_centroids(x, 4)
        directions = tfx_kmeans.kmeans_centroids(x, 4, distance='cosine', name='directions')
        reordered = tfx_kmeans.apply_kmeans(x, tf.gather(centroids, [3, 2, 1, 0])).ids
        other = tfx_kmeans.apply_kmeans(x, directions[::-1], distance='cosine').ids
        return {
            'id': tfx_kmeans.apply_kmeans(x, centroids).ids,
            'reordered': reordered,
            'direction': tfx_kmeans.apply_kmeans(x, directions).ids,
            'other': other,
            'constant': tfx_kmeans.apply_kmeans(x, tf.constant([[0.0, 0.0], [9e9, 9e9]])).ids,
        }

    features, _ = analysis.run(tmp_path, preprocessing_fn, {'x': stretched()})
    np.testing.assert_array_equal(features['reordered'], 3 - features['id'])
    np.testing.assert_array_equal(features['other'], 3 - features['direction'])
    assert set(features['constant']) == {0}
