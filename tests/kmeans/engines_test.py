import dataclasses

import numpy as np
import pytest
from absl import logging

from support import building
from tfx_kmeans.kmeans import engines, splits
from tfx_kmeans.kmeans.settings import Settings

SETTINGS = Settings(n_clusters=3)
WIDTH = 10_000  # of which 1,250 rows are more than 100 MB


@pytest.fixture
def examples(tmp_path):
    return building.write_examples(tmp_path / 'examples', {'train': [b'a' * 99], 'eval': []})


def write_many(directory, shards):
    """Examples of 3,000 records, which differ in length."""
    data = {'train': [b'a' * (50 + i % 100) for i in range(3000)], 'eval': []}
    return building.write_examples(directory / 'examples', data, shards)


def choose(examples, caplog, **changes):
    """The engine, and what is logged about it."""
    logging.set_verbosity(logging.INFO)
    logging.get_absl_logger().propagate = True
    with caplog.at_level('INFO'):
        chosen = engines.choose([examples], dataclasses.replace(SETTINGS, **changes), WIDTH)
    return chosen, caplog.text


def test_what_fits_into_the_memory_budget_is_fitted_in_this_process(examples, caplog):
    chosen, told = choose(examples, caplog)
    assert chosen == 'tensorflow'
    assert "'tensorflow', since an exact fit to split 'train', about 1 rows x 10000 columns" in told
    assert 'within memory_budget=4 GB' in told


@pytest.mark.parametrize('missing', ['error', 'drop', 'partial'])
@pytest.mark.parametrize('shards', [1, 4])
def test_what_takes_more_memory_is_for_beam(tmp_path, caplog, missing, shards):
    examples = write_many(tmp_path, shards)
    chosen, told = choose(examples, caplog, memory_budget=10**8, missing=missing)
    assert chosen == 'beam'
    assert 'about 3000 rows x 10000 columns, takes about 0.24 GB of memory, above' in told


def test_few_rows_of_large_files_are_not_many(tmp_path):
    rng = np.random.default_rng(0)
    data = {'train': [rng.bytes(10**5) for _ in range(100)]}
    examples = building.write_examples(tmp_path / 'examples', data)
    estimated = splits.estimate_count(splits.files(examples, 'train'))
    assert 80 <= estimated <= 120


@pytest.mark.parametrize(
    ('name', 'value'),
    [('file_format', 'FILE_FORMAT_PARQUET'), ('payload_format', 'FORMAT_PARQUET')],
)
def test_parquet_is_for_beam(examples, caplog, name, value):
    examples.set_string_custom_property(name, value)
    assert choose(examples, caplog)[0] == 'beam'
    assert 'does not read Parquet' in caplog.text


def test_solvers_that_beam_does_not_have_are_for_this_process(tmp_path, caplog):
    examples = write_many(tmp_path / 'many', 1)
    chosen, told = choose(examples, caplog, memory_budget=10**8, solver='streaming')
    assert chosen == 'tensorflow'
    assert "solver='streaming' runs in one process" in told


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_an_engine_that_is_named_is_taken(examples, caplog, engine):
    assert choose(examples, caplog, engine=engine) == (engine, '')
