"""Object stores that a rehearsal keeps artifacts in: a directory, or a real S3 server."""

import pathlib
import shutil

from tfx_kmeans.kubeflow import staging


class DirectoryStore:
    """Buckets as directories: `minio://bucket/key` is the file `minio/bucket/key` below `root`."""

    def __init__(self, root):
        self._places = staging.Staging(root)

    def path(self, uri):
        """The file or directory (pathlib.Path) that holds `uri`."""
        return pathlib.Path(self._places.path(uri))

    def place(self, uri):
        """Where a person finds `uri`."""
        return str(self.path(uri))

    def upload(self, path, uri):
        """Copies the file `path`, or every file below it, to `uri`; returns how many."""
        return _copy(pathlib.Path(path), self.path(uri))

    def download(self, uri, path):
        """Copies what is at `uri`, or below it, to `path`; returns how many files."""
        return _copy(self.path(uri), pathlib.Path(path))


class S3Store:
    """Buckets of a server that speaks S3 (MinIO, SeaweedFS, AWS): `minio://` and `s3://` URIs.

    Args:
        endpoint_url: of the server, e.g. `http://localhost:9000`; None for AWS.
        **options: further arguments of boto3.client, e.g. `aws_access_key_id`.

    Raises:
        ImportError: boto3 is not installed.
    """

    def __init__(self, endpoint_url=None, **options):
        try:
            import boto3
        except ImportError as error:
            raise ImportError("S3Store needs boto3: pip install 'tfx-kmeans[s3]'") from error
        self._client = boto3.client('s3', endpoint_url=endpoint_url, **options)

    def place(self, uri):
        """Where a person finds `uri`."""
        return uri

    def upload(self, path, uri):
        """Copies the file `path`, or every file below it, to `uri`; returns how many."""
        bucket, key = _bucket_and_key(uri)
        files = _files(pathlib.Path(path))
        for file in files:
            target = '/'.join([key, *file.relative_to(path).parts])
            self._client.upload_file(str(file), bucket, target)
        return len(files)

    def download(self, uri, path):
        """Copies what is at `uri`, or below it, to `path`; returns how many files."""
        bucket, key = _bucket_and_key(uri)
        pages = self._client.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix=key)
        objects = [found['Key'] for page in pages for found in page.get('Contents', ())]
        # the prefix `model` also finds `model_run`
        wanted = [name for name in objects if name == key or name.startswith(f'{key}/')]
        for name in wanted:
            target = pathlib.Path(path, name[len(key) :].lstrip('/'))
            target.parent.mkdir(parents=True, exist_ok=True)
            self._client.download_file(bucket, name, str(target))
        return len(wanted)


def _files(path):
    """The file `path` itself, or every file below it; a store knows no empty directories."""
    return [path] if path.is_file() else sorted(p for p in path.rglob('*') if p.is_file())


def _copy(source, target):
    files = _files(source)
    for file in files:
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return len(files)


def _bucket_and_key(uri):
    scheme, _, rest = uri.partition('://')
    if scheme not in ('minio', 's3'):
        raise ValueError(
            f'{uri!r} is not in an S3 store: it begins with neither minio:// nor s3://'
        )
    bucket, _, key = rest.partition('/')
    return bucket, key.rstrip('/')
