"""Suricata's Redis output on a real server: each line once, or its loss is told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ai_suricata.source.base import Losses
from ai_suricata.source.redis.input import RedisInput
from fakes.redis_client import until
from fakes.redis_process import HOST
from fakes.redis_servers import ClusterGroup, cluster, valkey
from fakes.suricata_redis import KEY, blocking, lines, lines_of, push, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator

    from ai_suricata.core.position import Position
    from ai_suricata.source.base import Batch
    from fakes.redis_servers import Standalone

lists = pytest.mark.parametrize("mode", ["list", "rpush"])


@pytest.fixture(scope="module")
def running() -> Iterator[Standalone]:
    """Yield a server that keeps what it has acknowledged."""
    with valkey(("appendfsync", "always")) as server:
        yield server


@pytest.fixture
def server(running: Standalone) -> Standalone:
    """Return a server that holds nothing."""
    running.start()
    blocking(running).flushall()
    return running


@asynccontextmanager
async def reading(
    server: Standalone, mode: str, position: Position | None = None, **changes: object
) -> AsyncIterator[tuple[RedisInput, list[Batch]]]:
    """Read beside the test, until its end."""
    chosen = settings_for(mode, **{"start": "beginning", **changes})
    source = RedisInput(chosen, server.settings(socket_timeout=0.5), position, "one")
    found: list[Batch] = []
    task = asyncio.create_task(_collect(source, found))
    try:
        if mode == "channel":
            await until(lambda: bool(blocking(server).pubsub_numsub(KEY)[0][1]))
        yield source, found
    finally:
        source.stop()
        await task


async def has(found: list[Batch], expected: list[bytes]) -> None:
    """Wait until so many lines are there, and compare them."""
    await until(lambda: len(lines_of(found)) >= len(expected))
    assert expected == lines_of(found)


@pytest.mark.parametrize("mode", ["list", "rpush", "stream", "channel"])
async def test_server_goes_and_comes_back(server: Standalone, mode: str) -> None:
    """That is told once, in health and log; nothing that the server kept is lost or doubled."""
    with capture_logs() as logs:
        async with reading(server, mode) as (source, found):
            push(server, mode, *lines(0, 5))
            await has(found, lines(0, 5))
            server.kill_master()
            await until(lambda: "nothing listens there" in str(source.waiting_for))
            server.start()
            await until(lambda: source.waiting_for is None)
            push(server, mode, *lines(5, 9))
            await has(found, lines(0, 9))
            assert ({"disconnected": 1} if mode == "channel" else {}) == source.losses.occasions
    events = [log["event"] for log in logs]
    assert ["no events from Redis", "events from Redis are read again"] == events


@pytest.mark.parametrize(("mode", "other"), [("list", "stream"), ("stream", "list")])
async def test_key_of_another_type_is_told(server: Standalone, mode: str, other: str) -> None:
    """The sentence names the two settings; once the key is right, it is read."""
    push(server, other, b"x")
    async with reading(server, mode) as (source, found):
        await until(lambda: source.waiting_for is not None)
        assert "EVE_REDIS_MODE" in str(source.waiting_for)
        blocking(server).delete(KEY)
        push(server, mode, *lines(0, 3))
        await has(found, lines(0, 3))
        assert None is source.waiting_for


@pytest.mark.parametrize("mode", ["list", "stream", "channel"])
async def test_missing_right_is_told(mode: str) -> None:
    """The sentence has the command that gives it; given, the key is read."""
    with valkey(("user", "default", "on", "nopass", "~x", "resetchannels", "+@all")) as server:
        async with _waiting(server, mode) as source:
            remedy = str(source.waiting_for).partition("ACL SETUSER <user> ")[2].split()
            blocking(server).execute_command("ACL", "SETUSER", "default", *remedy)  # type: ignore[no-untyped-call] # redis-py's
            await until(lambda: source.waiting_for is None)


@asynccontextmanager
async def _waiting(server: Standalone, mode: str) -> AsyncIterator[RedisInput]:
    source = RedisInput(settings_for(mode), server.settings(), None, "one")
    task = asyncio.create_task(_collect(source, []))
    await until(lambda: source.waiting_for is not None)
    yield source
    source.stop()
    await task


async def test_replica_is_told(server: Standalone) -> None:
    """A list can't be emptied on a server that takes no writes; promoted, it is read."""
    push(server, "list", *lines(0, 3))
    with valkey(("replicaof", HOST, str(server.port))) as replica:
        await until(lambda: blocking(replica).llen(KEY) == 3)
        async with reading(replica, "list") as (source, found):
            await until(lambda: source.waiting_for is not None)
            assert "is a replica and takes no writes" in str(source.waiting_for)
            blocking(replica).replicaof("NO", "ONE")
            await has(found, lines(0, 3))


