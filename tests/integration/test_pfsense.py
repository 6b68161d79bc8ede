"""PfSense against a real sshd with a pfctl stand-in: what goes wrong, and what is said then."""

from __future__ import annotations

import asyncio
from collections import Counter
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import Table
from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.firewall import pfctl
from ai_suricata.firewall.pfsense import PfSense
from fakes.sshd import BLOCK_TABLE, LIMIT_TABLE, PfStandIn, running_pf

if TYPE_CHECKING:
    from pathlib import Path

    from ai_suricata.core.address import Target
    from ai_suricata.firewall.base import Sent

pytestmark = pytest.mark.system

ATTACKER = ip_address("203.0.113.7")
OTHER = ip_address("198.51.100.9")
V6 = ip_address("2001:db8::bad")
SERVER = "192.0.2.10"
SIX = [IPv4Address("198.18.0.1") + number for number in range(6)]


def lasting(*targets: Target) -> dict[Target, float]:
    """Return the targets with the seconds that they are to stay."""
    return dict.fromkeys(targets, 600.0)


def verbs(pf: PfStandIn) -> list[str]:
    """Return what each command asked for: `-T add`, `-sr`, `-k 203.0.113.7`."""
    words = (received.command.removeprefix("/sbin/pfctl ") for received in pf.commands())
    return [word.partition(" -T ")[2].removesuffix(" -f -") or word for word in words]


async def test_a_command_that_hangs_ends_at_the_time_limit(pf: PfStandIn) -> None:
    """The call says that no answer came, and the next one works, over a new connection."""
    firewall = PfSense(pf.settings(command_timeout=0.5))
    pf.fault("hang", verb="add")

    with pytest.raises(FirewallUnreachableError, match=r"no answer in 0.5 seconds"):
        await firewall.add(Table.BLOCK, lasting(ATTACKER))
    await firewall.add(Table.BLOCK, lasting(ATTACKER))

    assert {str(ATTACKER)} == pf.table(BLOCK_TABLE)
    assert pf.logins() == 2
    await firewall.close()


