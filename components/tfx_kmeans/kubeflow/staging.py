"""Where an open-source backend stages the files of an object store's URIs in a node's container."""

import os

# scheme -> the directory below which the launcher puts the files
DIRECTORIES = {'minio': 'minio', 's3': 's3', 'gs': 'gcs'}
# what stands for `/` above these directories; a rehearsal gives every node a root of its own
ROOT_VARIABLE = 'TFX_KMEANS_STAGING_ROOT'
# schemes, separated by commas, whose URIs the component shall read and write itself
DIRECT_VARIABLE = 'TFX_KMEANS_DIRECT_SCHEMES'


def bucket(uri):
    """The scheme and the bucket of a URI, such as 'gs://bucket'; '' without a scheme."""
    scheme, separator, rest = uri.partition('://')
    return f'{scheme}://{rest.split("/")[0]}' if separator else ''


class Staging:
    """Maps URIs to staged paths and back.

    Args:
        root: the directory that holds `minio`, `s3` and `gcs`; `/` in a container.
        direct: schemes that are not mapped.

    Attributes:
        root: the same directory, str.

    Raises:
        ValueError: a scheme in `direct` is none that is ever staged.
    """

    def __init__(self, root='/', direct=()):
        unknown = sorted(set(direct) - set(DIRECTORIES))
        if unknown:
            raise ValueError(
                f'{DIRECT_VARIABLE}: {unknown} is not among the schemes that the backend stages: '
                f'{sorted(DIRECTORIES)}'
            )
        self.root = str(root)
        self._prefixes = {
            f'{scheme}://': os.path.join(root, directory) + '/'
            for scheme, directory in DIRECTORIES.items()
            if scheme not in direct
        }

    @classmethod
    def from_environment(cls):
        """The staging that the environment variables describe; without them, a container's."""
        direct = os.environ.get(DIRECT_VARIABLE, '')
        return cls(
            os.environ.get(ROOT_VARIABLE, '/'),
            [scheme.strip() for scheme in direct.split(',') if scheme.strip()],
        )

    def path(self, uri):
        """The staged path of `uri`; what is not staged comes back as it is.

        Raises:
            ValueError: `uri` leads out of its bucket by `..`.
        """
        if self.is_staged(uri) and '..' in uri.split('/'):
            raise ValueError(f'{uri} leads out of where it is by "..", which no staged URI may')
        for scheme, directory in self._prefixes.items():
            if uri.startswith(scheme):
                return directory + uri[len(scheme) :]
        return uri

    def uri(self, path):
        """The URI that is staged at `path`; what is not below a staged directory comes back."""
        for scheme, directory in self._prefixes.items():
            if path.startswith(directory):
                return scheme + path[len(directory) :]
        return path

    def is_staged(self, uri):
        """Whether the backend downloads and uploads the files of `uri`."""
        return uri.startswith(tuple(self._prefixes))