async def test_trimmed_stream_is_counted_to_the_line(server: Standalone) -> None:
    """Entries that went unread, while it reads and while it is away; the rest is read once."""
    async with reading(server, "stream", batch_size=10) as (source, found):
        push(server, "stream", *lines(0, 30))
        await has(found, lines(0, 30))
    push(server, "stream", *lines(30, 100))
    blocking(server).xtrim(KEY, maxlen=20, approximate=False)
    async with reading(server, "stream", found[1].position, batch_size=10) as (source, rest):
        await has(rest, lines(80, 100))
        assert {"trimmed": 80 - len(lines_of(found[:2]))} == source.losses.lines
        assert {"trimmed": 1} == source.losses.occasions
        assert f"{_last_id(server)}:100" == source.position[f"redis:{KEY}"][0]
    assert 20 == blocking(server).xlen(KEY)


def _last_id(server: Standalone) -> str:
    info: Any = blocking(server).xinfo_stream(KEY)
    return str(info["last-generated-id"].decode())


async def test_trimming_what_was_read_is_no_loss(server: Standalone) -> None:
    """Suricata's maxlen may take what we are done with, also all of it."""
    async with reading(server, "stream") as (source, found):
        for first in range(0, 30, 10):
            push(server, "stream", *lines(first, first + 10))
            await has(found, lines(0, first + 10))
            blocking(server).xtrim(KEY, maxlen=first % 20, approximate=False)
        await until(lambda: source.lag().bytes == 0)
        assert Losses() == source.losses


@pytest.mark.parametrize(("start", "expected"), [("end", lines(5, 8)), ("beginning", lines(0, 8))])
async def test_first_start_of_a_stream(
    server: Standalone, start: str, expected: list[bytes]
) -> None:
    """EVE_START counts once; a stream that is not there yet is new from its beginning."""
    async with reading(server, "stream", start=start) as (_, found):
        await until(lambda: _is_blocked(server))
        push(server, "stream", *lines(0, 2))
        await has(found, lines(0, 2))
    push(server, "stream", *lines(2, 5))
    async with reading(server, "stream", start=start) as (_, found):
        await until(lambda: _is_blocked(server) or bool(found))
        push(server, "stream", *lines(5, 8))
        await has(found, expected)


def _is_blocked(server: Standalone) -> bool:
    return bool(blocking(server).info("clients")["blocked_clients"])


async def test_deleted_stream_is_told_and_its_successor_read(server: Standalone) -> None:
    """The new one is read from its beginning, whatever its ids are."""
    async with reading(server, "stream") as (source, found):
        push(server, "stream", *lines(0, 10))
        await has(found, lines(0, 10))
        blocking(server).delete(KEY)
        blocking(server).xadd(KEY, {"eve": b"new", "more": b"field"}, id="1-1")
        await has(found, [*lines(0, 10), b"new", b"field"])
        assert {"deleted": 1} == source.losses.occasions


