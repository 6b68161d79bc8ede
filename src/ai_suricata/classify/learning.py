"""The learning period: which rows a model of this network is trained on.

It lasts for so many events, and ends after exactly that many, wherever a batch does. No source
can fill it with its own habits: each gives at most sixteen rows.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.estimator import Model, fit
from ai_suricata.core.schema import FEATURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ROWS_PER_SOURCE = 16
MOST_ROWS = 20_000


class Learning:
    """Collects rows until enough events were seen."""

    def __init__(self, events: int) -> None:
        """`events`: length of the learning period."""
        self.remaining = events
        self._rows: list[NDArray[np.float64]] = []
        self._of_source: Counter[str] = Counter()

    @property
    def rows(self) -> int:
        """How many rows have been taken."""
        return len(self._rows)

    def collect(self, addresses: Sequence[str], matrix: NDArray[np.float64]) -> None:
        """Take the rows of the sources that have not given enough yet."""
        for address, vector in zip(addresses, matrix, strict=True):
            if self._of_source[address] < ROWS_PER_SOURCE and len(self._rows) < MOST_ROWS:
                self._of_source[address] += 1
                self._rows.append(vector.copy())

    def matrix(self) -> NDArray[np.float64]:
        """Return the rows, shape (rows, features)."""
        return np.array(self._rows) if self._rows else np.zeros((0, len(FEATURES)))

    def train(self) -> Model:
        """Return a model of what was collected; ValueError where nothing was."""
        return fit(self.matrix())
