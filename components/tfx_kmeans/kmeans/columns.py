"""Which transformed features become which columns of the matrix."""

import dataclasses
import difflib
import math

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Columns:
    """The features to cluster on and the weight, as tf.Example parses them.

    Attributes:
        names: features in the order of their columns.
        widths: columns of each of them.
        weight: name of the weight feature, or None.
        feature_spec: parsing spec of all of these and of no other feature.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    weight: str | None
    feature_spec: dict

    @property
    def total_width(self):
        """Columns of the matrix."""
        return sum(self.widths)

    def name_of_column(self, column):
        """Returns the feature that column number `column` of the matrix belongs to."""
        for name, width in zip(self.names, self.widths, strict=True):
            if column < width:
                return name
            column -= width
        raise IndexError(column)


def resolve(feature_spec, features, weight_feature):
    """Finds the features to cluster on in the feature spec of the transformed examples.

    Args:
        feature_spec: dict of parsing configurations by feature name.
        features: names of numeric features, scalars or vectors of fixed length; None takes all
            float ones but the weight, in alphabetical order.
        weight_feature: name of a numeric scalar feature, or None.

    Returns:
        Columns.

    Raises:
        ValueError: a feature is missing, or is a string, sparse, of variable length or a matrix.
    """
    if features is None:
        features = _all_float(feature_spec, weight_feature)
    for name in features:
        _check(feature_spec, 'features', name, most_dimensions=1)
    if weight_feature is not None:
        _check(feature_spec, 'weight_feature', weight_feature, most_dimensions=0)
    used = [*features, weight_feature] if weight_feature else features
    return Columns(
        names=tuple(features),
        widths=tuple(_width(feature_spec[name]) for name in features),
        weight=weight_feature,
        feature_spec={name: feature_spec[name] for name in used},
    )


def _all_float(feature_spec, weight_feature):
    names = [
        name
        for name, spec in sorted(feature_spec.items())
        if isinstance(spec, tf.io.FixedLenFeature)
        and spec.dtype == tf.float32
        and _dimensions(spec) <= 1
        and name != weight_feature
    ]
    if not names:
        raise ValueError(
            'features: none of the transformed features is a dense float scalar or vector; there '
            f'are {sorted(feature_spec)}'
        )
    return names


def _check(feature_spec, argument, name, most_dimensions):
    if name not in feature_spec:
        close = difflib.get_close_matches(name, feature_spec, n=3)
        hint = f'did you mean {close}?' if close else f'there are {sorted(feature_spec)}'
        raise ValueError(f'{argument}: there is no transformed feature {name!r}; {hint}')
    spec = feature_spec[name]
    if spec.dtype == tf.string:
        raise ValueError(
            f'{argument}: {name!r} is a string feature; k-means needs numbers, so encode it in '
            'preprocessing_fn'
        )
    if not isinstance(spec, tf.io.FixedLenFeature):
        raise ValueError(
            f'{argument}: {name!r} is sparse or of variable length ({type(spec).__name__}); make '
            'it dense in preprocessing_fn, with NaN for missing values'
        )
    if not _width(spec):
        raise ValueError(
            f'{argument}: {name!r} has shape {list(spec.shape)}, no value to cluster on; name the '
            'features to take without it'
        )
    if _dimensions(spec) > most_dimensions:
        raise ValueError(
            f'{argument}: {name!r} has shape {list(spec.shape)}; '
            f'{("a scalar", "a scalar or a vector")[most_dimensions]} is needed'
        )


def _dimensions(spec):
    return len(spec.shape)


def _width(spec):
    return math.prod(spec.shape)
