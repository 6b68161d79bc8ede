"""From verdicts to the firewall: decides at once, records, and lets the enforcer follow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.decision import LedgerState
from ai_suricata.core.errors import StateError
from ai_suricata.respond.policy import Ruling, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.config.settings import RespondSettings
    from ai_suricata.core.clock import Clock
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.respond.enforcer import Enforcer
    from ai_suricata.respond.ledger import Ledger
    from ai_suricata.respond.never_block import NeverBlock

log = structlog.get_logger(__name__)

_FIRST_RETRY = 0.5
_LONGEST_RETRY = 30.0
_LONGEST_SLEEP = 3600.0
_MOST_UNSAVED = 10_000


class Responder:
    """Decides on verdicts; its `run` keeps the firewall in step."""

    def __init__(
        self,
        settings: RespondSettings,
        never_block: NeverBlock,
        ledger: Ledger,
        enforcer: Enforcer,
        clock: Clock,
    ) -> None:
        """`clock`: wall clock."""
        self.settings = settings
        self.never_block = never_block
        self.ledger = ledger
        self.enforcer = enforcer
        self.clock = clock
        self._unsaved: dict[tuple[str, str], Ruling] = {}
        self._saving = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stopping = False
        self._reconciled = clock.now()

    async def respond(self, verdicts: Sequence[Verdict]) -> None:
        """Decide, and make the decisions durable. What can't be written now is written later."""
        if self.settings.auto_block:
            now = self.clock.now()
            for verdict in verdicts:
                ruling = rule(verdict, self.ledger.latest, self.never_block, self.settings, now)
                if ruling is not None and len(self._unsaved) < _MOST_UNSAVED:
                    self._unsaved.setdefault(
                        (ruling.decision.target, ruling.decision.table), ruling
                    )
        if self._unsaved:
            await self._save()

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
                log.error("decisions wait for the ledger", count=len(waiting), problem=str(error))
                return
            for key in waiting:
                del self._unsaved[key]
        witness = self.enforcer.witness
        for entry in declined:
            witness.changed([entry], LedgerState.REFUSED, entry.note)
        if requested:
            witness.changed(requested, LedgerState.REQUESTED, "")
            self._wake.set()

    async def run(self) -> None:
        """Keep the firewall in step until `stop`."""
        retry = _FIRST_RETRY
        done = True
        while not self._stopping:
            await self._sleep(None if done else retry)
            if self._stopping:
                break
            done = await self.work()
            retry = _FIRST_RETRY if done else min(2 * retry, _LONGEST_RETRY)

    async def work(self, *, reconcile: bool = False) -> bool:
        """Do once what is due; return whether the firewall did all of it."""
        self._wake.clear()
        due = self.clock.now() - self._reconciled >= self.settings.reconcile_interval
        if self._unsaved:
            await self._save()
        done = await self.enforcer.work(reconcile=reconcile or due)
        if done and (reconcile or due):
            self._reconciled = self.clock.now()
        try:
            await self.ledger.forget()
        except StateError as error:
            log.error("ledger can't be written", problem=str(error))
        return done

    async def stop(self) -> None:
        """End `run` after what it is doing; release the blocks where ON_STOP says so."""
        self._stopping = True
        self._wake.set()
        if self.settings.on_stop == "release":
            await self.enforcer.release_all()

    async def _sleep(self, retry: float | None) -> None:
        """Wait for a wish, the next end, the next reconciling, or the next try."""
        if retry is None:
            now = self.clock.now()
            until = self._reconciled + self.settings.reconcile_interval
            end = self.ledger.next_end()
            wait = min(until if end is None else min(until, end), now + _LONGEST_SLEEP) - now
        else:
            wait = retry
            self._wake.clear()  # a firewall that is gone is not asked more often for more wishes
        try:
            async with asyncio.timeout(max(wait, 0.01)):
                await self._wake.wait()
        except TimeoutError:
            return
