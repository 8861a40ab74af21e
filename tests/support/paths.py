"""Every way that a fit can take, each forced, whatever the rows."""

import contextlib
import functools

import numpy as np
import pytest
import tensorflow as tf

from tfx_kmeans import graph
from tfx_kmeans.graph import blocks, lloyd, missing, seeding, summary, tracing

# what is traced with other sizes of blocks has a cache of its own
_traced_in_small_blocks = functools.lru_cache(maxsize=None)(tracing.traced.__wrapped__)


@contextlib.contextmanager
def _patched(module, **values):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(module, name, value)
        yield


def every_row():
    """No bounds: every row is compared in each iteration."""
    return _patched(lloyd, _FIRST_WAIT=1 << 30)


def bounds():
    """Bounds from the first iteration to the last, whatever they save."""
    return _patched(lloyd, _FIRST_WAIT=0, _OPERATIONS_OF_TRACING=0.0, _MOST_IN_DOUBT=2.0)


@contextlib.contextmanager
def small_blocks():
    """Blocks of seven rows, so that few rows make many of them."""
    with contextlib.ExitStack() as stack:
        sizes = {'_MIN_ROWS': 3, '_MAX_ROWS': 7, '_MAX_PRODUCT_ROWS': 7}
        stack.enter_context(_patched(blocks, **sizes))
        for module in (seeding, summary, missing):
            stack.enter_context(_patched(module, _ROWS_PER_BLOCK=7))
        stack.enter_context(_patched(seeding, _ROWS_PER_DRAW=4))
        stack.enter_context(_patched(tracing, traced=_traced_in_small_blocks))
        yield


def prepared_copy():
    """A centred and scaled copy of the points, even where they would do as they are."""
    return _patched(summary, _NEAR=-1.0)


def gaps():
    """The arithmetic for rows with gaps, even where no value is missing."""
    keep = missing.keep

    def pretend(*given):
        return keep(*given)._replace(whole=tf.constant(False))

    return _patched(missing, keep=pretend)


@contextlib.contextmanager
def all_of(contexts):
    """Enters several of the above."""
    with contextlib.ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context())
        yield


def by(*contexts, **settings):
    """Returns graph.fit in those contexts and with those settings."""

    def fit(points, k, **options):
        with all_of(contexts):
            return graph.fit(points, k, **settings, **options)

    return fit


def by_passes(points, k, *, weights=None, **options):
    """graph.fit_dataset on a stream of several batches, all rows of which are in the sample."""
    arrays = points if weights is None else (points, np.asarray(weights, np.float32))
    size = max(7, len(points) // 5)
    dataset = tf.data.Dataset.from_tensor_slices(arrays).batch(size)
    return graph.fit_dataset(dataset, k, batch_size=size, **options)


def from_a_sample(points, k, *, weights=None, **options):
    """graph.fit with a search on half of the rows."""
    n_rows = len(points) if weights is None else np.count_nonzero(weights)
    return graph.fit(points, k, weights=weights, init_size=max(k, n_rows // 2), **options)


# what forces a way through Lloyd's algorithm
FORCED = {
    'every row': [every_row],
    'bounds': [bounds],
    'small blocks': [every_row, small_blocks],
    'bounds in small blocks': [bounds, small_blocks],
    'prepared copy': [prepared_copy],
}
# from given centroids
SOLVERS = {
    **{name: by(*contexts) for name, contexts in FORCED.items()},
    'gaps': by(gaps, every_row, missing='partial'),
    'gaps with bounds': by(gaps, bounds, missing='partial'),
    'gaps in small blocks': by(gaps, bounds, small_blocks, missing='partial'),
    'passes': by_passes,
}
# from a seeding by name
SEARCHES = {
    'search on all rows': graph.fit,
    'search on a sample': from_a_sample,
    'search in small blocks': by(bounds, small_blocks, prepared_copy),
    'search on rows with gaps': by(gaps, missing='partial'),
    'search before passes': by_passes,
    'no search': by(search='none'),
}
EVERY_SOLVER = pytest.mark.parametrize('fit', SOLVERS.values(), ids=SOLVERS)
EVERY_SEARCH = pytest.mark.parametrize('fit', SEARCHES.values(), ids=SEARCHES)
EVERY_FORCE = pytest.mark.parametrize('forced', FORCED.values(), ids=FORCED)
