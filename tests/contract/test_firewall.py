"""What every firewall does alike: a dry run, pf behind a real sshd, nftables in a namespace.

A backend joins by a function that opens it and a line in `BACKENDS`; no test below names one.
"""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, cast

import pytest
import uvloop

from ai_suricata.core.decision import Table
from ai_suricata.firewall.dry_run import DryRun
from ai_suricata.firewall.pfsense import PfSense
from fakes.namespace import TABLE, need_nftables, running_host
from fakes.sshd import BLOCK_TABLE, running_pf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from ai_suricata.core.address import Target
    from ai_suricata.firewall.base import Firewall, Sent

ATTACKER = ip_address("203.0.113.7")
OTHER = ip_address("198.51.100.9")
V6 = ip_address("2001:db8::bad")
NETWORK = ip_network("192.0.2.0/25")
V6_NETWORK = ip_network("2001:db8:1::/64")
SECONDS = 600.0


@dataclass
class Backend:
    """A firewall, somebody else who writes to its block table, and what its observer was told."""

    firewall: Firewall
    put: Callable[[str], Awaitable[None]]
    sent: list[Sent] = field(default_factory=list)
    """Stays empty where nothing is sent anywhere."""


@asynccontextmanager
async def dry_run(_folder: Path) -> AsyncIterator[Backend]:
    """Yield the dry run."""
    firewall = DryRun()

    async def put(text: str) -> None:
        await firewall.add(Table.BLOCK, lasting(ip_address(text)))

    yield Backend(firewall, put)


@asynccontextmanager
async def pfsense(folder: Path) -> AsyncIterator[Backend]:
    """Yield pf's stand-in behind a real sshd."""
    with running_pf(folder / "pf") as pf:

        async def put(text: str) -> None:
            pf.put(BLOCK_TABLE, text)

        sent: list[Sent] = []
        firewall = PfSense(pf.settings(), sent.append)
        yield Backend(firewall, put, sent)
        await firewall.close()


@asynccontextmanager
async def nftables(_folder: Path) -> AsyncIterator[Backend]:
    """Yield the table of a host in a network namespace, and an operator with nft."""
    need_nftables()
    with running_host() as host:

        async def put(text: str) -> None:
            host.nft(f"add element inet {TABLE} block4 {{ {text} }}")

        sent: list[Sent] = []
        yield Backend(host.firewall(sent.append), put, sent)


@asynccontextmanager
async def nftables_uvloop(folder: Path) -> AsyncIterator[Backend]:
    """Yield the same on the daemon's event loop, which feeds a process in another way."""
    async with nftables(folder) as opened:
        with uvloop_running() as loop:
            elsewhere = cast("Firewall", Elsewhere(opened.firewall, loop))
            yield Backend(elsewhere, opened.put, opened.sent)


class Elsewhere:
    """A firewall whose calls run on a loop of another thread."""

    def __init__(self, firewall: Firewall, loop: asyncio.AbstractEventLoop) -> None:
        self._firewall = firewall
        self._loop = loop

    def __getattr__(self, name: str) -> object:
        member = getattr(self._firewall, name)
        if not inspect.iscoroutinefunction(member):
            return member

        async def call(*arguments: object) -> object:
            there = asyncio.run_coroutine_threadsafe(member(*arguments), self._loop)
            return await asyncio.wrap_future(there)

        return call


@contextmanager
def uvloop_running() -> Iterator[asyncio.AbstractEventLoop]:
    """Run a loop of uvloop in a thread of its own; end both on leaving."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        ended = asyncio.Event()
        begun.set_result((asyncio.get_running_loop(), ended))
        await ended.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(live())

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        loop, ended = begun.result(10)
        try:
            yield loop
        finally:
            loop.call_soon_threadsafe(ended.set)
        running.result(10)


BACKENDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Backend]]] = {
    "dry_run": dry_run,
    "pfsense": pfsense,
    "nftables": nftables,
    "nftables_uvloop": nftables_uvloop,
}
_NEEDS_NOTHING = {"dry_run"}


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if name in _NEEDS_NOTHING else pytest.mark.system)
        for name in BACKENDS
    ]
)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Yield each backend in turn, opened."""
    async with BACKENDS[request.param](tmp_path) as opened:
        await opened.firewall.open()
        yield opened


def lasting(*targets: Target) -> dict[Target, float]:
    """Return the targets with the time that each is to stay: longer than any test takes."""
    return dict.fromkeys(targets, SECONDS)


@pytest.fixture
def firewall(backend: Backend) -> Firewall:
    """Return the firewall alone."""
    return backend.firewall


async def test_added_targets_are_entries_and_none_is_missing(firewall: Firewall) -> None:
    """IPv4, IPv6 and networks of both go in with one batch."""
    targets: set[Target] = {ATTACKER, V6, NETWORK, V6_NETWORK}

    await firewall.add(Table.BLOCK, lasting(*targets))

    assert targets == await firewall.entries(Table.BLOCK)
    assert set() == await firewall.missing(Table.BLOCK, targets)


async def test_tables_are_apart(firewall: Firewall) -> None:
    """What is rate-limited is not blocked."""
    await firewall.add(Table.LIMIT, lasting(ATTACKER))

    assert {ATTACKER} == await firewall.entries(Table.LIMIT)
    assert set() == await firewall.entries(Table.BLOCK)
    assert {ATTACKER} == await firewall.missing(Table.BLOCK, [ATTACKER])


