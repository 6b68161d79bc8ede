"""The reasons of a verdict: which features moved its score, by how much, and what is usual.

A feature's part is measured, not guessed: the vector is scored again with that one feature put
back to its usual value, the median of harmless rows. What the score falls by is what the feature
had raised it by; where it rises, the feature had lowered it. So the first-named feature is one
without which the score is lower, whatever estimator stands behind it (a one-at-a-time
counterfactual; Robnik-Sikonja and Kononenko, "Explaining Classifications For Individual
Instances", 2008). All vectors of a wave are scored in one call, since a call costs more than a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ai_suricata.classify.patterns import NOTEWORTHY, PATTERNS
from ai_suricata.core.schema import FEATURES, INDEX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MOST_FEATURES = 4
"""Features that are named at most, those of recognised patterns aside."""
MOST_CANDIDATES = 24
"""Features that are asked about: on lab rows the one that moved a score most was always among the
24 oddest of those that were not at their usual value, in 99% of the rows among the first 14."""
_MOST_ROWS = 4096
"""Vectors that are scored in one call at most."""
_TINY = 1e-6
"""A score that falls by less has not fallen: what moves it is told twice, and masks itself."""
_WORTH_SAYING = 0.01
"""Change of the score from which a second feature is named."""
_SPOKEN_OF = tuple(
    tuple(name for _, name, _, _ in Formatter().parse(pattern.words) if name)
    for pattern in PATTERNS
)
"""The features that each pattern's words name."""
_THOUSAND = 1000
_UNSPOKEN = {"count", "distinct", "ratio", "1/second", "yes/no"}
"""Units that the number or the meaning already says."""


class Range(Protocol):
    """What is usual of each feature, shape (features,)."""

    @property
    def low(self) -> NDArray[np.float64]:
        """5th percentile."""
        ...

    @property
    def median(self) -> NDArray[np.float64]:
        """50th percentile."""
        ...

    @property
    def high(self) -> NDArray[np.float64]:
        """95th percentile."""
        ...


