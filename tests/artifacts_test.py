import dataclasses
import json
import pathlib

import jsonschema
import numpy as np
import pytest

import tfx_kmeans
from tfx_kmeans import artifacts, files
from tfx_kmeans.errors import CentroidsError

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SCHEMA = REPOSITORY / 'schemas' / 'clustering.schema.json'


def make(**changes):
    fields = {
        'centroids': np.array([[0, 1, 2], [3, 4, 5]], np.float32),
        'feature_names': ('a', 'b'),
        'feature_widths': (1, 2),
        'cluster_weights': (7.0, 3.0),
        'inertia': 5.0,
        'n_iter': 4,
        'seed': 0,
        'missing': 'partial',
        'standardization': artifacts.Standardization((0.0, 1.0, 2.0), (1.0, 2.0, 3.0)),
        'eval_weight': 4.0,
        'eval_inertia': 3.0,
        'inertia_history': (9.0, 5.0),
        'selection': artifacts.Selection(
            'silhouette',
            (
                artifacts.Candidate(1, 9.0, 1, True, None, None, None),
                artifacts.Candidate(2, 5.0, 4, False, 0.5, 0.25, 8.0),
            ),
        ),
        'continuation': artifacts.Continuation(3, (0, None), (0.5, None), (0.25, 1.0), 0.475),
        'fit_missing': 'partial',
    }
    return artifacts.Clustering(**(fields | changes))


def test_what_is_written_is_read_back(tmp_path):
    clustering = make()
    clustering.write(str(tmp_path))
    read = artifacts.Clustering.read(str(tmp_path))
    np.testing.assert_array_equal(read.centroids, clustering.centroids)
    for field in dataclasses.fields(artifacts.Clustering)[1:]:
        assert getattr(read, field.name) == getattr(clustering, field.name)


def test_written_json_follows_the_published_schema(tmp_path):
    make().write(str(tmp_path))
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(json.loads((tmp_path / 'clustering.json').read_text()), schema)
    fields = {field.name for field in dataclasses.fields(artifacts.Clustering)}
    assert set(schema['properties']) == fields - {'centroids'} | {'format_version', 'digest'}
    added = {
        'missing',
        'inertia_history',
        'selection',
        'continuation',
        'fit_missing',
        'digest',
    }  # since the first payloads were written
    assert set(schema['required']) == set(schema['properties']) - added


def test_published_schema_is_the_one_the_package_reads():
    packaged = pathlib.Path(artifacts.__file__).with_name('clustering.schema.json')
    assert SCHEMA.read_bytes() == packaged.read_bytes()


def test_figures_per_row():
    assert make().inertia_per_row == 0.5
    assert make().eval_inertia_per_row == 0.75
    assert make(eval_weight=0.0, eval_inertia=0.0).eval_inertia_per_row is None


def test_kubeflow_can_import_the_type_by_its_name():
    module, name = artifacts.Centroids.TYPE_NAME.split('.')
    assert getattr(__import__(module), name) is tfx_kmeans.Centroids is artifacts.Centroids


