"""The unix socket at the end: what was sent and is not analysed is counted, wherever it waits."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from ai_suricata.source.socket import connection as socket_connection
from fakes.redis_client import until
from unit.source.socket.listening import connected, listen

if TYPE_CHECKING:
    from pathlib import Path


async def test_lines_in_the_kernel_are_counted(path: Path) -> None:
    """The sender was told that they arrived; after the end it is told that nobody reads."""
    source = listen(path, batch_size=1)
    with connected(path) as sender:
        sender.send(b"1\n")
        async for batch in source.batches():
            assert [b"1"] == batch.lines
            sender.send(b"2\n\n" + b"3\r\n" * 100 + b"half")
            source.stop()
        with pytest.raises(BrokenPipeError):
            sender.send(b"4\n")
    assert {"stopped": 102} == source.losses.lines


async def test_what_is_sent_while_the_rest_is_counted_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the kernel would take a line that nobody counts."""
    refused: list[bool] = []
    source = listen(path, batch_size=1)
    with connected(path) as sender:

        def unread(_connection: socket_connection.Connection) -> int:
            try:
                sender.send(b"late\n")
                refused.append(False)
            except BrokenPipeError:
                refused.append(True)
            return 0

        sender.send(b"1\n")
        async for _ in source.batches():
            monkeypatch.setattr(socket_connection.Connection, "_unread", unread)
            source.stop()
    assert [True] == refused


async def test_an_unfinished_line_is_counted(path: Path) -> None:
    """Its beginning is in our memory already."""
    source = listen(path, batch_size=1)
    with connected(path) as sender:
        sender.send(b"1\n2\n" + b"half")
        async for _ in source.batches():
            assert len(b"2\n" + b"half") == source.lag().bytes
            source.stop()
    assert {"stopped": 2} == source.losses.lines


async def test_connections_that_wait_to_be_accepted_are_counted(path: Path) -> None:
    """The kernel has taken their lines as well, and closed ones are among them."""
    source = listen(path, batch_size=1)
    with ExitStack() as stack:
        sender = stack.enter_context(connected(path))
        sender.send(b"1\n")
        async for _ in source.batches():
            for _ in range(3):
                stack.enter_context(connected(path)).send(b"a\nb\n")
            with connected(path) as closed:
                closed.send(b"c")
            source.stop()
    assert {"stopped": 7} == source.losses.lines


async def test_overlong_lines_are_counted(path: Path) -> None:
    """Whether they were told of in no batch, or are still in the kernel, finished or not."""
    source = listen(path, batch_size=1, max_line_bytes=1024)
    with connected(path) as sender:
        sender.send(b"1\n")
        async for _ in source.batches():
            sender.send(b"x" * 2000 + b"\n")
            await until(lambda: bool(source._inbox._rejected))
            sender.send(b"x" * 2000 + b"\n" + b"x" * 2000)
            source.stop()
    assert {"stopped": 3} == source.losses.lines


async def test_a_full_buffer_is_counted_with_what_waits_behind_it(path: Path) -> None:
    """Each line that was sent has either been handed out or is counted."""
    source = listen(path, batch_size=10)
    batches = source.batches()
    sent = 0
    with connected(path) as sender:
        sender.send(b"first\n")
        handed_out = len((await anext(batches)).lines)
        while not source._inbox.is_full or sent < 2000:
            with suppress(BlockingIOError):
                while True:
                    sender.send(b"%06d" % sent + b"." * 1000 + b"\n")
                    sent += 1
            if source._inbox.is_full:
                break
            handed_out += len((await anext(batches)).lines)
        await batches.aclose()  # type: ignore[attr-defined] # it is a generator
    assert sent + 1 == handed_out + source.losses.lines["stopped"]


async def test_datagrams_in_the_kernel_are_counted(path: Path) -> None:
    """As many as its queue holds."""
    source = listen(path, "datagram", batch_size=1)
    with connected(path, "datagram") as sender:
        sender.send(b"1")
        async for _ in source.batches():
            for datagram in (b"2\n", b"3\n4\n", b"", b"5"):
                sender.send(datagram)
            source.stop()
    assert {"stopped": 4} == source.losses.lines


async def test_counting_at_the_end_is_bounded(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that has no end, and more of it than is read: it is one line, and the rest is told."""
    monkeypatch.setattr(socket_connection, "READ_BYTES", 1000)
    monkeypatch.setattr(socket_connection, "MOST_REST", 5000)
    source = listen(path, batch_size=1)
    with connected(path) as sender:
        sender.send(b"1\n")
        async for _ in source.batches():
            sender.send(b"x" * 20_000)
            source.stop()
    assert {"stopped": 1} == source.losses.lines
    assert "bytes=15000" in capsys.readouterr().out


def test_the_end_of_a_source_that_never_began(path: Path) -> None:
    """It had a socket to which lines were sent all the same; a second end changes nothing."""
    source = listen(path)
    with connected(path) as sender:
        sender.send(b"1\n2\n")
        source.close()
        source.close()
    assert {"stopped": 2} == source.losses.lines
