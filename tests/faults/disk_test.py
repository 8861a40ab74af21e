"""What a full disk leads to."""

import errno

import pytest

from support import faults

SPOOL = """
import numpy as np
from tfx_kmeans.kmeans import ordering, spooling
writer = spooling.SpoolWriter(4)
rows = ordering.sort_rows(np.random.default_rng(0).normal(size=(100_000, 4)).astype(np.float32))
try:
    for _ in range(2):
        writer.write_run(np.array_split(rows, 10))
    writer.finish()
except OSError as error:
    print(error.errno, error)
"""


@pytest.mark.parametrize(
    ('size', 'taken'),
    [('1m', 1_600_000), ('2m', 3_200_000), ('4m', 6_400_000)],
    ids=['in the first run', 'in the second run', 'while runs are merged'],
)
def test_a_full_directory_for_temporary_files_is_told_with_what_is_kept_there(
    size, taken, tmp_path
):
    done = faults.run_on_small_disk(tmp_path, size, SPOOL)
    if done is None:
        pytest.skip('no file system can be mounted here')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'{errno.ENOSPC} ')
    assert f'{str(tmp_path)!r}, is full: rows above memory_budget are kept there' in done.stdout
    assert f'take {taken} bytes' in done.stdout
    assert 'TMPDIR' in done.stdout
    assert not list(tmp_path.iterdir())
