"""Python in processes of its own."""

import os
import pathlib
import subprocess
import sys
import textwrap


def run_python(code):
    """Runs `code` in a process of its own and returns what it prints."""
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3', 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=pathlib.Path(__file__).parent.parent,  # where the module `support` is
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
