"""Processes that are killed, and file systems that are full."""

import os
import signal
import subprocess
import sys

# in a mount namespace of its own, so that nothing is left behind
_ON_FULL_DISK = 'mount -t tmpfs -o size={size} tmpfs "$1" && shift && exec "$@"'
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run_on_small_disk(directory, size, program, *arguments):
    """Runs a Python program for which `directory` is a file system of `size` bytes, and TMPDIR.

    Returns:
        subprocess.CompletedProcess; None where this machine lets nobody mount one.
    """
    mount = ['unshare', '--mount', 'sh', '-c', _ON_FULL_DISK.format(size=size), 'sh', directory]
    if subprocess.run([*mount, 'true'], capture_output=True, check=False).returncode:
        return None
    return subprocess.run(
        [*mount, sys.executable, '-c', program, *map(str, arguments)],
        env={**os.environ, 'TMPDIR': str(directory), 'PYTHONPATH': _python_path()},
        capture_output=True,
        text=True,
        check=False,
    )


def kill_after(seconds, program, *arguments, environment=None):
    """Runs a Python program, and kills it `seconds` after its first line of output.

    Returns:
        Whether it was still running.
    """
    process = subprocess.Popen(
        [sys.executable, '-c', program, *map(str, arguments)],
        env={**os.environ, 'PYTHONPATH': _python_path(), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline(), 'the program ended before it had begun'
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return True
    finally:
        process.wait()
        process.stdout.close()
    return False


def _python_path():
    return os.pathsep.join(filter(None, [TESTS, os.environ.get('PYTHONPATH')]))
