"""Whether what comes in is still what the model was made from: the population stability index.

For a feature whose values fall into bins with the shares e when the model was made and a now, the
index is the sum of (a - e) ln(a / e) over the bins, Kullback and Leibler's divergence in both
directions (Siddiqi, "Credit Risk Scorecards", 2006, ch. 9, which also gives the customary bounds:
below 0.1 nothing has changed, above 0.25 much has). By chance alone it comes to about 9 (1/n + 1/m)
for ten bins of n and m rows (Yurdakul and Naranjo, "Statistical properties of the population
stability index", 2020), so few rows say nothing.

Each source counts once in an hour, however loud it is: a scan is an attack, not a drift.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.core.timestamp import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BINS = 10
SERIES = (*FEATURE_NAMES, "score")
"""What is watched: every feature, and the score."""
OVERALL = "overall"
"""Name of the mean over all features."""
MUCH = 0.25
"""Index from which much has changed."""
LITTLE = 0.1
"""Index below which nothing has."""
LEAST_ROWS = 500
"""Rows in the window below which nothing is said: chance alone comes to 0.04 then."""
HOURS = 24
"""Length of the window, in slots of one hour of event time."""
MOST_SOURCES = 20_000
"""Sources that are counted in one hour."""
_SLOT = 3600 * MICROSECONDS
_QUANTILES = np.arange(1, BINS) / BINS


@dataclass(frozen=True, slots=True)
class Reference:
    """How features and score were distributed when a model was made."""

    edges: NDArray[np.float64]
    """Deciles, shape (len(SERIES), BINS - 1); a value belongs to the first bin that it is not
    above. Equal deciles leave empty bins, which count for nothing."""
    shares: NDArray[np.float64]
    """Shares of the rows in each bin, shape (len(SERIES), BINS)."""
    rows: int


def reference(matrix: NDArray[np.float64], scores: NDArray[np.float64]) -> Reference:
    """Return the distribution of rows (rows, features) and their scores (rows,).

    Raises ValueError where there is no row.
    """
    if not len(matrix):
        raise ValueError("no rows, so nothing to hold later ones against")
    values = np.column_stack([matrix, scores])
    edges = np.quantile(values, _QUANTILES, axis=0).T
    return Reference(edges, binned(edges, values) / len(values), len(values))


def binned(edges: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many of the values (rows, series) fall into each bin, shape (series, BINS)."""
    # A value is in the bin whose number is that of the edges below it.
    places = (values[:, :, np.newaxis] > edges[np.newaxis]).sum(axis=2)
    series = np.arange(edges.shape[0]) * BINS
    counts = np.bincount((places + series).ravel(), minlength=edges.shape[0] * BINS)
    return counts.reshape(edges.shape[0], BINS)


def stability(expected: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the population stability index of each series, shape (series,).

    `expected`: shares, `counts`: rows now, both (series, BINS). A bin that has become empty counts
    as half a row, and so does one that was: the logarithm of nothing is not finite.
    """
    rows = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    least = 0.5 / rows
    used = (expected > 0) | (counts > 0)
    before = np.maximum(expected, least)
    now = np.maximum(counts / rows, least)
    index: NDArray[np.float64] = np.where(used, (now - before) * np.log(now / before), 0.0).sum(
        axis=1
    )
    return index


class Drift:
    """Counts scored rows of the last 24 hours of event time against a reference."""

    def __init__(self, expected: Reference) -> None:
        """Begin with an empty window; `expected`: of the model that serves."""
        self._expected = expected
        shape = (len(SERIES), BINS)
        self._past: deque[tuple[int, NDArray[np.int64]]] = deque()
        self._slot = -1
        self._counts = np.zeros(shape, np.int64)
        self._seen: set[str] = set()

    def take(
        self,
        addresses: Sequence[str],
        times: NDArray[np.int64],
        matrix: NDArray[np.float64],
        scores: NDArray[np.float64],
    ) -> None:
        """Count the rows of sources that were not counted in this hour of event time yet.

        `times`: (rows,), microseconds; `matrix`: (rows, features); `scores`: (rows,). A row that
        is late counts for the present hour.
        """
        slots = np.maximum.accumulate(np.maximum(times // _SLOT, self._slot))
        for slot in np.unique(slots).tolist():
            self._turn(slot)
            self._count(addresses, np.nonzero(slots == slot)[0], matrix, scores)

    def rows(self) -> int:
        """Return how many rows the window holds."""
        return int(self._window()[0].sum())

    def index(self) -> dict[str, float]:
        """Return the index of each series and the mean of all features; empty with few rows."""
        counts = self._window()
        if counts[0].sum() < LEAST_ROWS:
            return {}
        found = stability(self._expected.shares, counts)
        told = dict(zip(SERIES, found.tolist(), strict=True))
        return {OVERALL: float(found[:-1].mean()), **told}

    def _count(
        self,
        addresses: Sequence[str],
        rows: NDArray[np.intp],
        matrix: NDArray[np.float64],
        scores: NDArray[np.float64],
    ) -> None:
        fresh: list[int] = []
        for row in rows.tolist():
            if addresses[row] not in self._seen and len(self._seen) < MOST_SOURCES:
                self._seen.add(addresses[row])
                fresh.append(row)
        if fresh:
            values = np.column_stack([matrix[fresh], scores[fresh]])
            self._counts += binned(self._expected.edges, values)

    def _turn(self, slot: int) -> None:
        """Begin a new hour, and forget those that are a day old."""
        if slot <= self._slot:
            return
        if self._slot >= 0:
            self._past.append((self._slot, self._counts))
        self._slot, self._counts = slot, np.zeros_like(self._counts)
        self._seen.clear()
        while self._past and self._past[0][0] <= slot - HOURS:
            self._past.popleft()

    def _window(self) -> NDArray[np.int64]:
        total = self._counts.copy()
        for _, counts in self._past:
            total += counts
        return total
