"""Brings the firewall's tables to what the ledger says, and the ledger to what is proved.

Each step may be repeated: adding twice or deleting twice does no harm, and nothing counts as done
before the firewall was asked. Entries of others are never touched, and nothing is flushed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from ai_suricata.core.address import Target, parse_target
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError, StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.firewall.base import Firewall
    from ai_suricata.respond.ledger import Ledger

log = structlog.get_logger(__name__)


class Witness(Protocol):
    """Who is told of what happened, such as the audit log and the metrics."""

    def changed(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        """Take note that the entries have gone into `state`."""
        ...

    def firewall(self, problem: str | None) -> None:
        """Take note of what the firewall said last: a problem in words, or None."""
        ...


class Enforcer:
    """Carries out what the ledger holds. Only one of its methods runs at a time."""

    def __init__(self, firewall: Firewall, ledger: Ledger, witness: Witness) -> None:
        """Everything that is changed is told to `witness`."""
        self.firewall = firewall
        self.ledger = ledger
        self.witness = witness

    async def work(self, *, reconcile: bool) -> bool:
        """Send what waits and release what has ended; with `reconcile`, also mend the tables.

        Returns whether the firewall did all of it. A firewall or a disk that fails raises nothing:
        both are told, and tried again by the caller.
        """
        problem: str | None = None
        for table in Table:
            try:
                if reconcile:
                    await self._mend(table)
                await self._release(table)
                await self._enforce(table)
            except (FirewallUnreachableError, StateError) as error:
                problem = str(error)
                break
            except FirewallRefusedError as error:
                problem = str(error)
                await self._failed(table, problem)
        self.witness.firewall(problem)
        return problem is None

    async def release_all(self) -> bool:
        """Take all that is ours off the firewall; return whether that was confirmed."""
        for table in Table:
            entries = self.ledger.live(table) + self.ledger.ended(table)
            try:
                await self._take_out(table, entries, "released at stop")
            except (FirewallUnreachableError, FirewallRefusedError, StateError) as error:
                log.error("blocks could not be released", table=table, problem=str(error))
                return False
        return True

    async def _mend(self, table: Table) -> None:
        """Put back what a filter reload, a reboot or a hand has taken out.

        What is proved already but gone becomes a request again, so that one path enforces all.
        """
        held = await self.firewall.entries(table)
        gone = [e for e in self.ledger.enforced(table) if parse_target(e.target) not in held]
        lasting = [e for e in gone if e in self.ledger.live(table)]
        if lasting:
            log.warning("entries were gone from the table", table=table, count=len(lasting))
            await self.ledger.fail(lasting, "gone from the table")

    async def _enforce(self, table: Table) -> None:
        pending = self.ledger.pending(table)
        if not pending:
            return
        targets = targets_of(pending)
        await self.firewall.add(table, targets)
        missing = await self.firewall.missing(table, targets)
        proved = [entry for entry in pending if parse_target(entry.target) not in missing]
        await self.ledger.confirm(proved)
        self.witness.changed(proved, LedgerState.ENFORCED, "")
        if missing:
            log.warning("added, and not in the table", table=table, count=len(missing))
        if table is Table.BLOCK and proved:
            killed = await self.firewall.kill_states(targets_of(proved))
            log.debug("states killed", count=killed)

    async def _release(self, table: Table) -> None:
        await self._take_out(table, self.ledger.ended(table), "its time has ended")

    async def _take_out(self, table: Table, entries: Sequence[LedgerEntry], note: str) -> None:
        if not entries:
            return
        await self.firewall.delete(table, targets_of(entries))
        held = await self.firewall.entries(table)
        out = [entry for entry in entries if parse_target(entry.target) not in held]
        await self.ledger.release(out, note)
        self.witness.changed(out, LedgerState.RELEASED, note)

    async def _failed(self, table: Table, problem: str) -> None:
        """Mark what the firewall refused; it is tried again for as long as the decision lasts."""
        refused = [e for e in self.ledger.pending(table) if e.note != problem]
        try:
            await self.ledger.fail(refused, problem)
        except StateError as error:
            log.error("ledger can't be written", problem=str(error))
            return
        self.witness.changed(refused, LedgerState.FAILED, problem)


def targets_of(entries: Sequence[LedgerEntry]) -> list[Target]:
    """Return the targets as address objects: nothing else goes near a command."""
    return [parse_target(entry.target) for entry in entries]
