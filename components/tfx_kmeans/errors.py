"""The exceptions of this package; everything else raises ValueError or TypeError."""


class CentroidsError(ValueError):
    """A Centroids artifact is damaged, foreign, or of a format this version does not know."""


class EvaluationError(ValueError):
    """A ClusterEvaluation artifact is damaged, or of a format this version does not know."""


class UnsupportedVersionsError(ImportError):
    """The installed versions of TFX and Apache Beam are known not to work together."""


class PipelineError(ValueError):
    """A pipeline cannot run on Kubeflow Pipelines as it is.

    Attributes:
        problems: what is wrong, a list of sentences; each names the node and what to do instead.
    """

    def __init__(self, problems):
        self.problems = list(problems)
        count = len(self.problems)
        head = f'{count} problem{"s" if count > 1 else ""} with the pipeline on Kubeflow Pipelines:'
        super().__init__('\n  - '.join([head, *self.problems]))


class NodeFailedError(RuntimeError):
    """A node of a rehearsed pipeline failed; the message ends with the node's own."""
