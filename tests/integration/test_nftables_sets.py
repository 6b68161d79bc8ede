"""The nftables backend and the real nft: what is in the sets, and what is refused."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, TableAbsentError
from ai_suricata.firewall import nft, ruleset
from fakes.namespace import FILE, TABLE, Host, need_nftables, running_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai_suricata.core.address import Target
    from ai_suricata.firewall.base import Sent
    from ai_suricata.firewall.nftables import Nftables
    from ai_suricata.firewall.ruleset import Ruleset

pytestmark = pytest.mark.system

ATTACKER, CLIENT = ip_address("203.0.113.7"), ip_address("203.0.113.200")
NARROW, WIDE = ip_network("203.0.113.0/25"), ip_network("203.0.0.0/16")
NETWORK_6 = ip_network("2001:db8:bad::/121")
SECONDS = 600.0


@pytest.fixture(scope="module")
def made() -> Iterator[Host]:
    """Make the namespace once: each test begins with the ruleset loaded anew."""
    need_nftables()
    with running_host() as host:
        yield host


@pytest.fixture
def host(made: Host) -> Host:
    """Return the host with empty sets."""
    made.load()
    return made


@pytest.fixture
def firewall(host: Host) -> Nftables:
    """Return the backend of the host."""
    return host.firewall()


def listed(host: Host) -> Ruleset:
    """Return the table as nft lists it."""
    return ruleset.read(host.nft("-j", "list", "table", "inet", TABLE), TABLE)


def timeouts(host: Host, part: str) -> dict[Target, float]:
    """Return the seconds left of the set's elements."""
    elements = listed(host).sets[part]
    return {target: element.left for target, element in elements.items()}


@pytest.mark.parametrize(("target", "part"), [(ATTACKER, "block4"), (NARROW, "block4_net")])
async def test_adding_again_sets_the_time_anew(
    host: Host, firewall: Nftables, target: Target, part: str
) -> None:
    """The kernel's time is the decision's and a margin, so that the daemon's release is first."""
    await firewall.add(Table.BLOCK, {target: 100})
    first = timeouts(host, part)[target]
    await firewall.add(Table.BLOCK, {target: 1000})
    longer = timeouts(host, part)[target]
    await firewall.add(Table.BLOCK, {target: 10})

    assert 200 < first <= 220
    assert 1100 < longer <= 1120
    assert 110 < timeouts(host, part)[target] <= 130


async def test_an_entry_of_somebody_else_is_never_cut_short(host: Host, firewall: Nftables) -> None:
    """Neither one that nobody else touched, nor one that ours has made longer since; it is told."""
    host.nft(f"add element inet {TABLE} block4 {{ {ATTACKER} timeout 1h, {CLIENT} timeout 20m }}")
    host.nft(f"add element inet {TABLE} block4_net {{ {NARROW} timeout 1h }}")
    targets = (ATTACKER, CLIENT, NARROW)

    assert set(targets) == await firewall.add(Table.BLOCK, dict.fromkeys(targets, 2000))
    assert set(targets) == await firewall.add(Table.BLOCK, dict.fromkeys(targets, 10))

    held = timeouts(host, "block4") | timeouts(host, "block4_net")
    assert [3590 < held[ATTACKER], 2100 < held[CLIENT], 3590 < held[NARROW]] == [True] * 3


async def test_what_we_put_in_is_not_told_as_somebody_else_s(firewall: Nftables) -> None:
    """Not even to a daemon that has forgotten it: it carries our comment."""
    targets: dict[Target, float] = {ATTACKER: SECONDS, NARROW: SECONDS}

    assert set() == await firewall.add(Table.BLOCK, targets)
    assert set() == await firewall.add(Table.BLOCK, targets)


async def test_an_entry_of_somebody_else_that_never_ends_stays_so(
    host: Host, firewall: Nftables
) -> None:
    """Adding it as well gives it no timeout: it would go with ours."""
    host.nft(f"add element inet {TABLE} block4 {{ {ATTACKER} }}")

    await firewall.add(Table.BLOCK, {ATTACKER: SECONDS})

    assert {ATTACKER: float("inf")} == timeouts(host, "block4")


