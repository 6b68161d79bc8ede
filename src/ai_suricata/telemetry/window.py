"""What happened in the last minute, in a fixed number of buckets however much happens."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.core.clock import Clock

SPAN = 60
"""Seconds that a window looks back, one bucket each."""


@dataclass(slots=True)
class Summary:
    """Count, sum and extremes of values. Of none: a count of 0, and extremes at the infinities."""

    count: int = 0
    total: float = 0.0
    least: float = math.inf
    greatest: float = -math.inf

    @property
    def mean(self) -> float | None:
        """The average, or None where there is nothing to average."""
        return self.total / self.count if self.count else None

    def join(self, other: Summary) -> None:
        """Take the other's values in."""
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)


class Window:
    """Values of the last `SPAN` seconds of wall clock. Written by one thread, read by another."""

    def __init__(self, clock: Clock) -> None:
        """`clock`: wall clock; a step back hides what was written in the seconds now ahead."""
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds = [-SPAN] * SPAN
        self._buckets = [Summary() for _ in range(SPAN)]

    def add(self, values: Iterable[float]) -> None:
        """Put values into the present second."""
        numbers = list(values)
        if numbers:
            self._join(Summary(len(numbers), math.fsum(numbers), min(numbers), max(numbers)))

    def count(self, number: int) -> None:
        """Count `number` things in the present second, where how many is all that matters."""
        self._join(Summary(count=number))

    def _join(self, summary: Summary) -> None:
        second = int(self._clock.now())
        slot = second % SPAN
        with self._lock:
            if self._seconds[slot] != second:
                self._seconds[slot] = second
                self._buckets[slot] = Summary()
            self._buckets[slot].join(summary)

    def summary(self) -> Summary:
        """Return what the last `SPAN` seconds hold."""
        now = int(self._clock.now())
        joined = Summary()
        with self._lock:
            for second, bucket in zip(self._seconds, self._buckets, strict=True):
                if now - SPAN < second <= now:
                    joined.join(bucket)
        return joined
