"""HTML and SVG that are safe by construction: whatever is no Markup is escaped."""

import html

_VOID = {'br', 'link', 'meta'}


class Markup(str):
    """Text that is HTML, and goes into the page as it is; made by `element` and `join` alone."""


def element(name, /, *children, **attributes):
    """Makes an element.

    >>> from tfx_kmeans.report import markup
    >>> markup.element('b', 'a < b', class_='loud', stroke_width=2.0)
    '<b class="loud" stroke-width="2">a &lt; b</b>'

    Args:
        name: str, a literal.
        *children: Markup, anything else to be shown as text, lists of such, or None for nothing.
        **attributes: by name, in which underscores stand for hyphens and one at the end for
            nothing; a value of None leaves the attribute out. Floats get two decimals.

    Returns:
        Markup.
    """
    told = ''.join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f'<{name}{told}>')
    return Markup(f'<{name}{told}>{join(*children)}</{name}>')


def join(*children):
    """Returns `children`, as `element` takes them, one after the other: Markup."""
    return Markup(''.join(_escaped(child) for child in children))


def _escaped(child):
    if child is None:
        return ''
    if isinstance(child, Markup):
        return child
    if isinstance(child, list | tuple):
        return join(*child)
    return html.escape(str(child))


def _text(value):
    """Returns the value of an attribute as text: no more digits than a drawing needs."""
    return f'{value:.2f}'.rstrip('0').rstrip('.') if isinstance(value, float) else str(value)
