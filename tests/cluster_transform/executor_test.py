import dataclasses
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.transform import executor as transform_executor
from tfx.types import standard_artifacts
from tfx.utils import json_utils, path_utils

from support import reference
from support.building import (
    N_CLUSTERS,
    artifacts,
    parse_examples,
    read_examples,
    run_kmeans,
    transform_outputs,
    write_examples,
)
from tfx_kmeans import Centroids, Clustering
from tfx_kmeans.artifacts import CLUSTERING_FILE
from tfx_kmeans.cluster_transform import executor
from tfx_kmeans.errors import CentroidsError

# run in a process of its own, as a server would: the graph is fed no label
SERVE = """
import sys
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
graph, files, output = sys.argv[1:]
transform_output = tft.TFTransformOutput(graph)
spec = transform_output.raw_feature_spec()
del spec['label']
serialized = tf.stack(list(tf.data.TFRecordDataset(tf.io.gfile.glob(files), 'GZIP')))
features = transform_output.transform_features_layer()(tf.io.parse_example(serialized, spec))
dense = {k: v.numpy() for k, v in features.items() if isinstance(v, tf.Tensor)}
dense = {k: v.astype('S') if v.dtype == object else v for k, v in dense.items()}  # no pickles
np.savez(output, **dense, names=sorted(features))
"""


def run(
    directory, raw, transform_graph, centroids, outputs=transform_outputs, cache=None, **properties
):
    """Runs the executor of ClusterTransform; returns its outputs, an artifact each."""
    examples, schema = raw
    inputs = {
        'examples': [examples],
        'schema': [schema],
        executor.UPSTREAM_KEY: [transform_graph],
        **{f'centroids_{i}' if i else 'centroids': [c] for i, c in enumerate(centroids)},
    }
    if cache:
        inputs['analyzer_cache'] = [cache]
    properties = {'emit': '["id", "distance"]', 'disable_statistics': 1, **properties}
    made = outputs(directory)
    executor.Executor().Do(inputs, made, properties)
    return {key: artifact for key, (artifact,) in made.items()}


@pytest.fixture(scope='module')
def clustered(raw, transformed, fitted, tmp_path_factory):
    """ClusterTransform without a second stage."""
    directory = tmp_path_factory.mktemp('cluster_transform')
    return run(directory, raw, transformed['transform_graph'], [fitted['centroids']])


def outputs_by_row(outputs, split):
    """Transformed examples in the order of x, which no two rows share."""
    data = parse_examples(outputs['transformed_examples'], split, outputs['transform_graph'])
    return {key: value[np.argsort(data['x'])] for key, value in data.items()}


def expected_ids(rows, clustering):
    points = np.stack([rows['x'], rows['y']], axis=1)
    distances = np.square(points[:, None] - clustering.centroids).sum(axis=2)
    placed = ~np.isnan(distances[:, 0])
    ids = np.where(placed, np.argmin(np.nan_to_num(distances), axis=1), clustering.n_clusters)
    return ids, np.where(placed, np.sqrt(distances.min(axis=1)), -1.0)


@pytest.mark.parametrize('split', ['train', 'eval'])
def test_upstream_features_are_unchanged_and_ids_and_distances_are_added(
    transformed, fitted, clustered, split
):
    before, after = outputs_by_row(transformed, split), outputs_by_row(clustered, split)
    assert set(after) - set(before) == {'cluster_id', 'cluster_distance'}
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
    ids, distances = expected_ids(after, Clustering.read(fitted['centroids'].uri))
    assert (ids == N_CLUSTERS).sum() == len(ids) // 50
    np.testing.assert_array_equal(after['cluster_id'], ids)
    np.testing.assert_allclose(after['cluster_distance'], distances, rtol=1e-4, atol=1e-4)


def test_a_link_where_transform_keeps_its_files_is_not_followed(raw, transformed, fitted, tmp_path):
    victim = tmp_path / 'victim'
    victim.mkdir()
    (victim / 'precious').write_text('kept')
    (tmp_path / 'transform_graph').mkdir()
    (tmp_path / 'transform_graph' / '.temp_path').symlink_to(victim)
    with pytest.raises(ValueError, match=r'\.temp_path is a symbolic link to .*victim, and is not'):
        run(tmp_path, raw, transformed['transform_graph'], [fitted['centroids']])
    assert [path.name for path in victim.iterdir()] == ['precious']


