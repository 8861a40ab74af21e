"""What a clustering is worth on rows that it was not fitted to."""

import dataclasses
import functools
import operator

import apache_beam as beam
import numpy as np

from tfx_kmeans import defects as defects_lib
from tfx_kmeans.beam import assigning


@dataclasses.dataclass
class Score:
    """Sums over rows; those of parts of the data add up.

    Attributes:
        weight: float, of the rows that can be placed.
        inertia: float, weighted sum of their squared distances (1 - cos).
        defects: defects.Defects of all rows.
        n_rows: int, all rows.
    """

    weight: float
    inertia: float
    defects: defects_lib.Defects
    n_rows: int

    def __add__(self, other):
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Score(*(mine + theirs for mine, theirs in pairs))


class ScoreClustering(beam.PTransform):
    """Places rows among the centroids of a clustering, and sums up how far they are."""

    def __init__(self, clustering):
        """Scores `clustering`, a PCollection of one Clustering."""
        super().__init__()
        self._clustering = clustering

    def expand(self, batches):
        """From batches, see sampling.SampleFn, to a PCollection of one Score; None of no rows."""
        return (
            batches
            | 'Score' >> beam.Map(_score, beam.pvalue.AsSingleton(self._clustering))
            | 'Add' >> beam.CombineGlobally(_add)
        )


def _score(batch, clustering):
    rows, *weights = batch
    defects = defects_lib.Defects.none(rows.shape[1])
    defects.usable_rows(rows, *weights, partial=clustering.missing == 'partial')
    _, distances = assigning.place(rows, clustering)
    weights = weights[0].astype(np.float64) if weights else np.ones(len(rows))
    weights = np.where(np.isnan(distances), 0.0, weights)
    inertia = float(np.nan_to_num(distances).astype(np.float64) @ weights)
    return Score(float(weights.sum()), inertia, defects, len(rows))


def _add(scores):
    """Adds up Scores; None, which Beam hands on for no parts at all, counts for nothing."""
    scores = [score for score in scores if score is not None]
    return functools.reduce(operator.add, scores) if scores else None
