"""Where a fit runs: in this process, or on the pipeline's Beam runner."""

import tensorflow as tf
from absl import logging

from tfx_kmeans.kmeans import beam_reading, records

ENGINES = ('auto', 'tensorflow', 'beam')


def choose(examples, parameters):
    """Returns the engine, 'tensorflow' or 'beam', and logs why where that was left to us.

    Args:
        examples: list of Examples artifacts.
        parameters: settings.Settings.
    """
    if parameters.engine != 'auto':
        return parameters.engine
    engine, reason = _choose(examples, parameters)
    logging.info("engine='auto': %r, since %s", engine, reason)
    return engine


def check(engine, solver):
    """Raises ValueError if `engine` cannot do what other parameters ask for."""
    if engine == 'beam' and solver not in ('auto', 'lloyd'):
        raise ValueError(
            f"engine='beam' goes with solver='auto' or 'lloyd', not {solver!r}, which runs in one "
            'process'
        )


def _choose(examples, parameters):
    if parameters.solver != 'auto':
        return 'tensorflow', f'solver={parameters.solver!r} runs in one process'
    if any(beam_reading.is_parquet(artifact) for artifact in examples):
        return 'beam', 'the other one does not read Parquet'
    size, split = _bytes(examples, parameters.train_split), parameters.train_split
    within = size <= parameters.memory_budget
    return 'tensorflow' if within else 'beam', (
        f'the files of split {split!r} have {size / 1e9:.3g} GB, '
        f'{"within" if within else "above"} memory_budget={parameters.memory_budget / 1e9:.3g} GB'
    )


def _bytes(examples, split):
    paths = [path for artifact in examples for path in records.files(artifact, split)]
    return sum(tf.io.gfile.stat(path).length for path in paths)
