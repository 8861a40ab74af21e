"""Tables of text for a terminal."""


def table(header, rows):
    """Returns the lines of a table: columns as wide as need be, numbers to the right.

    Args:
        header: strings, the titles of the columns.
        rows: lists of values as long as the header; None is a dash, floats get 6 digits.
    """
    cells = [[printable(str(title)) for title in header]]
    cells += [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        '  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def printable(text):
    """Returns `text` with what would steer a terminal written as in Python."""
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)


def formula_safe(text):
    """Returns `text` with an apostrophe before it if a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(('=', '+', '-', '@', '\t', '\r', '\n')) else text


def percent(share):
    """Returns a share in percent, or None if it is None."""
    return None if share is None else f'{share:.2%}'


def _cell(value):
    if value is None:
        return '-'
    return f'{value:.6g}' if isinstance(value, float) else printable(str(value))
