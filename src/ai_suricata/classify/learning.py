"""The learning period: which rows the forest of this network is grown on.

It lasts for so many events, and ends after exactly that many, wherever a batch does. Nobody can
fill it with his own habits: of each source a twentieth of the period counts at most (else a loud
one would end it before others were heard) and sixteen rows are taken, one that is suspected gives
none, not even those from before, and the oddest rows of all are left out when the forest is grown
(see `estimator.fit`). A network of few hosts has to learn too: after ten times as many events the
period ends in any case.

The rows are not stored. They are no record of what happened, the shipped model judges meanwhile,
and a period that begins anew after a restart ends with rows of one stretch of time, as it should;
what sources did before a restart is in the behaviour, which is stored.
"""

from __future__ import annotations

from collections import Counter
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.classify.estimator import Novelty, fit
from ai_suricata.core.schema import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

ROWS_PER_SOURCE = 16
MOST_ROWS = 20_000
SHARE = 20
"""A source counts for one part in so many of the period, at most."""
LEAST_SOURCES = 4
"""Of fewer no forest is grown, where one serves already."""
LONGEST = 10
"""Times the length of the period, in all events."""
_MOST_SUSPECTS = 100_000


class Learning:
    """Collects rows until enough events were seen."""

    def __init__(self, events: int, harmless: float = 0.5) -> None:
        """`events`: length of the learning period; `harmless`: a score below which rows are."""
        self.remaining = events
        """Events that still have to count."""
        self._patience = LONGEST * events
        self._most = max(events // SHARE, 1)
        self._spent: Counter[str] = Counter()
        self._harmless = harmless
        self._rows: dict[str, list[NDArray[np.float64]]] = {}
        self._given: Counter[str] = Counter()
        self._taken = 0
        self._suspects: set[str] = set()

    @property
    def thin(self) -> bool:
        """Whether the rows are of so few sources that they say nothing of a network."""
        return len(self._rows) < LEAST_SOURCES

    @property
    def rows(self) -> int:
        """How many rows have been taken."""
        return self._taken

    def spend(self, owners: Sequence[str | None]) -> int:
        """Count events by whose they are (None: nobody's); return how many the period still takes.

        That is all of them, but for the last time.
        """
        for index, owner in enumerate(owners):
            self._patience -= 1
            if owner is None:
                self.remaining -= 1
            elif self._spent[owner] < self._most:
                self._spent[owner] += 1
                self.remaining -= 1
            if self._patience <= 0:
                self.remaining = 0
            if self.remaining <= 0:
                return index + 1
        return len(owners)

    def prolong(self, events: int) -> None:
        """Go on for so many events, whosever they are."""
        self.remaining = self._patience = events

    def collect(
        self,
        addresses: Sequence[str],
        matrix: NDArray[np.float64],
        scores: Iterable[float] = repeat(0.0),
    ) -> None:
        """Take the rows of sources that have not given enough yet and that nobody suspects.

        `scores`: what the model that serves, or patterns alone, thinks of each row.
        """
        for address, vector, score in zip(addresses, matrix, scores, strict=False):
            if score >= self._harmless:
                self._suspect(address)
            elif (
                address not in self._suspects
                and self._given[address] < ROWS_PER_SOURCE
                and self._taken < MOST_ROWS
            ):
                self._given[address] += 1
                self._rows.setdefault(address, []).append(vector.copy())
                self._taken += 1

    def matrix(self) -> NDArray[np.float64]:
        """Return the rows, shape (rows, features)."""
        rows = [row for rows in self._rows.values() for row in rows]
        return np.array(rows) if rows else np.zeros((0, len(FEATURES)))

    def train(self) -> Novelty:
        """Return a forest of what was collected; ValueError, with the remedy, where nothing was."""
        if not self._taken:
            raise ValueError(self._nothing())
        return fit(self.matrix())

    def _nothing(self) -> str:
        """Say why there is nothing to learn from, and what to do."""
        if not self._suspects:
            return "no feature vectors to learn from; give events that carry addresses"
        return (
            "no feature vectors to learn from: suspects teach nothing, and every source "
            f"({len(self._suspects)} in all) scored {self._harmless:.2f} (MEDIUM) or above; give a "
            "longer recording with ordinary clients in it, and check HOME_NET"
        )

    def _suspect(self, address: str) -> None:
        """Forget what a source gave, and take no more of it."""
        if len(self._suspects) < _MOST_SUSPECTS:
            self._suspects.add(address)
        self._rows.pop(address, None)
        self._taken -= self._given.pop(address, 0)
