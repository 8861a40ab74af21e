"""The payload of an artifact: a JSON file, and NumPy arrays in a file beside it.

The JSON file is written last and holds a digest of everything. So files of different artifacts, of
a rewrite that stopped halfway, and flipped bytes are found when the payload is read.
docs/payload_formats.md describes the files.
"""

import dataclasses
import functools
import hashlib
import io
import json
import math
import os
import pathlib
import zipfile

import jsonschema
import numpy as np

from tfx_kmeans import files

_MOST_LEVELS = 8  # of nesting; ours has five
_MOST_MESSAGE = 300  # characters of what jsonschema says: it quotes the value, of whatever size
_END_RECORD = 22  # bytes that a zip archive without a comment ends in
_VERSION, _DIGEST = 'format_version', 'digest'


class Payload:
    """The files of a payload: their names, their JSON Schema and their format.

    Attributes:
        json_name: str, of the JSON file.
        arrays_name: str, of the file of arrays.
    """

    def __init__(self, json_name, arrays_name, *, schema, format_version, error):
        """Makes one.

        Args:
            json_name: str, of the JSON file.
            arrays_name: str, of the file of arrays.
            schema: str, name of the schema's file beside this module.
            format_version: int, of the format that is written, and the highest that is read.
            error: class of the exception that tells what is wrong with the files.
        """
        self.json_name = json_name
        self.arrays_name = arrays_name
        self._schema = schema
        self._format_version = format_version
        self._error = error

    def check(self, fields):
        """Raises unless `fields` follow the schema and can be written as JSON.

        Args:
            fields: dict of JSON types, without those that `write` adds.
        """
        self._check({_VERSION: self._format_version, **fields})

    def write(self, directory, fields, arrays, content):
        """Writes both files into a directory, which is made if need be.

        Args:
            directory: str.
            fields: dict of JSON types, as for `check`.
            arrays: NumPy arrays by name.
            content: bytes of the file of arrays.
        """
        fields = {_VERSION: self._format_version, **fields}
        fields[_DIGEST] = digest(fields, arrays)
        path = os.path.join(directory, self.json_name)
        files.remove(path)  # arrays without it are no payload, with an old one they might pass
        files.write(os.path.join(directory, self.arrays_name), content)
        files.write(path, json.dumps(fields, indent=2, allow_nan=False).encode())

    def read_fields(self, directory):
        """Returns all fields in the JSON file, checked against the schema."""
        content = self._read(directory, self.json_name)
        try:
            fields = json.loads(
                content.decode('utf-8'),
                parse_constant=_refuse_constant,
                object_pairs_hook=_refuse_repeated,
            )
        except (ValueError, RecursionError) as error:  # of encoding, syntax, or nested too deeply
            raise self._error(f'{self.json_name} is not JSON: {error}') from error
        version = fields.get(_VERSION) if isinstance(fields, dict) else None
        if isinstance(version, int) and version > self._format_version:
            raise self._error(
                f'{self.json_name}: written by a newer tfx-kmeans: format {version}, this reads up '
                f'to {self._format_version}; upgrade tfx-kmeans here'
            )
        self._check(fields)
        return fields

    def read_array(self, directory):
        """Returns the one array in the file of arrays, a NumPy file."""
        content = self._read(directory, self.arrays_name)
        try:
            return _array(content)
        except Exception as error:  # NumPy evaluates the header: damaged ones raise many kinds
            raise self._error(f'{self.arrays_name} is no NumPy array: {error}') from error

    def read_arrays(self, directory, check):
        """Returns the arrays by name in the file of arrays, a zip archive of NumPy files.

        Args:
            directory: str.
            check: callable that takes arrays by name and raises if they are not as they should be.
                It is called before any is inflated, with arrays of the dtypes and shapes that are
                announced, which take no memory.
        """
        content = self._read(directory, self.arrays_name)
        try:
            if content[-_END_RECORD:][:4] != b'PK\x05\x06':
                raise ValueError('it is cut off, or bytes follow the archive')
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = _members(archive)
                check({n: _announced(archive, member) for n, member in members.items()})
                return {name: _array(archive.read(member)) for name, member in members.items()}
        except self._error:
            raise
        except Exception as error:  # of the archive, or of the header of an array: many kinds
            raise self._error(f'{self.arrays_name} holds no NumPy arrays: {error}') from error

    def parts(self, fields, arrays):
        """Returns `fields` without those that `write` added, with tuples for lists.

        Raises:
            The exception of this payload: the digest of both is not the one that was written. Of a
            payload from before there were digests nothing is said.
        """
        written = fields.get(_DIGEST)
        rest = {name: value for name, value in fields.items() if name != _DIGEST}
        if written not in (None, digest(rest, arrays)):
            raise self._error(
                f'{self.json_name} and {self.arrays_name} do not belong together, or one of them '
                f'was damaged or edited after it was written: their {_DIGEST} is not {written}; '
                'copy or write both files again'
            )
        del rest[_VERSION]  # a field that an older version did not write has its default
        return from_json(rest)

    def _read(self, directory, name):
        try:
            return files.read(os.path.join(directory, name))
        except ValueError as error:
            raise self._error(str(error)) from error

    def _check(self, fields):
        try:
            _check_extremes(fields, _MOST_LEVELS)
        except ValueError as error:
            raise self._error(f'{self.json_name}: {error}') from error
        error = jsonschema.exceptions.best_match(_validator(self._schema).iter_errors(fields))
        if error:
            place = '.'.join(str(part) for part in error.absolute_path) or 'the object'
            raise self._error(f'{self.json_name}: {place}: {_shortened(error.message)}')
        # what JSON cannot hold, NaN and infinity above all: the schema lets them pass
        for name, value in fields.items():
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise self._error(f'{self.json_name}: {name}: {error}') from error


