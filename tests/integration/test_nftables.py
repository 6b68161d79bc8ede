"""The nftables backend on a real gateway: real packets through real rules, in namespaces."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager, suppress
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.decision import Table
from fakes.namespace import (
    HOME,
    HOME_6,
    Gateway,
    need_nftables,
    running_gateway,
    socket_in,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from ai_suricata.core.address import Target
    from ai_suricata.firewall.nftables import Nftables

pytestmark = pytest.mark.system

ATTACKER, ATTACKER_6 = ip_address("203.0.113.7"), ip_address("2001:db8:bad::7")
CLIENT, CLIENT_6 = ip_address("203.0.113.200"), ip_address("2001:db8:bad::200")
NETWORK = ip_network("203.0.113.0/25")
NETWORK_6 = ip_network("2001:db8:bad::/121")
SECONDS = 600.0
SILENCE = 0.4
"""Seconds after which what did not come counts as dropped: on these cables all takes under 1 ms."""
LIMIT = 15.0
"""Seconds for what has to come."""


@pytest.fixture(scope="module")
def made() -> Iterator[Gateway]:
    """Make the namespaces once: each test begins with the ruleset loaded anew."""
    need_nftables()
    with running_gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(made: Gateway) -> Gateway:
    """Return the gateway with empty sets."""
    made.load()
    return made


@pytest.fixture
def firewall(gateway: Gateway) -> Nftables:
    """Return the backend of the gateway."""
    return gateway.firewall()


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the condition holds; TimeoutError after `LIMIT` seconds."""
    async with asyncio.timeout(LIMIT):
        while not await reached():
            await asyncio.sleep(0.05)


# -- hosts that talk ------------------------------------------------------------------------------


@asynccontextmanager
async def echo(gateway: Gateway, address: str) -> AsyncIterator[tuple[str, int]]:
    """Let the protected host send back what it gets; yield where it listens."""
    loop = asyncio.get_running_loop()

    async def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while part := await loop.sock_recv(connection, 100):
                await loop.sock_sendall(connection, part)

    async def serve(listening: socket.socket) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                connection, _ = await loop.sock_accept(listening)
                group.create_task(answer(connection))

    with socket_in(gateway.home, socket.SOCK_STREAM, address) as listening:
        listening.listen()
        serving = asyncio.create_task(serve(listening))
        yield listening.getsockname()[:2]
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


async def connects(gateway: Gateway, source: Target, limit: float = SILENCE) -> bool:
    """Say whether a connection from the source to the protected host comes about."""
    with socket_in(gateway.outside, socket.SOCK_STREAM, str(source)) as client:
        async with echo(gateway, HOME if source.version == 4 else HOME_6) as place:
            try:
                async with asyncio.timeout(limit):
                    await asyncio.get_running_loop().sock_connect(client, place)
            except TimeoutError:
                return False
            return True


@contextmanager
def datagrams(namespace: str, address: str) -> Iterator[socket.socket]:
    """Yield a UDP socket of a host."""
    with socket_in(namespace, socket.SOCK_DGRAM, address) as made:
        yield made


async def received(receiver: socket.socket, limit: float = SILENCE) -> list[bytes]:
    """Return all that comes until it is silent for so long."""
    found = []
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(limit):
                found.append(await asyncio.get_running_loop().sock_recv(receiver, 100))
    return found


# -- what is blocked is dropped -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "inside", "outside"),
    [
        (ATTACKER, ATTACKER, CLIENT),
        (ATTACKER_6, ATTACKER_6, CLIENT_6),
        (NETWORK, ATTACKER, CLIENT),
        (NETWORK_6, ATTACKER_6, CLIENT_6),
    ],
)
async def test_packets_of_the_blocked_are_dropped_until_they_are_released(
    gateway: Gateway, firewall: Nftables, target: Target, inside: Target, outside: Target
) -> None:
    """Addresses and networks of both IP versions; nobody else is touched."""
    assert await connects(gateway, inside, LIMIT)

    await firewall.add(Table.BLOCK, {target: SECONDS})
    assert set() == await firewall.missing(Table.BLOCK, [target])
    assert not await connects(gateway, inside)
    assert await connects(gateway, outside, LIMIT)

    await firewall.delete(Table.BLOCK, [target])
    assert {target} == await firewall.missing(Table.BLOCK, [target])
    assert await connects(gateway, inside, LIMIT)


