"""Suricata's Redis lists on a real server: each line once, whatever happens to whom and when."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ai_suricata.source.base import Losses
from ai_suricata.source.redis.list import ListReader
from ai_suricata.source.redis.reader import FAILURES, marker_of
from ai_suricata.state.clients import connect
from fakes.redis_servers import proxy, valkey
from fakes.suricata_redis import KEY, blocking, lines, push, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ai_suricata.state.clients import Client
    from fakes.redis_proxy import Proxy
    from fakes.redis_servers import Standalone

MARKER = marker_of(KEY)
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


@dataclass
class Daemon:
    """Reads a list by hand, step by step, and is killed; what it stored outlives that."""

    client: Client
    mode: str
    counted: list[bytes] = field(default_factory=list)
    """Stored together with the place."""
    place: str | None = None
    losses: Losses = field(default_factory=Losses)

    def __post_init__(self) -> None:
        self.kill()

    def kill(self, instance: str = "one") -> None:
        """Lose what is not stored, and start again."""
        chosen = settings_for(self.mode)
        self.reader = ListReader(self.client, chosen, self.place, instance, self.losses)
        self.seen: list[bytes] = []

    async def read(self, most: int) -> list[bytes]:
        """Take entries, at most so many; none where that fails."""
        try:
            entries = await self.reader.fetch(most)
        except FAILURES:
            return []
        for _ in entries:
            self.reader.advance()
        self.seen += entries
        return entries

    def store(self) -> None:
        """Store what was read and the place, as one."""
        self.counted += self.seen
        self.seen, self.place = [], self.reader.place

    def tell(self) -> None:
        """Tell the reader what is durable: it may be removed with the next `read`."""
        if self.place is not None:
            self.reader.stored(self.place)

    async def finish(self) -> None:
        """Read all there is, store it, and let it be removed."""
        quiet = 0
        while quiet < 5:  # an attempt may fail, and the next one only find out why
            quiet = 0 if await self.read(100) else quiet + 1
        self.store()
        self.tell()
        for _ in range(3):
            await self.read(1)


@asynccontextmanager
async def through_proxy(server: Standalone, mode: str) -> AsyncIterator[tuple[Daemon, Proxy]]:
    """Yield a daemon and the proxy by which it reaches the server."""
    async with proxy(server.port) as between:
        client = connect(server.settings(port=between.port))
        try:
            yield Daemon(client, mode), between
        finally:
            await client.aclose()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 8)),
        st.tuples(st.just("read"), st.integers(1, 6)),
        st.tuples(st.sampled_from(["store", "tell", "kill", "lose", "cut"]), st.just(0)),
    ),
    max_size=40,
)


@lists
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
@example(steps=[("push", 5), ("read", 3), ("store", 0), ("tell", 0), ("lose", 0), ("read", 2)])
@example(
    steps=[
        ("push", 5),
        ("read", 2),
        ("store", 0),
        ("read", 2),
        ("tell", 0),
        ("read", 1),
        ("kill", 0),
    ]
)
def test_each_line_once_whatever_happens(running: Standalone, mode: str, steps: Any) -> None:  # noqa: ANN401 - of STEPS
    """Kills, lost answers and cut connections at any point neither lose nor double a line."""
    running.start()
    blocking(running).flushall()
    asyncio.run(_work(running, mode, steps))


async def _work(server: Standalone, mode: str, steps: list[tuple[str, int]]) -> None:
    pushed = 0
    async with through_proxy(server, mode) as (daemon, between):
        for step, number in steps:
            if step == "push":
                push(server, mode, *lines(pushed, pushed + number))
                pushed += number
            elif step == "read":
                await daemon.read(number)
            elif step == "lose":
                between.lose_reply_to(b"LTRIM")
            elif step == "cut":
                await between.refuse()
                await between.open()
            else:
                {"store": daemon.store, "tell": daemon.tell, "kill": daemon.kill}[step]()
        between.lose_reply_to(b"no such command")
        await daemon.finish()
    assert lines(0, pushed) == daemon.counted
    assert 0 == blocking(server).llen(KEY)
    assert Losses() == daemon.losses


@lists
@pytest.mark.parametrize("killed", ["before store", "before removal", "during removal"])
async def test_kill_at_each_point(server: Standalone, mode: str, killed: str) -> None:
    """What was stored is not read again, and what was not stored is."""
    push(server, mode, *lines(0, 10))
    async with through_proxy(server, mode) as (daemon, between):
        assert lines(0, 4) == await daemon.read(4)
        if killed != "before store":
            daemon.store()
        if killed == "during removal":
            daemon.tell()
            between.lose_reply_to(b"LTRIM")
            assert [] == await daemon.read(4)
            assert 1 == between.lost
            assert 6 == blocking(server).llen(KEY)
        daemon.kill()
        assert lines(0 if killed == "before store" else 4, 10) == await daemon.read(10)
        await daemon.finish()
    assert lines(0, 10) == daemon.counted
    assert 0 == blocking(server).llen(KEY)


@lists
async def test_lost_state_reads_from_the_old_end(server: Standalone, mode: str) -> None:
    """Without a position, or with one of another list, all that is there is read."""
    push(server, mode, *lines(0, 10))
    async with through_proxy(server, mode) as (daemon, _):
        await daemon.read(4)
        daemon.store()
        daemon.tell()
        await daemon.read(1)
        for place in (None, "another:7"):
            daemon.place = place
            daemon.kill()
            assert lines(4, 10) == await daemon.read(10)


@lists
async def test_second_instance_is_told(server: Standalone, mode: str) -> None:
    """The one that came first stops reading, and says why; the other one has all that is left."""
    push(server, mode, *lines(0, 10))
    async with through_proxy(server, mode) as (first, _):
        second = Daemon(first.client, mode)
        assert lines(0, 4) == await first.read(4)
        second.kill("two")
        assert lines(0, 10) == await second.read(10)
        first.store()
        first.tell()
        assert [] == await first.read(4)
        with pytest.raises(FAILURES, match="instance 'two' reads the list suricata too"):
            await first.reader.fetch(4)
        assert 10 == blocking(server).llen(KEY)


@lists
async def test_foreign_consumer_is_noticed(server: Standalone, mode: str) -> None:
    """What somebody else takes is lost, and told; nothing is doubled, and the rest is read."""
    async with through_proxy(server, mode) as (daemon, _):
        push(server, mode, *lines(0, 10))
        assert lines(0, 4) == await daemon.read(4)
        pop = blocking(server).rpop if mode == "list" else blocking(server).lpop
        assert lines(0, 2) == pop(KEY, 2)
        await daemon.read(1)
        assert lines(4, 6) == await daemon.read(2)
        assert lines(2, 8) == pop(KEY, 6)
        await daemon.finish()
        assert lines(0, 6) + lines(8, 10) == daemon.counted
        assert {"taken": 2} == daemon.losses.occasions
        assert 0 == blocking(server).llen(KEY)


@lists
async def test_lost_marker_doubles_nothing(server: Standalone, mode: str) -> None:
    """Evicted for lack of memory, it is set again; after FLUSHALL the new list is read."""
    async with through_proxy(server, mode) as (daemon, _):
        push(server, mode, *lines(0, 10))
        await daemon.read(4)
        blocking(server).delete(MARKER)
        await daemon.read(1)
        assert lines(4, 10) == await daemon.read(10)
        blocking(server).flushall()
        push(server, mode, *lines(10, 13))
        await daemon.finish()
        assert lines(0, 13) == daemon.counted
        assert {"deleted": 2} == daemon.losses.occasions


@lists
async def test_entries_that_arrive_meanwhile_stay(server: Standalone, mode: str) -> None:
    """Removal takes the old end alone, whatever was pushed since the reading."""
    async with through_proxy(server, mode) as (daemon, _):
        push(server, mode, *lines(0, 5))
        await daemon.read(3)
        daemon.store()
        daemon.tell()
        push(server, mode, *lines(5, 9))
        assert lines(3, 9) == await daemon.read(9)
        assert 6 == blocking(server).llen(KEY)


@lists
async def test_state_that_is_older_than_the_list(server: Standalone, mode: str) -> None:
    """A restored backup lacks what was removed since; the rest is read, and removed in its turn."""
    push(server, mode, *lines(0, 10))
    async with through_proxy(server, mode) as (daemon, _):
        await daemon.read(4)
        daemon.store()
        backup = daemon.place
        await daemon.read(4)
        daemon.store()
        daemon.tell()
        await daemon.read(1)
        daemon.place = backup
        daemon.kill()
        with capture_logs() as logs:
            assert lines(8, 10) == await daemon.read(10)
        await daemon.finish()
    assert [4] == [log["entries"] for log in logs]
    assert 0 == blocking(server).llen(KEY)


@lists
async def test_nothing_unread_is_removed(server: Standalone, mode: str) -> None:
    """Whatever place is said to be durable, nothing goes that was not handed out."""
    push(server, mode, *lines(0, 10))
    async with through_proxy(server, mode) as (daemon, _):
        await daemon.read(4)
        for place in (f"{daemon.reader.place}000", "another:9", "", "x"):
            daemon.reader.stored(place)
        assert lines(4, 10) == await daemon.read(10)
    assert 6 == blocking(server).llen(KEY)
