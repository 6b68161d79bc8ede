"""The shared stores on a Redis that hangs, refuses, is full, is gone, comes back, or moves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from ai_suricata.core.errors import StateError
from ai_suricata.state.clients import connect
from ai_suricata.state.shared import Grant
from contract.shared_alert import alert
from contract.shared_backends import LONG, RedisBackend, Shared, eventually, on
from contract.shared_ear import CHANNEL, Ear, listening
from fakes.redis_servers import cluster, sentinel, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from fakes.redis_servers import Standalone

NOW = 1_700_000_000.0
GRANT = Grant("train", "first", 1)

WRITES: Mapping[str, Callable[[Shared], Awaitable[object]]] = {
    "cache.put": lambda shared: shared.cache.put("summary", 1),
    "top.count": lambda shared: shared.top.count({"203.0.113.7": 1}),
    "alerts.add": lambda shared: shared.alerts.add([alert(1)]),
    "limiter.allow": lambda shared: shared.limiter.allow("key", 1, LONG, NOW),
    "lease.take": lambda shared: shared.lease.take("train", "first", LONG),
}
CALLS: Mapping[str, Callable[[Shared], Awaitable[object]]] = {
    **WRITES,
    "cache.get": lambda shared: shared.cache.get("summary"),
    "top.top": lambda shared: shared.top.top(1),
    "alerts.newest": lambda shared: shared.alerts.newest(1),
    "alerts.find": lambda shared: shared.alerts.find("sensor-1-1"),
    "lease.renew": lambda shared: shared.lease.renew(GRANT, LONG),
    "lease.give_up": lambda shared: shared.lease.give_up(GRANT),
    "lease.write": lambda shared: shared.lease.write(GRANT, "model", b""),
    "lease.read": lambda shared: shared.lease.read("model"),
    "notifier.publish": lambda shared: shared.notifier.publish(CHANNEL, b""),
}
NOBODY = ("user", "nobody", "on", ">secret", "~*", "&*", "-@all", "+ping", "+hello", "+client")


@pytest.fixture
def server() -> Iterator[Standalone]:
    """Yield a server that the test may ill-treat; its user `nobody` may do nothing."""
    with valkey(NOBODY) as running:
        yield running
        running.resume()


@pytest.fixture
async def backend(server: Standalone) -> AsyncIterator[RedisBackend]:
    """Yield its backend, with little patience."""
    made = RedisBackend(lambda: connect(server.settings(socket_timeout=0.3)))
    yield made
    await made.close()


async def told(call: Callable[[Shared], Awaitable[object]], shared: Shared) -> str:
    """Return the sentence of the `StateError` that the call raises."""
    with pytest.raises(StateError) as caught:
        await call(shared)
    return str(caught.value)


@pytest.mark.parametrize("name", CALLS)
async def test_a_server_that_hangs_is_told_in_words(
    server: Standalone, backend: RedisBackend, name: str
) -> None:
    """Each call ends within the time limit, and names the setting."""
    shared = await backend.instance()
    server.pause()

    async with asyncio.timeout(5):
        assert "REDIS_SOCKET_TIMEOUT" in await told(CALLS[name], shared)


@pytest.mark.parametrize("name", CALLS)
async def test_a_server_that_is_gone_is_told_in_words(
    server: Standalone, backend: RedisBackend, name: str
) -> None:
    """Each call says that nothing listens, from the second on: the first lost its connection."""
    shared = await backend.instance()
    server.stop()

    assert "connection" in await told(CALLS[name], shared)
    assert "nothing listens there" in await told(CALLS[name], shared)


@pytest.mark.parametrize("name", CALLS)
async def test_missing_rights_are_told_in_words(server: Standalone, name: str) -> None:
    """Each call says which command the ACL user may not run."""
    settings = server.settings(username="nobody", password="secret")  # noqa: S106 - of the fixture
    backend = RedisBackend(lambda: connect(settings))

    sentence = await told(CALLS[name], await backend.instance())

    assert "the ACL user may not run" in sentence
    assert "allow it with ACL SETUSER <user> +" in sentence
    await backend.close()


@pytest.mark.parametrize("name", WRITES)
async def test_a_full_server_is_told_in_words(
    server: Standalone, backend: RedisBackend, name: str
) -> None:
    """Each write says that memory is short."""
    shared = await backend.instance()
    server.client().config_set("maxmemory", "1")

    assert "memory limit" in await told(WRITES[name], shared)


async def test_a_listener_hears_again_after_a_restart(
    server: Standalone, backend: RedisBackend
) -> None:
    """A lost connection is made again, and told once, as is its return."""
    shared = await backend.instance()
    with capture_logs() as logs:
        ear = await listening(backend, shared)
        server.restart()
        await hears(backend, shared, ear, b"after")
        await ear.close()

    assert ["notifications are interrupted", "notifications are back"] == [
        entry["event"] for entry in logs
    ]


async def test_a_listener_notices_a_server_that_hangs(
    server: Standalone, backend: RedisBackend
) -> None:
    """Silence is questioned: it hears again when the server goes on."""
    shared = await backend.instance()
    with capture_logs() as logs:
        ear = await listening(backend, shared)
        server.pause()

        async def noticed() -> bool:
            return bool(logs)

        await eventually(backend, noticed)
        server.resume()
        await hears(backend, shared, ear, b"after")
        await ear.close()

    assert "REDIS_SOCKET_TIMEOUT" in logs[0]["problem"]


def pings(server: Standalone) -> int:
    """Count the PINGs that a server was sent."""
    return int(server.master().info("commandstats")["cmdstat_ping"]["calls"])


async def test_a_quiet_channel_is_no_failure(server: Standalone, backend: RedisBackend) -> None:
    """A connection on which nothing is told stays: the server answers when it is asked."""
    shared = await backend.instance()
    with capture_logs() as logs:
        ear = await listening(backend, shared)
        before = pings(server)

        async def asked() -> bool:
            return before + 3 <= pings(server)

        await eventually(backend, asked)
        await ear.close()

    assert [] == logs


async def test_a_listener_can_be_cancelled_at_any_moment(backend: RedisBackend) -> None:
    """Also where the loss of the moment is in the library: after each number of steps it ends."""
    shared = await backend.instance()
    for steps in range(120):
        ear = Ear(shared, CHANNEL)
        for _ in range(steps):
            await asyncio.sleep(0)
        ear.task.cancel()
        done, _ = await asyncio.wait([ear.task], timeout=5)
        assert done, f"cancelled after {steps} steps, it goes on"


async def test_a_listener_waits_for_a_server_that_is_not_there_yet(
    server: Standalone, backend: RedisBackend
) -> None:
    """It tries again and again, says so once, and listens when the server is there."""
    shared = await backend.instance()
    server.stop()
    spy = patch.object(Redis, "pubsub", autospec=True, side_effect=Redis.pubsub)
    with capture_logs() as logs, spy as attempts:
        ear = Ear(shared, CHANNEL)

        async def tried() -> bool:
            return 3 <= attempts.call_count

        await eventually(backend, tried)
    server.start()

    assert ["notifications are interrupted"] == [entry["event"] for entry in logs]
    await hears(backend, shared, ear, b"first")
    await ear.close()


@pytest.mark.system
@pytest.mark.parametrize("group", [sentinel, cluster])
async def test_a_killed_master_is_survived(group: Callable[[], Any]) -> None:
    """Calls fail in words until the replica is promoted; then all goes on, the listener too."""
    with group() as servers:
        backend = on(servers)()
        shared = await backend.instance()
        ear = await listening(backend, shared)
        before = await shared.lease.take("train", "first", LONG)
        await shared.alerts.add([alert(1)])

        servers.kill_master()

        async def all_well() -> bool:
            try:
                for call in CALLS.values():
                    await call(shared)
            except StateError:
                return False
            return True

        await eventually(backend, all_well)
        await hears(backend, shared, ear, b"after")
        after = await shared.lease.take("train", "first", LONG)
        assert before is not None
        assert after is not None
        assert before.token < after.token
        assert alert(1) in await shared.alerts.newest(10)
        await ear.close()
        await backend.close()


async def hears(backend: RedisBackend, shared: Shared, ear: Ear, message: bytes) -> None:
    """Tell until it is heard: what is told while nobody listens is missed."""

    async def heard() -> bool:
        try:
            await shared.notifier.publish(CHANNEL, message)
        except StateError:
            return False
        return message in ear.heard

    await eventually(backend, heard)


async def test_a_grant_that_a_failover_loses_is_not_given_again(
    server: Standalone, backend: RedisBackend
) -> None:
    """The next token is greater than the lost one, and the lost grant can't write."""
    shared = await backend.instance()
    lost = await shared.lease.take("train", "first", LONG)
    server.client().delete(backend.keys.lease("train"))

    after = await shared.lease.take("train", "second", LONG)

    assert lost is not None
    assert after is not None
    assert lost.token < after.token
    assert not await shared.lease.write(lost, "model", b"late")


