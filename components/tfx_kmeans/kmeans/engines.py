"""Where a fit runs: in this process, or on the pipeline's Beam runner."""

from absl import logging

from tfx_kmeans.kmeans import beam_reading, reading, splits

ENGINES = ('auto', 'tensorflow', 'beam')


def choose(examples, parameters, width):
    """Returns the engine, 'tensorflow' or 'beam', and logs why where that was left to us.

    Args:
        examples: list of Examples artifacts.
        parameters: settings.Settings.
        width: int, columns of a row, a weight among them.
    """
    if parameters.engine != 'auto':
        return parameters.engine
    engine, reason = _choose(examples, parameters, width)
    logging.info("engine='auto': %r, since %s", engine, reason)
    return engine


def check(engine, solver):
    """Raises ValueError if `engine` cannot do what other parameters ask for."""
    if engine == 'beam' and solver not in ('auto', 'lloyd'):
        raise ValueError(
            f"engine='beam' goes with solver='auto' or 'lloyd', not {solver!r}, which runs in one "
            'process'
        )


def _choose(examples, parameters, width):
    if parameters.solver != 'auto':
        return 'tensorflow', f'solver={parameters.solver!r} runs in one process'
    if any(beam_reading.is_parquet(artifact) for artifact in examples):
        return 'beam', 'the other one does not read Parquet'
    paths = [path for each in examples for path in splits.files(each, parameters.train_split)]
    n_rows = splits.estimate_count(paths)
    needed = reading.memory_of_fit(n_rows, width)
    within = needed <= parameters.memory_budget
    return 'tensorflow' if within else 'beam', (
        f'an exact fit to split {parameters.train_split!r}, about {n_rows} rows x {width} columns, '
        f'takes about {needed / 1e9:.3g} GB of memory, {"within" if within else "above"} '
        f'memory_budget={parameters.memory_budget / 1e9:.3g} GB'
    )
