"""What the clusters are worth to the taxi model: AUC on the eval split over several seeds.

make demo
.venv-1.16/bin/python benchmarks/cluster_features_auc.py --seeds 5
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'pipelines'))

import locations
from demo import TRAIN_STEPS, latest
from taxi import comparison


def main():
    """Parses the arguments, trains, prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    if not locations.OUTPUT.exists():
        parser.error(f'{locations.OUTPUT} is not there: run `make demo` first')
    graph = latest('ClusterTransform/transform_graph')
    examples = latest('ClusterTransform/transformed_examples')
    print('| seed | with clusters | without | difference |\n|---|---|---|---|')
    rows = []
    for seed in seeds:
        row = [
            comparison.train_and_evaluate(graph, examples, with_clusters, seed, TRAIN_STEPS)
            for with_clusters in (True, False)
        ]
        rows.append(row)
        print(f'| {seed} | {row[0]:.4f} | {row[1]:.4f} | {row[0] - row[1]:+.4f} |', flush=True)
    mean = np.mean(rows, axis=0)
    print(f'| mean | {mean[0]:.4f} | {mean[1]:.4f} | {mean[0] - mean[1]:+.4f} |')


if __name__ == '__main__':
    main()