async def test_keys_and_lives_are_those_of_the_contract(
    server: Standalone, backend: RedisBackend
) -> None:
    """What operators read with redis-cli stands where they look for it, and ends when it should."""
    shared = await backend.instance()
    for call in WRITES.values():
        await call(shared)
    grant = await shared.lease.take("train", "first", LONG)
    assert grant is not None
    await shared.lease.write(grant, "model", b"")

    prefix = backend.keys.cache("").removesuffix(":metrics:cache:")
    client: Any = server.client()
    found = {
        key.decode().removeprefix(f"{prefix}:"): (client.type(key).decode(), client.ttl(key))
        for key in client.keys(f"{prefix}:*")
    }

    assert {
        "metrics:cache:summary": ("string", 5),
        "top_source_ips": ("zset", -1),
        "alerts": ("list", -1),
        "rate_limit:key": ("zset", 120),
        "{lease}:holder:train": ("hash", -1),
        "{lease}:value:model": ("string", -1),
    } == found


async def test_a_batch_is_one_transaction(server: Standalone, backend: RedisBackend) -> None:
    """A thousand alerts cost what one does, and nobody sees half a batch."""
    shared = await backend.instance(most=5000)

    await shared.alerts.add([alert(number) for number in range(1000)])
    await shared.top.count({"203.0.113.7": 900, "203.0.113.8": 100})

    stats = server.master().info("commandstats")
    names = ("lpush", "ltrim", "zincrby", "zremrangebyrank", "exec")
    assert [1, 1, 2, 1, 2] == [stats[f"cmdstat_{name}"]["calls"] for name in names]


async def test_what_another_version_wrote_is_passed_over(
    server: Standalone, backend: RedisBackend
) -> None:
    """Entries that can't be read hide none of those that can."""
    shared = await backend.instance()
    strange = msgspec.json.encode({"id": "sensor-1-000007", "from": "the future"})
    await shared.alerts.add([alert(1)])
    server.client().lpush(backend.keys.alerts, b"\xff{", strange)
    server.client().set(backend.keys.cache("summary"), b"\xff{")
    await shared.alerts.add([alert(2)])

    assert [alert(2), alert(1)] == await shared.alerts.newest(10)
    assert await shared.alerts.find("sensor-1-000007") is None
    assert await shared.cache.get("summary") is None