async def test_after_a_drop_in_mid_batch_missing_tells_what_was_done(
    pf: PfStandIn, firewall: PfSense, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three commands the second is carried out, but its answer is lost with the connection."""
    monkeypatch.setattr(pfctl, "CHUNK", 2)
    pf.fault("drop", verb="add", skip=1)

    with pytest.raises(FirewallUnreachableError, match="whether it was carried out is unknown"):
        await firewall.add(Table.BLOCK, lasting(*SIX))
    monkeypatch.undo()

    assert set(SIX[4:]) == await firewall.missing(Table.BLOCK, SIX)
    await firewall.add(Table.BLOCK, lasting(*SIX))
    assert set() == await firewall.missing(Table.BLOCK, SIX)


async def test_adding_to_a_table_that_no_rule_made_is_refused(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """The command makes the table and succeeds, and nothing would be blocked: that is an error."""
    pf.remove_table(BLOCK_TABLE)
    pf.set_rules()

    with pytest.raises(FirewallRefusedError, match=f"make an alias {BLOCK_TABLE}"):
        await firewall.add(Table.BLOCK, lasting(ATTACKER))
    with pytest.raises(FirewallRefusedError, match=f"make an alias {BLOCK_TABLE}"):
        await firewall.missing(Table.BLOCK, [ATTACKER])


async def test_a_const_table_is_refused(pf: PfStandIn, firewall: PfSense) -> None:
    """Nobody may write to it; the proof reads it all the same."""
    pf.put(BLOCK_TABLE, str(ATTACKER))
    pf.set_const(BLOCK_TABLE)

    with pytest.raises(FirewallRefusedError, match="declared const"):
        await firewall.add(Table.BLOCK, lasting(OTHER))
    with pytest.raises(FirewallRefusedError, match="declared const"):
        await firewall.delete(Table.BLOCK, [ATTACKER])
    assert {OTHER} == await firewall.missing(Table.BLOCK, [ATTACKER, OTHER])


async def test_a_pf_that_is_switched_off_enforces_nothing(pf: PfStandIn, firewall: PfSense) -> None:
    """The table takes the address, and every packet passes: that is no block."""
    pf.set_enabled(enabled=False)
    await firewall.add(Table.BLOCK, lasting(ATTACKER))

    with pytest.raises(FirewallRefusedError, match="pf is switched off"):
        await firewall.missing(Table.BLOCK, [ATTACKER])
    pf.set_enabled(enabled=True)
    assert set() == await firewall.missing(Table.BLOCK, [ATTACKER])


async def test_a_rule_that_lets_the_table_pass_enforces_no_block(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """For the rate limit it does: the rule's own options limit."""
    pf.set_rules(
        f"pass in quick inet from <{BLOCK_TABLE}> to any flags S/SA keep state",
        f"pass in quick inet from <{LIMIT_TABLE}> to any keep state (max-src-conn-rate 5/10)",
    )
    await firewall.add(Table.LIMIT, lasting(ATTACKER))

    with pytest.raises(FirewallRefusedError, match="no firewall rule refers to the table"):
        await firewall.missing(Table.BLOCK, [ATTACKER])
    assert set() == await firewall.missing(Table.LIMIT, [ATTACKER])


async def test_a_rule_for_ipv4_alone_enforces_nothing_for_ipv6(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """The table takes both, and the packets of one pass: it is missing, or refused if alone."""
    pf.set_rules(f"block drop in quick inet from <{BLOCK_TABLE}> to any")
    await firewall.add(Table.BLOCK, lasting(ATTACKER, V6))

    assert {V6} == await firewall.missing(Table.BLOCK, [ATTACKER, V6])
    assert {V6, OTHER} == await firewall.missing(Table.BLOCK, [ATTACKER, V6, OTHER])
    with pytest.raises(FirewallRefusedError, match=r"IPv4 alone.*Address Family to IPv4\+IPv6"):
        await firewall.missing(Table.BLOCK, [V6])


async def test_a_table_that_goes_between_question_and_listing_holds_nothing(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """A filter reload may kill it at any moment."""
    pf.put(BLOCK_TABLE, str(OTHER))
    pf.fault("no_table", verb="show")

    assert {ATTACKER, OTHER} == await firewall.missing(Table.BLOCK, [ATTACKER, OTHER])


async def test_a_missing_table_holds_nothing(pf: PfStandIn, firewall: PfSense) -> None:
    """With a rule in place all is missing, deleting is done, and listing names the alias."""
    pf.remove_table(LIMIT_TABLE)

    assert {ATTACKER} == await firewall.missing(Table.LIMIT, [ATTACKER])
    await firewall.delete(Table.LIMIT, [ATTACKER])
    with pytest.raises(FirewallRefusedError, match=f"the table {LIMIT_TABLE} does not exist"):
        await firewall.entries(Table.LIMIT)
    assert {BLOCK_TABLE} == pf.tables()


async def test_without_a_rule_nothing_is_enforced(pf: PfStandIn, firewall: PfSense) -> None:
    """A label that speaks of the table is no rule that refers to it."""
    pf.set_rules(f'block drop in inet from 192.0.2.1 to any label "instead of <{BLOCK_TABLE}>"')
    await firewall.add(Table.BLOCK, lasting(ATTACKER))

    with pytest.raises(FirewallRefusedError, match="no firewall rule refers to the table"):
        await firewall.missing(Table.BLOCK, [ATTACKER])


@pytest.mark.parametrize("room", range(6))
async def test_a_full_table_takes_what_fits(pf: PfStandIn, firewall: PfSense, *, room: int) -> None:
    """Pf refuses the whole batch; the first of it go in all the same, and the rest is told."""
    pf.set_limit(room)

    with pytest.raises(FirewallRefusedError, match=rf"{6 - room} of 6 .* Maximum Table Entries"):
        await firewall.add(Table.BLOCK, lasting(*SIX))

    assert set(map(str, SIX[:room])) == pf.table(BLOCK_TABLE)
    assert set(SIX[room:]) == await firewall.missing(Table.BLOCK, SIX)


async def test_what_fits_into_a_full_table_is_found_with_few_commands(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """By halving, once; of later commands each is tried whole, for what is in the table already."""
    many = [IPv4Address("198.18.0.0") + number for number in range(30_010)]
    held = many[-5:]
    pf.put(BLOCK_TABLE, *map(str, held))
    pf.set_limit(12_350)

    with pytest.raises(FirewallRefusedError, match="17665 of 30010 addresses did not fit"):
        await firewall.add(Table.BLOCK, lasting(*many))

    assert {*many[:12_345], *held} == set(map(ip_address, pf.table(BLOCK_TABLE)))
    assert 18 > len(pf.commands())


async def test_what_is_in_a_full_table_already_needs_no_room(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """Adding again is no error, however full it is."""
    await firewall.add(Table.BLOCK, lasting(*SIX))
    pf.set_limit(6)

    await firewall.add(Table.BLOCK, lasting(*SIX))

    assert 2 == len(pf.commands())


@pytest.mark.parametrize(
    ("kind", "said"),
    [("permission_denied", "set PFSENSE_USER to admin or root"), ("const", "declared const")],
)
async def test_a_refusal_names_its_remedy(
    pf: PfStandIn, firewall: PfSense, kind: str, said: str
) -> None:
    """Pf's own words and what to do; a large input that is left unread does no harm."""
    pf.fault(kind)
    many = [IPv4Address("198.18.0.0") + number for number in range(20_000)]

    with pytest.raises(FirewallRefusedError, match=said):
        await firewall.add(Table.BLOCK, lasting(*many))
    assert pf.logins() == 1


async def test_a_command_that_the_gate_refuses_is_told(pf: PfStandIn, firewall: PfSense) -> None:
    """An answer that is not pfctl's is shown as it is."""
    (pf.folder / "tables" / BLOCK_TABLE).write_text("what breaks the stand-in")

    with pytest.raises(FirewallRefusedError, match="ended with code 1 and said"):
        await firewall.entries(Table.BLOCK)


async def test_the_noise_of_a_kernel_without_altq_changes_nothing(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """Two lines on stderr at every call, and each answer is still read."""
    pf.set_altq(noise=True)
    pf.add_state(str(ATTACKER), SERVER)

    await firewall.add(Table.BLOCK, lasting(ATTACKER, OTHER))
    assert {V6} == await firewall.missing(Table.BLOCK, [ATTACKER, OTHER, V6])
    assert await firewall.kill_states([ATTACKER]) == 1
    await firewall.delete(Table.BLOCK, [OTHER])
    assert {ATTACKER} == await firewall.entries(Table.BLOCK)


@pytest.mark.parametrize("max_sessions", [10, 2])
async def test_many_calls_at_once_share_one_connection(tmp_path: Path, max_sessions: int) -> None:
    """16 calls over 4 channels; where sshd allows fewer, those that it refuses are tried again."""
    targets = [IPv4Address("198.18.0.1") + number for number in range(16)]
    with running_pf(tmp_path / "pf", max_sessions) as pf:
        firewall = PfSense(pf.settings())
        await asyncio.gather(*(firewall.add(Table.BLOCK, lasting(target)) for target in targets))

        assert set(map(str, targets)) == pf.table(BLOCK_TABLE)
        assert len(pf.commands()) == len(targets)
        assert pf.logins() == 1
        await firewall.close()


async def test_no_more_than_four_commands_run_at_once(pf: PfStandIn) -> None:
    """Of eight that hang, four have begun when the time is up."""
    firewall = PfSense(pf.settings(command_timeout=1.0))
    pf.fault("hang", times=-1)

    ended = await asyncio.gather(
        *(firewall.add(Table.BLOCK, lasting(target)) for target in [*SIX, ATTACKER, OTHER]),
        return_exceptions=True,
    )

    assert {FirewallUnreachableError: 8} == Counter(map(type, ended))
    assert len(pf.commands()) == 4


async def test_states_are_killed_both_ways_for_those_that_have_any(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """One listing for the batch, two commands for each target with a connection, no other ends."""
    pf.add_state(str(ATTACKER), SERVER)
    pf.add_state(SERVER, str(ATTACKER), inbound=False)
    pf.add_state(str(V6), "2001:db8::10")
    pf.add_state("198.18.7.7", SERVER)
    pf.add_state("203.0.113.70", SERVER)  # begins like the attacker's
    network = ip_network("198.18.0.0/16")

    assert await firewall.kill_states([ATTACKER, OTHER, V6, network]) == 4

    expected = [
        "-k 0.0.0.0/0 -k 198.18.0.0/16",
        "-k 0.0.0.0/0 -k 203.0.113.7",
        "-k 198.18.0.0/16",
        "-k 2001:db8::bad",
        "-k 203.0.113.7",
        "-k ::/0 -k 2001:db8::bad",
        "-ss",
    ]
    assert expected == sorted(verbs(pf))
    assert {("203.0.113.70", SERVER)} == pf.states()


async def test_a_failing_kill_ends_the_others_with_it(pf: PfStandIn, firewall: PfSense) -> None:
    """No command of the batch is left running behind the error."""
    for target in SIX:
        pf.add_state(str(target), SERVER)
    pf.fault("permission_denied", verb="kill_states", times=-1)

    with pytest.raises(FirewallRefusedError, match="Permission denied"):
        await firewall.kill_states(SIX)
    assert set() == await firewall.entries(Table.BLOCK)
    assert len(pf.states()) == 6


async def test_more_than_pf_takes_at_once_is_sent_in_parts(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """No command has over 30,000 addresses; the proof of so many is one listing."""
    many = {IPv4Address("198.18.0.0") + number for number in range(40_000)}

    await firewall.add(Table.BLOCK, lasting(*many))
    assert set() == await firewall.missing(Table.BLOCK, many)

    sizes = [len(received.stdin.split()) for received in pf.commands()]
    sent = list(zip(verbs(pf), sizes, strict=True))
    assert [("add", 30_000), ("add", 10_000)] == sent[:2]
    assert [("-s info", 0), ("-sr", 0), ("show", 0)] == sorted(sent[2:])


async def test_a_few_addresses_are_proved_without_listing_the_table(
    pf: PfStandIn, firewall: PfSense
) -> None:
    """A table of 400,000 entries is not read for each block."""
    await firewall.add(Table.BLOCK, lasting(ATTACKER, V6))
    assert set() == await firewall.missing(Table.BLOCK, [ATTACKER, V6])

    assert {"add", "-s info", "-sr", "test"} == set(verbs(pf))
    assert 4 == len(verbs(pf))


async def test_a_proof_is_one_round_trip(pf: PfStandIn) -> None:
    """Rules, state and table are asked for side by side: none waits for another's answer."""
    firewall = PfSense(pf.settings(command_timeout=2.0))
    await firewall.open()
    pf.fault("hang", times=-1)

    with pytest.raises(FirewallUnreachableError):
        await firewall.missing(Table.BLOCK, [ATTACKER])

    assert {"-s info", "-sr", "test"} == set(verbs(pf))
    await firewall.close()


async def test_an_exception_in_the_table_is_missing(pf: PfStandIn, firewall: PfSense) -> None:
    """Somebody's `!203.0.113.7` lets it through, whatever network around it is blocked."""
    pf.put(BLOCK_TABLE, "203.0.113.0/24", f"!{ATTACKER}")
    inside = ip_address("203.0.113.8")

    assert {ATTACKER} == await firewall.missing(Table.BLOCK, [ATTACKER, inside])
    assert {ip_network("203.0.113.0/24")} == await firewall.entries(Table.BLOCK)


async def test_each_command_is_reported_with_its_result(pf: PfStandIn) -> None:
    """For counters and for `blocks show`: which command, to whom, and how it ended."""
    seen: list[Sent] = []
    firewall = PfSense(pf.settings(), seen.append)
    await firewall.add(Table.BLOCK, lasting(ATTACKER))
    assert {OTHER} == await firewall.missing(Table.BLOCK, [OTHER])
    pf.set_limit(0)
    with pytest.raises(FirewallRefusedError):
        await firewall.add(Table.BLOCK, lasting(OTHER))
    pf.fault("drop")
    with pytest.raises(FirewallUnreachableError):
        await firewall.entries(Table.BLOCK)
    await firewall.close()

    told = [(one.label, one.result) for one in seen]
    assert ("add", "ok") == told[0]
    assert {("rules", "ok"), ("info", "ok"), ("test", "ok")} == set(told[1:4])
    assert [("show", "ok"), ("add", "refused"), ("show", "unreachable")] == told[4:]
    assert {f"{pf.user}@127.0.0.1:{pf.port}"} == {one.firewall for one in seen} == {firewall.place}
    assert f"/sbin/pfctl -t {BLOCK_TABLE} -v -T add -f -" == seen[0].text
    assert 1 == seen[0].addresses
    assert all(0 < one.seconds < 10 for one in seen)
