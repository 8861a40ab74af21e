"""Charts as SVG, sized for a column of the page and for a phone; colours come from the style."""

import math

import numpy as np

from tfx_kmeans.report import colours
from tfx_kmeans.report.markup import element, join
from tfx_kmeans.report.numbers import number, short, ticks

_WIDTH, _HEIGHT = 440, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 10, 12, 42
_MAP_HEIGHT = 560
MOST_LABELS = 40  # of clusters on the map
_FARTHEST = 1e300  # on an axis: beyond it, differences would overflow
_MOST_COLOURS = 30  # of bars; more of them are of one colour


class Frame:
    """A plot with two axes: turns values into positions."""

    def __init__(self, x_range, y_range, height=_HEIGHT):
        """Makes one that shows values in two (low, high) ranges."""
        self._x_range, self._y_range = (_widened(*part) for part in (x_range, y_range))
        self.left, self.right = _LEFT, _WIDTH - _RIGHT
        self.top, self.bottom = _TOP, height - _BOTTOM
        self._height = height

    def x(self, value):
        """Returns the position of a value on the horizontal axis."""
        return _between(value, *self._x_range, self.left, self.right)

    def y(self, value):
        """Returns the position of a value on the vertical axis."""
        return _between(value, *self._y_range, self.bottom, self.top)

    def draw(self, title, *content, x_title, y_title, x_whole=False):
        """Returns the SVG of the axes and what is drawn on them.

        Args:
            title: str, for those who do not see it.
            *content: Markup.
            x_title: str.
            y_title: str.
            x_whole: whether only whole numbers make sense on the horizontal axis.
        """
        across = ticks(*self._x_range, 11 if x_whole else 6)
        across = [tick for tick in across if not x_whole or tick == round(tick)]
        return _svg(
            title,
            self._height,
            [self._row(tick) for tick in ticks(*self._y_range)],
            [self._label(tick) for tick in across],
            content,
            element('path', class_='axis', d=f'M{self.left} {self.bottom}H{self.right}'),
            _text(x_title, (self.left + self.right) / 2, self._height - 6, class_='name'),
            _text(
                y_title, 0, 0, class_='name',
                transform=f'translate(11 {(self.top + self.bottom) / 2:.0f}) rotate(-90)',
            ),
        )  # fmt: skip

    def _row(self, tick):
        y = self.y(tick)
        line = element('path', class_='rule', d=f'M{self.left} {y:.1f}H{self.right}')
        return join(line, _text(short(tick), self.left - 5, y + 4, text_anchor='end'))

    def _label(self, tick):
        return _text(short(tick), self.x(tick), self.bottom + 16)


def bars(title, values, marks, *, x_title, y_title):
    """Draws a bar for each cluster, and a mark across it for a second value.

    Args:
        title: str.
        values: floats >= 0, one a cluster, or None for no bars.
        marks: as many, or None for no marks.
        x_title: str.
        y_title: str.

    Returns:
        Markup.
    """
    given = [part for part in (values, marks) if part is not None]
    count = len(given[0])
    frame = Frame((-0.5, count - 0.5), (0, max(max(part) for part in given) or 1))
    slot = (frame.right - frame.left) / count
    width = min(0.8 * slot, 48)
    drawn = []
    for index in range(count):
        middle = frame.x(index)
        told = ', '.join(number(part[index]) for part in given)
        hint = element('title', f'{index}: {told}')
        if values is not None:
            top = frame.y(values[index])
            drawn.append(
                element(
                    'rect', hint, x=middle - width / 2, y=top, width=width,
                    height=frame.bottom - top, class_='bulk' if count > _MOST_COLOURS else None,
                    fill=colours.colour(index, count),
                )
            )  # fmt: skip
        if marks is not None:
            height, reach = frame.y(marks[index]), min(width / 2 + 0.1 * slot, 28)
            line = f'M{middle - reach:.2f} {height:.2f}H{middle + reach:.2f}'
            drawn.append(element('path', hint, class_='mark', d=line))
    return frame.draw(title, drawn, x_title=x_title, y_title=y_title, x_whole=True)


def line(title, xs, ys, *, x_title, y_title, marked=None):
    """Draws a curve through points, `marked` being the x of one that stands out; returns Markup."""
    low, high = min(ys), max(ys)
    room = 0.06 * (high - low)
    frame = Frame((min(xs), max(xs)), (low - room, high + room))
    points = [(frame.x(x), frame.y(y)) for x, y in zip(xs, ys, strict=True)]
    drawn = [element('path', class_='curve', d=_path(points))]
    if len(xs) <= 60:
        drawn += [
            element('circle', element('title', f'{number(x)}: {number(y, 6)}'), class_='dot',
                    cx=px, cy=py, r=3)
            for (px, py), x, y in zip(points, xs, ys, strict=True)
        ]  # fmt: skip
    if marked is not None:
        px, py = points[list(xs).index(marked)]
        line_down = f'M{px:.1f} {frame.top}V{frame.bottom}'
        drawn += [
            element('path', class_='chosen', d=line_down),
            element('circle', class_='chosen', cx=px, cy=py, r=6),
        ]
    return frame.draw(title, drawn, x_title=x_title, y_title=y_title, x_whole=True)


