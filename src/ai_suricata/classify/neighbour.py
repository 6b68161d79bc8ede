"""Nearest neighbours among few prototypes (Cover and Hart, 1967).

Distances are whole numbers: scaled features are rounded to small steps, so that one matrix product
in single precision gives each of them exactly, whatever the order in which it adds up. The same row
has the same neighbours in any batch, on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAREST = 7
MOST = 384
"""Prototypes; each costs a product with each row."""
_MOST_STEPS = 100.0
"""A feature counts as so many steps at most: 100 squared, times 400 features, stays below 2^24."""

_LEAST_SPREAD = 0.25
"""Of a scaled feature: else one that is nearly always 0 would decide alone."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Prototypes of attack and normal behaviour."""

    steps: NDArray[np.float32]
    """Steps for each unit of a scaled feature, shape (features,); 0 where it never varied."""
    prototypes: NDArray[np.float32]
    """Whole numbers, shape (prototypes, features)."""
    labels: NDArray[np.int8]
    """Shape (prototypes,): 1 attack, 0 normal."""

    def probability(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the share of attacks among the nearest prototypes, drawn in from 0 and 1.

        `rows`: scaled. Among prototypes at the same distance the normal ones come first.
        """
        points = self.steps_of(rows)
        ours = (self.prototypes * self.prototypes).sum(axis=1)
        theirs = (points * points).sum(axis=1, keepdims=True)
        distances = theirs + (ours - 2.0 * (points @ self.prototypes.T))
        # Twice the distance plus the label orders both at once, and is still exact.
        keys = 2.0 * distances + self.labels.astype(np.float32)
        count = min(NEAREST, len(self.labels))
        nearest = np.partition(keys, count - 1, axis=1)[:, :count]
        attacks = np.mod(nearest, 2.0).sum(axis=1, dtype=np.float64)
        share: NDArray[np.float64] = (attacks + 0.5) / (count + 1.0)
        return share

    def steps_of(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scaled rows in whole steps."""
        steps: NDArray[np.float32] = np.minimum(np.rint(rows * self.steps), np.float32(_MOST_STEPS))
        return steps


def neighbours(
    rows: NDArray[np.float32],
    labels: NDArray[np.int8],
    weights: NDArray[np.float64],
    seed: int,
) -> Neighbours:
    """Return prototypes of scaled rows, as many of either label, drawn by weight.

    Rows that look alike in whole steps are one prototype, with the label of the greater weight: a
    thousand clients that do the same thing need one point and not a thousand.
    """
    spread = rows.std(axis=0)
    steps = np.where(spread > 0, 8.0 / np.maximum(spread, _LEAST_SPREAD), 0.0).astype(np.float32)
    plain = Neighbours(steps, rows[:0], labels[:0])
    points, place = np.unique(plain.steps_of(rows), axis=0, return_inverse=True)
    place = place.ravel()
    attack = np.bincount(place, weights * (labels == 1), len(points)).astype(np.float64)
    normal = np.bincount(place, weights * (labels == 0), len(points)).astype(np.float64)
    random = np.random.default_rng(seed)
    chosen = [
        _drawn(random, np.flatnonzero(mine > other), mine)
        for mine, other in ((attack, normal), (normal, attack))
    ]
    indices = np.sort(np.concatenate(chosen))
    return Neighbours(steps, points[indices], (attack > normal)[indices].astype(np.int8))


def _drawn(
    random: np.random.Generator, candidates: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Draw at most half of `MOST` without putting back; the square root lets rare ones in."""
    most = MOST // 2
    if len(candidates) <= most:
        return candidates
    share = np.sqrt(weights[candidates])
    return random.choice(candidates, most, replace=False, p=share / share.sum())
