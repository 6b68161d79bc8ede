"""How patterns, vote and anomaly come to one score that means what it says.

A logistic regression adds them up: each can only speak against a source, never for it, but by being
absent. One curve then makes the sum a share of attackers: of rows with a score of 0.85, 85 in a
hundred are of attackers. Both are fitted on rows that the learners had not been shown.

An attack that no training ever held is recognised by its pattern alone. So a pattern that is nearly
certain weighs more than what was learnt, enough to outweigh a vote that is all against it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VOTE_LIMIT = 0.02
"""The vote counts as between this and one minus this."""
_STEEP = 0.99  # how near a pattern's score of 1 comes to certainty
_ANOMALY = (0.5, 1.5)
"""Bounds of its weight, log odds: it takes part, and what is odd alone is not acted on."""
_PATTERN = (1.0, 8.0)
"""Bounds of a pattern's weight, log odds: what the laboratory lacks is not worth nothing."""
_VOTE = (0.3, 1.5)
"""Bounds of the vote's weight: it is a probability already, and takes part in any case."""
_RIDGE = 1e-3
_CERTAIN = 0.90
"""Score that a full pattern reaches whatever the vote says."""
_UNSURE, _SURE = 0.65, 0.85
"""Scores at which a pattern begins to outweigh the vote, and does it with all its weight: above
what one signature alone can reach, which may be wrong about a client however often it says so."""
_KNOTS = np.arange(-6.0, 6.5, 1.5)
"""Log odds at which the curve may bend."""
_SLOPES = (0.4, 2.5)
_STIFF = 1e-3
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Stack:
    """Weights of the sum, and the curve on it."""

    bias: float
    vote: float
    anomaly: float
    patterns: NDArray[np.float64]
    """Shape (patterns,), in the order of `PATTERN_NAMES`."""
    certain: float
    """Log odds that a pattern at 1 adds after the curve, whichever it is."""
    places: NDArray[np.float64]
    """Log odds as the sum has them, rising; beyond the ends the curve goes on with slope 1."""
    heights: NDArray[np.float64]
    """Log odds as they turned out to be, rising."""

    def score(
        self,
        patterns: NDArray[np.float64],
        vote: NDArray[np.float64],
        anomaly: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return 0..1 for each row: `patterns` (patterns, rows), the others (rows,)."""
        score: NDArray[np.float64] = np.round(expit(self.odds(patterns, vote, anomaly)), DIGITS)
        return score

    def odds(
        self,
        patterns: NDArray[np.float64],
        vote: NDArray[np.float64],
        anomaly: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the calibrated log odds of the same."""
        return self.curve(self.sum(patterns, vote, anomaly)) + self.certain * certainty(patterns)

    def sum(
        self,
        patterns: NDArray[np.float64],
        vote: NDArray[np.float64],
        anomaly: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the log odds before the curve."""
        # Term by term: a matrix product may add in another order for another number of rows.
        total = self.bias + self.vote * vote_odds(vote) + self.anomaly * anomaly
        for weight, score in zip(self.patterns, evidence(patterns), strict=True):
            total = total + weight * score
        return total

    def curve(self, odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return calibrated log odds; strictly rising."""
        low, high = self.places[0], self.places[-1]
        inside = np.interp(odds, self.places, self.heights)
        bent: NDArray[np.float64] = (
            inside + np.minimum(odds - low, 0.0) + np.maximum(odds - high, 0.0)
        )
        return bent


def expit(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability of log odds."""
    probability: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-odds))
    return probability


def vote_odds(vote: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log odds of a vote, within bounds: four learners that agree can err together."""
    inside = np.clip(vote, VOTE_LIMIT, 1.0 - VOTE_LIMIT)
    odds: NDArray[np.float64] = np.log(inside / (1.0 - inside))
    return odds


def evidence(patterns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much a pattern's score weighs, 0..1: the last steps to 1 weigh most."""
    weight: NDArray[np.float64] = np.log1p(-_STEEP * patterns) / np.log1p(-_STEEP)
    return weight


def certainty(patterns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how sure the strongest pattern of each row is, 0..1; 0 up to `_UNSURE`."""
    sure: NDArray[np.float64] = (patterns.max(axis=0) - _UNSURE) / (_SURE - _UNSURE)
    return np.clip(sure, 0.0, 1.0)


def fit(
    parts: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    labels: NDArray[np.int8],
    weights: NDArray[np.float64],
) -> Stack:
    """Fit sum and curve on (patterns, vote, anomaly) of rows that the learners were not shown.

    What a nearly certain pattern adds comes after the curve, and is not fitted: it is a promise.
    """
    stack = _curved(_summed(parts, labels, weights), parts, labels, weights)
    unheard = full_pattern(stack)
    missing = np.log(_CERTAIN / (1.0 - _CERTAIN)) - np.log(unheard / (1.0 - unheard))
    return replace(stack, certain=round(max(float(missing), 0.0), 3))


def full_pattern(stack: Stack) -> float:
    """Return the score of the weakest pattern at 1, where the vote is 0 and nothing is odd."""
    count = len(stack.patterns)
    return float(stack.score(np.eye(count), np.zeros(count), np.zeros(count)).min())


def _summed(
    parts: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    labels: NDArray[np.int8],
    weights: NDArray[np.float64],
) -> Stack:
    """Fit the logistic regression: only its bias may speak for a source."""
    # scikit-learn brings it; it has no types, and is not for --help.
    from scipy.optimize import minimize  # type: ignore[import-untyped]  # noqa: PLC0415

    patterns, vote, anomaly = parts
    design = np.vstack([np.ones(len(vote)), vote_odds(vote), anomaly, evidence(patterns)])
    target, share = labels.astype(np.float64), weights / weights.sum()
    start = np.concatenate([[0.0, 1.0, 0.0], np.ones(len(patterns))])
    ridge = np.concatenate([np.zeros(3), np.full(len(patterns), _RIDGE)])

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = w @ design
        value = float(share @ (np.logaddexp(0.0, odds) - target * odds))
        slope = design @ (share * (expit(odds) - target))
        return value + 0.5 * float(ridge @ w**2), slope + ridge * w

    bounds = [(None, None), _VOTE, _ANOMALY, *[_PATTERN] * len(patterns)]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    # Rounded: what lies behind is the optimiser's and not the data's.
    w = np.round(found, 6)
    bias, weight, odd = w[:3].tolist()
    return Stack(bias, weight, odd, w[3:], 0.0, _KNOTS.copy(), _KNOTS.copy())


def _curved(
    stack: Stack,
    parts: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    labels: NDArray[np.int8],
    weights: NDArray[np.float64],
) -> Stack:
    """Return the stack with the curve by which its scores come true: greatest likelihood.

    It is isotonic, made of straight pieces that all rise: on a step of the usual isotonic
    regression many rows would have one score, and a small change of a feature would change nothing.
    Where rows are few, a piece stays near slope 1, which leaves the sum as it is.
    """
    # scikit-learn brings it; it has no types, and is not for --help.
    from scipy.optimize import minimize  # noqa: PLC0415

    odds = np.clip(stack.sum(*parts), _KNOTS[0], _KNOTS[-1])
    target, share = labels.astype(np.float64), weights / weights.sum()
    # What each piece adds for a rise of 1: the height is the first knot's plus these.
    design = np.clip(odds[None, :] - _KNOTS[:-1, None], 0.0, np.diff(_KNOTS)[:, None])

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        height = w[0] + w[1:] @ design
        value = float(share @ (np.logaddexp(0.0, height) - target * height))
        wrong = share * (expit(height) - target)
        bent = w[1:] - 1.0
        slope = np.concatenate([[wrong.sum()], design @ wrong + _STIFF * bent])
        return value + 0.5 * _STIFF * float(bent @ bent), slope

    start = np.concatenate([_KNOTS[:1], np.ones(len(_KNOTS) - 1)])
    bounds = [(None, None), *[_SLOPES] * (len(_KNOTS) - 1)]
    found = np.round(minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x, 6)
    rise = np.concatenate([[0.0], np.cumsum(found[1:] * np.diff(_KNOTS))])
    return replace(stack, places=_KNOTS.copy(), heights=found[0] + rise)