NAN = np.array([[0, 1, 2], [3, np.nan, 5]], np.float32)
WRONG_PARTS = {
    'float64': ({'centroids': np.zeros((2, 3))}, 'must be a float32 array, not float64'),
    'list': ({'centroids': [[0.0]]}, 'must be a float32 array, not list'),
    'rank': ({'centroids': np.zeros(3, np.float32)}, r'shape \[n_clusters, n_features\], not \(3,'),
    'none': ({'centroids': np.zeros((0, 3), np.float32)}, r'not \(0, 3\)'),
    'nan': ({'centroids': NAN}, 'NaN or infinite'),
    'nan figure': ({'inertia': float('nan')}, 'inertia: Out of range'),
    'infinite figure': ({'eval_inertia': float('inf')}, 'eval_inertia: Out of range'),
    'nan mean': (
        {'standardization': artifacts.Standardization((0.0, float('nan'), 0.0), (1.0,) * 3)},
        'standardization: Out of range',
    ),
    'numpy figure': ({'inertia': np.float32(5)}, 'inertia: .* float32 is not JSON serializable'),
    'weights': ({'cluster_weights': (1.0,)}, 'cluster_weights is 1 and should be 2'),
    'negative weight': ({'cluster_weights': (1.0, -1.0)}, r'cluster_weights.1: -1.0 is less than'),
    'widths': ({'feature_widths': (1, 1)}, 'sum of feature_widths is 2 and should be 3'),
    'names': ({'feature_names': ('a',)}, 'feature_widths is 2 and should be 1'),
    'twice': ({'feature_names': ('a', 'a')}, 'feature_names: .* non-unique'),
    'distance': ({'distance': 'manhattan'}, "distance: 'manhattan' is not one of"),
    'missing': ({'missing': 'error'}, "missing: 'error' is not one of"),
    'partial cosine': ({'distance': 'cosine'}, "missing: 'partial' is not for the cosine distance"),
    'scale': (
        {'standardization': artifacts.Standardization((0.0,), (1.0,))},
        'mean is 1 and should be 3',
    ),
    'continuation': (
        {'continuation': artifacts.Continuation(3, (0,), (0.5,), (0.0,), 0.0)},
        'continuation.old_numbers is 1 and should be 2',
    ),
    'selection': (
        {
            'selection': artifacts.Selection(
                'elbow', (artifacts.Candidate(3, 9.0, 1, True, None, None, None),)
            )
        },
        r'selection.table has \[3\] clusters, and centroids are 2',
    ),
    'criterion': (
        {'selection': artifacts.Selection('best', ())},
        "selection.criterion: 'best' is not one of",
    ),
    'zero scale': (
        {'standardization': artifacts.Standardization((0.0,) * 3, (0.0,) * 3)},
        'standardization',
    ),
    'scale below float32': (
        {'standardization': artifacts.Standardization((0.0,) * 3, (1.0, 1e-40, 1.0))},
        r"standardization.scale of column 'b\[0\]' is 1e-40, which is beyond the range of float32",
    ),
    'mean beyond float32': (
        {'standardization': artifacts.Standardization((0.0, 0.0, -1e39), (1.0,) * 3)},
        r"standardization.mean of column 'b\[1\]' is -1e\+39",
    ),
    'fit_missing': ({'fit_missing': 'fill'}, "fit_missing: 'fill' is not one of"),
    'float width': ({'feature_widths': (1.0, 2)}, "feature_widths.0: 1.0 is not of type 'integer'"),
    'bool width': ({'feature_widths': (True, 2)}, 'feature_widths.0: True is not of type'),
    'large seed': ({'seed': 2**64}, 'an integer of more than 64 bits'),
    'sum of weights': ({'cluster_weights': (1e308, 1e308)}, 'cluster_weights add up to infinity'),
}


@pytest.mark.parametrize('case', WRONG_PARTS)
def test_parts_that_do_not_fit_are_refused(case):
    changes, message = WRONG_PARTS[case]
    with pytest.raises(CentroidsError, match=message):
        make(**changes)


def test_a_payload_from_before_missing_values_could_be_placed_leaves_them_without_a_place(
    tmp_path,
):
    make().write(str(tmp_path))
    edit_json(tmp_path, missing='DELETE', fit_missing='DELETE', digest='DELETE')
    assert artifacts.Clustering.read(str(tmp_path)).missing == 'drop'


def test_a_payload_from_before_clusters_were_chosen_and_continued_is_read(tmp_path):
    make().write(str(tmp_path))
    edit_json(tmp_path, selection='DELETE', continuation='DELETE', digest='DELETE')
    read = artifacts.Clustering.read(str(tmp_path))
    assert (read.selection, read.continuation) == (None, None)


# centroids from elsewhere


