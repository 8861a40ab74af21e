"""As tests/faults/damage_test.py, as often as takes minutes, and anew in each run."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from support import clustering as runs
from support import damage

FILES = [(name, file) for name, (*_, files) in damage.PAYLOADS.items() for file in files]


def fresh_seed():
    """The seed of TFX_KMEANS_SEED, to run a test again, or a new one; it is printed."""
    seed = int(os.environ.get('TFX_KMEANS_SEED') or random.SystemRandom().getrandbits(32))
    print(f'TFX_KMEANS_SEED={seed}')
    return seed


@pytest.mark.parametrize('kind', damage.KINDS)
@pytest.mark.parametrize(('payload', 'file'), FILES)
def test_a_damaged_file_is_refused_or_read_as_what_was_written(tmp_path, payload, file, kind):
    refused, harmless = damage.survey(tmp_path, payload, file, kind, fresh_seed(), times=500)
    assert refused + harmless == 500
    assert refused > 200


WRITER = """
    import itertools, sys
    from support import damage
    made = [damage.PAYLOADS[sys.argv[1]][0](seed) for seed in (0, 1)]
    made[0].write(sys.argv[2])
    print('ready', flush=True)
    for number in itertools.count(1):
        made[number % 2].write(sys.argv[2])
"""


@pytest.mark.parametrize('payload', damage.PAYLOADS)
def test_a_writer_that_is_killed_leaves_one_payload_or_none(tmp_path, payload):
    generator = random.Random(fresh_seed())
    make, read, error, (json_name, _) = damage.PAYLOADS[payload]
    wholes = [make(seed) for seed in (0, 1)]
    for attempt in range(10):
        directory = tmp_path / str(attempt)
        writer = subprocess.Popen(
            [sys.executable, '-c', textwrap.dedent(WRITER), payload, str(directory)],
            stdout=subprocess.PIPE,
            cwd=runs.TESTS,
        )
        assert writer.stdout.readline() == b'ready\n'
        time.sleep(generator.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if (directory / json_name).exists():
            found = read(str(directory))
            assert any(damage.same(found, whole) for whole in wholes)
        else:
            with pytest.raises(error, match=f'{json_name} is missing'):
                read(str(directory))
        # and whoever comes next can write there
        wholes[0].write(str(directory))
        assert damage.same(read(str(directory)), wholes[0])
