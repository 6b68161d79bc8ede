"""From verdicts to the firewall: decides at once, records, and lets the enforcer follow."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from ai_suricata.core.cancellation import within
from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.respond.enforcer import GONE, UNPROVED
from ai_suricata.respond.escalation import LIFTED_BY_HAND
from ai_suricata.respond.guard import SPARED
from ai_suricata.respond.judge import Judge
from ai_suricata.respond.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ai_suricata.config.respond import RespondSettings
    from ai_suricata.core.address import Network
    from ai_suricata.core.clock import Clock
    from ai_suricata.core.decision import Decision, LedgerEntry
    from ai_suricata.core.verdict import Verdict
    from ai_suricata.respond.enforcer import Enforcer
    from ai_suricata.respond.ledger import Ledger

FIRST_RETRY = 0.5
"""Seconds before the first new try; each further one waits twice as long."""
LONGEST_RETRY = 10.0
_LONGEST_SLEEP = 3600.0
MOST_PENDING = 10_000
"""Wishes that the firewall has not confirmed, from which on the reading waits for it."""
LONGEST_WAIT = 5.0
"""Seconds that one batch waits: the reading slows to a trickle, and the heart goes on beating."""


class Responder:
    """Decides on verdicts and takes orders; its `run` keeps the firewall in step."""

    def __init__(
        self, settings: RespondSettings, ledger: Ledger, enforcer: Enforcer, clock: Clock
    ) -> None:
        """`clock`: wall clock."""
        self.settings = settings
        self.ledger = ledger
        self.enforcer = enforcer
        self.clock = clock
        self.judge = Judge(settings, ledger, enforcer.protection, clock)
        self._paused = False
        enforcer.protection.changed = self.wake
        self._saving = asyncio.Lock()
        self._working = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._worked = asyncio.Event()
        self._saved = True  # whether the disk took what it was given last
        self._pending = 0
        self._oldest: float | None = None
        self._news = asyncio.Event()  # something new for firewalls of which one is well
        self._first: asyncio.Task[bool] | None = None
        self._schedule = Schedule(clock)

    @property
    def paused(self) -> bool:
        """Whether the operator wants no new decisions; what is in force stays and ends as ever."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._paused = paused
        if paused:
            self._give_up()

    @property
    def decides(self) -> bool:
        """Whether verdicts lead to decisions."""
        return self.settings.auto_block and not self.paused

    @property
    def problem(self) -> str | None:
        """What the firewalls said last: what is wrong, in words, or None."""
        return self.enforcer.problem

    @property
    def unsaved(self) -> int:
        """How many decisions are not durable yet."""
        return len(self.judge.unsaved)

    def reload(self, settings: RespondSettings, fixed: Mapping[str, Iterable[Network]]) -> None:
        """Take other settings; what may no longer be blocked is taken out at once.

        `fixed`: whom the settings protect (see `Protection.settle`).
        """
        self.settings = settings
        self.judge.reload(settings)
        if not settings.auto_block:
            self._give_up()
        self.enforcer.protection.settle(fixed)
        self.wake()

    def gap(self) -> float:
        """Return the seconds since the event of the oldest wish that is not proved; 0 for none."""
        oldest = self._oldest  # read once: the metrics are rendered by another thread
        return 0.0 if oldest is None else max(0.0, self.clock.now() - oldest)

    def wake(self) -> None:
        """Let `run` look at once whether there is something to do."""
        self._wake.set()

    def refusal(self, target: str) -> str | None:
        """Say why what another instance has blocked is not blocked here, or None where it may be.

        A pause is asked about anew with each comparison: what is refused for it is taken over then.
        """
        reason = self.enforcer.protection.never_block.reason_for_text(target)
        if reason is not None:
            return f"{SPARED}: {reason}"
        if not self.settings.auto_block:
            return "AUTO_BLOCK is off"
        return "paused by the operator" if self.paused else None

    def adopted(self, entries: Sequence[LedgerEntry]) -> None:
        """Enforce, or take out, what other instances have changed in our ledger."""
        self.judge.neighbours.changed(entries)
        for entry in entries:
            self.enforcer.witness.changed([entry], entry.state, entry.note)
        self.wake()

    async def respond(self, verdicts: Sequence[Verdict]) -> None:
        """Decide, and make the decisions durable. What can't be written now is written later.

        Returns late where a firewall that answers is far behind with what was decided: whoever
        reads on then reads slower. One that is away holds nobody up.
        """
        if self.decides:
            self.judge.decide(verdicts)
        self._tell_of_bounds()
        if self.judge.unsaved:
            await self._save()
        if self._pending > MOST_PENDING and self.enforcer.answers:
            self._worked.clear()
            await within(LONGEST_WAIT, self._worked)

    async def order(self, decisions: Sequence[Decision]) -> list[LedgerEntry]:
        """Record decisions of the operator, and let them be enforced. Raises `StateError`.

        Neither policy nor budget is asked; who gives orders has looked at the never-blocked.
        """
        requested = await self.ledger.request(decisions)
        self._requested(requested)
        return requested

    async def saved(self) -> None:
        """Wait until what was decided is in the ledger, as far as the disk takes it."""
        if self.judge.unsaved or self._saving.locked():
            await self._save()

    async def lift(self, entries: Sequence[LedgerEntry], note: str) -> list[LedgerEntry]:
        """Let entries end now, and be taken out. Raises `StateError`."""
        ended = await self.ledger.end(entries, note)
        self._news.set()
        self.wake()
        return ended

    async def settled(self, seconds: float) -> bool:
        """Wait until nothing waits for the firewall, so long at most; return whether it is so."""
        until = asyncio.get_running_loop().time() + seconds
        while self._owes():
            left = until - asyncio.get_running_loop().time()
            self._worked.clear()
            if left <= 0 or not await within(left, self._worked):
                return not self._owes()
        return True

    async def release_all(self) -> bool:
        """Pause, and take all that is ours off the firewall; return whether that is confirmed.

        What can't be taken out now is tried again as everything whose time has ended.
        """
        self.paused = True
        async with self._saving, self._working:
            done = await self.enforcer.release_all(f"{LIFTED_BY_HAND}: all was released")
        self.wake()
        return done

    async def start(self, limit: float) -> bool:
        """Reconcile for the first time; return whether that was done within `limit` seconds.

        A command that takes longer is not broken off: `run` waits for its end.
        """
        self.judge.recall()
        self._first = asyncio.create_task(self.work(), name="first reconcile")
        await asyncio.wait((self._first,), timeout=limit)
        return self._first.done()

    async def run(self) -> None:
        """Keep the firewall in step until `stop`; release the blocks then, if ON_STOP says so."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.enforcer.sweep.run(), name="end connections")
            await self._keep_in_step()
            self.enforcer.sweep.stop()

    async def _keep_in_step(self) -> None:
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
        self._news.clear()
        if self.judge.unsaved:
            await self._save()
        self._tell_of_bounds()
        now, schedule = self.clock.now(), self._schedule
        reconcile = schedule.reconcile_at(self.settings) <= now
        survey = schedule.survey_at(self.settings) <= now
        if survey:
            protection = self.enforcer.protection
            protection.meet(await asyncio.to_thread(protection.look))
        async with self._working:
            done = await self.enforcer.work(reconcile=reconcile, survey=survey)
        if reconcile:
            # What the disk has broken off comes again with the next try.
            schedule.reconciled(whole=self.ledger.problem is None)
        if survey:
            schedule.surveyed(whole=self.enforcer.problem is None)
        self._count_pending()
        self._worked.set()
        # What is being saved just now is no failure: it wakes `run` when it is durable.
        return await self._forget() and done and self._saved

    def stop(self) -> None:
        """End `run` after what it is doing."""
        self._stopped.set()
        self._news.set()
        self._wake.set()

    async def _save(self) -> None:
        """Make durable what was decided, and what follows from it for whole networks."""
        async with self._saving:
            waiting = list(self.judge.unsaved.values())
            refused = [(r.decision, r.refused) for r in waiting if r.refused]
            wanted = [r.decision for r in waiting if not r.refused]
            try:
                declined = await self.ledger.refuse(refused)
                requested = await self.ledger.request(wanted)
            except StateError as error:
                # Nothing may be sent that is not on disk: a crash would leave it there, nobody's.
                self.enforcer.witness.ledger(str(error))
                self._saved = False
                self._wake.set()  # `run` tries again, even if no further verdict comes
                return
            self._saved = True
            self.judge.saved(waiting)
            if self.decides:
                self.judge.promoted(requested)
        self.enforcer.witness.ledger(None)
        for entry in declined:
            self.enforcer.witness.changed([entry], LedgerState.REFUSED, entry.note)
        self._requested(requested)
        if self.judge.unsaved:
            await self._save()  # networks: nothing follows from those

    def _requested(self, requested: Sequence[LedgerEntry]) -> None:
        if requested:
            self.enforcer.witness.changed(requested, LedgerState.REQUESTED, "")
            self._count_pending()
            self._news.set()
            self._wake.set()

    def _count_pending(self) -> None:
        pending = [entry for table in Table for entry in self.ledger.pending(table)]
        self._pending = len(pending)
        self._oldest = min(map(_waits_since, pending), default=None)

    def _tell_of_bounds(self) -> None:
        """Tell what was not decided because there is too much of it."""
        judge, witness, now = self.judge, self.enforcer.witness, self.clock.now()
        for table, count in judge.exhausted.items():
            witness.exhausted(table, judge.reasons[table], count)
        for table in Table:
            if table not in judge.exhausted and not judge.stops(table, now):
                witness.recovered(table)
        judge.exhausted.clear()
        if judge.dropped:
            witness.dropped(judge.dropped)
            judge.dropped = 0

    def _give_up(self) -> None:
        """Let go of what was decided and is not durable: nothing new is to come any more."""
        self._saved = True
        if count := self.judge.clear():
            self.enforcer.witness.dropped(count)

    def _owes(self) -> bool:
        """Whether something waits for the disk or the firewall, or is to be judged anew."""
        waiting = (self.ledger.pending(table) or self.ledger.ended(table) for table in Table)
        return bool(self.judge.unsaved) or self.enforcer.guard.is_behind or any(waiting)

    async def _finish(self, *, reachable: bool) -> None:
        if self.settings.on_stop == "release":
            async with self._working:
                await self.enforcer.release_all("released at stop")
        elif reachable:
            await self.work()  # the wishes of the last verdicts

    async def _forget(self) -> bool:
        try:
            await self.ledger.forget()
        except StateError as error:
            self.enforcer.witness.ledger(str(error))
            return False
        return True

    async def _until_due(self) -> None:
        """Wait for a wish, the next end, or the next reconciling."""
        now = self.clock.now()
        end = self.ledger.next_end()
        due = min(
            self._schedule.reconcile_at(self.settings),
            self._schedule.survey_at(self.settings),
            math.inf if end is None else end,
        )
        await within(min(max(due - now, 0.01), _LONGEST_SLEEP), self._wake)

    async def _pause(self, seconds: float) -> None:
        """Wait before another try: a firewall that is gone is not asked more often for more.

        Where another one is there, or this one only said no, what is new does not wait for it.
        """
        standing = self.enforcer.fleet.standing.values()
        await within(seconds, self._news if any(standing) else self._stopped)


def _waits_since(entry: LedgerEntry) -> float:
    """Return since when it should be in force: its event, or the loss of the proof that there was.

    A sensor's clock that is ahead does not make it later than the decision.
    """
    if entry.note in {GONE, UNPROVED}:
        return entry.changed_at
    return min(entry.decision.seen_at, entry.decision.decided_at)
