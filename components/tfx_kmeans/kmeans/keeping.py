"""Keeping clusters from one run to the next: where the fit starts, and who gets which number."""

import dataclasses

import numpy as np
from absl import logging
from tfx.types import artifact_utils

from tfx_kmeans import artifacts, graph, matching
from tfx_kmeans.beam import sampling


def read(previous_centroids):
    """Reads the clustering to continue.

    Args:
        previous_centroids: list of Centroids artifacts, or None: what the input resolved to.

    Returns:
        artifacts.Clustering, or None where there is no artifact.

    Raises:
        CentroidsError: the payload is missing or damaged.
        ValueError: there are several artifacts.
    """
    if not previous_centroids:
        logging.info('No previous_centroids: clusters are numbered by falling weight')
        return None
    if len(previous_centroids) > 1:
        uris = [artifact.uri for artifact in previous_centroids]
        raise ValueError(f'previous_centroids must be one artifact, not {len(uris)}: {uris}')
    uri = artifact_utils.get_single_uri(previous_centroids)
    previous = artifacts.Clustering.read(uri)
    logging.info('Continuing the %d clusters of %s', previous.n_clusters, uri)
    return previous


def check(previous, columns, parameters):
    """Checks that a fit can continue a clustering.

    Args:
        previous: artifacts.Clustering.
        columns: columns.Columns of the fit.
        parameters: settings.Settings of the fit.

    Raises:
        ValueError: features, distance or standardisation differ.
    """
    compared = {
        'features': (
            _features(previous.feature_names, previous.feature_widths),
            _features(columns.names, columns.widths),
        ),
        'distance': (previous.distance, parameters.distance),
        'standardize': (previous.standardization is not None, parameters.standardize),
    }
    differences = [
        f'{name} was {old} and is {new}' for name, (old, new) in compared.items() if old != new
    ]
    if differences:
        raise ValueError(
            f'previous_centroids cannot be continued: {"; ".join(differences)}. Keep these as they '
            'were, or leave previous_centroids out to begin anew'
        )


def _features(names, widths):
    return [f'{name}[{width}]' for name, width in zip(names, widths, strict=True)]


def start(previous, n_clusters, rows, parameters):
    """Centroids from which a fit that continues a clustering starts.

    Those there are, the heaviest first; what is lacking are rows drawn without replacement in
    proportion to weight times distance to the nearest of them.

    Args:
        previous: artifacts.Clustering.
        n_clusters: int.
        rows: reading.Rows or reading.SpooledRows, standardised like `previous`.
        parameters: settings.Settings.

    Returns:
        float32 `[n_clusters, d]`.
    """
    centroids = previous.centroids[heaviest(previous, n_clusters)]
    n_lacking = n_clusters - len(centroids)
    if not n_lacking:
        return centroids
    rng = np.random.default_rng(parameters.seed)
    drawn, keys = centroids[:0], np.zeros(0)
    for block, weights in rows.blocks():
        distances = _place(block, previous, parameters.missing).distances
        rates = np.nan_to_num(distances.numpy().astype(np.float64))
        rates *= 1 if weights is None else weights
        added = sampling.drawing_keys(rates, rng)
        drawn, keys = np.concatenate([drawn, block]), np.concatenate([keys, added])
        least = np.argsort(keys, kind='stable')[:n_lacking]
        drawn, keys = drawn[least], keys[least]
    drawn = np.where(np.isnan(drawn), previous.centroids.mean(axis=0), drawn)
    return np.concatenate([centroids, drawn])


def heaviest(previous, n_clusters):
    """Ids of the `n_clusters` heaviest clusters, or of all there are, by falling weight."""
    order = np.arange(previous.n_clusters)
    if previous.cluster_weights:
        order = np.argsort(-np.float64(previous.cluster_weights), kind='stable')
    return order[:n_clusters]


