"""The exceptions of this package; everything else raises ValueError or TypeError."""


class CentroidsError(ValueError):
    """A Centroids artifact is damaged, foreign, or of a format this version does not know."""


class UnsupportedVersionsError(ImportError):
    """The installed versions of TFX and Apache Beam are known not to work together."""


class NodeFailedError(RuntimeError):
    """A node of a rehearsed pipeline failed; the message ends with the node's own."""