def test_sparse_upstream_features_stay_sparse(clustered):
    spec = tft.TFTransformOutput(clustered['transform_graph'].uri).transformed_feature_spec()
    assert isinstance(spec['tags'], tf.io.VarLenFeature)


def test_id_is_categorical_with_a_category_for_rows_without_a_place(clustered):
    output = tft.TFTransformOutput(clustered['transform_graph'].uri)
    assert output.num_buckets_for_transformed_feature('cluster_id') == N_CLUSTERS + 1
    domain = output.transformed_domains()['cluster_id']
    assert (domain.min, domain.max, domain.is_categorical) == (0, N_CLUSTERS, True)


def test_upstream_vocabularies_and_categories_survive(transformed, clustered):
    before = tft.TFTransformOutput(transformed['transform_graph'].uri)
    after = tft.TFTransformOutput(clustered['transform_graph'].uri)
    assert after.vocabulary_by_name('words') == before.vocabulary_by_name('words')
    assert after.vocabulary_size_by_name('words') == 3
    assert after.transformed_domains()['word_id'] == before.transformed_domains()['word_id']


def test_graph_without_a_label_gives_every_other_feature_in_a_fresh_process(
    raw, clustered, tmp_path
):
    examples, _ = raw
    files = examples.uri + '/Split-eval/*'
    command = [sys.executable, '-c', SERVE, clustered['transform_graph'].uri, files]
    output = tmp_path / 'served.npz'
    done = subprocess.run([*command, str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    served = np.load(output)
    expected = outputs_by_row(clustered, 'eval')
    assert set(served['names']) == {*expected, 'tags'} - {'label'}
    order = np.argsort(served['x'])
    for name in set(expected) - {'label'}:
        np.testing.assert_array_equal(served[name][order], expected[name])


def test_it_emits_what_it_is_asked_for_by_several_centroids(raw, transformed, fitted, tmp_path):
    other = run_kmeans(
        tmp_path, *transformed.values(), features='["pair"]', output_prefix='line', n_clusters=3
    )
    outputs = run(
        tmp_path / 'out',
        raw,
        transformed['transform_graph'],
        [fitted['centroids'], other['centroids']],
        emit='["id", "similarity", "distances"]',
    )
    rows = outputs_by_row(outputs, 'eval')
    assert 'cluster_distance' not in rows
    assert rows['line_distances'].shape == (100, 3)
    np.testing.assert_array_equal(np.argmin(rows['line_distances'], axis=1), rows['line_id'])
    placed = rows['cluster_id'] < N_CLUSTERS
    assert 0 < placed.sum() < len(placed)
    similarity = rows['cluster_similarity']
    np.testing.assert_allclose(similarity[placed].sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(np.argmax(similarity[placed], 1), rows['cluster_id'][placed])
    np.testing.assert_array_equal(similarity[~placed], 0.0)
    np.testing.assert_array_equal(rows['cluster_distances'][~placed], -1.0)


def test_second_stage_sees_clusters_and_may_analyse_by_them(raw, transformed, fitted, tmp_path):
    outputs = run(
        tmp_path,
        raw,
        transformed['transform_graph'],
        [fitted['centroids']],
        preprocessing_fn='support.preprocessing.by_cluster',
        custom_config=json_utils.dumps({'factor': 2.0}),
    )
    rows = outputs_by_row(outputs, 'train')
    assert set(rows) == {'x_in_cluster', 'cluster_id', 'x'}
    for cluster in range(N_CLUSTERS):
        members = rows['x'][rows['cluster_id'] == cluster]
        scaled = rows['x_in_cluster'][rows['cluster_id'] == cluster]
        expected = 2.0 * (members - members.mean()) / members.std()
        np.testing.assert_allclose(scaled, expected, rtol=1e-3, atol=1e-3)
    output = tft.TFTransformOutput(outputs['transform_graph'].uri)
    assert output.num_buckets_for_transformed_feature('cluster_id') == N_CLUSTERS + 1


def test_statistics_and_schemas_are_written_as_transform_writes_them(
    raw, transformed, fitted, tmp_path
):
    def with_statistics(directory):
        return transform_outputs(directory) | artifacts(
            directory,
            pre_transform_schema=standard_artifacts.Schema,
            pre_transform_stats=standard_artifacts.ExampleStatistics,
            post_transform_schema=standard_artifacts.Schema,
            post_transform_stats=standard_artifacts.ExampleStatistics,
            post_transform_anomalies=standard_artifacts.ExampleAnomalies,
        )

    graph, centroids = transformed['transform_graph'], [fitted['centroids']]
    outputs = run(tmp_path, raw, graph, centroids, with_statistics, disable_statistics=0)
    for artifact in outputs.values():
        assert tf.io.gfile.listdir(artifact.uri)


def rewritten(clustering, directory, **changes):
    """A Centroids artifact of `clustering` with some fields changed."""
    (made,) = artifacts(directory, centroids=Centroids)['centroids']
    dataclasses.replace(clustering, **changes).write(made.uri)
    return made


def test_rows_with_gaps_get_the_cluster_of_what_is_observed_in_partial_clusterings(
    raw, transformed, fitted, tmp_path
):
    clustering = Clustering.read(fitted['centroids'].uri)
    partial = rewritten(clustering, tmp_path, missing='partial')
    outputs = run(tmp_path / 'out', raw, transformed['transform_graph'], [partial])
    rows = outputs_by_row(outputs, 'eval')
    points = np.stack([rows['x'], rows['y']], axis=1)
    table = reference.distances(points, clustering.centroids)
    assert np.isnan(points).any()
    np.testing.assert_array_equal(rows['cluster_id'], table.argmin(axis=1))
    np.testing.assert_allclose(rows['cluster_distance'] ** 2, table.min(axis=1), atol=1e-4)


def test_similarity_to_clusters_from_elsewhere_needs_their_inertia(raw, transformed, tmp_path):
    foreign = rewritten(Clustering.from_array([[0, 0], [9, 9]], ['x', 'y']), tmp_path)
    with pytest.raises(ValueError, match='give inertia and cluster_weights'):
        run(
            tmp_path / 'out', raw, transformed['transform_graph'], [foreign],
            emit='["id", "similarity"]',
        )  # fmt: skip
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('emit', ['["magic"]', '[]', '"id"'])
def test_what_cannot_be_emitted_is_refused_at_run_time(raw, transformed, fitted, tmp_path, emit):
    with pytest.raises(ValueError, match=r'emit must name some of .*, not \['):
        run(tmp_path / 'out', raw, transformed['transform_graph'], [fitted['centroids']], emit=emit)
    assert not (tmp_path / 'out').exists()


MISFITS = {
    'two of a prefix': (
        [{}, {}],
        "'cluster_id' would have the name of one of other centroids; .* output_prefix",
    ),
    'taken name': (
        [{'output_prefix': 'word'}],
        "'word_id' would have the name of one of the transformed features",
    ),
    'unknown feature': (
        [{'feature_names': ('x', 'z')}],
        "fitted on 'z', which is not among the dense features",
    ),
    'sparse feature': ([{'feature_names': ('x', 'tags')}], "fitted on 'tags', which is not among"),
    'other width': (
        [{'feature_names': ('pair',), 'feature_widths': (2,)}, {'feature_names': ('x', 'pair')}],
        "fitted on 'pair' of 1 columns, which has 2",
    ),
}


@pytest.mark.parametrize('case', MISFITS)
def test_centroids_that_do_not_fit_are_refused_before_anything_is_written(
    raw, transformed, fitted, tmp_path, case
):
    changes, message = MISFITS[case]
    clustering = Clustering.read(fitted['centroids'].uri)
    prefixes = {'other width': ['first', 'second']}.get(case)
    centroids = []
    for i, change in enumerate(changes):
        change = {**change, 'output_prefix': prefixes[i]} if prefixes else change
        centroids.append(rewritten(clustering, tmp_path / f'in_{i}', **change))
    with pytest.raises(ValueError, match=message):
        run(tmp_path / 'out', raw, transformed['transform_graph'], centroids)
    assert not (tmp_path / 'out').exists()


def test_damaged_centroids_are_refused(raw, transformed, fitted, tmp_path):
    centroids = rewritten(Clustering.read(fitted['centroids'].uri), tmp_path)
    with open(f'{centroids.uri}/{CLUSTERING_FILE}', 'a') as file:
        file.write('}')
    with pytest.raises(CentroidsError, match='is not JSON'):
        run(tmp_path / 'out', raw, transformed['transform_graph'], [centroids])


def test_an_upstream_graph_of_tensorflow_1_is_refused(raw, fitted, tmp_path):
    examples, schema = raw
    upstream = transform_outputs(tmp_path / 'upstream')
    properties = {
        'preprocessing_fn': 'support.preprocessing.preprocessing_fn',
        'disable_statistics': 1,
        'force_tf_compat_v1': 1,
    }
    inputs = {'examples': [examples], 'schema': [schema]}
    transform_executor.Executor().Do(inputs, upstream, properties)
    (graph,) = upstream['transform_graph']
    with pytest.raises(ValueError, match='was exported with force_tf_compat_v1=True'):
        run(tmp_path / 'out', raw, graph, [fitted['centroids']])


def test_examples_are_all_there(raw, clustered):
    examples, _ = raw
    for split in ('train', 'eval'):
        written = read_examples(clustered['transformed_examples'], split)
        assert len(written) == len(read_examples(examples, split))


def test_ids_and_distances_are_those_of_the_model_of_kmeans(fitted, clustered):
    rows = outputs_by_row(clustered, 'eval')
    model = tf.saved_model.load(path_utils.serving_model_path(fitted['model'].uri))
    served = model.signatures['features'](x=tf.constant(rows['x']), y=tf.constant(rows['y']))
    for name in ('cluster_id', 'cluster_distance'):
        np.testing.assert_array_equal(rows[name], served[name])


def with_cache(directory):
    return transform_outputs(directory) | artifacts(
        directory, updated_analyzer_cache=standard_artifacts.TransformCache
    )


def with_words_in_other_order(transform_graph, directory):
    """A copy of a TransformGraph whose vocabulary has other contents."""
    shutil.copytree(transform_graph.uri, directory)
    other = standard_artifacts.TransformGraph()
    other.uri = str(directory)
    path = tft.TFTransformOutput(other.uri).vocabulary_file_by_name('words')
    with open(path) as file:
        words = file.readlines()
    with open(path, 'w') as file:
        file.writelines(reversed(words))
    return other


def test_analyzer_cache_is_used_and_not_under_another_upstream_vocabulary(
    raw, transformed, fitted, tmp_path
):
    examples, schema = raw
    records = {split: read_examples(examples, split) for split in ('train', 'eval')}
    raw = write_examples(tmp_path / 'raw', records), schema
    options = {
        'outputs': with_cache,
        'preprocessing_fn': 'support.preprocessing.mean_of_words',
    }
    graph, centroids = transformed['transform_graph'], [fitted['centroids']]
    first = run(tmp_path / 'first', raw, graph, centroids, **options)
    cache = first['updated_analyzer_cache']

    changed = with_words_in_other_order(graph, tmp_path / 'graph')
    second = run(tmp_path / 'second', raw, changed, centroids, cache=cache, **options)
    rows = outputs_by_row(second, 'train')
    assert (np.square(rows['number']).mean()) == pytest.approx(rows['mean'][0], rel=1e-6)

    # other rows in the same place: what was cached is recognised by its being out of date
    shutil.rmtree(tmp_path / 'raw')
    write_examples(tmp_path / 'raw', {**records, 'train': records['train'][:10]})
    third = run(tmp_path / 'third', raw, graph, centroids, cache=cache, **options)
    mean = outputs_by_row(first, 'train')['mean'][0]
    assert outputs_by_row(third, 'train')['mean'][0] == mean != pytest.approx(rows['mean'][0])


def test_a_schema_without_a_raw_feature_of_the_graph_is_refused(raw, transformed, fitted, tmp_path):
    examples, schema = raw
    with open(f'{schema.uri}/schema.pbtxt') as file:
        lines = [line for line in file if '"word"' not in line]
    smaller = standard_artifacts.Schema()
    smaller.uri = str(tmp_path)
    (tmp_path / 'schema.pbtxt').write_text(''.join(lines))
    with pytest.raises(ValueError, match=r"schema: the raw features \['word'\] of transform_graph"):
        run(
            tmp_path / 'out',
            (examples, smaller),
            transformed['transform_graph'],
            [fitted['centroids']],
        )
