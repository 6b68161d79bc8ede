"""What a firewall must be able to do: the whole interface of a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from ai_suricata.core.address import Address, Target
    from ai_suricata.core.decision import Table


class Firewall(Protocol):
    """A pair of address tables, one for each `Table`, on which rules of the operator act.

    Every call is bounded in time by the backend's own settings and raises
    `FirewallUnreachableError` where no answer came (the caller tries again later) or
    `FirewallRefusedError` where the answer was no (the text names the remedy). A batch that
    raised may have been carried out in part: `missing` tells.
    """

    name: str

    async def open(self) -> None:
        """Connect. Raises where the firewall can't be reached; may be called again after that."""
        ...

    async def close(self) -> None:
        """Let go of the connection. What is in the tables stays there."""
        ...

    async def add(self, table: Table, targets: Collection[Target]) -> None:
        """Put the targets into the table, those that are in it already included."""
        ...

    async def delete(self, table: Table, targets: Collection[Target]) -> None:
        """Take the targets out of the table, those that are not in it included."""
        ...

    async def missing(self, table: Table, targets: Collection[Target]) -> set[Target]:
        """Return those of the targets that are not enforced: asked of the firewall, not assumed.

        Enforced means that the table holds it and a rule refers to the table; without such a
        rule `FirewallRefusedError` says which one to make.
        """
        ...

    async def entries(self, table: Table) -> set[Target]:
        """Return all that is in the table, entries of others included."""
        ...

    async def kill_states(self, targets: Collection[Target]) -> int:
        """End the connections of the targets, both ways; return how many states were killed."""
        ...

    def own_addresses(self) -> frozenset[Address]:
        """Return the addresses of the firewall and of our session with it: never blocked."""
        ...
