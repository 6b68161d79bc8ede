"""Clients on Debian's Redis: TLS with ACL users, Sentinel, Cluster, and what goes wrong there."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from redis.exceptions import RedisError

from ai_suricata.state.clients import describe, subscription
from fakes.certificate import Authority
from fakes.redis_client import VALUE, client_of, close_under, round_trip, said, until
from fakes.redis_servers import (
    PASSWORD,
    ClusterGroup,
    SentinelGroup,
    Standalone,
    cluster,
    proxy,
    sentinel,
    standalone_tls,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ai_suricata.state.clients import Client
    from fakes.redis_process import Process
    from fakes.redis_proxy import Proxy

pytestmark = pytest.mark.system

PROMOTED_WITHIN = 20.0
"""Seconds; one or two on an idle machine."""


@pytest.fixture
def tls() -> Iterator[Standalone]:
    """Return a server that speaks TLS alone."""
    with standalone_tls() as server:
        yield server


@pytest.fixture
def sentinels() -> Iterator[SentinelGroup]:
    """Return a master, two replicas and three Sentinels."""
    with sentinel() as group:
        yield group


@pytest.fixture
def nodes() -> Iterator[ClusterGroup]:
    """Return a Cluster of six nodes."""
    with cluster() as group:
        yield group


async def written_again(client: Client, key: str) -> set[str]:
    """Write until it succeeds; return what was said until then."""
    sentences: set[str] = set()
    async with asyncio.timeout(PROMOTED_WITHIN):
        while True:
            try:
                await client.set(key, "after")
            except RedisError as error:
                sentences.add(describe(error))
                await asyncio.sleep(0.1)
            else:
                return sentences


async def hanging(client: Client, limit: float) -> str:
    """Ask a client of servers that hang; return what is said, which must be in time."""
    begun = time.monotonic()
    with pytest.raises(RedisError) as raised:
        await client.get("key")
    assert time.monotonic() - begun < limit + 0.5
    return describe(raised.value)


async def test_tls_with_a_client_certificate_and_an_acl_user(tls: Standalone) -> None:
    """By the single variables."""
    assert VALUE == await round_trip(tls.settings())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_tls_by_url(tls: Standalone, host: str) -> None:
    """The certificates' files come from their variables."""
    url = f"rediss://app:{quote(PASSWORD, safe='')}@{host}:{tls.port}/1"
    changes = {"url": SecretStr(url), "username": None, "password": None, "tls": False}

    assert VALUE == await round_trip(tls.settings(**changes))


async def test_what_is_wrong_with_tls_is_told(tls: Standalone, tmp_path: Path) -> None:
    """A CA that did not sign, and no TLS at all."""
    other = Authority(tmp_path, "other")

    assert "certificate is not trusted" in await said(tls.settings(tls_ca=other.ca), "PING")
    assert "wants TLS (REDIS_TLS)" in await said(tls.settings(tls=False), "PING")


@pytest.mark.parametrize(
    ("protocol", "told"),
    [("TLSv1.2", "did not accept our certificate"), ("TLSv1.3", "REDIS_TLS_CERT")],
)
async def test_a_certificate_that_the_server_refuses_is_told(
    tmp_path: Path, protocol: str, told: str
) -> None:
    """One that is missing, and a stranger's; from TLS 1.3 on the reason may be lost on the way."""
    certificate, key = Authority(tmp_path, "other").issue("stranger")

    with standalone_tls(("tls-protocols", protocol)) as server:
        assert told in await said(server.settings(tls_cert=None, tls_key=None), "PING")
        assert told in await said(server.settings(tls_cert=certificate, tls_key=key), "PING")


async def test_wrong_credentials_and_missing_rights_are_told(tls: Standalone) -> None:
    """`reader` may read our keys and nothing else."""
    wrong = tls.settings(password=SecretStr("guess"))
    reader = tls.settings(username="reader")

    assert "check REDIS_USERNAME and REDIS_PASSWORD" in await said(wrong, "PING")
    assert "+set" in await said(reader, "SET", "ai_suricata:key", "value")
    assert "~<REDIS_KEY_PREFIX>:*" in await said(reader, "GET", "other")