def renumber(clustering, previous, rows):
    """Gives clusters the numbers of those that they continue.

    Args:
        clustering: artifacts.Clustering of a fit, in any numbering.
        previous: artifacts.Clustering that it continues, in the same space.
        rows: the training rows, as in `start`.

    Returns:
        artifacts.Clustering with its `continuation`.
    """
    shape = (previous.n_clusters, clustering.n_clusters)
    overlap = np.zeros((shape[0] + 1, shape[1]))
    for block, weights in rows.blocks():
        old, new = (
            _place(block, placing, placing.missing).ids.numpy()
            for placing in (previous, clustering)
        )
        overlap += cross(old, new, weights, *shape)
    clustering = renumber_by(overlap, clustering, previous)
    log(clustering.continuation)
    return clustering


def cross(old, new, weights, n_old, n_new):
    """Counts rows by the cluster that they were in and the one that they are in.

    Args:
        old: int `[n]`, ids in the old clusters; n_old of a row that had no place.
        new: int `[n]`, ids in the new ones; a row without a place, n_new, does not count.
        weights: float `[n]`, or None to count each row once.
        n_old: int.
        n_new: int.

    Returns:
        float64 `[n_old + 1, n_new]`, their weight; those of parts of the rows add up.
    """
    shape = n_old + 1, n_new + 1
    table = np.bincount(old * shape[1] + new, weights, minlength=shape[0] * shape[1])
    return table.reshape(shape)[:, :-1].astype(np.float64)


def renumber_by(overlap, clustering, previous):
    """Does what `renumber` does, by what `cross` gives of all rows."""
    order = graph.canonical_order(clustering.centroids, clustering.cluster_weights).numpy()
    clustering, overlap = _reordered(clustering, order), overlap[:, order]
    distances = graph.pairwise_distances(
        previous.centroids, clustering.centroids, distance=clustering.distance
    ).numpy()
    # the last row is of those that had no place
    found = matching.match(distances, overlap[:-1])
    order = np.array(found.order)
    continuation = _continuation(
        previous, found, distances[:, order], overlap[:, order], clustering
    )
    return dataclasses.replace(_reordered(clustering, order), continuation=continuation)


def figures_of(continuation):
    """Returns the key figures of an artifacts.Continuation, floats by name."""
    movements = [moved for moved in continuation.movements if moved is not None]
    return {
        'changed_share': continuation.changed_share,
        'new_clusters': float(continuation.old_numbers.count(None)),
        'largest_movement': max(movements, default=0.0),
    }


def _reordered(clustering, order):
    return dataclasses.replace(
        clustering,
        centroids=clustering.centroids[order],
        cluster_weights=tuple(clustering.cluster_weights[cluster] for cluster in order),
    )


def _place(block, clustering, missing):
    return graph.assign(
        block,
        clustering.centroids,
        distance=clustering.distance,
        missing=artifacts.missing_when_placed(missing),
    )


def _continuation(previous, found, distances, overlap, clustering):
    """Returns artifacts.Continuation; `distances` and `overlap` are in the new numbering."""
    if clustering.distance == 'squared_euclidean':
        distances = np.sqrt(distances)
    totals = overlap.sum(axis=0)
    same = np.zeros(len(totals))
    n_kept = min(previous.n_clusters, len(totals))
    same[:n_kept] = np.diagonal(overlap)[:n_kept]
    changed = np.divide(totals - same, totals, out=np.zeros(len(totals)), where=totals > 0)
    return artifacts.Continuation(
        n_clusters=previous.n_clusters,
        old_numbers=found.old_numbers,
        movements=tuple(
            None if old is None else float(distances[old, number])
            for number, old in enumerate(found.old_numbers)
        ),
        changed_shares=tuple(changed.tolist()),
        changed_share=float((totals - same).sum() / totals.sum()),
    )


def log(continuation):
    """Logs the key figures of an artifacts.Continuation."""
    logging.info(
        '%.4g %% of the training rows are in another cluster than before; new clusters: %s; the '
        'others moved by up to %.4g',
        100 * continuation.changed_share,
        [number for number, old in enumerate(continuation.old_numbers) if old is None],
        figures_of(continuation)['largest_movement'],
    )
