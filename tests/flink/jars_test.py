import subprocess
import zipfile

import pytest

from support import flink_jars


def test_a_jar_that_is_not_the_pinned_one_is_refused(jars, tmp_path):
    for jar in jars[0].iterdir():
        (tmp_path / jar.name).symlink_to(jar)
    flink_jars.check(tmp_path)
    (tmp_path / 'flink-core-1.19.0.jar').unlink()
    (tmp_path / 'flink-core-1.19.0.jar').write_bytes(b'another')
    (tmp_path / 'gson-2.11.0.jar').unlink()
    with pytest.raises(
        RuntimeError, match=r'differ from .*: flink-core-1.19.0.jar, gson-2.11.0.jar'
    ):
        flink_jars.check(tmp_path)


def test_the_job_server_is_one_jar_that_starts_by_itself(jars):
    done = subprocess.run(
        ['java', '-jar', str(jars[1]), '--help'], capture_output=True, text=True, check=False
    )
    assert '--flink-master' in done.stdout + done.stderr
    with zipfile.ZipFile(jars[1]) as jar:
        registrars = jar.read(
            'META-INF/services/org.apache.beam.sdk.options.PipelineOptionsRegistrar'
        )
    assert b'FlinkRunnerRegistrar' in registrars


def test_a_machine_without_java_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(flink_jars.MissingError, match='there is no `java` on PATH'):
        flink_jars.fetch()
