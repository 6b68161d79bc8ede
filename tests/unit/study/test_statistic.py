"""Figures against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ai_suricata.study.statistic import (
    Confusion,
    area_under_roc,
    average_precision,
    calibration,
    calibration_error,
    calibration_interval,
    confusion,
    f1,
    f1_interval,
    precision_recall,
    roc,
    wilson,
)

SCORES = np.array([0.9, 0.8, 0.7, 0.6])
TRUTH = np.array([True, False, True, False])


def test_a_share_has_wilsons_interval() -> None:
    """Of 8 of 10, after Wilson (1927): 0.490 to 0.943."""
    found = wilson(8, 10)

    assert pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-6) == tuple(found)


def test_no_hit_still_leaves_room_above() -> None:
    """0 of 100 may be 3.7% in truth; and 100 of 100 may be 96.3%."""
    assert pytest.approx((0.0, 0.0, 0.0369935), abs=1e-6) == tuple(wilson(0, 100))
    assert pytest.approx((1.0, 0.9630065, 1.0), abs=1e-6) == tuple(wilson(100, 100))


def test_a_share_of_nothing_says_nothing() -> None:
    """Neither 0 nor 1, and anything is possible."""
    value, low, high = wilson(0, 0)

    assert (True, 0.0, 1.0) == (math.isnan(value), low, high)


def test_answers_are_counted_by_truth() -> None:
    """Hits, false alarms, misses, and what was rightly left alone."""
    truth, said = [True, True, True, False, False], [True, True, False, True, False]

    assert Confusion(2, 1, 1, 1) == confusion(truth, said)
    with pytest.raises(ValueError, match="shorter"):
        confusion(truth, said[:-1])


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    """Precision 2/3 and recall 2/4 give 4/7."""
    assert pytest.approx(4 / 7) == f1(Confusion(2, 1, 2, 100))
    assert math.isnan(f1(Confusion(0, 0, 0, 100)))


def test_f1_is_bootstrapped_to_an_interval_around_it() -> None:
    """The same each time, wider where there is less to go by, and none where all is right."""
    few, many = (
        f1_interval(Confusion(20, 2, 2, 100)),
        f1_interval(Confusion(2000, 200, 200, 10_000)),
    )

    assert few == f1_interval(Confusion(20, 2, 2, 100))
    assert few.low < few.value < few.high
    assert few.high - few.low > 3 * (many.high - many.low)
    assert (1.0, 1.0, 1.0) == tuple(f1_interval(Confusion(50, 0, 0, 50)))


def test_calibration_compares_scores_with_what_is_so() -> None:
    """Two bins: 0.1 said and 0 so, 0.7 said and 0.5 so: off by 0.15 on average."""
    scores, truth = np.array([0.6, 0.1, 0.8, 0.1]), np.array([False, False, True, False])

    low, high = calibration(scores, truth, 2)

    assert pytest.approx((0.1, 0.0, 2)) == tuple(low)
    assert pytest.approx((0.7, 0.5, 2)) == tuple(high)
    assert pytest.approx(0.15) == calibration_error(scores, truth, 2)


def test_bins_hold_equally_many_rows_whatever_the_scores() -> None:
    """31 rows in 15 bins: two in each, and three in the first."""
    bins = calibration(np.linspace(0, 0.01, 31), np.zeros(31, dtype=np.bool_))

    assert [3] + [2] * 14 == [count for _, _, count in bins]


def test_the_calibration_error_is_bootstrapped_by_source() -> None:
    """A source of many rows that agree widens it: its rows come and go together."""
    truth = np.repeat(np.array([True, False] * 10), 10)
    scores = np.full(200, 0.5)
    alone = calibration_interval(scores, truth, np.arange(200))
    grouped = calibration_interval(scores, truth, np.repeat(np.arange(20), 10))

    assert alone.value == grouped.value
    assert grouped.high > alone.high
    assert grouped == calibration_interval(scores, truth, np.repeat(np.arange(20), 10))


def test_the_curves_go_through_each_distinct_score() -> None:
    """Attack, other, attack, other, from the highest score down."""
    recall, precision = precision_recall(SCORES, TRUTH)
    false_rate, true_rate = roc(SCORES, TRUTH)

    assert [0.5, 0.5, 1.0, 1.0] == recall.tolist()
    assert pytest.approx([1.0, 0.5, 2 / 3, 0.5]) == precision.tolist()
    assert ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0]) == (
        false_rate.tolist(),
        true_rate.tolist(),
    )


def test_areas_are_those_under_the_curves() -> None:
    """Three of the four pairs are in order; average precision is (1 + 2/3) / 2."""
    assert pytest.approx(0.75) == area_under_roc(SCORES, TRUTH)
    assert pytest.approx(5 / 6) == average_precision(SCORES, TRUTH)


def test_equal_scores_are_one_step() -> None:
    """Where all score the same, order in the file must not make a curve of it."""
    same = np.full(4, 0.5)

    assert 0.5 == area_under_roc(same, TRUTH)
    assert 0.5 == average_precision(same, TRUTH)


def test_with_one_kind_alone_there_is_no_area() -> None:
    """Not a number, rather than 0 or 1."""
    assert math.isnan(area_under_roc(SCORES, np.ones(4, dtype=np.bool_)))
    assert math.isnan(average_precision(SCORES, np.zeros(4, dtype=np.bool_)))
    assert math.isnan(calibration_error(np.zeros(0), np.zeros(0, dtype=np.bool_)))