async def test_a_tls_server_that_hangs_costs_one_time_limit(tls: Standalone) -> None:
    """In the middle of a connection, and in its handshake."""
    settings = tls.settings(socket_timeout=0.5)
    async with client_of(settings) as client, client_of(settings) as unconnected:
        await client.ping()
        tls.pause()
        assert "did not answer" in await hanging(client, 0.5)
        assert "did not answer" in await hanging(unconnected, 0.5)
        tls.resume()
        assert await client.ping()


async def test_sentinels_name_the_master(sentinels: SentinelGroup) -> None:
    """Sentinels and servers have passwords of their own."""
    assert VALUE == await round_trip(sentinels.settings())


async def test_another_master_is_found_after_the_first_was_killed(sentinels: SentinelGroup) -> None:
    """With the same client: meanwhile it says what goes on, and then it works again."""
    async with client_of(sentinels.settings()) as client:
        await client.set("key", "before")
        before = sentinels.master()
        sentinels.kill_master()
        sentences = await written_again(client, "key")

    assert sentences
    await until(lambda: before is not sentinels.master())
    assert b"after" == sentinels.client().get("key")


async def test_a_master_that_nobody_replaces_is_told(sentinels: SentinelGroup) -> None:
    """The Sentinels are there, and no server behind them."""
    for server in sentinels.servers:
        server.kill()

    async def told() -> bool:
        sentence = await said(sentinels.settings(), "PING")
        return "no Sentinel knows a master that is up" in sentence

    await until(told)


async def test_a_sentinel_that_is_gone_or_hangs_does_not_matter(sentinels: SentinelGroup) -> None:
    """The next one is asked, within the time limit."""
    sentinels.sentinels[0].kill()
    sentinels.sentinels[1].pause()

    assert VALUE == await round_trip(sentinels.settings(socket_timeout=2))


async def test_sentinels_and_servers_that_hang_cost_one_time_limit(
    sentinels: SentinelGroup,
) -> None:
    """However many there are."""
    settings = sentinels.settings(socket_timeout=0.6)
    async with client_of(settings) as client, client_of(settings) as unconnected:
        await client.ping()
        sentinels.pause()
        assert "did not answer" in await hanging(client, 0.6)
        await hanging(unconnected, 0.6)


async def test_what_is_wrong_with_sentinel_is_told(sentinels: SentinelGroup) -> None:
    """Another name, no password, a wrong one for the server behind."""
    unknown = await said(sentinels.settings(sentinel_master="other"), "PING")
    closed = await said(sentinels.settings(sentinel_password=None), "PING")
    behind = await said(sentinels.settings(password=SecretStr("guess")), "PING")

    assert "REDIS_SENTINEL_MASTER" in unknown
    assert "REDIS_SENTINEL_PASSWORD" in closed
    assert "check REDIS_USERNAME and REDIS_PASSWORD" in behind


async def test_a_write_through_sentinel_whose_answer_is_lost_is_sent_once(
    sentinels: SentinelGroup,
) -> None:
    """Neither the pool of the master nor those of the Sentinels repeat anything."""
    async with proxy(sentinels.port) as between, client_of(sentinels.settings()) as client:
        lead_to(client, between)
        between.lose_reply_to(b"INCR")
        with pytest.raises(RedisError):
            await client.incr("count")

    assert 1 == between.lost
    assert b"1" == sentinels.client().get("count")


def lead_to(client: Client, between: Proxy) -> None:
    """Let the Sentinels name the proxy as the master, as they would name a forwarded port."""
    inner: Any = client

    async def discover_master(_name: str) -> tuple[str, int]:
        return between.host, between.port

    inner.connection_pool.sentinel_manager.discover_master = discover_master


