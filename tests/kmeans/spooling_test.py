import numpy as np
import pytest

from tfx_kmeans.kmeans import ordering, spooling


def spool(runs):
    writer = spooling.SpoolWriter(runs[0].shape[1])
    for run in runs:
        writer.write_run(np.array_split(ordering.sort_rows(run), 3))
    return writer.finish()


@pytest.mark.parametrize('piece_bytes', [1, 1000, 1 << 23])
@pytest.mark.parametrize('sizes', [(500,), (500, 1), (300, 700, 20, 450)])
def test_runs_are_merged_into_one_order(sizes, piece_bytes, monkeypatch):
    monkeypatch.setattr(spooling, '_MERGED_BYTES', piece_bytes)
    matrix = np.random.default_rng(0).normal(size=(sum(sizes), 3)).astype(np.float32)
    matrix[::5] = matrix[0]  # equal rows, in every run
    found = spool(np.split(matrix, np.cumsum(sizes)[:-1]))
    assert found.n_rows == len(matrix)
    np.testing.assert_array_equal(found.read(0, len(matrix)), ordering.sort_rows(matrix))


def test_any_range_of_rows_can_be_read_in_any_order():
    matrix = np.random.default_rng(0).normal(size=(1000, 5)).astype(np.float32)
    found = spool([matrix])
    rows = ordering.sort_rows(matrix)
    for start, stop in ((990, 2000), (0, 1), (400, 700), (1000, 1100)):
        np.testing.assert_array_equal(found.read(start, stop), rows[start:stop])


def test_a_file_that_was_cut_short_is_not_read_as_if_it_were_whole():
    found = spool([np.ones((1000, 5), np.float32)])
    found._file.truncate(5000)
    with pytest.raises(OSError, match='5000 of 20000 bytes read back'):
        found.read(0, 1000)
