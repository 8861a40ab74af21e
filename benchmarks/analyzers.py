"""kmeans_centroids in TFX's Transform: quality beside scikit-learn, speed, memory, and its cache.

    .venv-1.16/bin/python benchmarks/analyzers.py

Each data set is written as gzip TFRecord files of tf.Example and analysed by TFX's Transform on
Beam's local runner, in a process of its own whose base is its peak after a run on the first
thousand rows. scikit-learn fits the same rows, held in memory, from 10 seedings.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import processes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'pipelines'))

SEEDINGS = 10
ROWS = 1_000_000
SMALL_GROUP = 50
_REMOTE = 300.0


def taxi():
    """Coordinates of the taxi trips that the tfx wheel ships, in degrees: rows and k."""
    import local_runner

    with open(local_runner.DATA / 'data.csv') as file:
        names = file.readline().strip().split(',')
        wanted = [
            names.index(f'{end}_{angle}')
            for end in ('pickup', 'dropoff')
            for angle in ('latitude', 'longitude')
        ]
        cells = [line.rstrip('\n').split(',') for line in file]
    cells = [[row[i] for i in wanted] for row in cells]
    return np.array([row for row in cells if all(row)], np.float32), 24


def digits():
    """8 x 8 pictures of handwritten digits."""
    from sklearn import datasets

    return datasets.load_digits().data.astype(np.float32), 10


def clustered(n_clusters=50, width=16):
    """Overlapping round clusters of uneven size."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=2.0, size=(n_clusters, width))
    shares = rng.dirichlet(np.full(n_clusters, 2.0))
    rows = centres[rng.choice(n_clusters, ROWS, p=shares)] + rng.normal(size=(ROWS, width))
    return rows.astype(np.float32), n_clusters


def imbalanced(width=8):
    """19 large clusters, and one of 50 rows in a million, far from them."""
    rng = np.random.default_rng(1)
    centres = rng.normal(scale=5.0, size=(19, width))
    rows = centres[rng.integers(0, 19, ROWS)] + rng.normal(size=(ROWS, width))
    rows[:SMALL_GROUP] = _REMOTE + rng.normal(scale=0.5, size=(SMALL_GROUP, width))
    return rng.permutation(rows).astype(np.float32), 20


DATA = {'taxi': taxi, 'digits': digits, 'clustered': clustered, 'imbalanced': imbalanced}


def main():
    """Parses the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', choices=[*DATA, 'cache'], help='measure this alone, print JSON')
    only = parser.parse_args().only
    if only:
        print(json.dumps(measure_cache() if only == 'cache' else measure(only)))
        return
    print(f'{SEEDINGS} seedings; time and memory above the base are of the whole Transform\n')
    print('| data | rows x columns, k | seconds | rows/s | MB above base | inertia / sklearn |')
    print('|---|---|---|---|---|---|')
    for name in DATA:
        found = in_another_process(name)
        print(
            f'| {name} | {found["n"]:,} x {found["d"]}, {found["k"]} | {found["seconds"]:.1f} '
            f'| {found["n"] / found["seconds"]:,.0f} | {found["megabytes"]:.0f} '
            f'| {found["ratio"]:.4f} |',
            flush=True,
        )
        if name == 'imbalanced':
            print(f'\nThe cluster of {SMALL_GROUP} rows was found: {found["small_found"]}\n')
    found = in_another_process('cache')
    print(
        f'Two spans of {found["first"]:,} and {found["second"]:,} rows: {found["uncached"]:.1f} s '
        f'without cache, {found["cached"]:.1f} s with the first span in it '
        f'({found["cached"] / found["uncached"]:.0%}); centroids differ by '
        f'{found["difference"]:.1e} of the largest'
    )


def in_another_process(name):
    """Runs this script for one measurement."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', __file__, '--only', name],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(name):
    """Analyses one data set in this process and compares with scikit-learn."""
    from sklearn import cluster

    rows, k = DATA[name]()
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        small = write(root / 'small', rows[: max(1000, 2 * k)])
        large = write(root / 'large', rows)
        found = {'n': len(rows), 'd': rows.shape[1], 'k': k}
        del rows  # the process under measurement does not hold them
        run(root / 'small_output', [small], k, found['d'])
        base = processes.peak_megabytes()
        started = time.monotonic()
        graph = run(root / 'large_output', [large], k, found['d'])
        found['seconds'] = time.monotonic() - started
        found['megabytes'] = processes.peak_megabytes() - base
        centroids = read_centroids(graph, found['d'])
    rows, _ = DATA[name]()
    best = cluster.KMeans(k, n_init=SEEDINGS, random_state=0).fit(rows).inertia_
    found['ratio'] = math.fsum(assign(rows, centroids).distances.numpy()) / best
    if name == 'imbalanced':
        small = np.abs(rows - _REMOTE).max(axis=1) < _REMOTE / 2
        ids = assign(rows, centroids).ids.numpy()
        found['small_found'] = bool(np.array_equal(ids == ids[small.argmax()], small))
    return found


