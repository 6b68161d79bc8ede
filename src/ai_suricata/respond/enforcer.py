"""Brings the firewall's tables to what the ledger says, and the ledger to what is proved.

Each step may be repeated: adding twice or deleting twice does no harm, and nothing counts as done
before the firewall was asked. Entries of others are never touched, and nothing is flushed.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Protocol

import structlog

from ai_suricata.core.address import Target, parse_target
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError, StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.firewall.base import Firewall
    from ai_suricata.respond.ledger import Ledger
    from ai_suricata.respond.never_block import NeverBlock

log = structlog.get_logger(__name__)

PUT_BACK = "put back"
"""The note of what was enforced before, and is again."""
_SPARED = "never blocked"
_GONE = "gone from the table"


class Witness(Protocol):
    """Who is told of what happened, such as the audit log and the metrics."""

    def changed(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        """Take note that the entries have gone into `state`."""
        ...

    def firewall(self, problem: str | None) -> None:
        """Take note of what the firewall said last: a problem in words, or None."""
        ...

    def ledger(self, problem: str | None) -> None:
        """Take note of why the ledger could not be written last, or None."""
        ...


class Enforcer:
    """Carries out what the ledger holds. Only one of its methods runs at a time."""

    def __init__(
        self, firewall: Firewall, ledger: Ledger, never_block: NeverBlock, witness: Witness
    ) -> None:
        """Everything that is changed is told to `witness`."""
        self.firewall = firewall
        self.ledger = ledger
        self.never_block = never_block
        self.witness = witness
        self.answers = True
        """Whether the firewall did what it was asked the last time."""
        self._judged_by: object = None

    async def work(self, *, reconcile: bool) -> bool:
        """Send what waits and release what has ended; with `reconcile`, also mend the tables.

        Returns whether all of it is done. A firewall or a disk that fails raises nothing: both
        are told, and tried again by the caller.
        """
        problem: str | None = None
        done = True
        for table in Table:
            try:
                done = await self._settle(table, reconcile=reconcile) and done
            except FirewallUnreachableError as error:
                problem = str(error)
                break
            except FirewallRefusedError as error:
                problem = str(error)
                await self._failed(table, problem)
            except StateError:
                done = False
        self.witness.ledger(self.ledger.problem)
        self.witness.firewall(problem)
        self.answers = problem is None
        return done and problem is None

    async def release_all(self) -> bool:
        """Take all that is ours off the firewall; return whether that was confirmed."""
        done = True
        for table in Table:
            entries = self.ledger.live(table) + self.ledger.ended(table)
            try:
                done = await self._take_out(table, entries, "released at stop") and done
            except (FirewallUnreachableError, FirewallRefusedError, StateError) as error:
                log.error("blocks could not be released", table=table, problem=str(error))
                done = False
        return done

    async def _settle(self, table: Table, *, reconcile: bool) -> bool:
        """Do what is due for one table; return whether nothing is left to do."""
        if reconcile:
            await self._mend(table)
        await self._spare()
        released = await self._release(table)
        return await self._enforce(table) and released

    async def _mend(self, table: Table) -> None:
        """Put back what a filter reload, a reboot or a hand has taken out.

        What was proved but is gone becomes a request again, so that one path enforces all.
        """
        held = await self.firewall.entries(table)
        proved = [e for e in self.ledger.live(table) if e.state is LedgerState.ENFORCED]
        gone = [e for e in proved if parse_target(e.target) not in held]
        if gone:
            log.warning("entries were gone from the table", table=table, count=len(gone))
            await self.ledger.renew(gone, _GONE)

    async def _spare(self) -> None:
        """End what must never be blocked: the list can have grown since it was decided.

        The firewall's addresses are known once it is connected, the operator's may have been
        changed. Each version of the list is held against the ledger once.
        """
        own = (ip_network(address) for address in self.firewall.own_addresses())
        self.never_block.add("the firewall", own)
        if self._judged_by is self.never_block.networks:
            return
        for table in Table:
            for entry in self.ledger.live(table):
                reason = self.never_block.reason_for_text(entry.target)
                if reason is not None:
                    log.warning("taken out again", target=entry.target, reason=reason)
                    await self.ledger.end([entry], f"{_SPARED}: {reason}")
        self._judged_by = self.never_block.networks

    async def _enforce(self, table: Table) -> bool:
        """Add what is pending, and prove it; return whether all of it was there."""
        pending = self.ledger.pending(table)
        if not pending:
            return True
        targets = targets_of(pending)
        await self.firewall.add(table, targets)
        missing = await self.firewall.missing(table, targets)
        proved = [entry for entry in pending if parse_target(entry.target) not in missing]
        if table is Table.BLOCK:
            await self._kill_states(targets_of(proved))
        returned = {entry.target for entry in proved if entry.note == _GONE}
        confirmed = await self.ledger.confirm(proved)
        new = [entry for entry in confirmed if entry.target not in returned]
        self.witness.changed(new, LedgerState.ENFORCED, "")
        back = [entry for entry in confirmed if entry.target in returned]
        self.witness.changed(back, LedgerState.ENFORCED, PUT_BACK)
        if missing:
            log.warning("added, and not in the table", table=table, count=len(missing))
        return not missing

    async def _kill_states(self, targets: Sequence[Target]) -> None:
        """End the connections of those who are blocked, before they count as blocked.

        Where the firewall is lost, the whole batch is tried again; where it says no, a block
        without this is still a block.
        """
        try:
            killed = await self.firewall.kill_states(targets)
        except FirewallRefusedError as error:
            log.warning("states could not be killed", problem=str(error))
        else:
            log.debug("states killed", count=killed)

    async def _release(self, table: Table) -> bool:
        ended = self.ledger.ended(table)
        spared = [entry for entry in ended if entry.note.startswith(_SPARED)]
        others = [entry for entry in ended if entry not in spared]
        out = [await self._take_out(table, [entry], entry.note) for entry in spared]
        return await self._take_out(table, others, "its time has ended") and all(out)

    async def _take_out(self, table: Table, entries: Sequence[LedgerEntry], note: str) -> bool:
        """Delete the entries, and prove it; return whether all of them are out."""
        if not entries:
            return True
        await self.firewall.delete(table, targets_of(entries))
        held = await self.firewall.entries(table)
        out = [entry for entry in entries if parse_target(entry.target) not in held]
        released = await self.ledger.release(out, note)
        self.witness.changed(released, LedgerState.RELEASED, note)
        return len(out) == len(entries)

    async def _failed(self, table: Table, problem: str) -> None:
        """Mark what the firewall refused; it is tried again for as long as the decision lasts."""
        refused = [e for e in self.ledger.pending(table) if e.note != problem]
        try:
            failed = await self.ledger.fail(refused, problem)
        except StateError:
            return  # told as the ledger's problem; the entries stay requested
        self.witness.changed(failed, LedgerState.FAILED, problem)


def targets_of(entries: Sequence[LedgerEntry]) -> list[Target]:
    """Return the targets as address objects: nothing else goes near a command."""
    return [parse_target(entry.target) for entry in entries]
