"""What every source does alike, whether it follows a file, is connected to, or asks Redis."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from ai_suricata.config.source import SourceSettings
from ai_suricata.source.base import Losses
from ai_suricata.source.file.tail import Tail
from ai_suricata.source.redis.input import RedisInput
from ai_suricata.source.socket.receiver import Socket
from fakes.redis_client import until
from fakes.redis_servers import valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from redis import Redis

    from ai_suricata.core.position import Position
    from ai_suricata.source.base import Batch, Source
    from fakes.redis_servers import Standalone

KEY = "suricata"
AT_MOST = 20.0
"""Seconds until what is awaited has come about; more than a busy machine takes."""


class Writer(Protocol):
    """One way for lines to arrive."""

    keeps: bool
    """Whether what was not stored is there again after a restart."""

    def source(self, position: Position | None = None, **changes: object) -> Source:
        """Return a source that reads it; `changes` are fields of SourceSettings."""
        ...

    def write(self, lines: Sequence[bytes]) -> None:
        """Send whole lines, as Suricata does; waits where the source lets its sender wait."""
        ...

    async def ready(self) -> None:
        """Wait until what is written reaches the source."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


def settings_for(**changes: object) -> SourceSettings:
    """Return settings that read all there is, quickly."""
    values: dict[str, Any] = {"start": "beginning", "poll_interval": 0.01, **changes}
    return SourceSettings(**values)


class FileWriter:
    """Appends to eve.json."""

    keeps = True

    def __init__(self, folder: Path) -> None:
        self._path = folder / "eve.json"
        self._path.touch()

    def source(self, position: Position | None = None, **changes: object) -> Source:
        """Return a Tail."""
        return Tail(settings_for(paths=(str(self._path),), **changes), position)

    def write(self, lines: Sequence[bytes]) -> None:
        """Append."""
        with self._path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    async def ready(self) -> None:
        """At any time."""

    def close(self) -> None:
        """Nothing is held."""


class SocketWriter:
    """Connects to our unix socket."""

    keeps = False

    def __init__(self, folder: Path, kind: str) -> None:
        self._path = folder / "eve.sock"
        self._kind = kind
        self._socket: socket.socket | None = None

    def source(self, position: Position | None = None, **changes: object) -> Source:
        """Return a listener; there is one at a time, and no position."""
        del position
        self.close()
        return Socket(settings_for(socket_path=self._path, socket_type=self._kind, **changes))

    def write(self, lines: Sequence[bytes]) -> None:
        """Send each line by itself, with its line end."""
        if self._socket is None:
            kind = socket.SOCK_STREAM if self._kind == "stream" else socket.SOCK_DGRAM
            self._socket = socket.socket(socket.AF_UNIX, kind)
            self._socket.connect(str(self._path))
        for line in lines:
            self._socket.send(line + b"\n")

    async def ready(self) -> None:
        """At any time: the kernel keeps what is sent."""

    def close(self) -> None:
        """Disconnect."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class RedisWriter:
    """Sends to a real Redis."""

    def __init__(self, server: Standalone, mode: str) -> None:
        self._server = server
        self._mode = mode
        self.keeps = mode != "channel"
        self._client: Redis = server.processes[0].client()
        self._client.flushall()

    def source(self, position: Position | None = None, **changes: object) -> Source:
        """Return an input of the mode, when the one before it listens no more.

        Else `ready` would see that one: Redis notices a while later that it has gone.
        """
        until_gone = time.monotonic() + AT_MOST
        while self._listeners() and time.monotonic() < until_gone:
            time.sleep(0.01)
        settings = settings_for(redis_mode=self._mode, redis_key=KEY, **changes)
        return RedisInput(settings, self._server.settings(), position, "one")

    def write(self, lines: Sequence[bytes]) -> None:
        """Send each line by itself, as Suricata does."""
        for line in lines:
            if self._mode == "list":
                self._client.lpush(KEY, line)
            elif self._mode == "rpush":
                self._client.rpush(KEY, line)
            elif self._mode == "stream":
                self._client.xadd(KEY, {"eve": line})
            else:
                self._client.publish(KEY, line)

    async def ready(self) -> None:
        """Wait until it listens."""
        if self._mode == "channel":
            await until(lambda: self._listeners() > 0)

    def _listeners(self) -> int:
        return int(self._client.pubsub_numsub(KEY)[0][1])

    def close(self) -> None:
        """Let the server go on."""


@pytest.fixture(scope="module")
def server() -> Iterator[Standalone]:
    """Yield a Redis for all tests."""
    with valkey() as running:
        yield running


@pytest.fixture(params=["file", "stream_socket", "datagram", "list", "rpush", "stream", "channel"])
def writer(request: pytest.FixtureRequest) -> Iterator[Writer]:
    """Yield each way in turn."""
    kind = request.param
    # Not pytest's folder: the path of a unix socket has room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="source-") as folder:
        made: Writer
        if kind == "file":
            made = FileWriter(Path(folder))
        elif kind in {"stream_socket", "datagram"}:
            made = SocketWriter(Path(folder), kind.partition("_")[0])
        else:
            made = RedisWriter(request.getfixturevalue("server"), kind)
        yield made
        made.close()


class Reading:
    """A source that is being read, and what it has handed out."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.batches: list[Batch] = []
        self.ended = asyncio.Event()

    @property
    def lines(self) -> list[bytes]:
        """Return all lines so far."""
        return [line for batch in self.batches for line in batch.lines]

    @property
    def rejected(self) -> int:
        """Return how many lines were rejected so far."""
        return sum(sum(batch.rejected.values()) for batch in self.batches)

    async def run(self) -> None:
        """Read until the source ends."""
        async for batch in self.source.batches():
            self.batches.append(batch)
        self.ended.set()

    async def have(self, count: int) -> None:
        """Wait until so many lines were handed out."""
        await until(lambda: len(self.lines) >= count, AT_MOST)


