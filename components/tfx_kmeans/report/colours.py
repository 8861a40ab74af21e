"""Colours of clusters, readable on white and on black."""

# of ten hues that people tell apart best
_FEW = (
    '#4e79a7', '#e8812a', '#d64f52', '#4fa39c', '#55a046',
    '#c9a227', '#a66b98', '#e06f8b', '#93694a', '#7f8790',
)  # fmt: skip
_GOLDEN_ANGLE = 137.508
_LIGHTNESSES = (42, 52, 62)


def colour(index, n_clusters):
    """Returns the CSS colour of a cluster: of many, neighbours by id are far apart in hue."""
    if index >= n_clusters:
        return '#8a8a8a'
    if n_clusters <= len(_FEW):
        return _FEW[index]
    lightness = _LIGHTNESSES[index % len(_LIGHTNESSES)]
    return f'hsl({index * _GOLDEN_ANGLE % 360:.0f} 60% {lightness}%)'
