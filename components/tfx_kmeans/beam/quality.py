"""How good the clusters of a fit are on all the rows that it was made of."""

import apache_beam as beam
import numpy as np

from tfx_kmeans.graph import scores as scores_lib


class ScoreFit(beam.PTransform):
    """Scores the clusters of a fit as graph.score_clusters does, in two passes over the rows."""

    def __init__(self, rows, distance):
        """Scores on fit_rows.Rows, by the distance of the fit."""
        super().__init__()
        self._rows = rows
        self._distance = distance

    def expand(self, fitted):
        """From a PCollection of one fitting.Fitted to one of a pair: it, and its ClusterScores.

        The scores are numpy arrays and scalars.
        """
        this = beam.pvalue.AsSingleton(fitted)
        places = (
            self._rows.read('ReadOnce', fitted, even_if_converged=True)
            | 'Place' >> beam.Map(_place, this, self._distance)
            | 'AddPlaces' >> beam.CombineGlobally(_add)
        )
        spread = (
            self._rows.read('ReadAgain', fitted, even_if_converged=True)
            | 'Measure' >> beam.Map(_measure, this, beam.pvalue.AsSingleton(places), self._distance)
            | 'AddSpreads' >> beam.CombineGlobally(_add)
        )
        return fitted | 'Finish' >> beam.Map(
            _finish, beam.pvalue.AsSingleton(places), beam.pvalue.AsSingleton(spread)
        )


def _place(batch, fitted, distance):
    options = _options(fitted, distance)
    return _as_arrays(scores_lib.place(*_part(batch, fitted), fitted.centroids, **options))


def _measure(batch, fitted, places, distance):
    means = scores_lib.means_of(places).numpy().astype(np.float32)
    options = _options(fitted, distance)
    return _as_arrays(scores_lib.measure(*_part(batch, fitted), fitted.centroids, means, **options))


def _options(fitted, distance):
    return {'distance': distance, 'missing': 'partial' if fitted.partial else 'drop'}


def _part(batch, fitted):
    """Rows of a batch in the space of a fit, and their weights or None."""
    rows, *weights = batch
    return (rows - fitted.mean) / fitted.scale, weights[0] if weights else None


def _add(parts):
    """Adds up sums; None, which Beam hands on for no parts at all, counts for nothing."""
    total = scores_lib.add_up(part for part in parts if part is not None)
    return None if total is None else _as_arrays(total)


def _finish(fitted, places, spread):
    return fitted, _as_arrays(scores_lib.finish(places, spread))


def _as_arrays(tensors):
    """Returns a named tuple of tensors as one of numpy arrays and scalars."""
    return tensors._replace(**{name: np.asarray(t) for name, t in tensors._asdict().items()})