async def test_of_networks_in_one_another_the_widest_is_put_in(
    host: Host, firewall: Nftables
) -> None:
    """In whichever order they come; those inside are entries until they, or the widest, go."""
    await firewall.add(Table.BLOCK, {NARROW: SECONDS, ATTACKER: SECONDS})
    await firewall.add(Table.BLOCK, {WIDE: SECONDS})
    await firewall.add(Table.BLOCK, {ip_network("203.0.113.0/26"): SECONDS})

    assert {WIDE} == timeouts(host, "block4_net").keys()
    inside: set[Target] = {NARROW, ip_network("203.0.113.0/26")}
    assert {WIDE, ATTACKER} | inside == await firewall.entries(Table.BLOCK)
    assert set() == await firewall.missing(Table.BLOCK, inside)

    await firewall.delete(Table.BLOCK, [NARROW])
    inside.remove(NARROW)
    assert {WIDE, ATTACKER} | inside == await firewall.entries(Table.BLOCK)
    await firewall.delete(Table.BLOCK, [WIDE])
    assert {ATTACKER} == await firewall.entries(Table.BLOCK)
    assert inside == await firewall.missing(Table.BLOCK, inside)


async def test_a_network_around_an_entry_of_somebody_else_is_left_out_alone(
    host: Host, firewall: Nftables
) -> None:
    """The rest of the batch goes in, the entry stays, and it is said which one is in the way."""
    host.nft(f"add element inet {TABLE} block4_net {{ 203.0.113.0/26, 198.51.100.5-198.51.100.9 }}")
    others: dict[Target, float] = {
        NETWORK_6: SECONDS,
        ATTACKER: SECONDS,
        ip_network("10.0.0.0/8"): 1,
    }

    with capture_logs() as logs:
        await firewall.add(Table.BLOCK, {WIDE: SECONDS, **others})

    assert {WIDE} == await firewall.missing(Table.BLOCK, [WIDE, *others])
    assert ip_network("203.0.113.0/26") in await firewall.entries(Table.BLOCK)
    assert [("203.0.0.0/16", "203.0.113.0/26")] == [(e["network"], e["entry"]) for e in logs]
    part_of_a_range = ip_network("198.51.100.6/31")
    await firewall.add(Table.BLOCK, {part_of_a_range: SECONDS})
    await firewall.delete(Table.BLOCK, [part_of_a_range])
    assert set() == await firewall.missing(Table.BLOCK, [ip_address("198.51.100.9")])


async def test_what_expires_between_looking_and_deleting_is_no_error(
    host: Host, firewall: Nftables
) -> None:
    """Nor does it keep the others of the batch in: it is played by deleting it twice."""
    await firewall.add(Table.BLOCK, {ATTACKER: SECONDS, CLIENT: SECONDS, NARROW: SECONDS})
    held = listed(host).sets
    await firewall.delete(Table.BLOCK, [ATTACKER, NARROW])

    for part in ("block4", "block4_net"):
        await firewall._run_all(nft.delete(TABLE, part, held[part], held[part]))
        await firewall._run_all(nft.add(TABLE, part, dict.fromkeys(held[part], 1e6), held[part]))

    assert {ATTACKER, CLIENT, NARROW} == await firewall.entries(Table.BLOCK)


async def test_more_than_one_transaction_takes(host: Host) -> None:
    """Each transaction is told to the observer, with what it carried."""
    sent: list[Sent] = []
    firewall = host.firewall(sent.append)
    many = [ip_address(0x0A000000 + number) for number in range(nft.CHUNK + 1)]

    await firewall.add(Table.BLOCK, dict.fromkeys(many, SECONDS))
    assert set(many) == await firewall.entries(Table.BLOCK)
    await firewall.delete(Table.BLOCK, many)
    assert set() == await firewall.entries(Table.BLOCK)

    told = [(each.label, each.addresses, each.result) for each in sent]
    show, add, one = ("show", 0, "ok"), ("add", nft.CHUNK, "ok"), ("add", 1, "ok")
    delete, last = ("delete", nft.CHUNK, "ok"), ("delete", 1, "ok")
    assert [show, add, one, show, show, delete, last, show] == told
    assert {firewall.place} == {each.firewall for each in sent}


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("flush ruleset", "the table inet ai_suricata does not exist: run `nft -f nftables/"),
        ("flush chain inet ai_suricata prerouting", "no rule that acts on `saddr @block4`"),
        ("add table inet ai_suricata { flags dormant ; }", "dormant"),
    ],
)
async def test_without_table_or_rules_nothing_is_proved(
    host: Host, firewall: Nftables, spoil: str, words: str
) -> None:
    """Each is refused with the remedy; with the file loaded again, all goes on."""
    await firewall.add(Table.BLOCK, {ATTACKER: SECONDS})
    host.nft(spoil)

    with pytest.raises(FirewallRefusedError, match=words):
        await firewall.missing(Table.BLOCK, [ATTACKER])

    host.load()
    await firewall.add(Table.BLOCK, {ATTACKER: SECONDS})
    assert set() == await firewall.missing(Table.BLOCK, [ATTACKER])