def digest(fields, arrays):
    """Returns the SHA-256 of fields and arrays, 'sha256:' and 64 hexadecimal digits.

    Args:
        fields: dict of JSON types.
        arrays: NumPy arrays by name; dtype, shape and values count, how they lie in memory does
            not.
    """
    found = hashlib.sha256(json.dumps(fields, sort_keys=True, allow_nan=False).encode())
    for name in sorted(arrays):
        array = arrays[name].astype(arrays[name].dtype.newbyteorder('<'), copy=False)
        found.update(f'\n{name} {array.dtype.str} {list(array.shape)}\n'.encode())
        found.update(array.tobytes())
    return f'sha256:{found.hexdigest()}'


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


def _array(content):
    """Returns the array in the bytes of a NumPy file, in C order; raises many kinds."""
    stream = io.BytesIO(content)
    shape, is_fortran, dtype = _header(stream)
    size, rest = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if rest != size:
        raise ValueError(f'{rest} bytes follow the header, and an array of {shape} takes {size}')
    order = 'F' if is_fortran else 'C'
    return np.ndarray(shape, dtype, content, stream.tell(), order=order).copy('C')


def _header(stream):
    """Reads shape, whether in Fortran's order, and dtype from the beginning of a NumPy file."""
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):  # headers of later versions may be 4 GB, and plain arrays have none
        raise ValueError(f'its NumPy format is {version}, not (1, 0)')
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise ValueError('Object arrays cannot be loaded')
    return shape, is_fortran, dtype


def _members(archive):
    """Returns the members of a zip archive by name, without the suffix."""
    members = {member.filename.removesuffix('.npy'): member for member in archive.infolist()}
    if len(members) != len(archive.infolist()):
        raise ValueError('two of them have the same name')
    return members


def _announced(archive, member):
    """Returns an array without memory of the dtype and shape that a member's header tells."""
    with archive.open(member) as stream:
        shape, _, dtype = _header(stream)
    return np.broadcast_to(np.zeros((), dtype), shape)


@functools.cache
def _validator(schema):
    text = pathlib.Path(__file__).with_name(schema).read_text(encoding='utf-8')
    base = jsonschema.Draft202012Validator
    # JSON Schema takes 1.0 for an integer, Python does not
    checker = base.TYPE_CHECKER.redefine('integer', lambda _, value: _is_integer(value))
    return jsonschema.validators.extend(base, type_checker=checker)(json.loads(text))


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _check_extremes(value, levels):
    """Refuses what would overflow the stack or the numbers of whoever works with `value`."""
    if _is_integer(value) and not -(2**63) <= value < 2**63:
        raise ValueError('it holds an integer of more than 64 bits')
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple):
        if not levels:
            raise ValueError(f'it is nested more than {_MOST_LEVELS} levels deep')
        for part in parts:
            _check_extremes(part, levels - 1)


def _shortened(message):
    return message if len(message) <= _MOST_MESSAGE else f'{message[:_MOST_MESSAGE]}...'


def _refuse_constant(name):
    raise ValueError(f'{name} is no JSON number')


def _refuse_repeated(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in fields if names.count(name) > 1)
        raise ValueError(f'{repeated!r} is in it twice')
    return fields