async def test_a_connection_that_stands_is_cut_off(gateway: Gateway, firewall: Nftables) -> None:
    """Without any killing of states, even if the gateway tracks it; after a release it goes on."""
    gateway.nft("add table inet other")
    gateway.nft("add chain inet other forward { type filter hook forward priority 0 ; }")
    gateway.nft("add rule inet other forward ct state established,related accept")
    loop = asyncio.get_running_loop()
    with socket_in(gateway.outside, socket.SOCK_STREAM, str(ATTACKER)) as client:
        async with echo(gateway, HOME) as place:
            await loop.sock_connect(client, place)
            await loop.sock_sendall(client, b"before")
            assert b"before" == await asyncio.wait_for(loop.sock_recv(client, 100), LIMIT)

            await firewall.add(Table.BLOCK, {ATTACKER: SECONDS})
            assert await firewall.kill_states([ATTACKER]) == 0
            await loop.sock_sendall(client, b"during")
            assert [] == await received(client)

            await firewall.delete(Table.BLOCK, [ATTACKER])
            assert b"during" == await asyncio.wait_for(loop.sock_recv(client, 100), LIMIT)


async def test_nothing_is_sent_to_the_blocked_either(gateway: Gateway, firewall: Nftables) -> None:
    """Neither by a host behind the gateway nor by the gateway itself."""
    with (
        datagrams(gateway.outside, str(ATTACKER)) as attacker,
        datagrams(gateway.home, HOME) as home,
        datagrams(gateway.namespace, "192.0.2.1") as own,
    ):
        place = attacker.getsockname()
        home.sendto(b"home", place)
        own.sendto(b"own", place)
        assert {b"home", b"own"} == set(await received(attacker))

        await firewall.add(Table.BLOCK, {ATTACKER: SECONDS})
        home.sendto(b"home", place)
        with pytest.raises(PermissionError):
            own.sendto(b"own", place)
        assert [] == await received(attacker)


async def test_the_limited_get_through_at_a_rate_and_each_has_its_own(
    gateway: Gateway, firewall: Nftables
) -> None:
    """Of a burst most is dropped; hosts of one limited network don't share what is allowed."""
    await firewall.add(Table.LIMIT, {ATTACKER: SECONDS, ip_network("203.0.113.64/27"): SECONDS})
    assert set() == await firewall.missing(Table.LIMIT, [ATTACKER, ip_address("203.0.113.65")])
    counts = {}
    for source in (str(ATTACKER), "203.0.113.65", "203.0.113.66", str(CLIENT)):
        with (
            datagrams(gateway.outside, source) as sender,
            datagrams(gateway.home, HOME) as receiver,
        ):
            for _ in range(200):
                sender.sendto(b"burst", receiver.getsockname())
            counts[source] = len(await received(receiver))

    assert counts.pop(str(CLIENT)) == 200
    assert [] == [count for count in counts.values() if not 20 <= count <= 80], counts


async def test_the_kernel_lets_go_by_itself(gateway: Gateway) -> None:
    """Should the daemon be gone, no block stays for ever: addresses and networks."""
    firewall = gateway.firewall(margin=0)
    await firewall.add(Table.BLOCK, {ATTACKER: 1, NETWORK_6: 1})
    assert set() == await firewall.missing(Table.BLOCK, [ATTACKER, NETWORK_6])
    assert not await connects(gateway, ATTACKER, 0.1)

    async def empty() -> bool:
        return not await firewall.entries(Table.BLOCK)

    await until(empty)
    assert await connects(gateway, ATTACKER, LIMIT)
