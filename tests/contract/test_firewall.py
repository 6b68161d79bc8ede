"""What every firewall does alike, whether it is a dry run or pf behind a real sshd."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import Table
from ai_suricata.firewall.dry_run import DryRun
from ai_suricata.firewall.pfsense import PfSense
from fakes.sshd import BLOCK_TABLE, running_pf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from ai_suricata.core.address import Target
    from ai_suricata.firewall.base import Firewall

ATTACKER = ip_address("203.0.113.7")
OTHER = ip_address("198.51.100.9")
V6 = ip_address("2001:db8::bad")
NETWORK = ip_network("192.0.2.0/25")
V6_NETWORK = ip_network("2001:db8:1::/64")


@dataclass
class Backend:
    """A firewall, and somebody else who writes to its block table."""

    firewall: Firewall
    put: Callable[[str], Awaitable[None]]


async def dry_run() -> AsyncIterator[Backend]:
    """Yield the dry run."""
    firewall = DryRun()

    async def put(text: str) -> None:
        await firewall.add(Table.BLOCK, [ip_address(text)])

    yield Backend(firewall, put)


async def pfsense(folder: Path) -> AsyncIterator[Backend]:
    """Yield pf's stand-in behind a real sshd."""
    with running_pf(folder) as pf:

        async def put(text: str) -> None:
            pf.put(BLOCK_TABLE, text)

        firewall = PfSense(pf.settings())
        yield Backend(firewall, put)
        await firewall.close()


@pytest.fixture(params=["dry_run", pytest.param("pfsense", marks=pytest.mark.system)])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Yield each backend in turn, opened."""
    async for each in dry_run() if request.param == "dry_run" else pfsense(tmp_path / "pf"):
        await each.firewall.open()
        yield each


@pytest.fixture
def firewall(backend: Backend) -> Firewall:
    """Return the firewall alone."""
    return backend.firewall


async def test_added_targets_are_entries_and_none_is_missing(firewall: Firewall) -> None:
    """IPv4, IPv6 and networks of both go in with one batch."""
    targets: set[Target] = {ATTACKER, V6, NETWORK, V6_NETWORK}

    await firewall.add(Table.BLOCK, targets)

    assert targets == await firewall.entries(Table.BLOCK)
    assert set() == await firewall.missing(Table.BLOCK, targets)


async def test_tables_are_apart(firewall: Firewall) -> None:
    """What is rate-limited is not blocked."""
    await firewall.add(Table.LIMIT, [ATTACKER])

    assert {ATTACKER} == await firewall.entries(Table.LIMIT)
    assert set() == await firewall.entries(Table.BLOCK)
    assert {ATTACKER} == await firewall.missing(Table.BLOCK, [ATTACKER])


async def test_adding_again_changes_nothing(firewall: Firewall) -> None:
    """A duplicate is no error, within a batch or in a later one."""
    await firewall.add(Table.BLOCK, [ATTACKER])
    await firewall.add(Table.BLOCK, [ATTACKER, OTHER, OTHER])

    assert {ATTACKER, OTHER} == await firewall.entries(Table.BLOCK)


async def test_deleted_targets_are_gone_and_the_others_stay(firewall: Firewall) -> None:
    """Only what was named goes."""
    await firewall.add(Table.BLOCK, [ATTACKER, OTHER, NETWORK])
    await firewall.delete(Table.BLOCK, [ATTACKER, NETWORK])

    assert {OTHER} == await firewall.entries(Table.BLOCK)
    assert {ATTACKER, NETWORK} == await firewall.missing(Table.BLOCK, [ATTACKER, OTHER, NETWORK])


async def test_deleting_what_is_absent_is_no_error(firewall: Firewall) -> None:
    """An expiry may come after the entry went otherwise."""
    await firewall.add(Table.BLOCK, [OTHER])
    await firewall.delete(Table.BLOCK, [ATTACKER, V6])

    assert {OTHER} == await firewall.entries(Table.BLOCK)


async def test_missing_names_exactly_what_is_not_there(firewall: Firewall) -> None:
    """Some of a batch in the table, some not."""
    await firewall.add(Table.BLOCK, [ATTACKER, V6])

    assert {OTHER, V6_NETWORK} == await firewall.missing(
        Table.BLOCK, [ATTACKER, OTHER, V6, V6_NETWORK]
    )


async def test_an_address_in_a_network_of_the_table_is_not_missing(firewall: Firewall) -> None:
    """It matches, by whichever entry; a network wider than the entry does not."""
    await firewall.add(Table.BLOCK, [NETWORK])

    inside, around = ip_address("192.0.2.100"), ip_network("192.0.2.0/24")
    outside = ip_address("192.0.2.200")
    assert {around, outside} == await firewall.missing(Table.BLOCK, [inside, around, outside])


async def test_entries_of_others_are_shown_and_left_alone(backend: Backend) -> None:
    """Whoever put it there, it stays through our adding and deleting."""
    await backend.put("192.0.2.9")
    await backend.firewall.add(Table.BLOCK, [ATTACKER])
    await backend.firewall.delete(Table.BLOCK, [ATTACKER])

    assert {ip_address("192.0.2.9")} == await backend.firewall.entries(Table.BLOCK)


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (ip_address("::ffff:203.0.113.7"), ATTACKER),
        (ip_address("2001:0DB8:0:0::BAD"), V6),
        (ip_address("fe80::1%em0"), ip_address("fe80::1")),
        (ip_network("203.0.113.7/32"), ATTACKER),
        (ip_network("2001:db8::bad/128"), V6),
        (ip_network("::ffff:192.0.2.0/121"), NETWORK),
    ],
)
async def test_each_target_has_one_spelling(
    firewall: Firewall, given: Target, held: Target
) -> None:
    """However an address is written, the table holds its canonical form, and knows it by both."""
    await firewall.add(Table.BLOCK, [given])

    assert {held} == await firewall.entries(Table.BLOCK)
    assert set() == await firewall.missing(Table.BLOCK, [given, held])
    await firewall.delete(Table.BLOCK, [given])
    assert {given} == await firewall.missing(Table.BLOCK, [given])


async def test_nothing_asked_is_nothing_done(firewall: Firewall) -> None:
    """Empty batches are no error."""
    await firewall.add(Table.BLOCK, [])
    await firewall.delete(Table.BLOCK, [])

    assert set() == await firewall.missing(Table.BLOCK, [])
    assert await firewall.kill_states([]) == 0
    assert set() == await firewall.entries(Table.BLOCK)


async def test_killing_states_of_those_without_any_kills_none(firewall: Firewall) -> None:
    """Targets of every kind may be named."""
    assert await firewall.kill_states([ATTACKER, V6, NETWORK, V6_NETWORK]) == 0


async def test_a_thousand_addresses_go_in_and_out(firewall: Firewall) -> None:
    """A large batch is one call like any other."""
    many = {IPv4Address("198.18.0.0") + number for number in range(1000)}

    await firewall.add(Table.BLOCK, many)
    assert set() == await firewall.missing(Table.BLOCK, many)
    assert many == await firewall.entries(Table.BLOCK)

    await firewall.delete(Table.BLOCK, many)
    assert many == await firewall.missing(Table.BLOCK, many)


async def test_entries_outlive_the_connection(firewall: Firewall) -> None:
    """Closing is not releasing; opening again, even twice, finds what was there."""
    await firewall.add(Table.BLOCK, [ATTACKER])
    await firewall.close()
    await firewall.open()
    await firewall.open()

    assert {ATTACKER} == await firewall.entries(Table.BLOCK)