def test_an_array_is_a_clustering_of_which_nothing_else_is_known(tmp_path):
    made = artifacts.Clustering.from_array([[1, 2], [3, 4], [5, 6]], ['a', 'b'])
    made.write(str(tmp_path))
    read = artifacts.Clustering.read(str(tmp_path))
    np.testing.assert_array_equal(read.centroids, [[1, 2], [3, 4], [5, 6]])
    assert read.centroids.dtype == np.float32
    assert (read.feature_names, read.feature_widths) == (('a', 'b'), (1, 1))
    assert (read.output_prefix, read.distance, read.missing) == (
        'cluster', 'squared_euclidean', 'drop',
    )  # fmt: skip
    unknown = (read.cluster_weights, read.inertia, read.n_iter, read.seed, read.converged)
    assert unknown == (None,) * 5
    assert (read.total_weight, read.inertia_per_row, read.eval_inertia_per_row) == (None,) * 3


def test_what_is_known_of_an_array_is_kept(tmp_path):
    made = artifacts.Clustering.from_array(
        np.eye(3)[:2],
        ['a', 'b'],
        np.array([1, 2]),
        output_prefix='zone',
        standardization=artifacts.Standardization(np.arange(3), np.ones(3)),
        missing='partial',
        cluster_weights=np.array([3, 1], np.int32),
        inertia=np.float32(8),
    )
    made.write(str(tmp_path))
    read = artifacts.Clustering.read(str(tmp_path))
    assert read.feature_widths == (1, 2)
    assert (read.output_prefix, read.missing) == ('zone', 'partial')
    assert read.standardization == artifacts.Standardization((0.0, 1.0, 2.0), (1.0, 1.0, 1.0))
    assert (read.cluster_weights, read.inertia_per_row) == ((3.0, 1.0), 2.0)


def test_a_single_feature_has_all_columns():
    made = artifacts.Clustering.from_array(np.eye(3), 'embedding')
    assert (made.feature_names, made.feature_widths) == (('embedding',), (3,))


def test_cosine_centroids_are_made_unit_vectors():
    made = artifacts.Clustering.from_array([[3, 4], [0, 1e-30]], ['a', 'b'], distance='cosine')
    np.testing.assert_allclose(made.centroids, [[0.6, 0.8], [0, 1]], rtol=1e-6)


