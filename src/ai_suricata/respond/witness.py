"""Who is told of what the response does, such as the audit log, the metrics and people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ai_suricata.core.decision import LedgerEntry, LedgerState, Table


class Witness(Protocol):
    """Hears of each change. Nothing that it does may raise, or wait."""

    def changed(self, entries: Sequence[LedgerEntry], state: LedgerState, note: str) -> None:
        """Take note that the entries have gone into `state`."""
        ...

    def killed(self, targets: int, states: int, seconds: float) -> None:
        """Take note that the connections of so many targets were ended, and how many."""
        ...

    def unended(self, problem: str) -> None:
        """Take note that connections of the blocked could not be ended, and why."""
        ...

    def exhausted(self, table: Table, reason: str, count: int) -> None:
        """Take note that so many decisions were not made, because the budget is used up."""
        ...

    def recovered(self, table: Table) -> None:
        """Take note that the budget lets decisions of a table pass."""
        ...

    def dropped(self, count: int) -> None:
        """Take note that so many decisions were given up, since too many wait to be stored."""
        ...

    def firewall(self, problem: str | None, members: Mapping[str, bool] | None = None) -> None:
        """Take note of what the firewalls said last: a problem in words, or None.

        `members`: whether each one answers, by its place.
        """
        ...

    def ledger(self, problem: str | None) -> None:
        """Take note of why the ledger could not be written last, or None."""
        ...
