"""Clients on a real server out of a wheel: how they connect, and that nothing is sent twice."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hiredis import Reader
from pydantic import SecretStr
from redis.exceptions import AuthenticationError, RedisError

from ai_suricata.config.load import load
from ai_suricata.config.settings import RedisSettings
from ai_suricata.core.errors import ConfigError
from ai_suricata.state.clients import CLIENT_NAME, connect, describe, read
from fakes.redis_client import VALUE, client_of, close_under, round_trip, said
from fakes.redis_process import free_port
from fakes.redis_servers import PASSWORD, Standalone, fake, proxy, valkey
from fakes.redis_stub import stub

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = ("requirepass", PASSWORD)


@pytest.fixture
def server() -> Iterator[Standalone]:
    """Return a server without a password."""
    with valkey() as running:
        yield running


async def test_a_plain_server_is_used_over_tcp(server: Standalone) -> None:
    """By host and port; values come back as bytes."""
    assert VALUE == await round_trip(server.settings())


async def test_the_connection_is_named_pooled_and_parsed_by_hiredis(server: Standalone) -> None:
    """CLIENT LIST shows whose it is, and one after the other they share a connection."""
    async with client_of(server.settings()) as client:
        for _ in range(3):
            await client.ping()
        names = Counter(each["name"] for each in await client.client_list())
        connection: Any = client.connection_pool._available_connections[0]  # type: ignore[union-attr]

    assert 1 == names[CLIENT_NAME]
    assert isinstance(connection._parser._reader, Reader)


@pytest.mark.parametrize("keepalive", [True, False])
async def test_keepalive_is_the_operators_choice(server: Standalone, *, keepalive: bool) -> None:
    """As REDIS_SOCKET_KEEPALIVE says."""
    async with client_of(server.settings(socket_keepalive=keepalive)) as client:
        await client.ping()
        connection: Any = client.connection_pool._available_connections[0]  # type: ignore[union-attr]
        used = connection._writer.get_extra_info("socket")
        assert keepalive == bool(used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))


async def test_a_password_of_any_characters_works_as_plain_text() -> None:
    """REDIS_PASSWORD is taken as it stands."""
    with valkey(SECRET, access={"password": PASSWORD}) as server:
        environment = {"REDIS_PORT": str(server.port), "REDIS_PASSWORD": PASSWORD}
        settings = load(None, {"REDIS_HOST": "127.0.0.1", **environment}).redis

        assert VALUE == await round_trip(settings)


@pytest.mark.parametrize("user", ["", "default"])
async def test_a_password_of_any_characters_works_in_a_url(user: str) -> None:
    """Percent-encoded; what the URL says wins over the single variables."""
    with valkey(SECRET, access={"password": PASSWORD}) as server:
        url = f"redis://{user}:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/3"
        settings = RedisSettings(
            url=SecretStr(url), host="nowhere.invalid", port=1, db=9, password=SecretStr("wrong")
        )

        assert VALUE == await round_trip(settings)
        server.client().execute_command("SELECT", 3)  # type: ignore[no-untyped-call]
        assert {"db3"} == set(server.master().info("keyspace"))


async def test_a_unix_socket_is_used_by_its_url() -> None:
    """The password may stand apart from the URL."""
    with valkey(SECRET, access={"password": PASSWORD}) as server:
        path = server.master().folder / "socket"
        settings = RedisSettings(
            url=SecretStr(f"unix://{path}?db=2"), password=SecretStr(PASSWORD), port=1
        )

        assert VALUE == await round_trip(settings)
        assert {"db2"} == set(server.master().info("keyspace"))


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter/2@host:6379/0",
        "redis://:hunter?2@host:6379/0",
        "redis://:12#hunter2@host:6379/0",
        "redis://:hunter2@[host:6379/0",
        "redis://:hunter2@host:70000",
        "redis://:hunter2@host/hunter2",
        "redis://:hunter2@host?socket_timeout=1",
        "unix://",
    ],
)
def test_a_url_that_cannot_be_read_stops_the_start_and_is_not_told(url: str) -> None:
    """Half a password must not become a host, nor stand in the log."""
    with pytest.raises(ConfigError, match="REDIS_URL") as raised:
        connect(RedisSettings(url=SecretStr(url)))

    assert "hunter" not in str(raised.value)
    assert "percent-encoded" in str(raised.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"REDIS_SENTINELS": "a:1"}, "REDIS_SENTINEL_MASTER is missing"),
        (
            {"REDIS_SENTINELS": "a", "REDIS_SENTINEL_MASTER": "m", "REDIS_CLUSTER": "true"},
            "exclude each other",
        ),
        ({"REDIS_TLS_CERT": "/cert"}, "REDIS_TLS_CERT and REDIS_TLS_KEY belong together"),
        ({"REDIS_TLS": "true", "REDIS_TLS_CA": "/nowhere/ca"}, "REDIS_TLS_CA=/nowhere/ca"),
        ({"REDIS_URL": "rediss://h", "REDIS_TLS_CA": "/nowhere/ca"}, "REDIS_TLS_CA=/nowhere/ca"),
        (
            {"REDIS_TLS": "true", "REDIS_TLS_CERT": "/etc/hostname", "REDIS_TLS_KEY": "/etc/hosts"},
            "REDIS_TLS_CERT=/etc/hostname",
        ),
        ({"REDIS_URL": "unix:///run/redis", "REDIS_CLUSTER": "true"}, "unix socket"),
        ({"REDIS_DB": "1", "REDIS_CLUSTER": "true"}, "REDIS_DB"),
        ({"REDIS_SENTINELS": "a:b", "REDIS_SENTINEL_MASTER": "m"}, "'a:b' is no server"),
        ({"REDIS_CLUSTER_NODES": ":6379", "REDIS_CLUSTER": "true"}, "':6379' is no server"),
    ],
)
def test_settings_that_contradict_each_other_stop_the_start(
    given: dict[str, str], told: str
) -> None:
    """And name the variable."""
    with pytest.raises(ConfigError) as raised:
        connect(load(None, given).redis)

    assert told in str(raised.value)


async def test_a_write_whose_answer_is_lost_is_sent_once(server: Standalone) -> None:
    """The caller is told that the outcome is not known; nothing is repeated unasked."""
    async with (
        proxy(server.port) as between,
        client_of(server.settings(port=between.port)) as client,
    ):
        await client.ping()
        between.lose_reply_to(b"INCR")
        with pytest.raises(RedisError) as raised:
            await client.incr("count")

    assert 1 == between.lost
    assert b"1" == server.client().get("count")
    assert "connection to Redis was lost" in describe(raised.value)


@pytest.mark.parametrize("transaction", [True, False])
async def test_a_pipeline_whose_answer_is_lost_is_sent_once(
    server: Standalone, *, transaction: bool
) -> None:
    """As one write, be it a MULTI or not."""
    async with (
        proxy(server.port) as between,
        client_of(server.settings(port=between.port)) as client,
    ):
        between.lose_reply_to(b"INCR")
        pipe = client.pipeline(transaction=transaction)
        pipe.incr("count")
        pipe.incr("count")
        with pytest.raises(RedisError):
            await pipe.execute()

    assert b"2" == server.client().get("count")


async def test_a_connection_that_closes_under_a_command_was_lost(
    server: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a fault of the program, which would end it."""
    async with client_of(server.settings()) as client:
        await client.ping()
        with close_under(monkeypatch), pytest.raises(RedisError) as raised:
            await client.ping()
        assert await client.ping()

    assert "connection to Redis was lost" in describe(raised.value)


