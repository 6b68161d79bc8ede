"""The firewall: does it let us in, do its rules refer to our tables, and what does it live by."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.doctor.finding import ok, wrong

if TYPE_CHECKING:
    from ai_suricata.config.firewall import FirewallSettings
    from ai_suricata.doctor.finding import Finding
    from ai_suricata.firewall.base import Firewall

PART = "firewall"
NOBODY = IPv4Address("192.0.2.1")
"""The address that is asked for: of documentation (RFC 5737), nobody's. It is never added."""
_MEANING = {Table.BLOCK: "blocks", Table.LIMIT: "rate limits"}


async def examine(firewall: Firewall, settings: FirewallSettings) -> list[Finding]:
    """Connect, and ask. Nothing is added; each call is bounded by itself."""
    if firewall.name == "dry_run":
        return [ok(PART, "FIREWALL is dry_run: nothing is sent to any firewall")]
    try:
        await firewall.open()
        found = [ok(PART, f"{firewall.place} lets us in")]
        found += [await _table(firewall, table, name) for table, name in _names(settings).items()]
        return found + await _survey(firewall)
    except (FirewallRefusedError, FirewallUnreachableError) as error:
        return [_refused(error)]
    finally:
        await firewall.close()


def _names(settings: FirewallSettings) -> dict[Table, str]:
    """Return what the operator calls our tables: nftables' sets have names of their own."""
    if settings.firewall == "nftables":
        return dict.fromkeys(Table, settings.nft_table)
    return {Table.BLOCK: settings.block_table, Table.LIMIT: settings.limit_table}


async def _table(firewall: Firewall, table: Table, name: str) -> Finding:
    try:
        await firewall.missing(table, {NOBODY})
    except (FirewallRefusedError, FirewallUnreachableError) as error:
        return _refused(error)
    return ok(PART, f"a rule refers to the table {name}, for {_MEANING[table]}")


async def _survey(firewall: Firewall) -> list[Finding]:
    """Tell what the firewall said of itself; nothing for one that has nothing to say."""
    try:
        survey = await firewall.survey()
    except (FirewallRefusedError, FirewallUnreachableError) as error:
        return [_refused(error)]
    if not survey:
        return []
    counts = ", ".join(f"{kind} {len(networks)}" for kind, networks in survey.items())
    return [ok(PART, f"never blocked, as {firewall.place} tells: {counts}")]


def _refused(error: Exception) -> Finding:
    """Part what went wrong from the remedy, which stands after the last colon of such an error."""
    sentence, _, remedy = str(error).rpartition(": ")
    return wrong(PART, sentence or remedy, remedy if sentence else "see the firewall's log")
