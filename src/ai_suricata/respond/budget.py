"""How much may be decided: a flood of decisions is more likely our mistake than an attack.

A signature that takes every client for an attacker, or a forged flood, runs into this before it
has cut off everybody.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ai_suricata.core.decision import LedgerState, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.config.respond import RespondSettings
    from ai_suricata.core.decision import LedgerEntry

BUDGET = "budget: "
"""How each answer begins that is a no."""
MINUTE = 60.0
"""Seconds of the sliding window."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799.0  # the last second that a datetime can tell
_NAMES = {Table.BLOCK: "the block table", Table.LIMIT: "the rate-limit table"}


@dataclass(slots=True)
class _Window:
    """What one table has had of late."""

    times: deque[float] = field(default_factory=deque)
    """When an entry was admitted, wall-clock seconds, the oldest first."""
    opened: float = -math.inf
    """When the breaker opened last."""


class Budget:
    """Counts new entries for each table apart: a forged flood can't use up what blocks have.

    First come, first served, and not the worst score first. Whoever is to be preferred would have
    to wait until all competitors are known, and waiting is what an attacker gains by; within one
    batch, who is blocked would hang on where the batch ends. Scores of one table also lie close
    together, and a flood that was made on purpose would have the greatest.

    Once the minute is used up, nothing is admitted until the pause is over: the operator has time
    to look, and what goes on then is decided anew. At most BLOCKS_PER_MINUTE times are kept.
    """

    def __init__(self, settings: RespondSettings) -> None:
        """Nothing is used up."""
        self._settings = settings
        self._windows = {table: _Window() for table in Table}

    def admit(self, table: Table, now: float, standing: int) -> str:
        """Count one more entry and return "", or return why there is no room, with the remedy.

        `now`: wall-clock seconds; `standing`: entries that are in the table, or on their way there.
        """
        if standing >= self._settings.blocks_total:
            return self._full(table, standing)
        window = self._windows[table]
        _catch_up(window, now)
        if self.open(table, now):
            return self._exhausted(table, window)
        if len(window.times) >= self._settings.blocks_per_minute:
            window.opened = now
            return self._exhausted(table, window)
        window.times.append(now)
        return ""

    def open(self, table: Table, now: float) -> bool:
        """Say whether nothing is decided for the table, since its minute was used up."""
        return now < self._windows[table].opened + self._settings.budget_pause

    def recall(self, entries: Iterable[LedgerEntry], now: float) -> None:
        """Take up what an earlier run has used, out of its ledger.

        Otherwise each crash would give another BLOCKS_PER_MINUTE. A minute that was full when the
        last entry was decided counts as used up then. A target counts once, since the ledger has
        its latest entry; decisions of other instances count too, which errs on the safe side.
        """
        decided: dict[Table, list[float]] = {table: [] for table in Table}
        for entry in entries:
            if _is_admitted(entry):
                decided[entry.decision.table].append(entry.decision.decided_at)
        for table, times in decided.items():
            self._windows[table] = self._recalled(sorted(times), now)

    def reload(self, settings: RespondSettings) -> None:
        """Take other settings. A greater BLOCKS_PER_MINUTE says that it was right: go on."""
        if settings.blocks_per_minute > self._settings.blocks_per_minute:
            for window in self._windows.values():
                window.opened = -math.inf
        self._settings = settings

    def _recalled(self, times: list[float], now: float) -> _Window:
        limit = self._settings.blocks_per_minute
        newest = times[-limit:]
        window = _Window(deque(newest))
        if len(newest) == limit and newest[-1] - newest[0] <= MINUTE:
            window.opened = newest[-1]
        _catch_up(window, now)
        return window

    def _exhausted(self, table: Table, window: _Window) -> str:
        until = _moment(window.opened + self._settings.budget_pause)
        return (
            f"{BUDGET}more than {self._settings.blocks_per_minute} new entries in a minute; "
            f"nothing is decided for {_NAMES[table]} until {until}; "
            "ai-suricata blocks list shows them; raise BLOCKS_PER_MINUTE if they are right"
        )

    def _full(self, table: Table, standing: int) -> str:
        return (
            f"{BUDGET}{standing} entries stand in {_NAMES[table]}, and BLOCKS_TOTAL is "
            f"{self._settings.blocks_total}; nothing is decided for it until some have ended; "
            "ai-suricata blocks list shows them; raise BLOCKS_TOTAL if they are right"
        )


def _is_admitted(entry: LedgerEntry) -> bool:
    """Say whether the budget was asked for it: not for a refusal, nor for an operator's order."""
    return entry.state is not LedgerState.REFUSED and not entry.decision.by_hand


def _catch_up(window: _Window, now: float) -> None:
    """Forget what is longer ago than a minute.

    Where the clock was set back, what lies in the future counts as of now: it must not use up the
    budget until the clock has caught up.
    """
    window.opened = min(window.opened, now)
    if window.times and window.times[-1] > now:
        window.times = deque(min(time, now) for time in window.times)
    while window.times and now - window.times[0] > MINUTE:
        window.times.popleft()


def _moment(seconds: float) -> str:
    """Return a time in UTC, rounded up to the second."""
    moment = _EPOCH + timedelta(seconds=min(math.ceil(seconds), _LATEST))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
