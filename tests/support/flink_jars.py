"""The jars of Flink and of Beam's job server: from Maven, checked, kept in the user's cache."""

import fcntl
import hashlib
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import zipfile

HERE = pathlib.Path(__file__).parent.parent / 'flink'
POM, CHECKSUMS = HERE / 'pom.xml', HERE / 'jars.sha256'
COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'
MAIN_CLASS = 'org.apache.beam.runners.flink.FlinkJobServerDriver'
MANIFEST = f'Manifest-Version: 1.0\nMain-Class: {MAIN_CLASS}\n\n'


class MissingError(Exception):
    """What this machine lacks to run Flink."""


def beam_version():
    """The version of Beam that the jars are for."""
    return re.search('<beam.version>(.*)</', POM.read_text())[1]


def flink_version():
    """The version of Flink that the jars are."""
    return re.search('<flink.version>(.*)</', POM.read_text())[1]


def fetch():
    """Returns the directory of the jars, and the job server as one jar.

    Raises:
        MissingError: there is no Java, no Maven, or no jars for the installed version of Beam.
        RuntimeError: Maven failed, or a jar is not the one that is pinned.
    """
    for command in ('java', 'mvn'):
        if not shutil.which(command):
            raise MissingError(f'there is no `{command}` on PATH')
    installed = importlib.metadata.version('apache-beam')
    if installed != beam_version():
        raise MissingError(
            f'{POM.name} pins the jars of Beam {beam_version()}; {installed} is installed'
        )
    key = hashlib.sha256(POM.read_bytes() + CHECKSUMS.read_bytes()).hexdigest()[:12]
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    directory = cache / 'tfx-kmeans' / f'flink-{key}'
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.with_suffix('.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            _make(directory)
    return directory / 'lib', directory / 'job-server.jar'


def _make(directory):
    with tempfile.TemporaryDirectory(prefix='flink-', dir=directory.parent) as temporary:
        made = pathlib.Path(temporary) / 'made'
        command = ['mvn', '--batch-mode', '--quiet', f'--file={POM}', COPY]
        options = [f'-DoutputDirectory={made / "lib"}', '-DincludeScope=runtime']
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f'Maven could not get the jars of {POM}:\n{done.stdout[-3000:]}')
        check(made / 'lib')
        merge(sorted((made / 'lib').iterdir()), made / 'job-server.jar')
        made.rename(directory)


def check(directory):
    """Checks that the jars in a directory are those that are pinned, and no others."""
    pinned = dict(reversed(line.split()) for line in CHECKSUMS.read_text().splitlines())
    found = {path.name: _sha256(path) for path in directory.iterdir()}
    wrong = sorted(name for name in pinned | found if pinned.get(name) != found.get(name))
    if wrong:
        raise RuntimeError(f'these jars differ from {CHECKSUMS}: {", ".join(wrong)}')


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def merge(jars, path):
    """Writes one jar of many, as Beam publishes its job servers: service files put together."""
    services, seen = {}, {'META-INF/MANIFEST.MF'}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as merged:
        merged.writestr('META-INF/MANIFEST.MF', MANIFEST)
        for jar in jars:
            with zipfile.ZipFile(jar) as source:
                for name in source.namelist():
                    if name.startswith('META-INF/services/') and not name.endswith('/'):
                        services.setdefault(name, []).append(source.read(name).decode().strip())
                    elif name not in seen and not _is_left_out(name):
                        seen.add(name)
                        merged.writestr(name, source.read(name))
        for name, providers in services.items():
            merged.writestr(name, '\n'.join(providers) + '\n')


def _is_left_out(name):
    """Whether an entry is a folder, or a signature or a module's declaration that holds no more."""
    return name.endswith(('/', '.SF', '.DSA', '.RSA', 'module-info.class'))
