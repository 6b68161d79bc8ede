"""When the tables are held against the ledger, and the firewalls asked what they live by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_suricata.config.respond import RespondSettings
    from ai_suricata.core.clock import Clock

RESURVEY = 60.0
"""Seconds after which a firewall that did not say what it lives by is asked again."""


class Schedule:
    """Knows when each was done last. A firewall that was away is asked both when it is back."""

    def __init__(self, clock: Clock) -> None:
        """`clock`: wall clock."""
        self._clock = clock
        self._reconciled: float | None = None
        self._surveyed: float | None = None
        self._incomplete = False

    def reconciled(self, *, whole: bool) -> None:
        """Take note that the tables were looked at; what was broken off is due again at once."""
        self._reconciled = self._clock.now() if whole else None

    def surveyed(self, *, whole: bool) -> None:
        """Take note that the firewalls were asked; where one did not say it, again soon."""
        self._surveyed = self._clock.now()
        self._incomplete = not whole

    def reconcile_at(self, settings: RespondSettings) -> float:
        """Return the wall-clock seconds from which the tables are to be looked at."""
        return self._after(self._reconciled, settings.reconcile_interval)

    def survey_at(self, settings: RespondSettings) -> float:
        """Return the wall-clock seconds from which the firewalls are to be asked."""
        refresh = settings.never_block_refresh
        return self._after(self._surveyed, min(refresh, RESURVEY) if self._incomplete else refresh)

    def _after(self, last: float | None, interval: float) -> float:
        """Return when something is due again: at once, where the clock was set back since."""
        if last is None or last > self._clock.now():
            return -math.inf
        return last + interval
