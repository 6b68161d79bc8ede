"""The dry run: everything but the last step. Its tables are in memory, and nothing is sent."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from ai_suricata.core.address import parse_address
from ai_suricata.core.decision import Table
from ai_suricata.firewall.pfctl import Listing, canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ai_suricata.config.firewall import FirewallSettings
    from ai_suricata.core.address import Address, Target
    from ai_suricata.firewall.base import Firewall, Survey


class DryRun:
    """Two tables as pf would hold them, each with a rule that nobody follows.

    Implements `Firewall`; raises only what `behind` does.
    """

    name = "dry_run"

    def __init__(
        self, settings: FirewallSettings | None = None, behind: Firewall | None = None
    ) -> None:
        """Take the firewall's own addresses from `settings`: a dry run must not list it either.

        `behind`: the firewall that this is the dry run of, if it can be asked what it lives by.
        That only reads, and without it the dry run would block whom the daemon never blocks.
        """
        self._behind = behind
        self.place = f"dry run of {behind.place}" if behind is not None else "dry run"
        self.counts: Counter[str] = Counter()
        """Targets that would have been newly added (`add`), taken out (`delete`), or have had
        their connections ended (`kill`)."""
        self._tables: dict[Table, set[Target]] = {table: set() for table in Table}
        self._hosts = [one.host for one in settings.each()] if settings else []

    async def open(self) -> None:
        """Connect to the firewall behind, if there is one."""
        if self._behind is not None:
            await self._behind.open()

    async def close(self) -> None:
        """Let go of the firewall behind; the tables stay as they are, as pf's do."""
        if self._behind is not None:
            await self._behind.close()

    async def add(self, table: Table, targets: Mapping[Target, float]) -> set[Target]:
        """Put the targets into the table."""
        present = {target for target in targets if canonical(target) in self._tables[table]}
        new = set(map(canonical, targets)) - self._tables[table]
        self._tables[table] |= new
        self.counts["add"] += len(new)
        return present

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

    async def survey(self) -> Survey:
        """Return what the firewall behind says; nothing, where nobody is to be asked."""
        return await self._behind.survey() if self._behind is not None else {}

    def own_addresses(self) -> frozenset[Address]:
        """Return the firewalls' addresses, where the settings name such (and not a host name)."""
        found = set(self._behind.own_addresses()) if self._behind is not None else set()
        for host in self._hosts:
            with contextlib.suppress(ValueError):
                found.add(parse_address(host))
        return frozenset(found)
