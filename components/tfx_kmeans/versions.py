"""Which versions of TFX and Apache Beam work together, and what a TFX needs mended."""

import importlib.metadata

from tfx_kmeans import errors

# TFX line -> (first Beam that works, first that does not any more, what happens with that one);
# setup.py requires the same.
# TensorFlow Transform 1.16 copies Beam's AppliedPTransform, which changed in Beam 2.63; 1.21 asks
# which Beam it is, and nothing that it can be installed with is known to fail.
_BEAM_RANGES = {
    '1.16': ('2.47', '2.63', 'a preprocessing_fn of two or more phases fails with newer ones'),
}
# the kfp SDK that can be installed beside a TFX line, where not every one can: those after 2.5 want
# a protobuf that TensorFlow 2.16 does not
_KFP_REQUIREMENTS = {'1.16': 'kfp==2.5.0'}

# first TFX line that was not seen to need it
_PROPERTIES_FORGOTTEN_BEFORE = '1.22'


def check_installed():
    """Refuses TFX and Beam versions that are known to fail together.

    Raises:
        UnsupportedVersionsError: naming both versions and the requirement to install.
    """
    tfx, beam = _installed('tfx'), _installed('apache-beam')
    if tfx and beam:
        check(tfx, beam)


def check(tfx, beam):
    """Refuses the pair of versions `tfx` and `beam` (str) if it is known to fail.

    Raises:
        UnsupportedVersionsError: naming both versions and the requirement to install.
    """
    line = _line(tfx)
    if line not in _BEAM_RANGES:
        return
    first, end, reason = _BEAM_RANGES[line]
    if not _release(first) <= _release(beam) < _release(end):
        raise errors.UnsupportedVersionsError(
            f'TFX {tfx} does not work with Apache Beam {beam} ({reason}): '
            f"pip install 'apache-beam>={first},<{end}'"
        )


def kubeflow_compiler_forgets_properties():
    """Whether the installed TFX leaves PROPERTIES out of artifact schemas for Kubeflow."""
    return _release(_installed('tfx')) < _release(_PROPERTIES_FORGOTTEN_BEFORE)


def kfp_requirement():
    """Returns the requirement (str) of the kfp SDK that goes with the installed TFX."""
    return _KFP_REQUIREMENTS.get(_line(_installed('tfx') or ''), 'kfp')


def _line(tfx):
    return '.'.join(tfx.split('.')[:2])


def _installed(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(version):
    return tuple(int(part) for part in version.split('.')[:2])
