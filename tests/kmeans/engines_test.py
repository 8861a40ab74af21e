import dataclasses

import pytest
import tensorflow as tf
from absl import logging

from support import building
from tfx_kmeans.kmeans import engines
from tfx_kmeans.kmeans.settings import Settings

SETTINGS = Settings(n_clusters=3)


@pytest.fixture
def examples(tmp_path):
    return building.write_examples(tmp_path / 'examples', {'train': [b'a' * 99], 'eval': []})


def choose(examples, caplog, **changes):
    """The engine, and what is logged about it."""
    logging.set_verbosity(logging.INFO)
    logging.get_absl_logger().propagate = True
    with caplog.at_level('INFO'):
        chosen = engines.choose([examples], dataclasses.replace(SETTINGS, **changes))
    return chosen, caplog.text


def test_what_fits_into_the_memory_budget_is_fitted_in_this_process(examples, caplog):
    chosen, told = choose(examples, caplog)
    assert chosen == 'tensorflow'
    assert "engine='auto': 'tensorflow', since the files of split 'train' have" in told
    assert 'within memory_budget=4 GB' in told


@pytest.mark.parametrize('missing', ['error', 'drop', 'partial'])
def test_larger_files_are_for_beam(examples, caplog, missing):
    (path,) = tf.io.gfile.glob(examples.uri + '/Split-train/*')
    with open(path, 'r+b') as file:
        file.truncate(10**8 + 1)  # a hole: it takes no room
    chosen, told = choose(examples, caplog, memory_budget=10**8, missing=missing)
    assert chosen == 'beam'
    assert 'have 0.1 GB, above memory_budget=0.1 GB' in told


@pytest.mark.parametrize(
    ('name', 'value'),
    [('file_format', 'FILE_FORMAT_PARQUET'), ('payload_format', 'FORMAT_PARQUET')],
)
def test_parquet_is_for_beam(examples, caplog, name, value):
    examples.set_string_custom_property(name, value)
    assert choose(examples, caplog)[0] == 'beam'
    assert 'does not read Parquet' in caplog.text


def test_solvers_that_beam_does_not_have_are_for_this_process(examples, caplog):
    (path,) = tf.io.gfile.glob(examples.uri + '/Split-train/*')
    with open(path, 'r+b') as file:
        file.truncate(10**8 + 1)
    chosen, told = choose(examples, caplog, memory_budget=10**8, solver='minibatch')
    assert chosen == 'tensorflow'
    assert "solver='minibatch' runs in one process" in told


@pytest.mark.parametrize('engine', ['tensorflow', 'beam'])
def test_an_engine_that_is_named_is_taken(examples, caplog, engine):
    assert choose(examples, caplog, engine=engine) == (engine, '')
