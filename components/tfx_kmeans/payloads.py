"""The JSON part of an artifact's payload: read, checked against its schema, and written."""

import dataclasses
import functools
import json
import os
import pathlib

import jsonschema
from tfx.dsl.io import fileio


class JsonFile:
    """A JSON object in a file of a fixed name, described by a JSON Schema of this package.

    Attributes:
        name: str, of the file.
    """

    def __init__(self, name, schema, error):
        """Makes one.

        Args:
            name: str, of the file.
            schema: str, name of the schema's file beside this module.
            error: class of the exception that tells what is wrong with the file.
        """
        self.name = name
        self._schema = schema
        self._error = error

    def check(self, fields):
        """Raises unless `fields` follow the schema and can be written as JSON."""
        error = jsonschema.exceptions.best_match(_validator(self._schema).iter_errors(fields))
        if error:
            place = '.'.join(str(part) for part in error.absolute_path) or 'the object'
            raise self._error(f'{self.name}: {place}: {error.message}')
        # what JSON cannot hold, NaN and infinity above all: the schema lets them pass
        for name, value in fields.items():
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise self._error(f'{self.name}: {name}: {error}') from error

    def write(self, directory, fields):
        """Writes `fields`, a dict of JSON types."""
        with fileio.open(os.path.join(directory, self.name), 'w') as file:
            file.write(json.dumps(fields, indent=2, allow_nan=False))

    def read(self, directory):
        """Returns the fields, checked against the schema."""
        content = self.read_bytes(os.path.join(directory, self.name))
        try:
            fields = json.loads(content.decode('utf-8'), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:  # of encoding, syntax, or nested too deeply
            raise self._error(f'{self.name} is not JSON: {error}') from error
        self.check(fields)
        return fields

    def read_bytes(self, path):
        """Returns what is in the file at `path`, this one or another of the payload."""
        if not fileio.exists(path):
            raise self._error(f'{os.path.basename(path)} is missing')
        with fileio.open(path, 'rb') as file:
            return file.read()


def as_json(value):
    """Turns tuples and dataclasses in `value` into the lists and objects that JSON has."""
    if dataclasses.is_dataclass(value):
        value = vars(value)
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    return [as_json(part) for part in value] if isinstance(value, tuple) else value


def from_json(value):
    """Turns the lists in `value` back into tuples."""
    if isinstance(value, dict):
        return {key: from_json(part) for key, part in value.items()}
    return tuple(from_json(part) for part in value) if isinstance(value, list) else value


@functools.cache
def _validator(schema):
    text = pathlib.Path(__file__).with_name(schema).read_text(encoding='utf-8')
    return jsonschema.Draft202012Validator(json.loads(text))


def _refuse_constant(name):
    raise ValueError(f'{name} is no JSON number')
