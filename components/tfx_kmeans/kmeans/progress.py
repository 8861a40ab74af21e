"""What a person sees of a fit: log lines while it runs, TensorBoard curves afterwards."""

import time

import tensorflow as tf
from absl import logging

_SECONDS_BETWEEN_LOGS = 2.0


class LoggedIterations:
    """Logs the iterations of a fit; give it to graph.fit as `on_iteration`.

    The first iteration of a run is always logged, the others not more often than every 2 seconds.
    """

    def __init__(self, n_rows):
        """Starts the clock; `n_rows` is the number of rows that each iteration goes over."""
        self._n_rows = n_rows
        self._time = time.monotonic()
        self._iteration = 0
        self._last_logged = float('-inf')

    def __call__(self, run, iteration, inertia):
        """Takes note of an iteration, 0 being the seeding."""
        now = time.monotonic()
        if iteration == 0:
            logging.info('Run %d: seeded, inertia %.6g', run, inertia)
            self._time, self._iteration = now, 0
            self._last_logged = float('-inf')
        elif now - self._last_logged > _SECONDS_BETWEEN_LOGS:
            passes = iteration - self._iteration
            rate = passes * self._n_rows / max(now - self._time, 1e-9)
            logging.info(
                'Run %d, iteration %d: inertia %.6g, %.3g rows/s', run, iteration, inertia, rate
            )
            self._time, self._iteration, self._last_logged = now, iteration, now


def log_result(clustering, limit='max_iter'):
    """Logs what a person wants to know of a fitted artifacts.Clustering; `limit` can end a fit."""
    weights = clustering.cluster_weights
    logging.info(
        'Fitted %d clusters in %d iterations: inertia %.6g (%.6g a row); weights from %.6g to %.6g',
        clustering.n_clusters,
        clustering.n_iter,
        clustering.inertia,
        clustering.inertia_per_row,
        min(weights),
        max(weights),
    )
    if not clustering.converged:
        logging.warning(
            'The fit was ended by %s=%d before it converged; the clusters are usable, a larger %s '
            'or tol would let it finish',
            limit,
            clustering.n_iter,
            limit,
        )
    if clustering.eval_weight:
        logging.info('Inertia on the eval split: %.6g a row', clustering.eval_inertia_per_row)


def write_tensorboard(directory, clustering, inertia_history):
    """Writes the inertia by iteration, the weights of the clusters, and scores by n_clusters.

    Args:
        directory: str.
        clustering: artifacts.Clustering.
        inertia_history: floats, the inertia of the seeding and after each iteration.
    """
    with tf.summary.create_file_writer(directory).as_default():
        for iteration, inertia in enumerate(inertia_history):
            tf.summary.scalar('inertia', inertia, step=iteration)
        tf.summary.histogram('cluster_weights', clustering.cluster_weights, step=clustering.n_iter)
        if clustering.eval_weight:
            inertia = clustering.eval_inertia_per_row
            tf.summary.scalar('eval_inertia_per_row', inertia, step=clustering.n_iter)
        for candidate in clustering.selection.table if clustering.selection else ():
            for name in ('inertia', 'silhouette', 'davies_bouldin', 'calinski_harabasz'):
                value = getattr(candidate, name)
                if value is not None:
                    tf.summary.scalar(f'by_n_clusters/{name}', value, step=candidate.n_clusters)
