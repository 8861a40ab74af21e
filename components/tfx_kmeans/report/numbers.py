"""Numbers for people: rounded, and round ones for the ticks of an axis."""

import math


def number(value, digits=4):
    """Returns a number as text of so many significant digits; a dash for None and NaN."""
    if value is None or math.isnan(value):
        return '\N{EN DASH}'
    if abs(value) < 1e6 and value == int(value):
        text = f'{int(value):,}'
    else:
        text = f'{value:,.0f}' if 10**digits <= abs(value) < 1e9 else f'{value:.{digits}g}'
    return text.replace('-', '\N{MINUS SIGN}', 1) if value < 0 else text


def counted(count, noun):
    """Returns `2 clusters`, or `1 cluster`."""
    return f'{count:,} {noun}{"" if count == 1 else "s"}'


def short(value):
    """Returns a number for the tick of an axis: thousands and more by the letter of their unit."""
    for factor, unit in ((1e12, 'T'), (1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
        if abs(value) >= factor:
            return number(value / factor) + unit
    return number(value)


def percent(share):
    """Returns a share in percent, of three digits; a dash for None and NaN."""
    if share is None or math.isnan(share):
        return '\N{EN DASH}'
    percentage = 100 * share
    decimals = 0 if percentage >= 99.95 or percentage == 0 else 1 if percentage >= 1 else 2
    return f'{percentage:.{decimals}f}\N{NARROW NO-BREAK SPACE}%'


def ticks(low, high, most=6):
    """Returns round numbers in [low, high], `most` at most: multiples of 1, 2 or 5 times 10^n."""
    span = high - low
    if span <= 0:
        return [low]
    exponent = math.floor(math.log10(span / most))
    for step in (
        factor * 10.0**power for power in (exponent, exponent + 1) for factor in (1, 2, 5)
    ):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [index * step for index in range(first, last + 1)]
    return [low, high]