async def test_channel_drops_what_a_slow_reader_leaves(server: Standalone) -> None:
    """Memory stays bounded; what was kept and what was counted add up."""
    source = RedisInput(
        settings_for("channel", batch_size=10, buffer_bytes=1024 * 1024), server.settings()
    )
    batches = source.batches()
    first: Awaitable[Batch] = asyncio.ensure_future(anext(batches))
    await until(lambda: bool(blocking(server).pubsub_numsub(KEY)[0][1]))
    sent = 4000
    for start in range(0, sent, 100):
        pushed = [line + b"." * 1000 for line in lines(start, start + 100)]
        await asyncio.to_thread(push, server, "channel", *pushed)
    found = [line[:6] for line in (await first).lines]
    await until(lambda: len(found) + _held(source) + _dropped(source) == sent)
    assert source.lag().bytes <= 1024 * 1024
    assert _dropped(source) > 1000
    while source.lag().bytes:
        found += [line[:6] for line in (await anext(batches)).lines]
    assert sent == len(found) + _dropped(source)
    assert lines(0, len(found)) == found
    await batches.aclose()  # type: ignore[attr-defined] # it is a generator


def _held(source: RedisInput) -> int:
    return source._reader.waiting


def _dropped(source: RedisInput) -> int:
    return source.losses.lines["queue_full"]


@lists
async def test_entries_of_several_lines(server: Standalone, mode: str) -> None:
    """They are cut; the position moves past an entry with its last line."""
    push(server, mode, b"1\n2\n3\n", b"4\r\n5", b"6\n7", b"")
    async with reading(server, mode, batch_size=2) as (_, found):
        await until(lambda: len(lines_of(found)) == 7)
    assert [b"1", b"2"] == found[0].lines
    assert all(len(batch.lines) <= 2 for batch in found)
    assert list(map(b"%d".__mod__, range(1, 8))) == lines_of(found)
    places = [str(batch.position[f"redis:{KEY}"][0]).partition(":")[2] for batch in found]
    assert "0" == places[0]
    assert sorted(places) == places


async def test_long_entries_come_few_at_a_time(server: Standalone) -> None:
    """About an eighth of the buffer is asked for at once."""
    push(server, "list", *(b"x" * 60_000 for _ in range(40)))
    async with reading(server, "list", buffer_bytes=1024 * 1024) as (_, found):
        await until(lambda: len(lines_of(found)) == 40)
    assert 1 == len(found[0].lines)  # nothing is known yet
    assert all(batch.bytes <= 1024 * 1024 / 8 for batch in found)


@pytest.mark.parametrize("mode", ["list", "stream"])
async def test_lag_estimates_what_waits(server: Standalone, mode: str) -> None:
    """As many lines as wait there, of the mean length so far."""
    push(server, mode, *(b"x" * 99 for _ in range(100)))
    source = RedisInput(settings_for(mode, start="beginning", batch_size=10), server.settings())
    batches = source.batches()
    await anext(batches)
    assert 99 * 100 == source.lag().bytes
    await batches.aclose()  # type: ignore[attr-defined] # it is a generator


@pytest.mark.system
async def test_cluster() -> None:
    """Marker and list share a slot, so the transactions work there, too; so do the other modes."""
    with cluster() as group:
        for mode in ("list", "rpush", "stream", "channel"):
            await _read_on_cluster(group, mode)


async def _read_on_cluster(group: ClusterGroup, mode: str) -> None:
    key, client = f"suricata-{mode}", group.client()
    source = RedisInput(settings_for(mode, redis_key=key), group.settings(), None, "one")
    found: list[Batch] = []
    task = asyncio.create_task(_collect(source, found))

    def send() -> bool:
        if mode == "stream":
            client.xadd(key, {"eve": b"line"})
        elif mode == "channel":
            client.publish(key, b"line")
        else:
            (client.lpush if mode == "list" else client.rpush)(key, b"line")
        return bool(found)

    await until(send)
    assert b"line" == found[0].lines[0]
    if mode in {"list", "rpush"}:
        source.stored(source.position)
        await until(lambda: client.llen(key) < len(lines_of(found)))
    assert None is source.waiting_for
    source.stop()
    await task


async def _collect(source: RedisInput, found: list[Batch]) -> None:
    async for batch in source.batches():
        found.append(batch)  # noqa: PERF401 - seen while it grows
