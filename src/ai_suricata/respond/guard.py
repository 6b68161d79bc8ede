"""Keeps the firewalls from what must never be blocked: learns it, and ends what touches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.decision import LedgerState, Table
from ai_suricata.respond.policy import is_live
from ai_suricata.respond.promotion import demoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ai_suricata.core.decision import Decision, LedgerEntry
    from ai_suricata.firewall.base import Firewall
    from ai_suricata.firewall.fleet import Fleet
    from ai_suricata.respond.ledger import Ledger
    from ai_suricata.respond.protection import Protection
    from ai_suricata.respond.witness import Witness

log = structlog.get_logger(__name__)

SPARED = "never blocked"
"""How the note begins of what was taken out, or refused, for the list of the never-blocked."""
_FEW = 20
"""Targets that a log line names."""


class Guard:
    """Holds the ledger against the list before anything is sent."""

    def __init__(
        self, fleet: Fleet, ledger: Ledger, protection: Protection, witness: Witness
    ) -> None:
        """Tell `witness` of what is ended, or blocked instead."""
        self.fleet = fleet
        self.ledger = ledger
        self.protection = protection
        self.witness = witness
        self.problem: str | None = None
        """Why a firewall did not say what it lives by, or None."""
        self._judged_by: object = None

    @property
    def is_behind(self) -> bool:
        """Whether the ledger was not held against the present list of the never-blocked yet."""
        return self._judged_by is not self.protection.never_block

    async def survey(self, returned: Collection[str], *, anew: bool) -> bool:
        """Learn what the firewalls live by; return whether all that were asked have said it.

        Asked are those that have not said it yet, those that have `returned`, and all for `anew`.
        """
        knows = self.protection.knows

        async def ask(member: Firewall) -> None:
            self.protection.learn(member.place, await member.survey())

        def is_due(member: Firewall) -> bool:
            return anew or not knows(member.place) or member.place in returned

        wanted = sum(map(is_due, self.fleet.members))
        if wanted == 0:
            return self.problem is None
        answers = await self.fleet.each(ask, among=is_due)
        done = len(answers.given) == wanted
        self.problem = None if done else answers.refusal or self.problem
        return done

    async def spare(self) -> None:
        """End what must never be blocked: the list can have grown since it was decided.

        The firewall's addresses are known once it is connected, the operator's may have been
        changed. Each version of the list is held against the ledger once; what waits to be sent,
        each time. What the operator has forced onto it stays, unless it would cut off the
        firewall or ourselves.
        """
        for member in self.fleet.members:
            self.protection.sessions(member.own_addresses())
        never_block, behind = self.protection.never_block, self.is_behind
        for table in Table:
            entries = self.ledger.live(table) if behind else self.ledger.pending(table)
            by_note: dict[str, list[LedgerEntry]] = {}
            for entry in entries:
                reason = self._objection(entry.decision)
                if reason is not None:
                    by_note.setdefault(f"{SPARED}: {reason}", []).append(entry)
            for note, some in by_note.items():
                log.warning("taken out again", targets=[e.target for e in some[:_FEW]], reason=note)
                await self._lift(table, some, note)
        self._judged_by = never_block

    def passed(self, entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
        """Return those that may be sent at this moment.

        `spare` waits for the disk, and what comes in meanwhile it has not seen.
        """
        return [entry for entry in entries if self._objection(entry.decision) is None]

    def _objection(self, decision: Decision) -> str | None:
        """Say why a decision must not be carried out, or None where it may be."""
        lists = self.protection
        judge = lists.absolute if decision.forced else lists.never_block
        return judge.reason_for_text(decision.target)

    async def _lift(self, table: Table, entries: Sequence[LedgerEntry], note: str) -> None:
        """End entries; of a network, those members go on being blocked that may be.

        They come first: after a kill or a full disk in between, both are wished for.
        """
        now = self.ledger.now()
        instead = {
            decision.target: decision
            for entry in entries
            for decision in demoted(entry, history=self.ledger)
            if self._objection(decision) is None
            and not is_live(self.ledger.latest(decision.target, table), now)
        }
        requested = await self.ledger.request(list(instead.values()))
        self.witness.changed(requested, LedgerState.REQUESTED, "")
        await self.ledger.end(entries, note)
