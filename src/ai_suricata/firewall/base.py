"""What a firewall must be able to do: the whole interface of a backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ai_suricata.core.address import Address, Network, Target
    from ai_suricata.core.decision import Table

    CommandObserver: TypeAlias = Callable[["Sent"], None]
    Survey: TypeAlias = Mapping[str, Collection[Network]]
    """Networks by what they are to the firewall: `interface`, `gateway`, `DNS server`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One command to a firewall, and what came of it."""

    firewall: str
    """The place that took it."""
    label: str
    """add, delete, test, show, rules, info, states, kill or survey: for counters."""
    text: str
    """As it was sent, without what went to its standard input."""
    addresses: int
    """How many went to its standard input."""
    result: str
    """ok, refused or unreachable."""
    seconds: float


class Firewall(Protocol):
    """A pair of address tables, one for each `Table`, on which rules of the operator act.

    Every call is bounded in time by the backend's own settings and raises
    `FirewallUnreachableError` where no answer came (the caller tries again later) or
    `FirewallRefusedError` where the answer was no (the text names the remedy). A batch that
    raised may have been carried out in part: `missing` tells.
    """

    name: str
    """Of the kind: `pfsense`."""
    place: str
    """Of this one, for people: `admin@192.0.2.1:22`."""

    async def open(self) -> None:
        """Connect. Raises where the firewall can't be reached; may be called again after that."""
        ...

    async def close(self) -> None:
        """Let go of the connection. What is in the tables stays there."""
        ...

    async def add(self, table: Table, targets: Mapping[Target, float]) -> Collection[Target]:
        """Put the targets into the table, those that are in it already included.

        Returns those that somebody else had put in, or may have, as far as the firewall tells.
        Each comes with the seconds that it is to stay. A backend whose tables can forget by
        themselves lets it go a while after that, should nobody be there to take it out.
        """
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

    async def survey(self) -> Survey:
        """Return what the firewall lives by, which must never be blocked; asked of it now."""
        ...

    def own_addresses(self) -> frozenset[Address]:
        """Return the addresses of the firewall and of our session with it: never blocked."""
        ...