def histogram(title, edges, first, second, *, x_title, y_title):
    """Draws two distributions over the same bins: one filled, one as an outline.

    Args:
        title: str.
        edges: b + 1 rising floats.
        first: b floats >= 0, or None; it is shown by its shares, as is the next.
        second: b floats >= 0, or None.
        x_title: str.
        y_title: str.

    Returns:
        Markup.
    """
    shares = [None if part is None or not sum(part) else np.divide(part, sum(part))
              for part in (first, second)]  # fmt: skip
    highest = max((float(part.max()) for part in shares if part is not None), default=1.0)
    frame = Frame((edges[0], edges[-1]), (0, highest))
    drawn = []
    for part, kind in zip(shares, ('area', 'outline'), strict=True):
        if part is None:
            continue
        steps = [(frame.x(edges[0]), frame.bottom)]
        for share, left, right in zip(part, edges, edges[1:], strict=False):
            steps += [(frame.x(left), frame.y(share)), (frame.x(right), frame.y(share))]
        steps.append((frame.x(edges[-1]), frame.bottom))
        drawn.append(element('path', class_=kind, d=_path(steps)))
    return frame.draw(title, drawn, x_title=x_title, y_title=y_title)


def scatter(title, rows, ids, centroids, weights, before, *, x_title, y_title):
    """Draws rows and centroids in the plane.

    Args:
        title: str.
        rows: `[n, 2]`, the rows.
        ids: int `[n]`, the cluster of each; k for none.
        centroids: `[k, 2]`.
        weights: k numbers: the clusters that have most of it are labelled where there are many.
        before: `[j, 2]`, where the centroids of the baseline were, by id; or None. More than
            there are labels are left out.
        x_title: str.
        y_title: str.

    Returns:
        Markup.
    """
    n_clusters = len(centroids)
    there = np.concatenate([rows, centroids] if before is None else [rows, centroids, before])
    frame = Frame(*(_with_room(there[:, axis]) for axis in (0, 1)), height=_MAP_HEIGHT)
    drawn = []
    for cluster in range(n_clusters + 1):
        spots = ''.join(f'M{frame.x(x):.1f} {frame.y(y):.1f}h0' for x, y in rows[ids == cluster])
        if spots:
            stroke = colours.colour(cluster, n_clusters)
            drawn.append(element('path', class_='spots', d=spots, stroke=stroke))
    if before is not None and len(before) <= MOST_LABELS:
        drawn.append(_movements(frame, before, centroids))
    labelled = set(np.argsort(-np.asarray(weights), kind='stable')[:MOST_LABELS].tolist())
    order = sorted(range(n_clusters), key=lambda cluster: cluster in labelled)
    drawn += [_centroid(frame, centroids[i], i, n_clusters, i in labelled) for i in order]
    return frame.draw(title, drawn, x_title=x_title, y_title=y_title)


def _movements(frame, before, centroids):
    """Draws a line from where each centroid was to where the one of its id is."""
    lines = [
        f'M{frame.x(x):.1f} {frame.y(y):.1f}L{frame.x(u):.1f} {frame.y(v):.1f}'
        for (x, y), (u, v) in zip(before, centroids, strict=False)
    ]
    rings = [element('circle', cx=frame.x(x), cy=frame.y(y), r=4) for x, y in before]
    return element('g', element('path', d=''.join(lines)), rings, class_='before')


def _centroid(frame, point, index, n_clusters, labelled):
    x, y = frame.x(point[0]), frame.y(point[1])
    fill = colours.colour(index, n_clusters)
    if not labelled:
        return element('circle', class_='centroid', cx=x, cy=y, r=3, fill=fill)
    circle = element('circle', class_='centroid', cx=x, cy=y, r=8, fill=fill)
    return join(circle, _text(index, x, y + 3.5, class_='badge'))


def strip(values, limit, hints):
    """Draws a row of coloured cells as wide as there is room; returns Markup.

    Args:
        values: floats, blue below and orange above 0; NaN is left empty.
        limit: float, the absolute value from which on the colour is full.
        hints: as many strings, or None.
    """
    cells = []
    for index, value in enumerate(values):
        if np.isnan(value):
            continue
        hint = hints and element('title', hints[index])
        side = 'below' if value < 0 else 'above'
        opacity = min(abs(float(value)) / limit, 1.0)
        cells.append(
            element('rect', hint, class_=side, x=index, width=1, height=1, fill_opacity=opacity)
        )
    return element(
        'svg', cells, class_='strip', viewBox=f'0 0 {len(values)} 1', preserveAspectRatio='none'
    )


def diverging_bar(value, limit):
    """Draws a bar from the middle to the left below 0, to the right above; returns Markup."""
    reach = 50 * min(abs(value) / limit, 1.0)
    side, start = ('below', 50 - reach) if value < 0 else ('above', 50.0)
    return element(
        'svg',
        element('rect', class_=side, x=start, width=reach, height=1),
        element('rect', class_='zero', x=49.5, width=1, height=1),
        class_='diverging', viewBox='0 0 100 1', preserveAspectRatio='none',
    )  # fmt: skip


def _svg(title, height, *content):
    return element(
        'svg', element('title', title), content, viewBox=f'0 0 {_WIDTH} {height}', role='img',
        class_='chart',
    )  # fmt: skip


def _text(text, x, y, **attributes):
    return element('text', text, x=float(x), y=float(y), **attributes)


def _path(points):
    return 'M' + 'L'.join(f'{x:.1f} {y:.1f}' for x, y in points)


def _between(value, low, high, start, end):
    return start + (float(value) - low) / (high - low) * (end - start)


def _widened(low, high):
    """Returns a range of some width: a single value has room on both sides."""
    low, high = max(float(low), -_FARTHEST), min(float(high), _FARTHEST)
    if high > low:
        return low, high
    room = abs(low) * 0.1 or 0.5
    return low - room, high + room


def _with_room(values):
    low, high = float(np.min(values)), float(np.max(values))
    room = 0.04 * (high - low)
    return (low - room, high + room) if math.isfinite(room) else (0.0, 1.0)
