"""What this process and all that it has started use, directly or not: read from /proc, on Linux."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

PAUSE = 0.5  # seconds between two looks at the memory
TICK = os.sysconf('SC_CLK_TCK')
# in the command lines of Beam's workers: of the local runner, and of others as processes
WORKERS = ('sdk_worker_main', 'tfx-kmeans-beam-worker')
# of /proc/PID/stat after the name of the command
_PARENT, _TIMES = 1, slice(11, 15)


def outcome(script, *arguments):
    """What a script, run in a process of its own, prints in its last line, JSON."""
    command = [sys.executable, '-W', 'ignore', script, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def core_seconds(without=()):
    """Seconds of processors that all of them have used, with those that have ended.

    Args:
        without: words; processes whose command lines have one of them are left out.
    """
    return sum(ticks for pid, ticks in _tree().items() if not _has(pid, without)) / TICK


class WorkerMemory:
    """Watches the memory of the workers below this process while its `with` block runs.

    Attributes:
        megabytes: peak of the worker whose peak is highest, to PAUSE seconds before its end; 0 if
            there was no worker.
    """

    def __init__(self):
        self.megabytes = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while True:
            over = self._over.wait(PAUSE)
            workers = [pid for pid in _tree() if _has(pid, WORKERS)]
            self.megabytes = max([self.megabytes, *map(peak_megabytes, workers)])
            if over:
                return


def others_seconds():
    """Seconds of processors that all the machine has used since it began, less this process's."""
    # of the line of all processors: user, nice, system; idle and waiting; irq, softirq, steal
    ticks = [int(field) for field in _read('', 'stat').split()[1:9]]
    return (sum(ticks) - sum(ticks[3:5])) / TICK - sum(os.times()[:2])


def peak_megabytes(pid='self'):
    """The most resident memory that a process has had so far, in 1e6 bytes; 0 of one that ended."""
    # not getrusage: its peak is also that of the process this one was started from
    found = re.search(r'VmHWM:\s+(\d+) kB', _read(pid, 'status'))
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def forget_peak():
    """Makes what this process has now its peak, so that the next one is that of what follows."""
    pathlib.Path('/proc/self/clear_refs').write_text('5')


def _has(pid, words):
    """Whether one of the words is in the command line of a process."""
    command = _read(pid, 'cmdline') if words else ''
    return any(word in command for word in words)


def _tree():
    """Ticks that a process and what it has waited for have used, by id: this one and all below."""
    children, ticks = {}, {}
    for path in pathlib.Path('/proc').glob('[0-9]*'):
        fields = _read(path.name, 'stat').rpartition(')')[2].split()
        if fields:
            pid = int(path.name)
            children.setdefault(int(fields[_PARENT]), []).append(pid)
            ticks[pid] = sum(map(int, fields[_TIMES]))
    found, ahead = {}, [os.getpid()]
    while ahead:
        pid = ahead.pop()
        found[pid] = ticks[pid]
        ahead += children.get(pid, [])
    return found


def _read(pid, name):
    """Text of a file of /proc; empty for a process that is no longer there."""
    with contextlib.suppress(OSError):
        return pathlib.Path('/proc', str(pid), name).read_text(errors='replace')
    return ''