async def test_without_the_rule_of_one_set_the_others_are_proved(
    host: Host, firewall: Nftables
) -> None:
    """Its targets are missing, and it is said once; alone they are refused."""
    v6 = ip_address("2001:db8::7")
    await firewall.add(Table.BLOCK, {ATTACKER: SECONDS, v6: SECONDS})
    host.nft("flush chain inet ai_suricata prerouting")
    rule = "add rule inet ai_suricata prerouting"
    host.nft(f"{rule} ip saddr @block4 drop")

    with capture_logs() as logs:
        for _ in range(3):
            assert {v6} == await firewall.missing(Table.BLOCK, [ATTACKER, v6])
            assert set() == await firewall.missing(Table.BLOCK, [ATTACKER])
    assert ["saddr @block6`" in entry["problem"] for entry in logs] == [True]
    with pytest.raises(FirewallRefusedError, match=r"saddr @block6`.*run `nft -f "):
        await firewall.missing(Table.BLOCK, [v6])

    host.nft(f"{rule} ip6 saddr @block6 drop")
    assert set() == await firewall.missing(Table.BLOCK, [ATTACKER, v6])


async def test_a_table_that_is_gone_holds_nothing(host: Host, firewall: Nftables) -> None:
    """So that a release is done; a set that is gone takes nothing of the others with it."""
    v6 = ip_address("2001:db8::7")
    await firewall.add(Table.BLOCK, {ATTACKER: SECONDS, v6: SECONDS})
    host.nft("flush chain inet ai_suricata prerouting")
    host.nft("flush chain inet ai_suricata output")
    host.nft("delete set inet ai_suricata block6")
    assert {ATTACKER} == await firewall.entries(Table.BLOCK)
    await firewall.delete(Table.BLOCK, [v6])
    with pytest.raises(TableAbsentError, match="set block6"):
        await firewall.add(Table.BLOCK, {v6: SECONDS, CLIENT: SECONDS})
    assert {ATTACKER, CLIENT} == await firewall.entries(Table.BLOCK)

    host.nft("delete table inet ai_suricata")
    with pytest.raises(TableAbsentError, match="run `nft -f "):
        await firewall.entries(Table.BLOCK)


async def test_a_set_that_is_missing_or_full_is_refused_by_name(
    host: Host, firewall: Nftables
) -> None:
    """The operator reads which one, and what to do."""
    v6 = ip_address("2001:db8::7")
    host.nft("flush ruleset")
    host.nft(f"add table inet {TABLE}")
    host.nft(f"add set inet {TABLE} block4 {{ type ipv4_addr ; flags timeout ; size 1 ; }}")
    with pytest.raises(FirewallRefusedError, match="the set block6 of the table inet ai_suricata"):
        await firewall.add(Table.BLOCK, {v6: SECONDS})
    for part in ("block6", "block4_net", "block6_net"):
        kind = "ipv6_addr" if "6" in part else "ipv4_addr"
        host.nft(f"add set inet {TABLE} {part} {{ type {kind} ; flags timeout ; }}")

    with pytest.raises(FirewallRefusedError, match="the set is full"):
        await firewall.add(Table.BLOCK, {ATTACKER: SECONDS, CLIENT: SECONDS})


async def test_the_ruleset_file_may_be_loaded_again(host: Host, firewall: Nftables) -> None:
    """Rules are not doubled, and the elements stay."""
    before = host.nft("list", "table", "inet", TABLE).count("drop")
    await firewall.add(Table.BLOCK, {ATTACKER: SECONDS})

    host.nft("-f", str(FILE))

    assert before == host.nft("list", "table", "inet", TABLE).count("drop")
    assert {ATTACKER} == await firewall.entries(Table.BLOCK)


@pytest.mark.parametrize(("right", "permitted"), [("+net_admin", True), ("-all", False)])
async def test_the_one_right_that_a_daemon_needs(
    host: Host, *, right: str, permitted: bool
) -> None:
    """CAP_NET_ADMIN is enough for a user who is not root; without it, the remedy is told."""
    drop = f"setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps={right}"
    ambient = f" --ambient-caps={right}" if permitted else ""
    ip, *words = host.program
    # The pipe has to be that user's own, as it is where the daemon starts nft.
    shell = f'{drop}{ambient} sh -c \'cat | {words[-1]} "$@"\' nft "$@"'
    program = (ip, *words[:-1], "sh", "-c", shell, "sh")
    firewall = host.firewall(program=program)

    if permitted:
        await firewall.add(Table.BLOCK, {ATTACKER: SECONDS})
        assert set() == await firewall.missing(Table.BLOCK, [ATTACKER])
    else:
        with pytest.raises(FirewallRefusedError, match="AmbientCapabilities=CAP_NET_ADMIN"):
            await firewall.add(Table.BLOCK, {ATTACKER: SECONDS})
