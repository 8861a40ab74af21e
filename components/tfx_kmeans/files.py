"""Files, local or remote: read whole, and written so that they appear whole or not at all."""

import contextlib
import os
import uuid

from tfx.dsl.io import fileio


def read(path):
    """Returns the bytes of the file at `path`.

    Raises:
        ValueError: it is missing, or no file.
    """
    if not fileio.exists(path):
        raise ValueError(f'{os.path.basename(path)} is missing')
    if fileio.isdir(path):
        raise ValueError(f'{os.path.basename(path)} is a directory, not a file')
    with fileio.open(path, 'rb') as file:
        return file.read()


def write(path, content):
    """Writes bytes to the file at `path`; makes its directory if need be."""
    if os.path.dirname(path):
        fileio.makedirs(os.path.dirname(path))
    with replacing(path, 'wb') as file:
        file.write(content)


def remove(path):
    """Removes the file at `path` if there is one."""
    if fileio.exists(path) and not fileio.isdir(path):
        fileio.remove(path)


@contextlib.contextmanager
def replacing(path, mode='w'):
    """Opens a file that takes its place at `path` when the block ends.

    Until then it has a hidden name in the same directory. If the block fails, that file is removed,
    and what was at `path` stays. A link is followed; devices and pipes are written to directly.

    Args:
        path: str, local or remote.
        mode: 'w' or 'wb'.

    Yields:
        The open file; write to it at least once.
    """
    path = os.path.realpath(path) if os.path.islink(path) else path
    if os.path.exists(path) and not os.path.isfile(path):
        with fileio.open(path, mode) as file:
            yield file
        return
    temporary = os.path.join(os.path.dirname(path), f'.{uuid.uuid4().hex}.tmp')
    try:
        with fileio.open(temporary, mode) as file:
            yield file
        fileio.rename(temporary, path, overwrite=True)
    except BaseException:
        remove(temporary)
        raise


def check_no_link(path):
    """Refuses a symbolic link at `path`, where a directory is to be made and later deleted.

    Raises:
        ValueError: there is one; whoever put it there could have files elsewhere overwritten.
    """
    if os.path.islink(path):
        raise ValueError(
            f'{path} is a symbolic link to {os.readlink(path)}, and is not followed: remove it'
        )
