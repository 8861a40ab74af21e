"""The pieces that sections of the page are made of."""

from tfx_kmeans.report import colours
from tfx_kmeans.report.markup import element


def section(title, *content):
    """Returns a part of the page under a heading; None where there is nothing in it."""
    content = [part for part in content if part is not None]
    return element('section', element('h2', title), content) if content else None


def grid(*figures):
    """Returns figures side by side where there is room; None where there are none."""
    figures = [figure for figure in figures if figure is not None]
    return element('div', figures, class_='grid') if figures else None


def figure(title, chart, *notes, class_=None):
    """Returns a chart with its title and what to know to read it."""
    caption = element('figcaption', element('strong', title), ' ', *notes)
    return element('figure', caption, chart, class_=class_)


def tiles(named):
    """Returns key figures, (name, text) pairs, as tiles."""
    return element(
        'dl',
        [element('div', element('dt', name), element('dd', text)) for name, text in named],
        class_='tiles',
    )


def table(header, rows, class_=None):
    """Returns a table that scrolls where it is too large; values are Markup or text."""
    head = element('thead', element('tr', [element('th', title, scope='col') for title in header]))
    body = element('tbody', [element('tr', [element('td', cell) for cell in row]) for row in rows])
    return element('div', element('table', head, body, class_=class_), class_='scroll')


def note(*text):
    """Returns a line of explanation."""
    return element('p', *text, class_='note')


def name_of(index, n_clusters):
    """Returns the id of a cluster beside its colour."""
    style = f'background:{colours.colour(index, n_clusters)}'
    return element('span', element('i', style=style), index, class_='cluster')
