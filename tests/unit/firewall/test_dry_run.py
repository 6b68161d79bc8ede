"""The dry run: what it says of what it did not do."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from ai_suricata.config.firewall import FirewallSettings
from ai_suricata.core.decision import Table
from ai_suricata.firewall.dry_run import DryRun
from fakes.response import FakeFirewall, lasting

ATTACKER = ip_address("203.0.113.7")
OTHER = ip_address("198.51.100.9")


async def test_counts_what_would_have_changed() -> None:
    """Duplicates and what is absent change nothing on a firewall, and do not count."""
    firewall = DryRun()
    await firewall.add(Table.BLOCK, {ATTACKER: 600.0, OTHER: 600.0})
    await firewall.add(Table.BLOCK, {ATTACKER: 600.0})
    await firewall.delete(Table.BLOCK, [OTHER, ip_address("192.0.2.1")])
    await firewall.kill_states([ATTACKER])

    expected = {"add": 2, "delete": 1, "kill": 1}
    assert expected == dict(firewall.counts)


def test_the_firewall_of_the_settings_is_its_own_address() -> None:
    """A dry run lists no block that the real run would never make."""
    firewall = DryRun(FirewallSettings(host="::ffff:192.168.1.1"))

    assert frozenset({ip_address("192.168.1.1")}) == firewall.own_addresses()


def test_a_host_name_is_no_address() -> None:
    """A dry run asks no resolver."""
    assert frozenset() == DryRun(FirewallSettings(host="pf.example")).own_addresses()
    assert frozenset() == DryRun().own_addresses()


async def test_what_the_firewall_behind_lives_by_is_asked_of_it_and_nothing_else() -> None:
    """Else a dry run would show blocks that the daemon never makes."""
    behind = FakeFirewall("admin@192.0.2.1:22")
    behind.surroundings = {"gateway": [ip_network("203.0.113.1")]}
    behind.own = frozenset({ip_address("192.0.2.1")})
    firewall = DryRun(behind=behind)

    assert "dry run of admin@192.0.2.1:22" == firewall.place
    assert {"gateway": [ip_network("203.0.113.1")]} == await firewall.survey()
    assert ip_address("192.0.2.1") in firewall.own_addresses()
    await firewall.add(Table.BLOCK, lasting(ATTACKER))
    await firewall.kill_states([ATTACKER])
    await firewall.delete(Table.BLOCK, [ATTACKER])
    assert ["survey"] == behind.calls
