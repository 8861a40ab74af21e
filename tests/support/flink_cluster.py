"""A standalone Flink cluster on loopback: a job manager and task managers, a process each."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

JOB_MANAGER = 'org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint'
TASK_MANAGER = 'org.apache.flink.runtime.taskexecutor.TaskManagerRunner'
# what Flink's own configuration opens of Java 17
OPENED = [
    f'--add-opens=java.base/{package}=ALL-UNNAMED'
    for package in (
        'java.lang',
        'java.lang.reflect',
        'java.net',
        'java.io',
        'java.nio',
        'java.text',
        'java.time',
        'java.util',
        'java.util.concurrent',
        'java.util.concurrent.atomic',
        'java.util.concurrent.locks',
        'sun.net.util',
        'sun.nio.ch',
    )
]
# of a task manager, all that Flink's own start script would work out
MEMORY = {
    'framework.heap.size': '128m',
    'framework.off-heap.size': '128m',
    'task.heap.size': '512m',
    'task.off-heap.size': '128m',
    'managed.size': '256m',
    'network.min': '256m',
    'network.max': '256m',
    'jvm-metaspace.size': '256m',
    'jvm-overhead.min': '192m',
    'jvm-overhead.max': '192m',
}
STARTS_WITHIN, PAUSE = 300, 0.2
_PR_SET_PDEATHSIG = 1


class FlinkCluster:
    """A cluster that runs while its `with` block does, and is gone after it, however it ends.

    Attributes:
        address: host:port of its REST interface, the --flink_master of Beam.
        task_managers: subprocess.Popen of each task manager, by its id.
        directory: where configuration, logs and temporary files are.
    """

    def __init__(self, lib, directory, task_managers=1, slots=1, **configuration):
        """Describes a cluster.

        Args:
            lib: pathlib.Path to the jars of Flink and of Beam's runner for it.
            directory: pathlib.Path to write to.
            task_managers: how many to start.
            slots: slots of each task manager, that is, tasks that run at once.
            **configuration: further entries of Flink's configuration, with _ for the dots and
                __ for a hyphen.
        """
        self.directory = directory
        self.task_managers = {}
        self._class_path = os.pathsep.join(str(jar) for jar in sorted(lib.iterdir()))
        self._n_task_managers, self._slots = task_managers, slots
        rpc, rest = free_ports(2)
        self.address = f'localhost:{rest}'
        changes = {
            key.replace('__', '-').replace('_', '.'): value for key, value in configuration.items()
        }
        self._configuration = {**self._defaults(rpc, rest), **changes}
        self._processes = []

    def _defaults(self, rpc, rest):
        return {
            'jobmanager.rpc.address': 'localhost',
            'jobmanager.rpc.port': rpc,
            'jobmanager.bind-host': '127.0.0.1',
            'rest.address': 'localhost',
            'rest.port': rest,
            'rest.bind-address': '127.0.0.1',
            'taskmanager.host': 'localhost',
            'taskmanager.bind-host': '127.0.0.1',
            'taskmanager.numberOfTaskSlots': self._slots,
            'taskmanager.cpu.cores': 1,
            **{f'taskmanager.memory.{name}': size for name, size in MEMORY.items()},
            # Beam keeps workers from one stage to the next only if its classes are Flink's own
            'classloader.resolve-order': 'parent-first',
            # there are some ten shuffles to a pass, of which each would take 512
            'taskmanager.network.sort-shuffle.min-buffers': 16,
            'cluster.evenly-spread-out-slots': 'true',
            'restart-strategy.type': 'none',
            # a dead task manager refuses two of them, a slow one is given its time
            'heartbeat.interval': 3000,
            'heartbeat.timeout': 50000,
            'pekko.startup-timeout': '120 s',
            'pekko.ask.timeout': '60 s',
            'web.timeout': 120000,
            'io.tmp.dirs': self.directory / 'tmp',
        }

    def __enter__(self):
        (self.directory / 'tmp').mkdir(parents=True)
        lines = [f'{key}: "{value}"\n' for key, value in self._configuration.items()]
        (self.directory / 'config.yaml').write_text(''.join(lines))
        with contextlib.ExitStack() as stack:
            stack.callback(self._stop)
            self._start('job-manager', JOB_MANAGER, '512m')
            for number in range(self._n_task_managers):
                self.start_task_manager(f'task-manager-{number}')
            self._wait(self._n_task_managers)
            self._running = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._running.close()

    def start_task_manager(self, name):
        """Starts a task manager with an id that has not been there."""
        option = f'-Dtaskmanager.resource-id={name}'
        self.task_managers[name] = self._start(name, TASK_MANAGER, '768m', option)

    def get(self, path):
        """What the REST interface has at a path."""
        with urllib.request.urlopen(f'http://{self.address}/{path}', timeout=10) as response:
            return json.load(response)

    def logs(self):
        """What all processes have logged."""
        return {path.stem: path.read_text() for path in self.directory.glob('*.log')}

    def _start(self, name, main_class, heap, *options):
        command = [
            'java',
            f'-Xmx{heap}',
            *OPENED,
            '-Dorg.slf4j.simpleLogger.showDateTime=true',
            '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
            f'-Djava.io.tmpdir={self.directory / "tmp"}',
            *('-cp', self._class_path, main_class, '--configDir', str(self.directory), *options),
        ]
        with open(self.directory / f'{name}.log', 'w') as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # so that its Beam workers end with it
                preexec_fn=_end_with_parent,
            )
        self._processes.append(process)
        return process

    def _wait(self, n_task_managers):
        end = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < end:
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(f'Flink did not start: {self._last_lines()}')
            with contextlib.suppress(OSError):
                if self.get('overview')['taskmanagers'] == n_task_managers:
                    return
            time.sleep(PAUSE)
        raise TimeoutError(f'Flink has not started in {STARTS_WITHIN} s: {self._last_lines()}')

    def _last_lines(self):
        return ''.join(f'\n{name}: {log[-1500:]}' for name, log in self.logs().items())

    def _stop(self):
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _end_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(n):
    """Ports of loopback that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(('127.0.0.1', 0))
        return [each.getsockname()[1] for each in sockets]