WRONG_ARRAYS = {
    'text': ({'centroids': [['x', 'y']]}, 'centroids cannot be read as numbers'),
    'ragged': ({'centroids': [[1, 2], [3]]}, 'centroids cannot be read as numbers'),
    'rank': ({'centroids': [1, 2]}, r'centroids must have shape .*, not \(2,\)'),
    'none': ({'centroids': np.zeros((0, 2))}, r'not \(0, 2\)'),
    'nan': ({'centroids': [[1, np.nan]]}, 'centroids hold NaN or infinite'),
    'too large': ({'centroids': [[1, 1e39]]}, r'infinite values \(as float32\)'),
    'zero cosine': (
        {'centroids': [[1, 1], [0, 0]], 'distance': 'cosine'},
        'centroids: row 1 is all zeros',
    ),
    'nearly too large': (
        {'centroids': [[3e38, 0], [0, 0]]},
        r'centroids hold values up to 3e\+38, and distances are right up to 1e\+30',
    ),
    'widths unknown': (
        {'centroids': np.eye(3)},
        r"feature_widths must be given: centroids have 3 columns .* 2: \['a', 'b'\]",
    ),
    'widths': ({'feature_widths': [1, 2]}, 'add up to the 2 columns'),
    'broken widths': ({'feature_widths': [0.5, 1.5]}, 'feature_widths must be whole numbers'),
    'many widths': ({'feature_widths': [2]}, r'feature_widths must have shape \(2,\), not \(1,\)'),
    'names': ({'feature_names': ['a', '']}, 'feature_names.1'),
    'numbers as names': ({'feature_names': [1, 2]}, 'feature_names.1: 2 is not of type'),
    'weights': ({'cluster_weights': [1, 2, 3]}, r'cluster_weights must have shape \(2,\), not'),
    'negative weights': ({'cluster_weights': [1, -2]}, 'cluster_weights.1: -2.0 is less than'),
    'inertia': ({'inertia': 'x'}, 'inertia cannot be read as numbers'),
    'complex': (
        {'centroids': [[1, 2 + 1j], [3, 4]]},
        'centroids cannot be read as numbers: there is complex128 in it',
    ),
    'masked': (
        {'centroids': np.ma.array(np.eye(2), mask=[[0, 1], [0, 0]])},
        'centroids holds masked values: fill them',
    ),
    'dates': (
        {'centroids': np.array([['2020-01-01', '2021-01-01']], 'datetime64[D]')},
        r'centroids cannot be read as numbers: there is datetime64\[D\]',
    ),
    'times': (
        {'centroids': np.array([[1, 2]], 'timedelta64[s]')},
        r'centroids cannot be read as numbers: there is timedelta64\[s\]',
    ),
    'a date among objects': (
        {'centroids': np.array([[np.datetime64('2020-01-01'), 1.0]], object)},
        'centroids cannot be read as numbers',
    ),
    'nothing': ({'centroids': [[None, 1.0]]}, 'centroids hold NaN or infinite'),
    'one as float32': (
        {'centroids': np.array([[1.7e9, 0], [1.7e9 + 1, 0]])},
        'centroids: rows 0 and 1 differ by less than float32 tells',
    ),
    'complex weights': ({'cluster_weights': [1, 2j]}, 'cluster_weights cannot be read as numbers'),
    'infinite weights': ({'cluster_weights': [1, 1e999]}, 'cluster_weights holds NaN or infinite'),
    'nan widths': ({'feature_widths': [1, np.nan]}, 'feature_widths holds NaN or infinite'),
    'long double inertia': ({'inertia': np.longdouble('1e4000')}, 'inertia holds NaN or infinite'),
    'negative inertia': ({'inertia': -1}, 'inertia: -1.0 is less than'),
    'distance': ({'distance': 'euclidean'}, "distance: 'euclidean' is not one of"),
    'missing': ({'missing': 'error'}, "missing: 'error' is not one of"),
    'standardization': (
        {'standardization': artifacts.Standardization([0], [1])},
        r'standardization.mean must have shape \(2,\), not \(1,\)',
    ),
}


@pytest.mark.parametrize('case', WRONG_ARRAYS)
def test_arrays_that_make_no_clustering_are_refused(case):
    changes, message = WRONG_ARRAYS[case]
    arguments = {'centroids': np.eye(2), 'feature_names': ['a', 'b'], **changes}
    with pytest.raises(CentroidsError, match=message):
        artifacts.Clustering.from_array(**arguments)


def edit_json(directory, **changes):
    path = directory / 'clustering.json'
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in fields.items() if v != 'DELETE'}))


def replace_in_json(directory, old, new):
    path = directory / 'clustering.json'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def replace_by_directory(path):
    path.unlink()
    path.mkdir()


def replace_header(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old + b' ' * (len(new) - len(old)), new))


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


