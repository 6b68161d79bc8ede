"""Labelled feature vectors: what the supervised models are fitted on and measured against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.schema import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

ATTACK, NORMAL = 1, 0
"""The two labels."""


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Feature vectors side by side with their labels; every field has one entry a row.

    Raises ValueError where the lengths differ, a label is neither 0 nor 1, or a weight is negative.
    """

    matrix: NDArray[np.float64]
    """Shape (rows, len(FEATURES)), in the order of `core.schema`."""
    labels: NDArray[np.int8]
    """Shape (rows,): 1 the source attacks, 0 it does not."""
    groups: list[str]
    """Source address and data set: a split never parts two rows of one group."""
    sets: list[str]
    """Name of the data set that the row is from."""
    times: NDArray[np.int64]
    """Shape (rows,): event time in microseconds since the epoch."""
    weights: NDArray[np.float64]
    """Shape (rows,): how much the row counts, before fitting balances sources and labels."""
    campaigns: list[str] = field(default_factory=list)
    """Name that the sources of a distributed attack share, else empty; none at all: not known."""

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        if self.matrix.ndim != 2 or self.matrix.shape[1] != len(FEATURES):  # noqa: PLR2004 - rows and columns
            raise ValueError(f"expected (rows, {len(FEATURES)}), got {self.matrix.shape}")
        lengths = {
            len(column)
            for column in (self.labels, self.groups, self.sets, self.times, self.weights)
        }
        if lengths | {len(self.campaigns) or len(self.matrix)} != {len(self.matrix)}:
            raise ValueError(f"{len(self.matrix)} rows, but columns of {sorted(lengths)}")
        if not set(np.unique(self.labels).tolist()) <= {ATTACK, NORMAL}:
            raise ValueError("a label is neither 0 nor 1")
        if (self.weights < 0).any():
            raise ValueError("a weight is negative")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.matrix)

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> TrainingRows:
        """Return the rows of a boolean mask, or of indices, in their order."""
        indices = np.arange(len(self))[chosen]
        return TrainingRows(
            matrix=self.matrix[indices],
            labels=self.labels[indices],
            groups=[self.groups[index] for index in indices.tolist()],
            sets=[self.sets[index] for index in indices.tolist()],
            times=self.times[indices],
            weights=self.weights[indices],
            campaigns=[self.campaigns[index] for index in indices.tolist()]
            if self.campaigns
            else [],
        )


def joined(parts: Iterable[TrainingRows]) -> TrainingRows:
    """Return the rows of all parts, one after the other; no part gives no rows."""
    found = list(parts)
    if not found:
        none = np.zeros(0)
        return TrainingRows(
            np.zeros((0, len(FEATURES))), none.astype(np.int8), [], [], none.astype(np.int64), none
        )
    return TrainingRows(
        matrix=np.concatenate([part.matrix for part in found]),
        labels=np.concatenate([part.labels for part in found]),
        groups=[group for part in found for group in part.groups],
        sets=[name for part in found for name in part.sets],
        times=np.concatenate([part.times for part in found]),
        weights=np.concatenate([part.weights for part in found]),
        campaigns=[name for part in found for name in part.campaigns or [""] * len(part)],
    )
