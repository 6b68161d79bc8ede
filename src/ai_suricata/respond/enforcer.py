"""Brings the firewalls' tables to what the ledger says, and the ledger to what is proved.

Each step may be repeated: adding twice or deleting twice does no harm, and nothing counts as done
before every firewall was asked. Entries of others are never touched, and nothing is flushed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.address import Network, Target, parse_target
from ai_suricata.core.decision import LIVE, LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import StateError, TableAbsentError
from ai_suricata.respond.guard import Guard
from ai_suricata.respond.policy import is_live
from ai_suricata.respond.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ai_suricata.firewall.base import Firewall
    from ai_suricata.firewall.fleet import Answers, Fleet
    from ai_suricata.respond.ledger import Ledger
    from ai_suricata.respond.protection import Protection
    from ai_suricata.respond.witness import Witness

    Key = tuple[str, Table, float]

log = structlog.get_logger(__name__)

_target = lru_cache(maxsize=1 << 17)(parse_target)
"""Each reconciling asks for the same fifty thousand again, and parsing costs most of it."""
PUT_BACK = "put back"
"""The note of what was enforced before, and is again."""
ENDED = "its time has ended"
STAYS = "; the entry stays, since it was there before us"
GONE = "gone from the table"
UNPROVED = "no rule acts on it any more"
_NUMBER = re.compile(r"\d+")
_MOST_STALE = 1000
"""Keys of decisions that others have taken the place of, before they are let go of."""


class Enforcer:
    """Carries out what the ledger holds. Only one of its methods runs at a time."""

    def __init__(
        self, fleet: Fleet, ledger: Ledger, protection: Protection, witness: Witness
    ) -> None:
        """Everything that is changed is told to `witness`."""
        self.fleet = fleet
        self.ledger = ledger
        self.protection = protection
        self.witness = witness
        self.guard = Guard(fleet, ledger, protection, witness)
        self.sweep = Sweep(
            fleet.members, witness.killed, wanted=self._is_blocked, failed=witness.unended
        )
        self.answers = True
        """Whether the firewalls did what they were asked the last time."""
        self._swept = False
        self._returned: set[str] = set()
        self.problem: str | None = None
        """What was wrong with the firewalls at the end of the latest round, in words, or None."""
        self._begun = False
        self._sent: set[Key] = set()
        """What was sent before, by this run or, as far as it knows, by an earlier one."""
        self._proved: set[Key] = set()
        """What was proved before, and has to be proved anew."""

    async def work(self, *, reconcile: bool, survey: bool = False) -> bool:
        """Send what waits and release what has ended; with `reconcile`, also mend the tables.

        `survey`: whether all firewalls are to be asked anew what must never be blocked; one that
        has not said so yet, or was away, is asked each time, and nothing is sent to it before.
        Returns whether all of it is done. A firewall or a disk that fails raises nothing: both
        are told, and tried again by the caller.
        """
        if not self._begun:
            self._begun = True
            # What an earlier run left may have been sent before that was killed: it is ours.
            self._sent = {_key(entry) for entry in self.ledger.entries()}
        self._returned = await self.fleet.begin()
        done = await self.guard.survey(self._returned, anew=survey)
        for table in Table:
            try:
                mend = reconcile or bool(self._returned - self.fleet.away)
                done = await self._settle(table, reconcile=mend) and done
            except StateError:
                done = False
        self._sweep_once()
        self.witness.ledger(self.ledger.problem)
        self.problem = self.fleet.problem or self.guard.problem
        self.witness.firewall(self.problem, self.fleet.standing)
        self.answers = self.fleet.problem is None
        return done and self.answers

    async def release_all(self, note: str) -> bool:
        """Take all that is ours off the firewalls; return whether that was confirmed.

        It has ended then, also where a firewall is away: it is tried again, and not put back.
        """
        await self.fleet.begin()
        done = True
        for table in Table:
            entries = self.ledger.live(table) + self.ledger.ended(table)
            try:
                await self.ledger.end(self.ledger.live(table), note)
                entries = self.ledger.ended(table)
            except StateError as error:  # a full disk is no reason to leave them blocked
                log.error("blocks are taken out without a word in the ledger", problem=str(error))
                done = False
            try:
                done = await self._take_out(table, entries, note) and done
            except StateError:
                done = False
        self.problem = self.fleet.problem
        if self.problem is not None:
            log.error("blocks could not be released", problem=self.problem)
        return done and self.problem is None

    async def _settle(self, table: Table, *, reconcile: bool) -> bool:
        """Do what is due for one table; return whether nothing is left to do.

        What is to be blocked goes first: what has ended may stay a moment longer.
        """
        if reconcile:
            await self._mend(table)
        await self.guard.spare()
        enforced = await self._enforce(table)
        return await self._take_out(table, self.ledger.ended(table)) and enforced

    async def _mend(self, table: Table) -> None:
        """Put back what a filter reload, a reboot or a hand has taken out of any firewall.

        What was proved but is gone becomes a request again, so that one path enforces all.
        """
        answers = await self.fleet.each(lambda member: _held(member, table))
        held = list(answers.given.values())
        proved = [e for e in self.ledger.live(table) if e.state is LedgerState.ENFORCED]
        gone = [e for e in proved if not _is_in_all(_target(e.target), held)]
        if gone:
            log.warning("entries were gone from the table", table=table, count=len(gone))
            await self._renew(gone, GONE)
        lost = {entry.target for entry in gone}
        if len(self._sent) > _MOST_STALE + 2 * sum(self.ledger.count(t, LIVE) for t in Table):
            self._sent &= {_key(entry) for entry in self.ledger.entries()}
        await self._prove_again(table, [e for e in proved if e.target not in lost])

    async def _prove_again(self, table: Table, proved: Sequence[LedgerEntry]) -> None:
        """See whether rules refer to the table still: one target of each kind is enough for that.

        Rules are for one IP version, and on nftables for addresses or networks.
        """
        kinds = {_kind(_target(entry.target)): entry for entry in proved}
        if not kinds:
            return
        asked = [_target(entry.target) for entry in kinds.values()]
        answers = await self.fleet.each(lambda member: member.missing(table, asked))
        lacking = set().union(*answers.given.values())
        bad = {kind for kind, e in kinds.items() if answers.refusal or _target(e.target) in lacking}
        await self._renew([e for e in proved if _kind(_target(e.target)) in bad], UNPROVED)

    async def _renew(self, entries: Sequence[LedgerEntry], note: str) -> None:
        self._proved.update(map(_key, entries))
        await self.ledger.renew(entries, note)

    async def _enforce(self, table: Table) -> bool:
        """Add what is pending, and prove it; return whether all of it was there.

        What the guard holds back here came in since it looked: the next round takes it out.
        """
        waiting = self.ledger.pending(table)
        pending = self.guard.passed(waiting)
        if not pending:
            return not waiting
        now = self.ledger.now()
        pending.sort(key=lambda entry: -entry.decision.score)  # the worst get the room that is left
        seconds = {_target(e.target): max(1.0, e.expires_at - now) for e in pending}
        knows = self.protection.knows
        added = await self.fleet.each(
            lambda member: member.add(table, seconds), among=lambda member: knows(member.place)
        )
        foreign = self._foreign(pending, added)
        lacking = await self.fleet.each(
            lambda member: member.missing(table, list(seconds)),
            among=lambda member: knows(member.place),  # who refused some may have taken others
        )
        missing = set().union(*lacking.given.values()) if lacking.complete else set(seconds)
        proved = [entry for entry in pending if _target(entry.target) not in missing]
        await self._confirm(table, proved, foreign)
        refusal = added.refusal or lacking.refusal
        if refusal:
            await self._failed(table, refusal)
        elif missing and lacking.complete:
            log.warning("added, and not in the table", table=table, count=len(missing))
        return not missing and len(pending) == len(waiting)

    def _foreign(
        self, pending: Sequence[LedgerEntry], added: Answers[Collection[Target]]
    ) -> set[str]:
        """Return what somebody else had put into all tables before it was sent for the first time.

        Of what was sent before, nobody knows whose it is: then it is ours, and goes at its end.
        """
        before = [set(present) for present in added.given.values()]
        fresh = [entry for entry in pending if _key(entry) not in self._sent]
        self._sent.update(map(_key, pending))
        if not before:
            return set()
        theirs = set.intersection(*before)
        return {entry.target for entry in fresh if _target(entry.target) in theirs}

    async def _confirm(
        self, table: Table, proved: Sequence[LedgerEntry], foreign: Collection[str]
    ) -> None:
        if not proved:
            return
        again = {e.target for e in proved if e.note in {GONE, UNPROVED} or _key(e) in self._proved}
        confirmed = await self.ledger.confirm(proved, foreign)
        self._proved.difference_update(map(_key, confirmed))
        new = [entry for entry in confirmed if entry.target not in again]
        self.witness.changed(new, LedgerState.ENFORCED, "")
        back = [entry for entry in confirmed if entry.target in again]
        self.witness.changed(back, LedgerState.ENFORCED, PUT_BACK)
        if table is Table.BLOCK:
            self.sweep.add(confirmed)

    def _is_blocked(self, target: Target) -> bool:
        """Whether its connections are to be ended still."""
        return is_live(self.ledger.latest(str(target), Table.BLOCK), self.ledger.now())

    def _sweep_once(self) -> None:
        """After a start, end what connections the blocked have: a kill may have come before it."""
        if not self._swept and self.fleet.problem is None:
            self._swept = True
            self.sweep.add(self.ledger.enforced(Table.BLOCK))

    async def _take_out(
        self, table: Table, entries: Sequence[LedgerEntry], note: str | None = None
    ) -> bool:
        """Delete the entries, and prove it; return whether all of them are out everywhere.

        `note`: why, where the entries do not say it themselves.
        """
        if not entries:
            return True
        mine = [_target(entry.target) for entry in entries if not entry.foreign]
        out = entries
        if mine:
            await self.fleet.each(lambda member: member.delete(table, mine))
            answers = await self.fleet.each(lambda member: _held(member, table))
            out = [e for e in entries if e.foreign or _is_out(_target(e.target), answers)]
        for why, some in _by_reason(out, note).items():
            released = await self.ledger.release(some, why)
            self._sent.difference_update(map(_key, released))
            self._proved.difference_update(map(_key, released))
            self.witness.changed(released, LedgerState.RELEASED, why)
        return len(out) == len(entries)

    async def _failed(self, table: Table, problem: str) -> None:
        """Mark what a firewall refused; it is tried again for as long as the decision lasts.

        A text that says the same with other numbers is no news.
        """
        said = _NUMBER.sub("#", problem)
        refused = [e for e in self.ledger.pending(table) if _NUMBER.sub("#", e.note) != said]
        failed = await self.ledger.fail(refused, problem)
        self.witness.changed(failed, LedgerState.FAILED, problem)


def targets_of(entries: Iterable[LedgerEntry]) -> list[Target]:
    """Return the targets as address objects: nothing else goes near a command."""
    return [_target(entry.target) for entry in entries]


def _key(entry: LedgerEntry) -> Key:
    """Return what names an entry and its decision: another one for the same target is new."""
    return entry.target, entry.decision.table, entry.decision.decided_at


def _kind(target: Target) -> tuple[int, bool]:
    return target.version, isinstance(target, Network)


async def _held(member: Firewall, table: Table) -> set[Target]:
    """Return what is in the table: nothing, where it does not exist."""
    try:
        return await member.entries(table)
    except TableAbsentError:
        return set()


def _is_in_all(target: Target, held: Sequence[Collection[Target]]) -> bool:
    return all(target in each for each in held)


def _is_out(target: Target, answers: Answers[set[Target]]) -> bool:
    """Say whether it is known to be in no table: who did not answer may have it."""
    return answers.complete and not any(target in held for held in answers.given.values())


def _by_reason(entries: Iterable[LedgerEntry], note: str | None) -> dict[str, list[LedgerEntry]]:
    """Group entries by why they are released: one that was ended before its time says it."""
    groups: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        why = note or (entry.note if _was_cut_short(entry) else ENDED)
        groups.setdefault(why + STAYS if entry.foreign else why, []).append(entry)
    return groups


def _was_cut_short(entry: LedgerEntry) -> bool:
    decision = entry.decision
    return bool(entry.note) and entry.expires_at < decision.decided_at + decision.duration
