"""The buffer of a stream socket is shared by unfinished lines; one can always be finished."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

from ai_suricata.source.inbox import Inbox
from ai_suricata.source.socket import stream as socket_stream
from ai_suricata.source.socket.connection import READ_BYTES, Connection
from ai_suricata.source.socket.stream import Stream
from fakes.redis_client import until
from unit.source.socket.listening import MEBIBYTE, lines_of, listen, reading

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from ai_suricata.source.socket.receiver import Socket

LONGEST = 3 * MEBIBYTE


class Sender:
    """Sends a line in as large pieces as the kernel takes."""

    def __init__(self, path: Path, line: bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.socket.connect(str(path))
        self.rest = line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, most: int = READ_BYTES) -> None:
        """Send on, as far as the kernel lets us."""
        with suppress(BlockingIOError):
            while self.rest and most > 0:
                sent = self.socket.send(self.rest[: min(most, 65536)])
                self.rest = self.rest[sent:]
                most -= sent


def held(source: Socket) -> int:
    """Return how many bytes of unfinished lines the source has in memory."""
    stream = source._intake
    assert isinstance(stream, Stream)
    return stream.held


async def test_unfinished_lines_share_the_buffer_and_all_are_finished(path: Path) -> None:
    """Eight lines of twice the buffer, sent in turns: one over the buffer at most is in memory."""
    most = 0
    async with reading(source := listen(path, max_line_bytes=LONGEST)) as found:
        with ExitStack() as stack:
            senders = [Sender(path, b"%d" % n + b"x" * (2 * MEBIBYTE) + b"\n") for n in range(8)]
            for sender in senders:
                stack.enter_context(sender)
            async with asyncio.timeout(20):
                while len(lines_of(found)) < len(senders):
                    for sender in senders:
                        sender.send()
                    await asyncio.sleep(0)
                    most = max(most, held(source))
    assert {b"%d" % n for n in range(8)} == {line[:1] for line in lines_of(found)}
    assert {2 * MEBIBYTE + 1} == {len(line) for line in lines_of(found)}
    assert MEBIBYTE < most <= MEBIBYTE + LONGEST + READ_BYTES


async def test_a_line_that_is_never_finished_does_not_stop_the_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is ended after a while, and what it had sent is handed out as its rest."""
    monkeypatch.setattr(socket_stream, "PATIENCE", 0.2)
    idle = MEBIBYTE + 1000
    async with reading(source := listen(path)) as found:
        with Sender(path, b"i" * idle) as one:
            async with asyncio.timeout(20):
                while held(source) < idle:
                    one.send()
                    await asyncio.sleep(0)
            with Sender(path, b"short\n") as other:
                other.send()
                await until(lambda: b"short" in lines_of(found))
    assert [idle, 5] == [len(line) for line in lines_of(found)]


async def test_one_connection_may_take_its_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no other waits for it, its line is finished whenever it comes."""
    given_up: list[Connection] = []
    give_up = Stream._give_up

    def noted(stream: Stream, connection: Connection) -> None:
        given_up.append(connection)
        give_up(stream, connection)

    monkeypatch.setattr(socket_stream, "PATIENCE", 0.01)
    monkeypatch.setattr(Stream, "_give_up", noted)
    async with reading(source := listen(path)) as found:
        with Sender(path, b"i" * (MEBIBYTE + 1000) + b"\n") as sender:
            async with asyncio.timeout(20):
                while held(source) < MEBIBYTE + 1000:
                    sender.send(len(sender.rest) - 1)
                    await asyncio.sleep(0)
            await until(lambda: len(given_up) >= 2)
            assert not found
            sender.send()
            await until(lambda: bool(found))
    assert [MEBIBYTE + 1000] == [len(line) for line in lines_of(found)]


def test_an_empty_inbox_takes_one_line_of_any_length() -> None:
    """With a buffer shorter than a line, long lines pass one at a time instead of never."""
    inbox = Inbox(1000)
    assert inbox.offer(b"x" * 5000)
    assert not inbox.offer(b"x")
    assert [b"x" * 5000] == inbox.take(10)
    assert inbox.offer(b"x")
    assert not inbox.offer(b"x" * 5000)


async def test_a_long_datagram_passes_a_short_buffer(path: Path) -> None:
    """Into an empty buffer, whole."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, 32, 4 * MEBIBYTE)  # SO_SNDBUFFORCE, where allowed
        source = listen(path, "datagram")
        batches = source.batches()
        sender.connect(str(path))
        sender.send(b"x" * (MEBIBYTE + 5))
        assert MEBIBYTE + 5 == len((await anext(batches)).lines[0])
        await batches.aclose()  # type: ignore[attr-defined] # it is a generator
    assert not source.losses.lines
