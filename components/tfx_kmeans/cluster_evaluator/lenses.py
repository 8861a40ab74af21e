"""A clustering, and where its columns are among those that were read."""

import dataclasses

import numpy as np

from tfx_kmeans import artifacts, graph
from tfx_kmeans.kmeans import columns as columns_lib
from tfx_kmeans.kmeans import standardizing


@dataclasses.dataclass(frozen=True, eq=False)
class Lens:
    """Shows rows as a clustering sees them.

    Attributes:
        clustering: artifacts.Clustering.
        columns: int `[d]`, its columns among those that were read.
    """

    clustering: artifacts.Clustering
    columns: np.ndarray

    def values(self, block):
        """Returns its columns of rows, float32 `[b, d]`, in the unit of the features: a copy."""
        return block[:, self.columns]

    def points(self, block):
        """Returns the same in the space in which distances are measured."""
        points = self.values(block)
        if self.clustering.standardization:
            standardizing.apply(points, self.clustering.standardization)
        return points

    def place(self, block):
        """Places rows.

        Args:
            block: float32 `[b, columns that were read]`.

        Returns:
            Ids, int64 `[b]`, n_clusters for a row that cannot be placed; and the distances, float64
            `[b]`, squared Euclidean or 1 - cos, NaN for such a row.
        """
        placed = graph.assign(
            self.points(block), self.clustering.centroids, **self.options_of_distance()
        )
        return placed.ids.numpy(), placed.distances.numpy().astype(np.float64)

    def options_of_distance(self):
        """The arguments of graph.assign and its like that say how a distance is measured."""
        return {'distance': self.clustering.distance, 'missing': self.clustering.missing}

    def lengths(self, distances):
        """Turns distances as `place` gives them into those that are shown: not squared."""
        squared = self.clustering.distance == 'squared_euclidean'
        return np.sqrt(distances) if squared else distances


def resolve(feature_spec, clusterings, weight_feature):
    """Finds the features of clusterings in the feature spec of the transformed examples.

    Args:
        feature_spec: dict of parsing configurations by feature name.
        clusterings: artifacts.Clusterings by the argument that they came in.
        weight_feature: name of a numeric scalar feature, or None.

    Returns:
        columns.Columns of the features of all of them, and a Lens each, by argument.

    Raises:
        ValueError: a feature is not there, or not numeric and dense, or of another width.
    """
    names = []
    for argument, clustering in clusterings.items():
        try:
            resolved = columns_lib.resolve(feature_spec, clustering.feature_names, weight_feature)
        except ValueError as error:
            raise ValueError(f'{argument}: {error}') from error
        if resolved.widths != clustering.feature_widths:
            raise ValueError(
                f'{argument}: features {list(clustering.feature_names)} have widths '
                f'{list(clustering.feature_widths)} there and {list(resolved.widths)} in the '
                'examples'
            )
        names += [name for name in clustering.feature_names if name not in names]
    columns = columns_lib.resolve(feature_spec, names, weight_feature)
    starts = dict(zip(names, np.cumsum([0, *columns.widths[:-1]]), strict=True))
    lenses = {
        argument: Lens(
            clustering,
            np.concatenate(
                [
                    starts[name] + np.arange(width)
                    for name, width in zip(
                        clustering.feature_names, clustering.feature_widths, strict=True
                    )
                ]
            ),
        )
        for argument, clustering in clusterings.items()
    }
    return columns, lenses
