import apache_beam as beam
import pytest

from tfx_kmeans.beam import RequireModules


def require(*modules):
    with beam.Pipeline() as pipeline:
        pipeline | RequireModules(*modules)


def test_modules_that_are_there_are_imported():
    require('tfx_kmeans', 'json.decoder')


def test_a_module_that_is_missing_is_named_with_what_to_do():
    with pytest.raises(ModuleNotFoundError, match=r"'no_such_module'.*--extra_package"):
        require('json', 'no_such_module')
