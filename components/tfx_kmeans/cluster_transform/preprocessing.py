"""The preprocessing_fn of ClusterTransform: upstream graph, clusters, user's second stage."""

import dataclasses
import json
import os
from collections.abc import Callable

import tensorflow as tf
import tensorflow_transform as tft
from tfx.dsl.io import fileio

from tfx_kmeans import artifacts
from tfx_kmeans.cluster_transform import upstream
from tfx_kmeans.transform import domains, placing
from tfx_kmeans.transform import features as features_lib


@dataclasses.dataclass(frozen=True)
class Stages:
    """What happens to raw features, in order; call it as a preprocessing_fn.

    Beam pickles it, so it holds where the upstream graph lies and not the graph.

    Attributes:
        upstream_uri: where the Transform wrote whose graph comes first.
        clusterings: artifacts.Clustering of each set of centroids.
        emit: which of placing.EMITTABLE each of them adds.
        second_stage: a preprocessing_fn that gets transformed and cluster features, or None.
    """

    upstream_uri: str
    clusterings: tuple[artifacts.Clustering, ...]
    emit: tuple[str, ...]
    second_stage: Callable | None

    def check(self):
        """Checks that the centroids fit the upstream graph and each other.

        Raises:
            ValueError: `emit` names something else, a feature of a clustering is not among the
                transformed ones or has another width, two features would have the same name, or
                there is no scale for the similarity.
        """
        check_emit(self.emit)
        transformed = tft.TFTransformOutput(self.upstream_uri).transformed_feature_spec()
        taken = dict.fromkeys(transformed, 'of the transformed features')
        for clustering in self.clusterings:
            _check_features(clustering, transformed)
            features_lib.check_emit(clustering, self.emit)
            for name in features_lib.output_names(clustering, self.emit).values():
                if name in taken:
                    raise ValueError(
                        f'centroids: the feature {name!r} would have the name of one '
                        f'{taken[name]}; give KMeans another output_prefix than '
                        f'{clustering.output_prefix!r}'
                    )
                taken[name] = 'of other centroids'

    def __call__(self, inputs):
        """Maps raw features to transformed and cluster features, as the second stage has them."""
        transform_output = tft.TFTransformOutput(self.upstream_uri)
        transformed = upstream.apply(transform_output, inputs)
        _annotate(transformed, transform_output)
        outputs = dict(transformed)
        for clustering in self.clusterings:
            clusters = features_lib.cluster_features(transformed, clustering, self.emit)
            names = features_lib.output_names(clustering, self.emit)
            if 'id' in names:
                domains.set_domain(clusters[names['id']], 0, clustering.n_clusters)
            outputs.update(clusters)
        return self.second_stage(outputs) if self.second_stage else outputs


def check_emit(emit):
    """Raises ValueError unless `emit` names some of placing.EMITTABLE, and nothing else."""
    if not emit or not all(kind in placing.EMITTABLE for kind in emit):
        raise ValueError(f'emit must name some of {placing.EMITTABLE}, not {list(emit)}')


def _check_features(clustering, transformed):
    for name, width in zip(clustering.feature_names, clustering.feature_widths, strict=True):
        spec = transformed.get(name)
        if not isinstance(spec, tf.io.FixedLenFeature):
            raise ValueError(
                f'centroids: they were fitted on {name!r}, which is not among the dense features '
                f'of transform_graph; there are {sorted(transformed)}'
            )
        elements = tf.TensorShape(spec.shape).num_elements()
        if elements != width:
            raise ValueError(
                f'centroids: they were fitted on {name!r} of {width} columns, which has {elements} '
                'in transform_graph'
            )


def _annotate(transformed, transform_output):
    """Carries over what the upstream schema knows beside types: categories and vocabularies."""
    for name, domain in transform_output.transformed_domains().items():
        if name in transformed and getattr(domain, 'is_categorical', False):
            domains.set_domain(transformed[name], domain.min, domain.max)
    for key, filename in _asset_map(transform_output).items():
        tft.annotate_asset(key, filename)


def _asset_map(transform_output):
    """File names of vocabularies by the names that the user gave them."""
    directory = os.path.dirname(transform_output.transform_savedmodel_dir)
    metadata = transform_output.TRANSFORMED_METADATA_DIR
    path = os.path.join(directory, metadata, transform_output.ASSET_MAP)
    if not fileio.exists(path):
        return {}
    with fileio.open(path, 'r') as file:
        return json.loads(file.read())