async def test_a_cluster_is_used_by_any_node_of_it(nodes: ClusterGroup) -> None:
    """Keys go to the node that has their slot."""
    async with client_of(nodes.settings()) as client:
        for number in range(30):
            await client.set(f"key:{number}", number)
        found = [await client.get(f"key:{number}") for number in range(30)]

    assert [str(number).encode() for number in range(30)] == found
    assert VALUE == await round_trip(nodes.settings())


async def test_another_node_takes_over_after_a_master_was_killed(nodes: ClusterGroup) -> None:
    """With the same client; and a new one finds the Cluster though REDIS_HOST names the dead."""
    before = nodes.master("key")
    settings = nodes.settings(port=before.port)
    async with client_of(settings) as client:
        await client.set("key", "before")
        before.kill()
        sentences = await written_again(client, "key")
        assert b"after" == await client.get("key")

    assert sentences
    await until(lambda: before is not nodes.master("key"))
    assert VALUE == await round_trip(settings)


async def test_nodes_that_hang_cost_one_time_limit(nodes: ClusterGroup) -> None:
    """However many there are."""
    settings = nodes.settings(socket_timeout=0.6)
    async with client_of(settings) as client, client_of(settings) as unconnected:
        await client.get("key")
        nodes.pause()
        assert "did not answer" in await hanging(client, 0.6)
        assert "did not answer" in await hanging(client, 0.6)
        assert "did not answer" in await hanging(unconnected, 0.6)


async def test_wrong_credentials_for_a_cluster_are_told(nodes: ClusterGroup) -> None:
    """Though redis-py says that no node is reachable."""
    settings = nodes.settings(password=SecretStr("guess"))

    assert "check REDIS_USERNAME and REDIS_PASSWORD" in await said(settings, "GET", "key")


async def test_a_node_taken_for_a_plain_server_is_told(nodes: ClusterGroup) -> None:
    """REDIS_CLUSTER is what is missing."""
    key = next(key for key in map(str, range(1000)) if nodes.master(key).port != nodes.port)

    assert "set REDIS_CLUSTER to true" in await said(nodes.settings(cluster=False), "GET", key)


@pytest.mark.parametrize("pipelined", [False, True])
async def test_a_write_to_a_cluster_whose_answer_is_lost_is_sent_once(
    nodes: ClusterGroup, *, pipelined: bool
) -> None:
    """On its own and in a pipeline."""
    async with proxy(nodes.master("count").port) as between, client_of(nodes.settings()) as client:
        stand_before(nodes.master("count"), client, between)
        # Else redis-py sends its very first command to any node, which names the right one itself.
        await client.initialize()
        between.lose_reply_to(b"INCR")
        with pytest.raises(RedisError):
            await incremented(client, pipelined=pipelined)
        assert await client.get("count")

    assert 1 == between.lost
    assert b"1" == nodes.client().get("count")


async def incremented(client: Client, *, pipelined: bool) -> None:
    """Increment `count`."""
    if not pipelined:
        await client.incr("count")
        return
    pipe = client.pipeline(transaction=False)
    pipe.incr("count")
    await pipe.execute()


def stand_before(node: Process, client: Client, between: Proxy) -> None:
    """Let the client reach this node through the proxy, as through a forwarded port."""
    inner: Any = client

    def remap(address: tuple[str, int]) -> tuple[str, int]:
        return (between.host, between.port) if address[1] == node.port else address

    inner.nodes_manager.address_remap = remap


@pytest.mark.parametrize("kind", ["tls", "sentinels", "nodes"])
async def test_a_connection_that_closes_under_a_command_was_lost(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Over TLS, from a Sentinel's master, and on a Cluster also for who listens to a channel."""
    server: Standalone | SentinelGroup | ClusterGroup = request.getfixturevalue(kind)
    async with client_of(server.settings()) as client:
        await client.get("x")
        with close_under(monkeypatch), pytest.raises(RedisError):
            await client.get("x")
        async with await subscription(client) as listening:
            await listening.subscribe("x")
            with close_under(monkeypatch), pytest.raises(RedisError):
                await listening.ping()
