"""What an order came to: waits for the firewall, for a bounded time, and says how things stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_suricata.core.decision import LIVE, LedgerEntry, LedgerState
from ai_suricata.respond.order import MOST_TOLD, Outcome, sentences, staying

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.core.clock import Clock
    from ai_suricata.respond.responder import Responder

SETTLING = 15.0
"""Seconds that an order waits for the firewall; a command may take 10 by default."""
_LOOK = 0.5  # seconds between two looks at whether the firewall has confirmed an order


class Settlement:
    """Turns the entries that an order touched into its outcome."""

    def __init__(self, responder: Responder, clock: Clock) -> None:
        """`clock`: wall clock."""
        self._responder = responder
        self._ledger = responder.ledger
        self._clock = clock

    async def outcome(
        self, entries: Sequence[LedgerEntry], problem: str = "", *, gone: bool = False
    ) -> Outcome:
        """Return the outcome, once the firewall has confirmed it or the time is over.

        `problem`: what went wrong beside it; `gone`: nothing but the entries' absence confirms it.
        """
        heard = await self.wait(entries, gone=gone)
        confirmed = self._is_settled(entries, gone=gone)
        return self.told(entries, problem, heard, confirmed=confirmed)

    def told(
        self, entries: Sequence[LedgerEntry], problem: str, heard: str | None, *, confirmed: bool
    ) -> Outcome:
        """Return the outcome at once; `heard`: what the firewalls said, should they refuse none."""
        now = [self._ledger.latest(e.target, e.decision.table) or e for e in entries]
        refusals = sentences(*(e.note for e in now if e.state is LedgerState.FAILED))
        complaint = "" if confirmed else refusals or heard
        said = sentences(problem, complaint, staying(now))
        return Outcome(tuple(now[:MOST_TOLD]), len(now), confirmed, said)

    async def wait(self, entries: Sequence[LedgerEntry], *, gone: bool = False) -> str | None:
        """Wait, for a bounded time, until the firewall has confirmed what was done to entries.

        Returns what the firewalls said meanwhile: the beginning of another try forgets it.
        """
        heard = None
        for _ in range(int(SETTLING / _LOOK)):
            if self._is_settled(entries, gone=gone) or await self._responder.settled(_LOOK):
                break
            heard = self._responder.problem or heard
        return heard

    def _is_settled(self, entries: Sequence[LedgerEntry], *, gone: bool) -> bool:
        """Say whether each entry is off the firewall, or, unless `gone`, proved."""
        now = self._clock.now()
        latest = (self._ledger.latest(e.target, e.decision.table) for e in entries)
        waiting = [e for e in latest if e is not None and e.state in LIVE]
        if gone:
            return not waiting
        return all(e.state is LedgerState.ENFORCED and e.expires_at > now for e in waiting)
