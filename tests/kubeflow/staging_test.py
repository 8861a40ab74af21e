import pytest

from tfx_kmeans.kubeflow import staging


@pytest.mark.parametrize(
    ('uri', 'path'),
    [
        ('minio://bucket/a/b', '/minio/bucket/a/b'),
        ('s3://bucket/a', '/s3/bucket/a'),
        ('gs://bucket/a', '/gcs/bucket/a'),
    ],
)
def test_uris_are_staged_where_the_launcher_puts_them_and_map_back(uri, path):
    staged = staging.Staging()
    assert staged.is_staged(uri)
    assert staged.path(uri) == path
    assert staged.uri(path) == uri


@pytest.mark.parametrize('other', ['/data/minio/x', 'https://host/x', 'relative', '/minio', ''])
def test_all_else_stays_as_it_is(other):
    staged = staging.Staging()
    assert not staged.is_staged(other)
    assert staged.path(other) == staged.uri(other) == other


def test_the_environment_names_another_root_and_schemes_to_leave_alone(monkeypatch):
    monkeypatch.setenv(staging.ROOT_VARIABLE, '/work/node')
    monkeypatch.setenv(staging.DIRECT_VARIABLE, 'gs, s3')
    staged = staging.Staging.from_environment()
    assert staged.path('minio://bucket/a') == '/work/node/minio/bucket/a'
    assert staged.path('gs://bucket/a') == 'gs://bucket/a'
    assert not staged.is_staged('s3://bucket/a')


def test_a_scheme_that_is_never_staged_is_refused(monkeypatch):
    monkeypatch.setenv(staging.DIRECT_VARIABLE, 'gcs')
    with pytest.raises(ValueError, match=r"TFX_KMEANS_DIRECT_SCHEMES: \['gcs'\] is not among"):
        staging.Staging.from_environment()
