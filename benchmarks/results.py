"""The parts of RESULTS.md, of which each benchmark writes its own and leaves the others."""

import importlib.metadata
import os
import pathlib
import re

PATH = pathlib.Path(__file__).with_name('RESULTS.md')
# in the order in which they stand in the file
PARTS = (
    'graph.fit beside other libraries',
    'Optima',
    'Streaming',
    'Passes on Beam',
)


def write(part, text):
    """Puts `text`, Markdown, under the heading `part`, one of PARTS, in place of what was there."""
    found = dict(_read())
    found[part] = text.strip()
    PATH.write_text('\n'.join(f'# {name}\n\n{found[name]}\n' for name in PARTS if name in found))


def _read():
    if PATH.exists():
        pieces = re.split(r'^# (.+)\n', PATH.read_text(), flags=re.MULTILINE)[1:]
        yield from zip(pieces[::2], map(str.strip, pieces[1::2]), strict=True)


def table(header, rows):
    """Markdown of a table: the cells of its header, and lists of cells."""
    lines = [header, ['---'] * len(header), *rows]
    lines = [[str(cell).replace('|', '\\|') for cell in line] for line in lines]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines) + '\n'


def machine(*packages):
    """On what it was measured."""
    versions = (f'{name} {importlib.metadata.version(name)}' for name in packages)
    return f'{os.cpu_count()} cores, {", ".join(versions)}'
