"""From verdicts to the firewall: decides at once, records, and lets the enforcer follow."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.respond.policy import Ruling, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.config.settings import RespondSettings
    from ai_suricata.core.clock import Clock
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.respond.enforcer import Enforcer
    from ai_suricata.respond.ledger import Ledger
    from ai_suricata.respond.never_block import NeverBlock

FIRST_RETRY = 0.5
"""Seconds before the first new try; each further one waits twice as long."""
LONGEST_RETRY = 30.0
_LONGEST_SLEEP = 3600.0
_MOST_UNSAVED = 10_000
MOST_PENDING = 10_000
"""Wishes that the firewall has not confirmed, from which on the reading waits for it."""
LONGEST_WAIT = 5.0
"""Seconds that one batch waits: the reading slows to a trickle, and the heart goes on beating."""


class Responder:
    """Decides on verdicts; its `run` keeps the firewall in step."""

    def __init__(
        self, settings: RespondSettings, ledger: Ledger, enforcer: Enforcer, clock: Clock
    ) -> None:
        """`clock`: wall clock."""
        self.settings = settings
        self.ledger = ledger
        self.enforcer = enforcer
        self.clock = clock
        self._unsaved: dict[tuple[str, Table], Ruling] = {}
        self._saving = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._pending = 0
        self._paced = asyncio.Event()
        self._first: asyncio.Task[bool] | None = None
        self._reconciled: float | None = None  # None: not yet, or the firewall was lost since

    @property
    def unsaved(self) -> int:
        """How many decisions are not durable yet."""
        return len(self._unsaved)

    def reload(self, settings: RespondSettings, never_block: NeverBlock) -> None:
        """Take other settings; what may no longer be blocked is taken out at once."""
        self.settings = settings
        self.enforcer.never_block = never_block
        self._wake.set()

    def refusal(self, target: str) -> str | None:
        """Say why a target is never blocked here, or None where it may be."""
        return self.enforcer.never_block.reason_for_text(target)

    def adopted(self, entries: Sequence[LedgerEntry]) -> None:
        """Enforce, or take out, what other instances have changed in our ledger."""
        for entry in entries:
            self.enforcer.witness.changed([entry], entry.state, entry.note)
        self._wake.set()

    async def respond(self, verdicts: Sequence[Verdict]) -> None:
        """Decide, and make the decisions durable. What can't be written now is written later.

        Returns late where a firewall that answers is far behind with what was decided: whoever
        reads on then reads slower. One that is away holds nobody up.
        """
        if self.settings.auto_block:
            now = self.clock.now()
            for verdict in verdicts:
                self._decide(verdict, now)
        if self._unsaved:
            await self._save()
        if self._pending > MOST_PENDING and self.enforcer.answers:
            self._paced.clear()
            await _within(LONGEST_WAIT, self._paced)

    def _decide(self, verdict: Verdict, now: float) -> None:
        never_block = self.enforcer.never_block
        ruling = rule(verdict, self.ledger.latest, never_block, self.settings, now)
        if ruling is None or len(self._unsaved) >= _MOST_UNSAVED:
            return
        target, table = ruling.decision.target, ruling.decision.table
        if table is Table.BLOCK:
            self._unsaved.pop((target, Table.LIMIT), None)
        elif (target, Table.BLOCK) in self._unsaved:
            return
        self._unsaved.setdefault((target, table), ruling)

    async def _save(self) -> None:
        async with self._saving:
            waiting = dict(self._unsaved)
            refused = [r for r in waiting.values() if r.refused]
            wanted = [r.decision for r in waiting.values() if not r.refused]
            try:
                declined = await self.ledger.refuse([(r.decision, r.refused) for r in refused])
                requested = await self.ledger.request(wanted)
            except StateError as error:
                # Nothing may be sent that is not on disk: a crash would leave it there, nobody's.
                self.enforcer.witness.ledger(str(error))
                self._wake.set()  # `run` tries again, even if no further verdict comes
                return
            for key in waiting:
                self._unsaved.pop(key, None)
        self._tell(declined, requested)

    def _tell(self, declined: Sequence[LedgerEntry], requested: Sequence[LedgerEntry]) -> None:
        witness = self.enforcer.witness
        witness.ledger(None)
        for entry in declined:
            witness.changed([entry], LedgerState.REFUSED, entry.note)
        if requested:
            witness.changed(requested, LedgerState.REQUESTED, "")
            self._pending += len(requested)
            self._wake.set()

    async def start(self, limit: float) -> bool:
        """Reconcile for the first time; return whether that was done within `limit` seconds.

        A command that takes longer is not broken off: `run` waits for its end.
        """
        self._first = asyncio.create_task(self.work(), name="first reconcile")
        await asyncio.wait((self._first,), timeout=limit)
        return self._first.done()

    async def run(self) -> None:
        """Keep the firewall in step until `stop`; release the blocks then, if ON_STOP says so."""
        done = await (self._first or self.work())
        retry = FIRST_RETRY
        while not self._stopped.is_set():
            await (self._until_due() if done else self._pause(retry))
            if self._stopped.is_set():
                break
            done = await self.work()
            retry = FIRST_RETRY if done else min(2 * retry, LONGEST_RETRY)
        await self._finish(reachable=done)

    async def work(self) -> bool:
        """Do once what is due; return whether all of it is done."""
        self._wake.clear()
        if self._unsaved:
            await self._save()
        due = self._next_reconciling() <= self.clock.now()
        done = await self.enforcer.work(reconcile=due)
        self._pending = sum(len(self.ledger.pending(table)) for table in Table)
        self._paced.set()
        if not done:
            self._reconciled = None
        elif due:
            self._reconciled = self.clock.now()
        return await self._forget() and done and not self._unsaved

    def stop(self) -> None:
        """End `run` after what it is doing."""
        self._stopped.set()
        self._wake.set()

    async def _finish(self, *, reachable: bool) -> None:
        if self.settings.on_stop == "release":
            await self.enforcer.release_all()
        elif reachable:
            await self.work()  # the wishes of the last verdicts

    async def _forget(self) -> bool:
        try:
            await self.ledger.forget()
        except StateError as error:
            self.enforcer.witness.ledger(str(error))
            return False
        return True

    def _next_reconciling(self) -> float:
        if self._reconciled is None:
            return -math.inf
        return self._reconciled + self.settings.reconcile_interval

    async def _until_due(self) -> None:
        """Wait for a wish, the next end, or the next reconciling."""
        now = self.clock.now()
        end = self.ledger.next_end()
        next_time = min(self._next_reconciling(), math.inf if end is None else end)
        await _within(min(max(next_time - now, 0.01), _LONGEST_SLEEP), self._wake)

    async def _pause(self, seconds: float) -> None:
        """Wait before another try: a firewall that is gone is not asked more often for more."""
        await _within(seconds, self._stopped)


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for the event, so many seconds at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
