import numpy as np
import pytest

from tfx_kmeans import defects as defects_lib

NAN, INF = float('nan'), float('inf')
NAMES = ('a', 'b', 'b')
ROWS = np.array([[1, 2, 3], [NAN, 2, 3], [NAN, NAN, NAN]], np.float32)


def seen(*parts, weights=None):
    found = defects_lib.Defects.none(3)
    for part in parts:
        one = defects_lib.Defects.none(3)
        one.usable_rows(np.asarray(part, np.float32), weights)
        found.merge(one)
    return found


def check(found, missing='error'):
    found.check(missing, 'the train split', NAMES.__getitem__, 'weights')


def test_rows_with_missing_values_are_not_usable():
    assert defects_lib.Defects.none(3).usable_rows(ROWS).tolist() == [True, False, False]


def test_rows_with_one_value_are_usable_where_parts_of_rows_are():
    found = defects_lib.Defects.none(3)
    assert found.usable_rows(ROWS, partial=True).tolist() == [True, True, False]
    assert (found.missing.tolist(), found.left_out) == ([2, 1, 1], 1)
    check(found, 'partial')


def test_missing_values_of_all_parts_are_told_by_feature():
    with pytest.raises(ValueError, match=r"the train split: 'a' \(4 values\), 'b' \(4 values\);"):
        check(seen(ROWS, ROWS))


def test_missing_values_may_be_dropped():
    found = seen(ROWS, ROWS)
    check(found, 'drop')
    assert found.left_out == 4


def test_infinite_values_are_never_accepted():
    with pytest.raises(ValueError, match=r"infinite values in the train split: 'b' \(2 values\)"):
        check(seen([[0, INF, -INF]]), 'drop')


@pytest.mark.parametrize('weight', [-1, NAN, INF])
def test_bad_weights_are_never_accepted(weight):
    with pytest.raises(ValueError, match='weights: 1 weights of the train split are negative, NaN'):
        check(seen([[0, 0, 0], [1, 1, 1]], weights=np.float32([1, weight])))


def test_sound_rows_have_no_defects():
    check(seen(ROWS[:1], weights=np.float32([0])))


def test_nothing_in_a_row_of_weight_zero_is_a_defect_and_it_is_not_used():
    found = defects_lib.Defects.none(3)
    rows = np.float32([[1, 2, 3], [NAN, INF, 3], [4, 5, NAN]])
    assert found.usable_rows(rows, np.float32([1, 0, 2])).tolist() == [True, False, False]
    assert (found.missing.tolist(), found.infinite.sum(), found.left_out) == ([0, 0, 1], 0, 1)


def test_adding_up_changes_neither_part():
    first, second = seen(ROWS), seen(ROWS)
    total = first + second
    assert (total.missing.tolist(), total.left_out) == ([4, 2, 2], 4)
    assert (first.missing.tolist(), second.left_out) == ([2, 1, 1], 2)