def measure_cache(first=2 * ROWS, second=ROWS // 5):
    """Times two spans with and without the cache of the first."""
    rows, k = clustered()
    width = rows.shape[1]
    rows = np.concatenate([rows, rows + 0.2, rows[:second] - 0.2])
    found = {'first': first, 'second': second}
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        spans = [write(root / '1', rows[:first]), write(root / '2', rows[first:])]
        cache = run(root / 'first', spans[:1], k, width, caching=True, wanted='cache')
        started = time.monotonic()
        uncached = run(root / 'uncached', spans, k, width, caching=True)
        found['uncached'] = time.monotonic() - started
        started = time.monotonic()
        cached = run(root / 'cached', spans, k, width, caching=True, cache=cache)
        found['cached'] = time.monotonic() - started
        cached, uncached = (read_centroids(graph, width) for graph in (cached, uncached))
    found['difference'] = float(np.abs(cached - uncached).max() / np.abs(uncached).max())
    return found


def write(root, rows, files=8):
    """Writes rows as the train split of an Examples artifact."""
    import synthetic_examples
    from tfx.types import standard_artifacts

    examples = standard_artifacts.Examples()
    examples.uri, examples.split_names = str(root), '["train"]'
    split = root / 'Split-train'
    split.mkdir(parents=True)
    for number, part in enumerate(np.array_split(rows, files)):
        with synthetic_examples.shard_writer(split, number) as writer:
            for start in range(0, len(part), synthetic_examples.BLOCK_ROWS):
                block = part[start : start + synthetic_examples.BLOCK_ROWS]
                synthetic_examples.write_rows(writer, block, ['x'])
    return examples


def run(root, examples, k, width, caching=False, cache=None, wanted='graph'):
    """Runs the executor of Transform, without materialising; returns an artifact it wrote."""
    from tfx.components.transform import executor
    from tfx.types import standard_artifacts

    schema = standard_artifacts.Schema()
    schema.uri = str(root / 'schema')
    (root / 'schema').mkdir(parents=True)
    (root / 'schema' / 'schema.pbtxt').write_text(
        'feature { name: "x" type: FLOAT presence { min_fraction: 1 } '
        f'shape {{ dim {{ size: {width} }} }} }}'
    )
    outputs = {'transform_graph': [standard_artifacts.TransformGraph()]}
    if caching:
        outputs['updated_analyzer_cache'] = [standard_artifacts.TransformCache()]
    for key, (artifact,) in outputs.items():
        artifact.uri = str(root / key)
    module = root / 'preprocessing.py'
    module.write_text(
        'import tensorflow as tf\nimport tfx_kmeans\n'
        'def preprocessing_fn(inputs):\n'
        f'    centroids = tfx_kmeans.kmeans_centroids(inputs["x"], {k})\n'
        '    id = tfx_kmeans.apply_kmeans(inputs["x"], centroids).ids\n'
        '    flat = tf.reshape(centroids, [1, -1])\n'
        '    return {"id": id, "centroids": tf.repeat(flat, tf.shape(id)[0], axis=0)}\n'
    )
    inputs = {'examples': examples, 'schema': [schema]}
    if cache:
        inputs['analyzer_cache'] = [cache]
    properties = {
        'module_file': str(module),
        'disable_statistics': 1,
        'splits_config': '{"analyze": ["train"], "transform": ["train"]}',
    }
    context = executor.Executor.Context(
        beam_pipeline_args=['--runner=DirectRunner'], tmp_dir=str(root / 'tmp'), unique_id='1'
    )
    executor.Executor(context).Do(inputs, outputs, properties)
    key = 'transform_graph' if wanted == 'graph' else 'updated_analyzer_cache'
    return outputs[key][0]


def read_centroids(graph, width):
    """Reads the centroids out of a transform graph: float32 `[k, width]`."""
    import tensorflow as tf
    import tensorflow_transform as tft

    layer = tft.TFTransformOutput(graph.uri).transform_features_layer()
    return layer({'x': tf.zeros([1, width])})['centroids'].numpy().reshape(-1, width)


def assign(rows, centroids):
    """Places rows among centroids."""
    from tfx_kmeans import graph

    return graph.assign(rows, centroids)


if __name__ == '__main__':
    main()
