"""A survey over a real sshd, and two firewalls side by side."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.config.load import load
from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.firewall import survey
from ai_suricata.firewall.pfsense import PfSense
from fakes.sshd import BLOCK_TABLE, PfStandIn, running_pair

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.firewall.base import Sent

pytestmark = pytest.mark.system

ATTACKER = ip_address("203.0.113.7")


async def test_a_survey_finds_what_the_firewall_lives_by(pf: PfStandIn, firewall: PfSense) -> None:
    """Interfaces, gateways, DNS servers, inner networks, and both ends of our session."""
    pf.set_resolver("nameserver 10.255.0.53\n", "forward-zone:\n\tforward-addr: 10.255.9.9@853\n")
    pf.set_logins("admin   pts/0   Nov 20 14:08 (192.168.1.50)\n")

    found = {kind: set(map(str, networks)) for kind, networks in (await firewall.survey()).items()}

    assert {"10.255.0.2/32", "10.255.0.10/32", "192.168.1.1/32"} <= found["interface"]
    assert {"10.255.0.1/32", "fe80::1/128"} == found["gateway"]
    assert {"10.255.0.53/32", "10.255.9.9/32"} == found["DNS server"]
    assert {"192.168.1.0/24", "fd00:1::/64"} <= found["network"]
    assert "10.255.0.0/24" not in found["network"]
    assert {"127.0.0.1/32"} == found["SSH session"]
    assert {"192.168.1.50/32"} == found["SSH login"]


async def test_a_survey_is_fixed_commands_over_the_one_connection(pf: PfStandIn) -> None:
    """Nothing of ours is in them; files that are not there are no failure."""
    sent: list[Sent] = []
    firewall = PfSense(pf.settings(), sent.append)
    await firewall.survey()
    await firewall.close()

    assert {one.text for one in survey.COMMANDS} == {one.command for one in pf.commands()}
    assert {"survey": 7, "rules": 1} == {
        label: [one.label for one in sent].count(label) for label in ("survey", "rules")
    }
    assert {"ok"} == {one.result for one in sent}
    assert 1 == pf.logins()


async def test_a_gate_that_lets_pfctl_alone_through_is_told_with_the_remedy(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """Blocking works there; whoever wants no survey says so."""
    pf.refuse_survey()

    with pytest.raises(FirewallRefusedError, match="PFSENSE_LEARN=false"):
        await firewall.survey()
    await firewall.add(Table.BLOCK, {ATTACKER: 600.0})
    assert set() == await firewall.missing(Table.BLOCK, [ATTACKER])


async def test_without_learning_the_survey_is_our_session(pf: PfStandIn) -> None:
    """Nothing is asked, whatever the gate would say."""
    firewall = PfSense(pf.settings().model_copy(update={"learn": False}))
    await firewall.open()

    assert {"SSH session": (ip_network("127.0.0.1/32"),)} == await firewall.survey()
    assert [] == pf.commands()
    await firewall.close()


@pytest.mark.parametrize("kind", ["hang", "drop"])
async def test_a_survey_that_is_cut_off_is_no_survey(pf: PfStandIn, kind: str) -> None:
    """Half of it must not pass for the whole."""
    firewall = PfSense(pf.settings(command_timeout=1.0))
    pf.fault(kind, verb="survey", skip=2)

    with pytest.raises(FirewallUnreachableError):
        await firewall.survey()
    assert "interface" in await firewall.survey()
    await firewall.close()


async def test_a_pair_is_two_firewalls_with_one_key(tmp_path: Path) -> None:
    """Each has its own port, tables and place; the settings of one list reach both."""
    with running_pair(tmp_path) as (first, second):
        settings = load(environment=first.environment(second)).firewall
        members = [PfSense(each) for each in settings.each()]
        await asyncio.gather(*(one.add(Table.BLOCK, {ATTACKER: 600.0}) for one in members))
        second.empty(BLOCK_TABLE)

        lacking = [await one.missing(Table.BLOCK, [ATTACKER]) for one in members]
        assert [set(), {ATTACKER}] == lacking
        assert 2 == len({one.place for one in members})
        assert [f":{one.port}" for one in (first, second)] == [
            one.place[one.place.rindex(":") :] for one in members
        ]
        await asyncio.gather(*(one.close() for one in members))


async def test_a_changed_host_key_of_one_does_not_shut_the_other_out(tmp_path: Path) -> None:
    """Trusting the new one leaves the other's line as it was."""
    with running_pair(tmp_path) as (first, second):
        second.change_host_key()
        second.restart()
        well, changed = PfSense(first.settings()), PfSense(second.settings())
        with pytest.raises(FirewallRefusedError, match="PFSENSE_KNOWN_HOSTS does not hold"):
            await changed.open()
        await well.open()
        second.trust_host_key()
        again = PfSense(second.settings())
        await again.open()
        await asyncio.gather(well.close(), changed.close(), again.close())