async def test_adding_again_changes_nothing(firewall: Firewall) -> None:
    """A duplicate is no error, within a batch or in a later one."""
    await firewall.add(Table.BLOCK, lasting(ATTACKER))
    await firewall.add(Table.BLOCK, lasting(ATTACKER, OTHER, OTHER))

    assert {ATTACKER, OTHER} == await firewall.entries(Table.BLOCK)


async def test_deleted_targets_are_gone_and_the_others_stay(firewall: Firewall) -> None:
    """Only what was named goes."""
    await firewall.add(Table.BLOCK, lasting(ATTACKER, OTHER, NETWORK))
    await firewall.delete(Table.BLOCK, [ATTACKER, NETWORK])

    assert {OTHER} == await firewall.entries(Table.BLOCK)
    assert {ATTACKER, NETWORK} == await firewall.missing(Table.BLOCK, [ATTACKER, OTHER, NETWORK])


async def test_deleting_what_is_absent_is_no_error(firewall: Firewall) -> None:
    """An expiry may come after the entry went otherwise."""
    await firewall.add(Table.BLOCK, lasting(OTHER))
    await firewall.delete(Table.BLOCK, [ATTACKER, V6])

    assert {OTHER} == await firewall.entries(Table.BLOCK)


async def test_missing_names_exactly_what_is_not_there(firewall: Firewall) -> None:
    """Some of a batch in the table, some not."""
    await firewall.add(Table.BLOCK, lasting(ATTACKER, V6))

    assert {OTHER, V6_NETWORK} == await firewall.missing(
        Table.BLOCK, [ATTACKER, OTHER, V6, V6_NETWORK]
    )


async def test_an_address_in_a_network_of_the_table_is_not_missing(firewall: Firewall) -> None:
    """It matches, by whichever entry; a network wider than the entry does not."""
    await firewall.add(Table.BLOCK, lasting(NETWORK))

    inside, around = ip_address("192.0.2.100"), ip_network("192.0.2.0/24")
    outside = ip_address("192.0.2.200")
    assert {around, outside} == await firewall.missing(Table.BLOCK, [inside, around, outside])


async def test_entries_of_others_are_shown_and_left_alone(backend: Backend) -> None:
    """It stays through our adding and deleting, and who adds it as well is told of it."""
    theirs = ip_address("192.0.2.9")
    await backend.put(str(theirs))
    assert {theirs} == set(await backend.firewall.add(Table.BLOCK, lasting(ATTACKER, theirs)))
    await backend.firewall.delete(Table.BLOCK, [ATTACKER])

    assert {theirs} == await backend.firewall.entries(Table.BLOCK)


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
    await firewall.add(Table.BLOCK, lasting(given))

    assert {held} == await firewall.entries(Table.BLOCK)
    assert set() == await firewall.missing(Table.BLOCK, [given, held])
    await firewall.delete(Table.BLOCK, [given])
    assert {given} == await firewall.missing(Table.BLOCK, [given])


async def test_nothing_asked_is_nothing_done(firewall: Firewall) -> None:
    """Empty batches are no error."""
    await firewall.add(Table.BLOCK, {})
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

    await firewall.add(Table.BLOCK, lasting(*many))
    assert set() == await firewall.missing(Table.BLOCK, many)
    assert many == await firewall.entries(Table.BLOCK)

    await firewall.delete(Table.BLOCK, many)
    assert many == await firewall.missing(Table.BLOCK, many)


async def test_entries_outlive_the_connection(firewall: Firewall) -> None:
    """Closing is not releasing; opening again, even twice, finds what was there."""
    await firewall.add(Table.BLOCK, lasting(ATTACKER))
    await firewall.close()
    await firewall.open()
    await firewall.open()

    assert {ATTACKER} == await firewall.entries(Table.BLOCK)


async def test_a_survey_names_networks_by_what_they_are(firewall: Firewall) -> None:
    """Words and networks, for the never-block list; nobody in it is an attacker."""
    survey = await firewall.survey()

    networks = [network for each in survey.values() for network in each]
    assert all(isinstance(network, IPv4Network | IPv6Network) for network in networks)
    assert all(kind.strip() == kind and kind for kind in survey)
    assert not [network for network in networks if ATTACKER in network or V6 in network]


async def test_a_place_is_told_without_a_connection(firewall: Firewall) -> None:
    """People read it in every error, and a pair is told apart by it."""
    await firewall.close()

    assert firewall.place
    assert firewall.name


async def test_each_command_is_told_to_the_observer(backend: Backend) -> None:
    """Who took it, what it was, how many addresses went with it, and that it was carried out."""
    await backend.firewall.add(Table.BLOCK, lasting(ATTACKER, OTHER))
    await backend.firewall.missing(Table.BLOCK, [ATTACKER, OTHER])

    added = [one for one in backend.sent if one.label == "add"]
    assert [2] * len(added) == [one.addresses for one in added]
    assert {backend.firewall.place} >= {one.firewall for one in backend.sent}
    assert {"ok"} >= {one.result for one in backend.sent}
    assert all(one.seconds >= 0 for one in backend.sent)
    assert not [one for one in backend.sent if str(ATTACKER) in one.text]
    assert bool(added) == (backend.firewall.name != DryRun.name)