DAMAGES = {
    'no json': (lambda d: (d / 'clustering.json').unlink(), 'clustering.json is missing'),
    'no array': (lambda d: (d / 'centroids.npy').unlink(), 'centroids.npy is missing'),
    'garbage': (lambda d: (d / 'clustering.json').write_text('{'), 'clustering.json is not JSON'),
    'bytes': (
        lambda d: (d / 'clustering.json').write_bytes(b'\xff'),
        'clustering.json is not JSON',
    ),
    'list': (lambda d: (d / 'clustering.json').write_text('[]'), "is not of type 'object'"),
    'nan': (lambda d: edit_json(d, inertia=float('nan')), 'NaN is no JSON number'),
    'infinity': (
        lambda d: replace_in_json(d, '"inertia": 5.0', '"inertia": 1e999'),
        'inertia: Out of range',
    ),
    'nested': (
        lambda d: (d / 'clustering.json').write_text('[' * 100_000),
        'clustering.json is not JSON: maximum recursion depth',
    ),
    'archive': (
        lambda d: (d / 'centroids.npy').write_bytes(b'PK\x03\x04' + b'0' * 100),
        'centroids.npy is no NumPy array',
    ),
    'version': (
        lambda d: edit_json(d, format_version=2, colour='red', n_iter={}),
        'clustering.json: written by a newer tfx-kmeans: format 2, this reads up to 1',
    ),
    'version before all': (
        lambda d: edit_json(d, format_version=0),
        'format_version: 1 was expected',
    ),
    'float version': (lambda d: edit_json(d, format_version=1.0, digest='DELETE'), "'integer'"),
    'deep': (
        lambda d: edit_json(d, selection=json.loads('[' * 300 + ']' * 300)),
        'clustering.json: it is nested more than 8 levels deep',
    ),
    'long': (
        lambda d: edit_json(d, feature_names='x' * 10**6),
        r"feature_names: 'x{290,299}\.\.\.$",
    ),
    'huge integer': (
        lambda d: replace_in_json(d, '"inertia": 5.0', '"inertia": 1' + '0' * 400),
        'clustering.json: it holds an integer of more than 64 bits',
    ),
    'repeated': (
        lambda d: replace_in_json(d, '"distance":', '"distance": "cosine", "distance":'),
        "clustering.json is not JSON: 'distance' is in it twice",
    ),
    'edited': (lambda d: edit_json(d, inertia=6.0), 'do not belong together, or one of them was'),
    'edited scale': (
        lambda d: edit_json(d, standardization={'mean': [0.0, 1.0, 2.0], 'scale': [1.0, 2.0, 4.0]}),
        'do not belong together, or one of them was damaged or edited',
    ),
    'json directory': (
        lambda d: replace_by_directory(d / 'clustering.json'),
        'clustering.json is a directory, not a file',
    ),
    'array directory': (
        lambda d: replace_by_directory(d / 'centroids.npy'),
        'centroids.npy is a directory, not a file',
    ),
    'bytes after the array': (
        lambda d: (d / 'centroids.npy').open('ab').write(b'x'),
        r'centroids.npy is no NumPy array: 25 bytes follow the header, and an array of \(2, 3\)',
    ),
    'large': (
        lambda d: replace_header(d / 'centroids.npy', b'(2, 3), }', b'(2, 9999999999999), }'),
        'centroids.npy is no NumPy array: 24 bytes follow the header, and an array of',
    ),
    'another of the same shape': (
        lambda d: np.save(d / 'centroids.npy', np.ones((2, 3), np.float32)),
        'clustering.json and centroids.npy do not belong together',
    ),
    'one bit': (
        lambda d: flip(d / 'centroids.npy', -1),
        'clustering.json and centroids.npy do not belong together',
    ),
    'unknown': (lambda d: edit_json(d, colour='red'), "'colour' was unexpected"),
    'lacking': (lambda d: edit_json(d, seed='DELETE'), "'seed' is a required property"),
    'type': (lambda d: edit_json(d, n_iter='4'), "n_iter: '4' is not of type 'integer'"),
    'cut off': (
        lambda d: (d / 'centroids.npy').write_bytes((d / 'centroids.npy').read_bytes()[:-1]),
        'centroids.npy is no NumPy array',
    ),
    'empty': (lambda d: (d / 'centroids.npy').write_bytes(b''), 'centroids.npy is no NumPy array'),
    'pickle': (
        lambda d: np.save(d / 'centroids.npy', np.array([{}]), allow_pickle=True),
        'centroids.npy is no NumPy array',
    ),
    'foreign': (
        lambda d: np.save(d / 'centroids.npy', np.zeros((5, 3), np.float32)),
        'do not belong together',
    ),
}


