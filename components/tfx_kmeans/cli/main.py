"""Reads the arguments and runs the command: nothing heavy is loaded until it is known which."""

import argparse
import importlib
import os
import sys

DONE, FAILED, CHANGED = 0, 1, 3  # 2 is argparse's, for arguments that make no sense

_EXIT_CODES = (
    'exit codes: 0 done; 1 something could not be read or written, or is wrong; 2 the command line '
    'makes no sense; 3 compare --check found ids that changed.'
)


def main(arguments=None):
    """Runs `tfx-kmeans` with `arguments`, by default the process's; returns the exit code."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    try:
        command = importlib.import_module(f'tfx_kmeans.cli.{options.module}')
        code = command.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read our output has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return 130  # as shells have it: 128 and the number of the signal
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        print(f'tfx-kmeans {options.command}: {error}', file=sys.stderr)
        return FAILED


def _expected():
    """The exceptions that files and artifacts can be blamed for."""
    import tensorflow as tf

    return (OSError, ValueError, tf.errors.OpError)


def _parser():
    parser = argparse.ArgumentParser(
        prog='tfx-kmeans',
        description='Looks at Centroids artifacts, and places rows among them.',
        epilog=f'URIs and files may be local or remote (gs://). {_EXIT_CODES}',
    )
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    _add_show(commands)
    _add_compare(commands)
    _add_report(commands)
    _add_assign(commands)
    return parser


def _add(commands, name, module, description):
    """Adds a command that `tfx_kmeans.cli.<module>` runs, and its description as its help."""
    command = commands.add_parser(
        name, help=description[0].lower() + description[1:-1], description=description,
        epilog=_EXIT_CODES,
    )  # fmt: skip
    command.set_defaults(module=module)
    return command


def _add_show(commands):
    command = _add(commands, 'show', 'showing', 'Prints what is in a Centroids artifact.')
    command.add_argument('uri', metavar='URI', help='directory of the artifact')
    command.add_argument(
        '--columns',
        type=_count,
        default=8,
        metavar='N',
        help='columns of the centroids to print, 0 for all of them (default: %(default)s)',
    )


def _add_compare(commands):
    command = _add(
        commands, 'compare', 'comparing',
        'Prints which clusters of two Centroids artifacts are the same, and what moved.',
    )  # fmt: skip
    command.add_argument('old', metavar='OLD_URI', help='directory of the older artifact')
    command.add_argument('new', metavar='NEW_URI', help='directory of the newer artifact')
    command.add_argument(
        '--check', action='store_true', help='exit with code 3 if an id is not what it was'
    )


def _add_report(commands):
    command = _add(
        commands, 'report', 'reporting', 'Writes a report on a Centroids artifact, a HTML file.'
    )
    command.add_argument('uri', metavar='URI', help='directory of the Centroids artifact')
    command.add_argument(
        '--evaluation', metavar='URI', help='directory of a ClusterEvaluation of these centroids'
    )
    command.add_argument(
        '-o', '--output', default='report.html', metavar='FILE', help='(default: %(default)s)'
    )


def _add_assign(commands):
    command = _add(
        commands, 'assign', 'assigning',
        'Places the rows of a file among the clusters, and writes their ids as they come.',
    )  # fmt: skip
    command.add_argument('uri', metavar='URI', help='directory of the Centroids artifact')
    command.add_argument(
        'file',
        metavar='FILE',
        help='rows of transformed features: CSV with the names of the features on its first line '
        '(name[0], name[1], ... for a vector; an empty field is a missing value), or tf.Example in '
        'TFRecord, gzipped or not; - is CSV from the standard input',
    )
    command.add_argument(
        '--format',
        choices=['csv', 'tfrecord'],
        help='of FILE (default: csv if it is named *.csv or -, else tfrecord)',
    )
    command.add_argument(
        '--distance',
        action='store_true',
        help='also write the distance to the own centroid: Euclidean, or 1 - cos',
    )
    command.add_argument(
        '-o', '--output', metavar='FILE', help='CSV to write to (default: the standard output)'
    )


def _count(text):
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


if __name__ == '__main__':
    sys.exit(main())