@asynccontextmanager
async def reading(source: Source, writer: Writer) -> AsyncIterator[Reading]:
    """Read beside the test, until its end."""
    read = Reading(source)
    task = asyncio.create_task(read.run())
    try:
        await writer.ready()
        yield read
    finally:
        source.stop()
        async with asyncio.timeout(AT_MOST):
            await task


def lines(first: int, last: int) -> list[bytes]:
    """Return numbered lines."""
    return [b'{"n":%d}' % number for number in range(first, last)]


async def test_each_line_comes_once_and_in_order(writer: Writer) -> None:
    """What is written while it reads is handed out in batches of the given size at most."""
    async with reading(writer.source(batch_size=7), writer) as read:
        await asyncio.to_thread(writer.write, lines(0, 10))
        await read.have(10)
        await asyncio.to_thread(writer.write, lines(10, 100))
        await read.have(100)
    assert lines(0, 100) == read.lines
    assert max(len(batch.lines) for batch in read.batches) <= 7
    assert Losses() == read.source.losses


async def test_any_bytes_pass(writer: Writer) -> None:
    """NUL bytes and invalid UTF-8 are the parser's business; empty lines are nobody's."""
    odd = [b"\x00\xff\xfe\x00", b"\r:\r.", b"*1\r$4", b" "]
    async with reading(writer.source(), writer) as read:
        await asyncio.to_thread(
            writer.write, [b"", odd[0], b"", odd[1], odd[2] + b"\r", odd[3], b""]
        )
        await read.have(4)
    assert odd == read.lines


async def test_overlong_line_is_rejected_and_the_others_pass(writer: Writer) -> None:
    """It is counted and shown by its beginning; a line of the greatest length passes."""
    fits, short = b"f" * 2000, b"short"
    async with reading(writer.source(max_line_bytes=2000), writer) as read:
        await asyncio.to_thread(writer.write, [short, b"x" * 2001, fits, b"y" * 9000, short])
        await read.have(3)
        await until(lambda: read.rejected == 2, AT_MOST)
    assert [short, fits, short] == read.lines
    samples = [sample for batch in read.batches for sample in batch.samples]
    assert [("too_long", b"x" * 1024), ("too_long", b"y" * 1024)] == samples


async def test_stop_ends_the_wait_at_once(writer: Writer) -> None:
    """A quiet source ends in far less time than its longest wait takes."""
    async with reading(writer.source(poll_interval=10.0), writer) as read:
        await asyncio.to_thread(writer.write, lines(0, 1))
        await read.have(1)
        before = asyncio.get_running_loop().time()
        read.source.stop()
        async with asyncio.timeout(AT_MOST):
            await read.ended.wait()
    assert asyncio.get_running_loop().time() - before < 0.5


async def test_batch_tells_where_the_source_stands(writer: Writer) -> None:
    """The position of the source is that of the last batch; lag and want end with the last line."""
    async with reading(writer.source(batch_size=3), writer) as read:
        await asyncio.to_thread(writer.write, lines(0, 10))
        await read.have(10)
        assert read.batches[-1].position == read.source.position
        await until(lambda: read.source.lag().bytes == 0, AT_MOST)
        assert None is read.source.waiting_for
    assert writer.keeps == bool(read.source.position)


async def test_what_was_not_stored_comes_again(writer: Writer) -> None:
    """A restart begins behind the stored position, whether the source was told of it or not."""
    if not writer.keeps:
        pytest.skip("keeps nothing")
    async with reading(writer.source(batch_size=4), writer) as read:
        await asyncio.to_thread(writer.write, lines(0, 20))
        await read.have(20)
    for batch in read.batches:
        done = read.lines.index(batch.lines[-1]) + 1
        async with reading(writer.source(batch.position), writer) as again:
            await again.have(20 - done)
        assert lines(done, 20) == again.lines


async def test_what_was_stored_does_not_come_again(writer: Writer) -> None:
    """Being told of each position that is durable neither loses nor doubles a line."""
    position: Position | None = None
    found: list[bytes] = []
    for start in range(0, 60, 20):
        async with reading(writer.source(position, batch_size=6), writer) as read:
            for first in range(start, start + 20, 5):
                await asyncio.to_thread(writer.write, lines(first, first + 5))
                await read.have(first + 5 - start)
                position = read.batches[-1].position
                read.source.stored(position)
        found += read.lines
    assert lines(0, 60) == found


async def test_foreign_position_is_no_harm(writer: Writer) -> None:
    """Places of other sources, and words that mean nothing here, are passed over."""
    foreign: Position = {f"redis:{KEY}": ("nonsense", ":", "1-x:2"), "ssh://x/y": ("1:2",)}
    async with reading(writer.source(foreign), writer) as read:
        read.source.stored(foreign)
        await asyncio.to_thread(writer.write, lines(0, 5))
        await read.have(5)
        read.source.stored(foreign)
    assert lines(0, 5) == read.lines
