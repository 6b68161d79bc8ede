"""Figures with their uncertainty: shares, F1, calibration error, and the curves behind them.

Intervals are of 95%. Shares take Wilson's score interval (Wilson, 1927), which stays honest at 0
and 1 where the usual one has no width. What is no share is bootstrapped (Efron, 1979), by source:
rows of one source are not independent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Z = 1.959963984540054
"""Two-sided 95% point of the normal distribution."""
BINS = 15
_RESAMPLES = 1000
_SEED = 6


class Interval(NamedTuple):
    """A figure and where it lies with 95% confidence."""

    value: float
    low: float
    high: float


class Confusion(NamedTuple):
    """Counts of right and wrong answers."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


def wilson(hits: int, n: int) -> Interval:
    """Return a share with Wilson's interval; of nothing, the whole range and NaN."""
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0)
    share, spread = hits / n, Z * Z / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z * ((share * (1 - share) + spread / 4) / n) ** 0.5 / (1 + spread)
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return Interval(share, 0.0 if hits == 0 else low, 1.0 if hits == n else high)


def confusion(truth: Sequence[bool], said: Sequence[bool]) -> Confusion:
    """Count answers `said` against the `truth`. Raises ValueError where their lengths differ."""
    pairs = list(zip(truth, said, strict=True))
    return Confusion(*(pairs.count(pair) for pair in _CELLS))


_CELLS = ((True, True), (False, True), (True, False), (False, False))


def f1(counts: Confusion) -> float:
    """Return the harmonic mean of precision and recall; NaN where nothing is to be found."""
    found = 2 * counts.true_positive
    whole = found + counts.false_positive + counts.false_negative
    return found / whole if whole else float("nan")


def f1_interval(counts: Confusion) -> Interval:
    """Return F1 with its bootstrap interval over the sources."""
    value, n = f1(counts), sum(counts)
    if n == 0 or value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
        return Interval(value, 0.0, 1.0)
    # Drawing n sources with replacement is drawing the four counts from one multinomial.
    drawn = np.random.default_rng(_SEED).multinomial(n, np.array(counts) / n, _RESAMPLES)
    found = 2.0 * drawn[:, 0]
    whole = found + drawn[:, 1] + drawn[:, 2]
    values = np.divide(found, whole, out=np.zeros(_RESAMPLES), where=whole > 0)
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(value, float(low), float(high))


def calibration(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], bins: int = BINS
) -> list[tuple[float, float, int]]:
    """Return (mean score, share of attacks, rows) of `bins` bins with equally many rows each."""
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [(float(scores[p].mean()), float(truth[p].mean()), len(p)) for p in parts]


def calibration_error(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], bins: int = BINS
) -> float:
    """Return the expected calibration error over equal-count bins (Nixon et al., 2019).

    The mean distance between what a score says and what is so; NaN without rows.
    """
    if not len(scores):
        return float("nan")
    found = calibration(scores, truth, bins)
    return sum(abs(said - so) * count for said, so, count in found) / len(scores)


def calibration_interval(
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    groups: NDArray[np.int64],
    resamples: int = 200,
) -> Interval:
    """Return the calibration error with its bootstrap interval; `groups`: source of each row."""
    value = calibration_error(scores, truth)
    if not len(scores):
        return Interval(value, 0.0, 1.0)
    order = np.argsort(groups, kind="stable")
    _, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    draw = np.random.default_rng(_SEED)
    values = []
    for _ in range(resamples):
        chosen = draw.integers(0, len(starts), len(starts))
        rows = order[_spans(starts[chosen], counts[chosen])]
        values.append(calibration_error(scores[rows], truth[rows]))
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(value, float(low), float(high))


def precision_recall(
    scores: NDArray[np.float64], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return recall and precision at each distinct score, the strictest first."""
    found, wrong = _cumulated(scores, truth)
    total = max(int(truth.sum()), 1)
    return found / total, found / np.maximum(found + wrong, 1.0)


def roc(
    scores: NDArray[np.float64], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return false and true positive rate at each distinct score, from (0, 0) to (1, 1)."""
    found, wrong = _cumulated(scores, truth)
    positives, negatives = max(int(truth.sum()), 1), max(int((~truth).sum()), 1)
    start = np.zeros(1)
    return np.concatenate([start, wrong / negatives]), np.concatenate([start, found / positives])


def area_under_roc(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Return the chance that an attack scores above what is none; NaN where one is missing."""
    if truth.all() or not truth.any():
        return float("nan")
    false_rate, true_rate = roc(scores, truth)
    return float(np.trapezoid(true_rate, false_rate))


def average_precision(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Return the mean precision over the recall that each score adds; NaN without attacks."""
    if not truth.any():
        return float("nan")
    recall, precision = precision_recall(scores, truth)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def _cumulated(
    scores: NDArray[np.float64], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return hits and false alarms down to each distinct score, the highest first."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = np.cumsum(truth[order])[ends].astype(np.float64)
    return hits, ends + 1 - hits


def _spans(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices start, start + 1, ... of each span, one span after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