@pytest.mark.parametrize('case', DAMAGES)
def test_damaged_payload_is_refused_with_its_place_and_the_reason(tmp_path, case):
    damage, message = DAMAGES[case]
    make().write(str(tmp_path))
    damage(tmp_path)
    with pytest.raises(CentroidsError, match=f'Centroids at {tmp_path}: .*{message}'):
        artifacts.Clustering.read(str(tmp_path))


def test_no_damage_to_the_header_of_the_array_raises_anything_else(tmp_path):
    make().write(str(tmp_path))
    path = tmp_path / 'centroids.npy'
    content = path.read_bytes()
    header = content.index(b'\n')
    refused = 0
    for place in range(header):
        for byte in b"\x00\xff9('\n-":
            path.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
            try:
                artifacts.Clustering.read(str(tmp_path))
            except CentroidsError:
                refused += 1
    assert refused > 5 * header  # the rest is blanks, and bytes that were so already


# files that belong together


def test_a_payload_from_before_there_were_digests_is_read(tmp_path):
    make().write(str(tmp_path))
    edit_json(tmp_path, digest='DELETE', fit_missing='DELETE')
    read = artifacts.Clustering.read(str(tmp_path))
    np.testing.assert_array_equal(read.centroids, make().centroids)
    assert (read.missing, read.fit_missing) == ('partial', None)


def test_another_layout_of_the_same_json_is_read(tmp_path):
    make().write(str(tmp_path))
    fields = json.loads((tmp_path / 'clustering.json').read_text())
    (tmp_path / 'clustering.json').write_text(json.dumps(dict(reversed(fields.items()))))
    assert artifacts.Clustering.read(str(tmp_path)).inertia == 5.0


def test_an_array_in_the_order_of_fortran_is_read_as_what_it_is(tmp_path):
    make().write(str(tmp_path))
    np.save(tmp_path / 'centroids.npy', np.asfortranarray(make().centroids))
    read = artifacts.Clustering.read(str(tmp_path)).centroids
    np.testing.assert_array_equal(read, make().centroids)
    assert read.flags.c_contiguous
    assert read.flags.writeable


@pytest.mark.parametrize('old_digest', [True, False])
def test_a_rewrite_that_fails_between_the_files_leaves_no_payload(
    tmp_path, monkeypatch, old_digest
):
    make().write(str(tmp_path))
    if not old_digest:
        edit_json(tmp_path, digest='DELETE')
    write = files.write

    def fail(path, content):
        if path.endswith('.json'):
            raise OSError('no space left')
        write(path, content)

    monkeypatch.setattr(files, 'write', fail)
    with pytest.raises(OSError, match='no space left'):
        make(centroids=np.ones((2, 3), np.float32)).write(str(tmp_path))
    with pytest.raises(CentroidsError, match=r'clustering\.json is missing'):
        artifacts.Clustering.read(str(tmp_path))


def test_clusterings_that_give_the_same_ids_have_the_same_fingerprint():
    one = make()
    same = make(inertia=4.0, output_prefix='zone', seed=7, fit_missing=None)
    assert one.fingerprint == same.fingerprint
    standardization = artifacts.Standardization((0.0, 1.0, 2.0), (1.0, 2.0, 4.0))
    others = [
        make(centroids=make().centroids[::-1]),
        make(feature_names=('b', 'a')),
        make(feature_widths=(2, 1)),
        make(missing='drop'),
        make(standardization=None),
        make(standardization=standardization),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 7


def test_the_fingerprint_does_not_change_from_release_to_release():
    # evaluations on record hold it: another one here, and none of them is of its clustering
    assert make().fingerprint == (
        'sha256:3c18cca6fc741ddcd462057872e97bea10dd6e528e5da486e28803e51d70b588'
    )
