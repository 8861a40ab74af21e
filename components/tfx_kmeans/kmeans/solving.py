"""Which solver a fit is made with: exact, streaming, or a callable from elsewhere."""

import importlib
import importlib.util
import sys

import tensorflow as tf
from absl import logging

from tfx_kmeans import graph
from tfx_kmeans.graph import calling
from tfx_kmeans.kmeans import progress, reading

SOLVERS = ('auto', 'lloyd', 'streaming')


def check_solver(name, value, weighted):
    """Checks a solver by its name, and the callable that it names if it can be imported here.

    Args:
        name: str, what messages call it.
        value: one of SOLVERS, or the import path 'module.callable'.
        weighted: bool, whether there will be weights.

    Raises:
        TypeError: it is no string, or no callable that graph.fit_callable can use.
        ValueError: it is neither one of SOLVERS nor such a path, or its package is installed here
            and has no such attribute.
    """
    if not isinstance(value, str):
        raise TypeError(f'{name} must be a string, not {value!r}')
    if value in SOLVERS:
        return
    parts = value.split('.')
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(
            f"{name} must be one of {SOLVERS} or the import path of a callable, 'module.callable', "
            f'not {value!r}'
        )
    # what is not installed here may be so where the executor runs
    if parts[0] in sys.modules or importlib.util.find_spec(parts[0]):
        load(name, value, weighted)


def load(name, path, weighted):
    """Imports the callable at `path`; see `check_solver` for arguments and errors."""
    module, _, attribute = path.rpartition('.')
    try:
        solver = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f'{name} {path!r} cannot be imported: {error}') from error
    calling.check_solver(solver, f'{name} {path!r}', weighted)
    return solver


def memory_budget(parameters):
    """Bytes above which rows are to be kept on disk; None where the solver needs all in memory."""
    return parameters.memory_budget if parameters.solver in ('auto', 'streaming') else None


def fit(rows, parameters, solver, n_clusters, initial=None):
    """Fits k-means to what was read.

    Args:
        rows: reading.Rows or reading.SpooledRows.
        parameters: settings.Settings.
        solver: what `choose` returned.
        n_clusters: int.
        initial: float32 `[n_clusters, d]`, centroids to start from in place of a seeding, or None.

    Returns:
        graph.FitResult.

    Raises:
        ValueError: the rows cannot be clustered.
    """
    options = {
        name: getattr(parameters, name)
        for name in ('init', 'n_init', 'max_iter', 'tol', 'seed', 'distance')
    }
    if initial is not None:
        options |= {'init': initial, 'n_init': 1}
    if solver == 'streaming':
        return graph.fit_dataset(
            _dataset(rows),
            n_clusters,
            search=parameters.search,
            on_iteration=progress.LoggedIterations(rows.shape[0]),
            **options,
        )
    if solver == 'lloyd':
        return graph.fit(
            rows.as_tensor(),
            n_clusters,
            weights=rows.weights,
            # what is to be dropped was not read
            missing='partial' if parameters.missing == 'partial' else 'error',
            search=parameters.search,
            on_iteration=progress.LoggedIterations(rows.shape[0]),
            **options,
        )
    return graph.fit_callable(
        rows.as_tensor(),
        n_clusters,
        load('solver', solver, rows.weights is not None),
        weights=rows.weights,
        **options,
    )


def choose(rows, parameters):
    """Returns the solver for rows that were read, and logs why where that was left to us."""
    if parameters.solver != 'auto':
        return parameters.solver
    solver = 'lloyd' if isinstance(rows, reading.Rows) else 'streaming'
    n_rows, width = rows.shape
    needed = reading.memory_of_fit(n_rows, width + bool(parameters.weight_feature))
    if parameters.missing == 'partial' and solver == 'streaming':
        raise ValueError(
            f"missing='partial': an exact fit to {n_rows} rows x {width} columns takes about "
            f'{needed / 1e9:.3g} GB of memory, above memory_budget='
            f'{parameters.memory_budget / 1e9:.3g} GB, and rows with missing values cannot be '
            "streamed: take engine='beam', raise memory_budget, or ask for solver='lloyd'"
        )
    logging.info(
        "solver='auto': %r, since an exact fit to %d rows x %d columns takes about %.3g GB of "
        'memory, %s memory_budget=%.3g GB',
        solver,
        n_rows,
        width,
        needed / 1e9,
        'within' if solver == 'lloyd' else 'above',
        parameters.memory_budget / 1e9,
    )
    return solver


def _dataset(rows):
    """Returns the blocks of `rows` as a tf.data.Dataset."""

    def blocks():
        for block, weights in rows.blocks():
            yield block if weights is None else (block, weights)

    spec = tf.TensorSpec([None, rows.shape[1]], tf.float32)
    if rows.weighted:
        spec = (spec, tf.TensorSpec([None], tf.float32))
    return tf.data.Dataset.from_generator(blocks, output_signature=spec)
