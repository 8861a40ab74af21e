"""Running a pipeline with its logs in a file and, on the console, what a person wants to see."""

import contextlib
import logging as standard_logging
import os
import re
import sys
import time

import locations


@contextlib.contextmanager
def console(log):
    """Gives the console; all else that this process prints, C++ parts included, goes to a file.

    Args:
        log: pathlib.Path of the file; the console is told where it is when something fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(sys.stdout.fileno()), 'w', buffering=1)
    print(f'Running the taxi pipeline; all that it logs is in {log}', file=terminal)
    with open(log, 'w') as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    try:
        yield terminal
    except BaseException as error:
        print(f'\nFailed: {error}\nThe log says more: {log}', file=terminal)
        raise


class _NodeTimes(standard_logging.Handler):
    """Shows on the console when a node begins and how long it took."""

    def __init__(self, terminal):
        super().__init__()
        self.seconds = {}
        self._terminal = terminal
        self._started = 0.0

    def emit(self, record):
        match = re.fullmatch(r'Component (\S+) is (running|finished)\.', record.getMessage())
        if not match:
            return
        node, state = match.groups()
        if state == 'running':
            self._started = time.monotonic()
            print(f'  {node:20}', end='', file=self._terminal, flush=True)
        else:
            self.seconds[node] = time.monotonic() - self._started
            print(f'{self.seconds[node]:6.1f} s', file=self._terminal)


def run(terminal, pipeline, **options):
    """Runs a pipeline.

    Args:
        terminal: what `console` gives.
        pipeline: tfx.dsl.Pipeline.
        **options: further arguments of LocalDagRunner.run.

    Returns:
        The seconds that each node took, by its id.
    """
    from absl import logging
    from tfx import v1 as tfx

    logging.set_verbosity(logging.INFO)
    times = _NodeTimes(terminal)
    logging.get_absl_logger().addHandler(times)
    try:
        tfx.orchestration.LocalDagRunner().run(pipeline, **options)
    finally:
        logging.get_absl_logger().removeHandler(times)
    return times.seconds


def latest(output):
    """Directory of the artifact that `Node/output` wrote last."""
    return newest_version(locations.OUTPUT / 'pipeline_root' / output)


def newest_version(directory):
    """The one of the directories in `directory` with the highest number for a name, a str."""
    return str(max(directory.iterdir(), key=lambda path: int(path.name)))