async def test_a_read_may_be_repeated(server: Standalone) -> None:
    """`read` asks again where an answer was lost."""
    server.client().set("key", "value")
    async with (
        proxy(server.port) as between,
        client_of(server.settings(port=between.port)) as client,
    ):
        between.lose_reply_to(b"GET")
        assert b"value" == await read(lambda: client.get("key"), within=5)

    assert 1 == between.lost


async def test_a_read_is_given_up_in_time() -> None:
    """Attempts and pauses together last no longer than the caller allows; the error says why."""
    begun = time.monotonic()
    async with client_of(RedisSettings(host="127.0.0.1", port=free_port())) as client:
        with pytest.raises(RedisError) as raised:
            await read(lambda: client.get("key"), within=0.3, attempts=1000)

    assert time.monotonic() - begun < 1.5
    assert "nothing listens there" in describe(raised.value)


async def test_a_wrong_password_is_not_tried_again() -> None:
    """No password gets right by being repeated."""
    with valkey(SECRET, access={"password": PASSWORD}) as server:
        async with client_of(server.settings(password=SecretStr("guess"))) as client:
            with pytest.raises(AuthenticationError):
                await read(lambda: client.get("key"), within=5)
        log: Any = server.client().execute_command("ACL LOG")  # type: ignore[no-untyped-call]

    assert 1 == sum(int(entry["count"]) for entry in log)


async def test_a_server_that_hangs_costs_one_time_limit(server: Standalone) -> None:
    """On a connection that exists, and for one that must be made."""
    settings = server.settings(socket_timeout=0.3)
    async with client_of(settings) as client, client_of(settings) as unconnected:
        await client.ping()
        server.pause()
        for each in (client, unconnected):
            begun = time.monotonic()
            with pytest.raises(RedisError) as raised:
                await each.get("key")
            assert 0.25 < time.monotonic() - begun < 0.6
            assert "did not answer within REDIS_SOCKET_TIMEOUT" in describe(raised.value)
        server.resume()
        assert await client.ping()


async def test_a_server_whose_bytes_are_held_back_costs_one_time_limit(server: Standalone) -> None:
    """As with a firewall in between that drops what it should pass."""
    async with (
        proxy(server.port) as between,
        client_of(server.settings(port=between.port, socket_timeout=0.3)) as client,
    ):
        await client.ping()
        between.stall()
        with pytest.raises(RedisError) as raised:
            await client.get("key")
        between.flow()
        assert await client.ping()

    assert "did not answer" in describe(raised.value)


async def test_a_server_that_is_slow_at_every_step_costs_one_time_limit() -> None:
    """Connecting takes five answers (from HELLO to CLIENT SETINFO), and not five limits."""

    def answer(request: bytes) -> bytes:
        return b"+PONG\r\n" if b"PING" in request else b"+OK\r\n"

    async with stub(answer, delay=0.25) as port:
        begun = time.monotonic()
        told = await said(RedisSettings(host="127.0.0.1", port=port, socket_timeout=0.4), "PING")

    assert time.monotonic() - begun < 0.7
    assert "did not answer within REDIS_SOCKET_TIMEOUT" in told


async def test_the_client_works_again_after_a_restart(server: Standalone) -> None:
    """Without being made anew: the stale connection is noticed before it is used."""
    async with client_of(server.settings()) as client:
        await client.set("key", "value")
        await asyncio.to_thread(server.restart)
        assert b"value" == await client.get("key")


async def test_the_imitation_in_this_process_answers_like_a_server() -> None:
    """`fake` serves the contract suite where speed matters more than truth."""
    client = fake()
    await client.set("key", VALUE)
    assert VALUE == await client.get("key")
    await client.aclose()