class Scorer(Protocol):
    """As much of a model as an explanation needs."""

    @property
    def usual(self) -> Range:
        """What is usual of harmless rows."""
        ...

    def score(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 0..1 for each row of feature vectors."""
        ...


class RowParts(Protocol):
    """As much of the parts of a score as an explanation needs."""

    @property
    def patterns(self) -> NDArray[np.float64]:
        """Scores of all patterns, shape (patterns,) or (patterns, 1)."""
        ...


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature did to one score."""

    name: str
    value: float
    low: float
    """5th percentile of harmless rows."""
    high: float
    """95th percentile of harmless rows."""
    change: float
    """By how much the score falls without it alone; negative where it rises."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a score is what it is."""

    reasons: tuple[str, ...]
    """In words; never empty. What moved the score most is named in the first of them."""
    features: dict[str, float]
    """Values of the features that the reasons name, that which moved the score most first."""
    contributions: tuple[Contribution, ...] = ()
    """The features that moved it, the strongest first; empty where it was not measured."""


def explained(
    model: Scorer,
    matrix: NDArray[np.float64],
    patterns: NDArray[np.float64],
    scores: NDArray[np.float64],
    thorough: NDArray[np.bool_],
) -> list[Explanation]:
    """Return an explanation of each row.

    `matrix` (rows, features), `patterns` (patterns, rows), `scores` (rows,): as the model gave
    them. `thorough` (rows,): where contributions are measured; elsewhere the words are cheap.
    """
    found = [
        None if measured else _cheap(model.usual, vector, patterns[:, row])
        for row, (vector, measured) in enumerate(zip(matrix, thorough.tolist(), strict=True))
    ]
    rows = np.nonzero(thorough)[0]
    most = _MOST_ROWS // MOST_CANDIDATES
    for start in range(0, len(rows), most):
        chunk = rows[start : start + most]
        changes = _changes(model, matrix[chunk], scores[chunk])
        for row, change in zip(chunk.tolist(), changes, strict=True):
            moved = _contributions(model, matrix[row], change, float(scores[row]))
            found[row] = _worded(matrix[row], patterns[:, row], moved, float(scores[row]))
    return [one for one in found if one is not None]


def explain(
    model: Scorer, vector: NDArray[np.float64], parts: RowParts, score: float
) -> Explanation:
    """Return the measured explanation of one vector, shape (features,)."""
    patterns = np.reshape(parts.patterns, (-1, 1))
    one = np.ones(1, np.bool_)
    return explained(model, vector[np.newaxis], patterns, np.array([score]), one)[0]


def recognised(patterns: NDArray[np.float64]) -> list[int]:
    """Return the indices of the patterns worth naming, the strongest first; shape (patterns,)."""
    order = np.argsort(-patterns, kind="stable").tolist()
    return [index for index in order if patterns[index] >= NOTEWORTHY]


def _changes(
    model: Scorer, matrix: NDArray[np.float64], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by how much each score falls without each feature, shape (rows, features)."""
    median = model.usual.median
    rows, columns = np.nonzero(_candidates(model.usual, matrix))
    changes = np.zeros(matrix.shape)
    if len(rows):
        without = matrix[rows]
        without[np.arange(len(rows)), columns] = median[columns]
        changes[rows, columns] = scores[rows] - model.score(without)
    return changes


def _candidates(usual: Range, matrix: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which features of each row are asked about: those not at their median, the oddest."""
    odd = np.where(matrix != usual.median, _oddness(usual, matrix), -np.inf)
    if matrix.shape[1] <= MOST_CANDIDATES:
        return odd > -np.inf
    least = -np.partition(-odd, MOST_CANDIDATES - 1, axis=1)[:, MOST_CANDIDATES - 1 :][:, :1]
    return (odd >= least) & (odd > -np.inf)


def _contributions(
    model: Scorer, vector: NDArray[np.float64], change: NDArray[np.float64], score: float
) -> tuple[Contribution, ...]:
    """Return the features worth naming: that without which the score falls furthest first."""
    first = _foremost(model.usual, vector, change)
    if change[first] <= _TINY:
        first = _masked(model, vector, score)
    order = np.argsort(-np.abs(change), kind="stable").tolist()
    others = [index for index in order if index != first and abs(change[index]) >= _WORTH_SAYING]
    chosen = [first, *others[: MOST_FEATURES - 1]]
    usual = model.usual
    return tuple(
        Contribution(
            FEATURES[index].name,
            float(vector[index]),
            float(usual.low[index]),
            float(usual.high[index]),
            float(change[index]),
        )
        for index in chosen
    )


def _foremost(usual: Range, vector: NDArray[np.float64], change: NDArray[np.float64]) -> int:
    """Return the feature without which the score falls furthest.

    Where evidence is plentiful no single feature matters: of those hardly different falls it is
    then the greatest of a value that is unusual, which tells a reader more.
    """
    first = int(np.argmax(change))
    if change[first] >= _WORTH_SAYING:
        return first
    unusual = np.where(_oddness(usual, vector) > 0, change, 0.0)
    best = int(np.argmax(unusual))
    return best if unusual[best] > _TINY else first


def _masked(model: Scorer, vector: NDArray[np.float64], score: float) -> int:
    """Return the feature that moves the score among several that tell the same.

    They are put back one after the other, the oddest first; it is the one at which the score falls
    furthest. Where it never falls, it is the oddest.
    """
    odd = _oddness(model.usual, vector)
    order = np.argsort(-odd, kind="stable")
    order = order[vector[order] != model.usual.median[order]]
    if not len(order):
        return int(np.argmax(odd))
    steps = np.tile(vector, (len(order), 1))
    for step, index in enumerate(order.tolist()):
        steps[step:, index] = model.usual.median[index]
    falls = -np.diff(np.concatenate([[score], model.score(steps)]))
    best = int(np.argmax(falls))
    return int(order[best] if falls[best] > 0 else order[0])


def _oddness(usual: Range, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each value lies outside what is usual, in orders of magnitude; < 0 inside.

    `values`: a vector or a matrix of them.
    """
    at = _magnitude(values)
    return np.maximum(at - _magnitude(usual.high), _magnitude(usual.low) - at)


def _magnitude(values: NDArray[np.float64]) -> NDArray[np.float64]:
    magnitude: NDArray[np.float64] = np.sign(values) * np.log1p(np.abs(values))
    return magnitude


def _worded(
    vector: NDArray[np.float64],
    patterns: NDArray[np.float64],
    moved: Sequence[Contribution],
    score: float,
) -> Explanation:
    """Return the words of patterns and contributions."""
    first = moved[0].name
    seen = recognised(patterns)
    # The pattern that speaks of what moved the score most comes first; where none does, the
    # feature comes before them all.
    seen.sort(key=lambda index: first not in _SPOKEN_OF[index])
    words = [_pattern_words(index, vector) for index in seen]
    told = list(_contribution_words(moved, score))
    leads = bool(seen) and first in _SPOKEN_OF[seen[0]]
    reasons = (*words, *told) if leads else (told[0], *words, *told[1:])
    names = [one.name for one in moved] + [name for index in seen for name in _SPOKEN_OF[index]]
    return Explanation(reasons, _values(names, vector), tuple(moved))


def _cheap(usual: Range, vector: NDArray[np.float64], patterns: NDArray[np.float64]) -> Explanation:
    """Return the words of the patterns; where there is none, the oddest value."""
    seen = recognised(patterns)
    if seen:
        names = [name for index in seen for name in _SPOKEN_OF[index]]
        words = tuple(_pattern_words(index, vector) for index in seen)
        return Explanation(words, _values(names, vector))
    odd = int(np.argmax(_oddness(usual, vector)))
    low, high = float(usual.low[odd]), float(usual.high[odd])
    value = float(vector[odd])
    words = (f"no pattern by itself; most unusual: {_told(FEATURES[odd].name, value, low, high)}",)
    return Explanation(words, {FEATURES[odd].name: value})


def _pattern_words(index: int, vector: NDArray[np.float64]) -> str:
    values = {name: float(vector[INDEX[name]]) for name in _SPOKEN_OF[index]}
    return PATTERNS[index].words.format(**values)


def _contribution_words(moved: Sequence[Contribution], score: float) -> Iterator[str]:
    for place, one in enumerate(moved):
        said = _told(one.name, one.value, one.low, one.high)
        how = "raised" if one.change >= 0 else "lowered"
        most = " most" if place == 0 else ""
        without = f"; the score is {min(max(score - one.change, 0.0), 1.0):.2f} without it"
        yield f"{how}{most} by {said}{without if abs(one.change) >= _WORTH_SAYING else ''}"


def _told(name: str, value: float, low: float, high: float) -> str:
    feature = FEATURES[INDEX[name]]
    unit = "" if feature.unit in _UNSPOKEN else f" {feature.unit}"
    return f"{feature.meaning}: {_number(value)}{unit}, {_usually(value, low, high)}"


def _usually(value: float, low: float, high: float) -> str:
    least, most = _number(low), _number(high)
    if least == most:
        return f"usually {most}"
    if value > high:
        return f"usually up to {most}"
    return f"usually {least} or more" if value < low else f"usually {least} to {most}"


def _values(names: Sequence[str], vector: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(vector[INDEX[name]]) for name in names}


def _number(value: float) -> str:
    """Write a number as people do: thousands with commas, small ones to three places."""
    if abs(value) >= _THOUSAND:
        return f"{value:,.0f}"
    return f"{round(value, 3) + 0.0:.3f}".rstrip("0").rstrip(".")  # + 0.0: no -0
