"""Time is passed in, never called: a replay of last week then gives last week's verdicts."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in seconds since the epoch."""

    def now(self) -> float:
        """Return the seconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return the seconds since 1970-01-01T00:00:00Z."""
        return time.time()


class ManualClock:
    """A clock that stands still until it is moved, for tests and for replays."""

    def __init__(self, start: float = 0.0) -> None:
        """`start`: seconds since the epoch."""
        self._now = start

    def now(self) -> float:
        """Return the seconds that the clock was last set to."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`."""
        self._now += seconds

    def move_to(self, seconds: float) -> None:
        """Set the clock to `seconds` since the epoch, unless it is already later."""
        self._now = max(self._now, seconds)
