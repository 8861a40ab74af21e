"""What a failure of a Beam job means: workers tell it in a traceback, wherever they run."""

import re

# in a traceback of a worker, to whose last error Beam adds the step
_VALUE_ERROR = re.compile(r'\bValueError: (.*?)(?: \[while running |\n|$)')
_STEP = re.compile(r" \[while running '.*", re.DOTALL)
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")

# of Flink: a task manager is gone, and the job may not begin again or finds no slots to do so
_LOST = re.compile(
    'TaskManager with id .* is no longer reachable|heartbeat of TaskManager|'
    'by remote task manager|RecipientUnreachableException|NoResourceAvailableException|'
    'netty.*NativeIoException'
)


def explain(error):
    """Returns the exception to raise for one that a Beam job ended with, maybe the same.

    Args:
        error: Exception.

    Returns:
        ValueError with the message of the worker where the data or a parameter is to blame;
        RuntimeError where a module is missing on the workers, which says how to bring it there, or
        where workers were lost.
    """
    text = str(error)
    missing = _NO_MODULE.search(text)
    if missing or isinstance(error, ModuleNotFoundError):
        return RuntimeError(_staging(missing.group(1) if missing else error.name))
    if _LOST.search(text):
        return RuntimeError(
            f'a worker of the Beam job was lost for good, and the job with it: {text}. Flink '
            'begins such a job again where its configuration has restart-strategy.type: '
            'fixed-delay and enough slots are left for --parallelism'
        )
    if isinstance(error, ValueError):
        return ValueError(_STEP.sub('', text))
    refused = _VALUE_ERROR.findall(text)  # the last is what those before it led to
    return ValueError(refused[-1]) if refused else error


def _staging(module):
    package = module.split('.')[0]
    return (
        f'the Beam workers have no module {module!r}: install {package!r} in the image or the '
        'environment that they run in, or stage it by beam_pipeline_args such as '
        "'--extra_package=dist/package.whl' or '--setup_file=./setup.py'"
    )
