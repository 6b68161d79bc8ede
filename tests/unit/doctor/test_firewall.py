"""What the doctor says of the firewall."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from ai_suricata.core.errors import FirewallRefusedError
from ai_suricata.doctor import firewall as examined
from ai_suricata.doctor.finding import Status
from ai_suricata.firewall.dry_run import DryRun
from fakes import eve
from fakes.response import FakeFirewall

if TYPE_CHECKING:
    from ai_suricata.doctor.finding import Finding
    from ai_suricata.firewall.base import Firewall, Survey


async def found(firewall: Firewall) -> list[Finding]:
    """Examine it."""
    return await examined.examine(firewall, eve.settings().firewall)


async def test_tables_with_rules_are_well_and_nothing_is_added() -> None:
    """Both are asked about, and nothing else happens."""
    firewall = FakeFirewall()
    told = await found(firewall)

    assert [Status.OK] * 3 == [one.status for one in told]
    assert ["missing", "missing", "survey"] == firewall.calls


async def test_a_dry_run_is_told() -> None:
    """There is nothing to connect to."""
    settings = eve.settings().firewall

    assert "FIREWALL is dry_run" in (await found(DryRun(settings)))[0].sentence


async def test_each_table_that_is_refused_is_told() -> None:
    """One does not hide the other."""
    firewall = FakeFirewall()
    firewall.faults["missing"] = "refused"

    assert ["ok", "wrong", "wrong"] == [one.status for one in await found(firewall)]


class Talking(FakeFirewall):
    """A firewall that tells what it lives by, or refuses to."""

    refusal = ""

    async def survey(self) -> Survey:
        """Return two kinds of networks."""
        if self.refusal:
            raise FirewallRefusedError(self.refusal)
        gateway = ip_network("192.0.2.1/32")
        return {"interface": [gateway, ip_network("192.0.2.2/32")], "gateway": [gateway]}


async def test_what_the_firewall_lives_by_is_told() -> None:
    """By its place, how many of each kind."""
    told = await found(Talking())

    assert "never blocked, as fake tells: interface 2, gateway 1" == told[-1].sentence
    assert [Status.OK] * 4 == [one.status for one in told]


async def test_a_survey_that_is_refused_is_wrong_with_its_remedy() -> None:
    """The tables are told all the same: nothing is blocked before the firewall has answered."""
    firewall = Talking()
    firewall.refusal = "it does not tell: set PFSENSE_LEARN=false"
    told = await found(firewall)

    assert [Status.OK, Status.OK, Status.OK, Status.WRONG] == [one.status for one in told]
    assert "set PFSENSE_LEARN=false" == told[-1].remedy


async def test_nftables_sets_are_told_by_their_table() -> None:
    """They have no names of the operator's."""
    settings = eve.settings(FIREWALL="nftables", NFTABLES_TABLE="mine").firewall
    told = await examined.examine(FakeFirewall(), settings)

    assert ["the table mine" in one.sentence for one in told] == [False, True, True]
