"""The thresholds of ClusterEvaluator: which figure each bounds, and whether it holds."""

import dataclasses
import math
import numbers

from tfx.orchestration.data_types import RuntimeParameter

from tfx_kmeans import evaluation as evaluation_lib

_NO_ROWS = 'no row of the eval split can be placed'
_UNDEFINED = 'it is not defined where fewer than two clusters have rows, or all lie on one point'
_NO_WEIGHTS = 'no row can be placed, or the weights of the clusters in training are not known'
_NO_INERTIA = 'there is no row to compare, or the inertia to divide by is 0'
_OTHER_SPACE = 'the baseline has other features, another distance or an inertia of 0'


@dataclasses.dataclass(frozen=True)
class Gate:
    """A threshold that can be asked for.

    Attributes:
        figure: the one of Evaluation.figures that it bounds.
        least: least bound that makes sense.
        most: largest bound that makes sense.
        lacking: why the figure may not be known.
        of_baseline: whether it is a comparison with the baseline.
    """

    figure: str
    least: float
    most: float
    lacking: str
    of_baseline: bool = False


GATES = {
    'max_inertia_per_row': Gate('inertia_per_row', 0, math.inf, _NO_ROWS),
    'max_inertia_ratio': Gate('inertia_ratio', 0, math.inf, _NO_INERTIA),
    'min_silhouette': Gate('silhouette', -1, 1, _UNDEFINED),
    'max_davies_bouldin': Gate('davies_bouldin', 0, math.inf, _UNDEFINED),
    'min_calinski_harabasz': Gate('calinski_harabasz', 0, math.inf, _UNDEFINED),
    'min_cluster_share': Gate('smallest_cluster_share', 0, 1, _NO_ROWS),
    'max_unplaced_share': Gate('unplaced_share', 0, 1, _NO_ROWS),
    'max_training_psi': Gate('training_psi', 0, math.inf, _NO_WEIGHTS),
    'max_training_jensen_shannon': Gate('training_jensen_shannon', 0, 1, _NO_WEIGHTS),
    'max_baseline_psi': Gate('baseline_psi', 0, math.inf, _NO_WEIGHTS, of_baseline=True),
    'max_baseline_jensen_shannon': Gate(
        'baseline_jensen_shannon', 0, 1, _NO_WEIGHTS, of_baseline=True
    ),
    'max_baseline_inertia_ratio': Gate(
        'baseline_inertia_ratio', 0, math.inf, _OTHER_SPACE, of_baseline=True
    ),
    'max_silhouette_drop': Gate('silhouette_drop', -2, 2, _UNDEFINED, of_baseline=True),
    'min_kept_share': Gate('kept_share', 0, 1, _NO_ROWS, of_baseline=True),
    'min_adjusted_rand': Gate('adjusted_rand', -1, 1, _NO_ROWS, of_baseline=True),
}


def check_bounds(bounds, has_train_split, has_baseline):
    """Checks bounds by the name of their threshold; None, and what is not known yet, passes.

    Raises:
        TypeError: one is no number.
        ValueError: one is out of the range of its figure, or is on what will not be there.
    """
    for name, bound in bounds.items():
        if bound is None:
            continue
        if not isinstance(bound, RuntimeParameter):
            _check_bound(name, bound)
        if GATES[name].of_baseline and not has_baseline:
            raise ValueError(f'{name}={bound} needs baseline_centroids to compare with')
        if name == 'max_inertia_ratio' and not has_train_split:
            raise ValueError(f'{name}={bound} needs a train_split, whose inertia it divides by')


def _check_bound(name, bound):
    if not isinstance(bound, numbers.Real) or isinstance(bound, bool):
        raise TypeError(f'{name} must be a number or None, not {bound!r}')
    gate = GATES[name]
    if not math.isfinite(bound) or not gate.least <= bound <= gate.most:
        raise ValueError(
            f'{name} must be a finite number in [{gate.least}, {gate.most}], not {bound!r}; None '
            'asks for no such threshold'
        )


def judge(evaluation, bounds):
    """Compares the figures of an evaluation with bounds.

    Args:
        evaluation: evaluation.Evaluation.
        bounds: floats by name of the threshold, or None where there is none.

    Returns:
        Tuple of evaluation.Threshold. What compares with a baseline is passed where there is no
        baseline, which is so at the first run of a pipeline; what cannot be measured for another
        reason is not.
    """
    figures, thresholds = evaluation.figures, []
    for name, bound in bounds.items():
        if bound is None:
            continue
        gate = GATES[name]
        value, note = figures.get(gate.figure), ''
        if value is not None:
            passed = value >= bound if name.startswith('min_') else value <= bound
        elif gate.of_baseline and evaluation.baseline is None:
            passed, note = True, 'there is no baseline to compare with'
        else:
            passed, note = False, gate.lacking
        thresholds.append(evaluation_lib.Threshold(name, float(bound), value, passed, note))
    return tuple(thresholds)
