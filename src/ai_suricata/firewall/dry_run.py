"""The dry run: everything but the last step. Its tables are in memory, and nothing is sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ai_suricata.core.address import parse_address
from ai_suricata.core.decision import Table
from ai_suricata.firewall.pfctl import Listing, canonical

if TYPE_CHECKING:
    from collections.abc import Collection

    from ai_suricata.config.settings import FirewallSettings
    from ai_suricata.core.address import Address, Target


class DryRun:
    """Two tables as pf would hold them, each with a rule that nobody follows.

    Implements `Firewall`; never raises.
    """

    name = "dry_run"

    def __init__(self, settings: FirewallSettings | None = None) -> None:
        """Take the firewall's own address from `settings`: a dry run must not list it either."""
        self.counts: Counter[str] = Counter()
        """Targets that would have been newly added (`add`), taken out (`delete`), or have had
        their connections ended (`kill`)."""
        self._tables: dict[Table, set[Target]] = {table: set() for table in Table}
        self._host = settings.host if settings else ""

    async def open(self) -> None:
        """Do nothing: there is nobody to connect to."""

    async def close(self) -> None:
        """Do nothing: the tables stay as they are, as pf's do."""

    async def add(self, table: Table, targets: Collection[Target]) -> None:
        """Put the targets into the table."""
        new = set(map(canonical, targets)) - self._tables[table]
        self._tables[table] |= new
        self.counts["add"] += len(new)

    async def delete(self, table: Table, targets: Collection[Target]) -> None:
        """Take the targets out of the table."""
        old = set(map(canonical, targets)) & self._tables[table]
        self._tables[table] -= old
        self.counts["delete"] += len(old)

    async def missing(self, table: Table, targets: Collection[Target]) -> set[Target]:
        """Return the targets that the table would not match."""
        lacking = Listing(frozenset(self._tables[table])).lacks(map(canonical, targets))
        return {target for target in targets if canonical(target) in lacking}

    async def entries(self, table: Table) -> set[Target]:
        """Return all that is in the table."""
        return set(self._tables[table])

    async def kill_states(self, targets: Collection[Target]) -> int:
        """Return 0: a dry run ends no connection."""
        self.counts["kill"] += len(set(targets))
        return 0

    def own_addresses(self) -> frozenset[Address]:
        """Return the firewall's address, where the settings name one (and not a host name)."""
        try:
            return frozenset({parse_address(self._host)})
        except ValueError:
            return frozenset()
