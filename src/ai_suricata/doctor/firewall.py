"""The firewall: does it let us in, and do its rules refer to our tables."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.doctor.finding import ok, wrong

if TYPE_CHECKING:
    from ai_suricata.config.settings import FirewallSettings
    from ai_suricata.doctor.finding import Finding
    from ai_suricata.firewall.base import Firewall

PART = "firewall"
NOBODY = IPv4Address("192.0.2.1")
"""The address that is asked for: of documentation (RFC 5737), nobody's. It is never added."""
_MEANING = {Table.BLOCK: "blocks", Table.LIMIT: "rate limits"}


async def examine(firewall: Firewall, settings: FirewallSettings) -> list[Finding]:
    """Connect, and ask about both tables. Nothing is added; each call is bounded by itself."""
    if firewall.name == "dry_run":
        return [ok(PART, "FIREWALL is dry_run: nothing is sent to any firewall")]
    try:
        await firewall.open()
        place = f"{settings.user}@{settings.host}:{settings.port}"
        found = [ok(PART, f"{place} lets us in")]
        names = {Table.BLOCK: settings.block_table, Table.LIMIT: settings.limit_table}
        return found + [await _table(firewall, table, name) for table, name in names.items()]
    except (FirewallRefusedError, FirewallUnreachableError) as error:
        return [_refused(error)]
    finally:
        await firewall.close()


async def _table(firewall: Firewall, table: Table, name: str) -> Finding:
    try:
        await firewall.missing(table, {NOBODY})
    except (FirewallRefusedError, FirewallUnreachableError) as error:
        return _refused(error)
    return ok(PART, f"a rule refers to the table {name}, for {_MEANING[table]}")


def _refused(error: Exception) -> Finding:
    """Part what went wrong from the remedy, which stands after the last colon of such an error."""
    sentence, _, remedy = str(error).rpartition(": ")
    return wrong(PART, sentence or remedy, remedy if sentence else "see the firewall's log")
