"""Payloads that were damaged, put together from others, or made to do harm."""

import io
import itertools
import json
import struct
import zipfile

import numpy as np
import pytest

from support import damage
from tfx_kmeans import Clustering, Evaluation, report
from tfx_kmeans.errors import CentroidsError, EvaluationError

FILES = [(name, file) for name, (*_, files) in damage.PAYLOADS.items() for file in files]
SEEDS = range(2)


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('kind', damage.KINDS)
@pytest.mark.parametrize(('payload', 'file'), FILES)
def test_a_damaged_file_is_refused_or_read_as_what_was_written(tmp_path, payload, file, kind, seed):
    print(f'seed {seed}')
    refused, harmless = damage.survey(tmp_path, payload, file, kind, seed, times=15)
    assert refused + harmless == 15
    # white space, unused bits of a zip archive and bytes that were so already change nothing
    assert refused >= 3


@pytest.mark.parametrize('payload', damage.PAYLOADS)
def test_every_flipped_bit_of_the_numbers_is_found(tmp_path, payload):
    make, read, error, (_, file) = damage.PAYLOADS[payload]
    make().write(str(tmp_path))
    path = tmp_path / file
    if file.endswith('.npz'):
        # as stored, without compression, whose checksum would find them, too
        with np.load(path) as arrays:
            np.savez(path, **dict(arrays))
    content = path.read_bytes()
    values = getattr(make(), 'sample_points' if file.endswith('.npz') else 'centroids').tobytes()
    start = content.index(values)
    for place in range(start, start + len(values)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(error):
            read(str(tmp_path))
    path.write_bytes(content)
    assert damage.same(read(str(tmp_path)), make())


@pytest.mark.parametrize('payload', damage.PAYLOADS)
def test_every_changed_digit_in_the_json_is_found(tmp_path, payload):
    make, read, error, (file, _) = damage.PAYLOADS[payload]
    make().write(str(tmp_path))
    content = (tmp_path / file).read_text()
    places = [place for place, character in enumerate(content) if character.isdigit()]
    for place in places[:: max(1, len(places) // 60)]:
        digit = str((int(content[place]) + 1) % 10)
        (tmp_path / file).write_text(content[:place] + digit + content[place + 1 :])
        with pytest.raises(error):
            read(str(tmp_path))


@pytest.mark.parametrize(('payload', 'file'), FILES)
def test_a_file_of_another_payload_of_the_same_shapes_is_refused(tmp_path, payload, file):
    make, read, error, _ = damage.PAYLOADS[payload]
    for seed in (0, 1):
        made = make(seed)
        made.write(str(tmp_path / str(seed)))
    (tmp_path / '1' / file).rename(tmp_path / '0' / file)
    with pytest.raises(error, match='do not belong together'):
        read(str(tmp_path / '0'))


# JSON made to do harm: there is no digest in it, as whoever writes it can leave it out

HOSTILE = {
    'null': None,
    'true': True,
    'negative': -1,
    'fraction': 1.5,
    'whole as fraction': 1.0,
    'largest': 1.7e308,
    'least': 5e-324,
    '64 bits': 2**63 - 1,
    'more bits': 2**80,
    'text': '</script><img src=x onerror=alert(1)>',
    'surrogate': '\ud800',
    'nul': '\0',
    'nothing': '',
    'list': [],
    'object': {},
    'deep': [[[[[[[[[1]]]]]]]]],
    'many': [1] * 5000,
}


def places(value, path=()):
    """Yields the paths of all values within one of JSON, at most two of a list."""
    yield path
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else list(enumerate(value))[:2]
        for key, part in parts:
            yield from places(part, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


def hostile(directory, file, new):
    """Yields the path of each value in a JSON file after it has been replaced there."""
    fields = json.loads((directory / file).read_text())
    del fields['digest']
    for path in places(fields):
        (directory / file).write_text(json.dumps(replaced(fields, path, new)))
        yield path


@pytest.mark.parametrize('case', HOSTILE)
def test_a_clustering_with_a_hostile_value_anywhere_is_refused_or_can_be_used(tmp_path, case):
    damage.clustering().write(str(tmp_path))
    refused = 0
    for path in hostile(tmp_path, 'clustering.json', HOSTILE[case]):
        try:
            found = Clustering.read(str(tmp_path))
        except CentroidsError:
            refused += 1
            continue
        assert np.isfinite(found.points).all(), path
        assert len(found.column_names) == found.n_features
        assert '<img' not in report.render(found)
        found.write(str(tmp_path / 'again'))
        assert damage.same(Clustering.read(str(tmp_path / 'again')), found), path
    assert refused > 10


@pytest.mark.parametrize('case', HOSTILE)
def test_an_evaluation_with_a_hostile_value_anywhere_is_refused_or_can_be_shown(tmp_path, case):
    damage.evaluation().write(str(tmp_path))
    clustering = Clustering.from_array(np.eye(3)[:, :2], ['a', 'b'])
    refused = 0
    for path in hostile(tmp_path, 'evaluation.json', HOSTILE[case]):
        try:
            found = Evaluation.read(str(tmp_path))
        except EvaluationError:
            refused += 1
            continue
        assert isinstance(found.blessed, bool), path
        if found.clustering_fingerprint is None:
            assert '<img' not in report.render(clustering, found), path
    assert refused > 10


# arrays made to do harm


def npy(array, header=None):
    """The bytes of a NumPy file, with another header if one is given."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    if header is None:
        return buffer.getvalue()
    text = header.encode().ljust(117) + b'\n'
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text + array.tobytes()


def described(shape, descr="'<f4'", order=False):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


FLOATS = np.zeros((6, 3), np.float32)
HOSTILE_ARRAYS = {
    'pickle': npy(np.array([{}])),
    'structured': npy(FLOATS, described((6, 3), [('x', '<f4')])),
    'of structures with objects': npy(FLOATS, described((6, 3), [('x', '|O')])),
    'huge': npy(FLOATS, described((10**18, 10**18))),
    'negative': npy(FLOATS, described((-6, -3))),
    'boolean shape': npy(FLOATS[:1], described('(True, 3)')),
    'no width': npy(FLOATS, described((6, 3), "'V0'")),
    'text': npy(FLOATS, described((6, 3), "'<U1'")),
    'big-endian': npy(FLOATS, described((6, 3), "'>f4'")),
    'of another rank': npy(FLOATS, described((2, 3, 3))),
    'code': npy(FLOATS, "__import__('os').abort()"),
    'nested': npy(FLOATS, '(' * 100),
    'no dictionary': npy(FLOATS, '[1, 2]'),
    'long header': b'\x93NUMPY\x02\x00' + struct.pack('<I', 2**32 - 1) + b' ' * 1000,
    'next version': b'\x93NUMPY\x09\x00' + b' ' * 1000,
    'nan': npy(np.full((6, 3), np.nan, np.float32)),
    'infinite': npy(np.full((6, 3), np.inf, np.float32)),
    'nothing': b'',
    'magic alone': b'\x93NUMPY',
}


@pytest.mark.parametrize('digest', ['with a digest', 'without'])
@pytest.mark.parametrize('case', HOSTILE_ARRAYS)
def test_hostile_centroids_are_refused(tmp_path, case, digest):
    damage.clustering().write(str(tmp_path))
    (tmp_path / 'centroids.npy').write_bytes(HOSTILE_ARRAYS[case])
    if digest == 'without':
        drop_digest(tmp_path / 'clustering.json')
    with pytest.raises(CentroidsError, match=f'Centroids at {tmp_path}: '):
        Clustering.read(str(tmp_path))


@pytest.mark.parametrize('case', HOSTILE_ARRAYS)
def test_a_hostile_array_in_an_archive_is_refused(tmp_path, case):
    damage.evaluation().write(str(tmp_path))
    replace_member(tmp_path / 'evaluation.npz', 'example_distances.npy', HOSTILE_ARRAYS[case])
    drop_digest(tmp_path / 'evaluation.json')
    with pytest.raises(EvaluationError, match=f'ClusterEvaluation at {tmp_path}: '):
        Evaluation.read(str(tmp_path))


@pytest.mark.parametrize(
    'name', ['../../escaped.npy', '/escaped.npy', 'sample_ids.npy/', 'x' * 9999]
)
def test_a_member_of_a_hostile_name_is_refused_and_not_unpacked(tmp_path, name):
    damage.evaluation().write(str(tmp_path / 'payload'))
    replace_member(tmp_path / 'payload' / 'evaluation.npz', name, npy(FLOATS))
    drop_digest(tmp_path / 'payload' / 'evaluation.json')
    with pytest.raises(EvaluationError):
        Evaluation.read(str(tmp_path / 'payload'))
    left = {path.name for path in itertools.chain(tmp_path.iterdir(), tmp_path.parent.iterdir())}
    assert 'escaped.npy' not in left


def drop_digest(path):
    fields = json.loads(path.read_text())
    del fields['digest']
    path.write_text(json.dumps(fields))


def replace_member(path, name, content):
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for member, value in (members | {name: content}).items():
            archive.writestr(member, value)
