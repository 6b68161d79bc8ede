"""Drift: the population stability index, and whom it counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ai_suricata.classify.drift import (
    BINS,
    HOURS,
    LEAST_ROWS,
    LITTLE,
    MOST_SOURCES,
    MUCH,
    OVERALL,
    SERIES,
    Drift,
    binned,
    reference,
    stability,
)
from ai_suricata.core.schema import FEATURES, INDEX

HOUR = 3600 * 1_000_000
START = 1_700_000_000 * 1_000_000


def rows(count: int, seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of which all features are spread alike, and their scores."""
    random = np.random.default_rng(seed)
    return random.exponential(scale, (count, len(FEATURES))), random.beta(1, 9, count)


def names(count: int, start: int = 0) -> list[str]:
    """Return addresses, each another one."""
    return [f"2001:db8::{number:x}" for number in range(start, start + count)]


def watching(count: int = 4000) -> Drift:
    """Return a drift against rows of seed 1."""
    return Drift(reference(*rows(count, 1)))


def test_the_index_is_that_of_a_worked_example() -> None:
    """Siddiqi's sum over the bins, done by hand for two of them."""
    expected = np.array([[0.5, 0.5] + [0.0] * (BINS - 2)])
    counts = np.array([[200, 800] + [0] * (BINS - 2)])
    by_hand = (0.2 - 0.5) * math.log(0.2 / 0.5) + (0.8 - 0.5) * math.log(0.8 / 0.5)

    assert pytest.approx(by_hand) == stability(expected, counts)[0]


def test_a_bin_that_has_become_empty_is_counted_and_finite() -> None:
    """As half a row."""
    expected = np.array([[0.5, 0.5] + [0.0] * (BINS - 2)])
    counts = np.array([[1000, 0] + [0] * (BINS - 2)])
    by_hand = 0.5 * math.log(2) + (0.0005 - 0.5) * math.log(0.0005 / 0.5)

    assert pytest.approx(by_hand) == stability(expected, counts)[0]


def test_equal_deciles_leave_empty_bins_that_count_for_nothing() -> None:
    """Most features are 0 for most sources."""
    matrix, scores = np.zeros((1000, len(FEATURES))), np.zeros(1000)
    matrix[:50] = 7.0
    expected = reference(matrix, scores)
    counts = binned(expected.edges, np.column_stack([matrix, scores]))

    assert [950, 50] == [n for n in counts[0].tolist() if n]
    assert 0.0 == stability(expected.shares, counts).max()


def test_a_value_on_an_edge_belongs_below_it() -> None:
    """The bins hold what the deciles say: a tenth each."""
    matrix = np.tile(np.arange(1000.0)[:, None], (1, len(FEATURES)))
    counts = binned(reference(matrix, matrix[:, 0]).edges, np.tile(matrix[:, :1], len(SERIES)))

    assert [[100] * BINS] * len(SERIES) == counts.tolist()


def test_the_same_traffic_does_not_drift() -> None:
    """Other rows of the same kind stay below what counts as little."""
    drift = watching()
    matrix, scores = rows(1000, 2)
    drift.take(names(1000), np.full(1000, START), matrix, scores)

    assert max(drift.index().values()) < LITTLE


def test_one_changed_feature_is_told_and_the_others_are_not() -> None:
    """By its name."""
    drift = watching()
    matrix, scores = rows(1000, 2)
    matrix[:, INDEX["flows"]] *= 5
    drift.take(names(1000), np.full(1000, START), matrix, scores)
    index = drift.index()

    assert index["flows"] > MUCH
    assert [] == [name for name, value in index.items() if name != "flows" and value > LITTLE]


def test_the_score_drifts_too() -> None:
    """Under a name of its own; the mean over the features does not hold it."""
    drift = watching()
    matrix, _ = rows(1000, 2)
    drift.take(names(1000), np.full(1000, START), matrix, np.full(1000, 0.99))
    index = drift.index()

    assert index["score"] > MUCH
    assert index[OVERALL] < LITTLE


def test_few_rows_say_nothing() -> None:
    """Chance alone would be told as drift."""
    drift = watching()
    matrix, scores = rows(LEAST_ROWS, 2, scale=9.0)
    last = LEAST_ROWS - 1
    times = np.full(last, START)
    drift.take(names(last), times, matrix[:last], scores[:last])
    assert {} == drift.index()
    drift.take(["192.0.2.1"], times[:1], matrix[last:], scores[last:])

    assert drift.index()[OVERALL] > MUCH


def test_a_loud_source_counts_once_an_hour() -> None:
    """A scan is an attack, and no drift."""
    drift = watching()
    matrix, scores = rows(1000, 2)
    drift.take(names(1000), np.full(1000, START), matrix, scores)
    before = drift.index()
    loud, certain = np.full((5000, len(FEATURES)), 1e6), np.ones(5000)
    drift.take(["192.0.2.66"] * 5000, np.full(5000, START + 1), loud, certain)

    assert 1001 == drift.rows()
    assert max(drift.index()[name] - before[name] for name in before) < 0.02


def test_an_hour_later_it_counts_again() -> None:
    """Once more."""
    drift = watching()
    matrix, scores = rows(4, 2)
    times = START + np.array([0, 1, 1, 2]) * HOUR
    drift.take(["192.0.2.66"] * 4, times, matrix, scores)

    assert 3 == drift.rows()


def test_what_is_a_day_old_is_forgotten() -> None:
    """The window slides by the hour of event time."""
    drift = watching()
    matrix, scores = rows(10, 2)
    drift.take(names(10), np.full(10, START), matrix, scores)
    drift.take(names(10), np.full(10, START + (HOURS - 1) * HOUR), matrix, scores)
    assert 20 == drift.rows()
    drift.take(names(10), np.full(10, START + HOURS * HOUR), matrix, scores)

    assert 20 == drift.rows()


def test_a_late_row_counts_now_and_turns_no_hour_back() -> None:
    """Records come out of order."""
    drift = watching()
    matrix, scores = rows(2, 2)
    drift.take(["192.0.2.1"], np.array([START + 5 * HOUR]), matrix[:1], scores[:1])
    drift.take(["192.0.2.1"], np.array([START]), matrix[1:], scores[1:])

    assert 1 == drift.rows()


def test_an_hour_counts_a_bounded_number_of_sources() -> None:
    """Forged addresses are free."""
    drift = watching()
    count = MOST_SOURCES + 10
    matrix, scores = np.zeros((count, len(FEATURES))), np.zeros(count)
    drift.take(names(count), np.full(count, START), matrix, scores)

    assert MOST_SOURCES == drift.rows()


def test_the_index_does_not_depend_on_batches() -> None:
    """The same rows in any cut, the same figures to the digit."""
    matrix, scores = rows(1200, 2, scale=2.0)
    times = START + np.arange(1200) * (HOUR // 100)
    addresses = [names(1)[0] if n % 3 else f"192.0.2.{n % 250}" for n in range(1200)]
    found = []
    for size in (1, 7, 1200):
        drift = watching()
        for start in range(0, 1200, size):
            cut = slice(start, start + size)
            drift.take(addresses[cut], times[cut], matrix[cut], scores[cut])
        found.append((drift.rows(), drift._window().tolist()))

    assert found[0] == found[1] == found[2]


def test_no_row_is_no_reference() -> None:
    """There would be nothing to divide by."""
    with pytest.raises(ValueError, match="no rows"):
        reference(np.zeros((0, len(FEATURES))), np.zeros(0))
