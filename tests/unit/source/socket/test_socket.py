"""The unix socket: back-pressure where the sender can wait, counted losses where it can't."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ai_suricata.core.errors import ConfigError
from ai_suricata.source.inbox import Inbox
from ai_suricata.source.socket import stream as socket_stream
from fakes.redis_client import until
from unit.source.socket.listening import KINDS, MEBIBYTE, connected, lines_of, listen, reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_suricata.source.base import Batch
    from ai_suricata.source.socket.receiver import Socket

both = pytest.mark.parametrize("kind", list(KINDS))


async def test_line_in_pieces_and_connections_apart(path: Path) -> None:
    """Lines are cut for each connection by itself, wherever its pieces end."""
    async with reading(source := listen(path)) as found:
        one, other = connected(path), connected(path)
        for sender, piece in (
            (one, b'{"a'),
            (other, b'{"b'),
            (one, b'":1}\n{"c"'),
            (other, b'":2}\n'),
        ):
            sender.send(piece)
            await until(lambda: source.lag().files == 2)
        await until(lambda: len(lines_of(found)) == 2)
        one.send(b":3}\r\n")
        await until(lambda: len(lines_of(found)) == 3)
        one.close()
        other.close()
    assert {b'{"a":1}', b'{"b":2}', b'{"c":3}'} == set(lines_of(found))


async def test_rest_of_a_connection_is_a_line(path: Path) -> None:
    """What has no line end when Suricata goes is handed out; the next connection begins anew."""
    async with reading(listen(path)) as found:
        with connected(path) as sender:
            sender.send(b'{"n":1}\n{"n":2}')
        await until(lambda: len(lines_of(found)) == 2)
        with connected(path) as sender:
            sender.send(b'{"n":3}\n')
        await until(lambda: len(lines_of(found)) == 3)
    assert [b'{"n":1}', b'{"n":2}', b'{"n":3}'] == lines_of(found)


async def test_full_buffer_lets_the_stream_wait(path: Path) -> None:
    """While nobody takes lines, memory stays bounded and the sender is stopped; none is lost."""
    source = listen(path, batch_size=10)
    batches = source.batches()
    sender = connected(path)
    sent = _send_until_stopped(sender, 0)
    found = list((await anext(batches)).lines)
    for _ in range(20):  # turns of the loop, in which it could read on without end
        await asyncio.sleep(0.01)
        sent = _send_until_stopped(sender, sent)
    assert sender_is_stopped(sender)
    assert source._inbox.weight <= MEBIBYTE + 2 * 256 * 1024
    sender.settimeout(None)
    more = asyncio.to_thread(_send_rest_and_close, sender, sent, 4000)
    task = asyncio.create_task(more)
    while len(found) < 4000:
        found += (await anext(batches)).lines
    await task
    await batches.aclose()  # type: ignore[attr-defined] # it is a generator
    assert [_line(n) for n in range(4000)] == found
    assert not source.losses.lines


def _line(number: int) -> bytes:
    return b'{"n":%06d}' % number + b" " * 988


def _send_until_stopped(sender: socket.socket, number: int) -> int:
    with suppress(BlockingIOError):
        while True:
            sender.send(_line(number) + b"\n")
            number += 1
    return number


def sender_is_stopped(sender: socket.socket) -> bool:
    """Say whether the kernel takes no more."""
    try:
        sender.send(b"", socket.MSG_DONTWAIT)
        sender.send(b"\n", socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    return False


def _send_rest_and_close(sender: socket.socket, first: int, last: int) -> None:
    assert first < last
    for number in range(first, last):
        sender.sendall(_line(number) + b"\n")
    sender.close()


async def test_datagrams_past_the_buffer_are_dropped_and_counted(path: Path) -> None:
    """The kernel's queue is emptied all the same; what fits is kept, in order, and none other."""
    source = listen(path, "datagram", batch_size=10)
    batches = source.batches()
    with connected(path, "datagram") as sender, capture_logs() as logs:
        sender.settimeout(None)
        sending = asyncio.to_thread(_send_datagrams, sender, 0, 5000)
        _, first = await asyncio.gather(sending, anext(batches))
        dropped = source.losses.lines["queue_full"]
        assert source._inbox.weight <= MEBIBYTE
        assert dropped > 3000
        kept = [*first.lines, *[line async for line in _rest(source, batches)]]
        assert 5000 == dropped + len(kept)
        assert [_line(n) for n in range(len(kept))] == kept
        await asyncio.to_thread(_send_datagrams, sender, 5000, 5001)
        assert [_line(5000)] == (await anext(batches)).lines
    await batches.aclose()  # type: ignore[attr-defined] # it is a generator
    said = [log["event"].partition(":")[0] for log in logs if log["log_level"] == "warning"]
    assert ["lines are dropped", "no more lines are dropped"] == said


def _send_datagrams(sender: socket.socket, first: int, last: int) -> None:
    for number in range(first, last):
        sender.send(_line(number) + b"\n")


async def _rest(source: Socket, batches: AsyncIterator[Batch]) -> AsyncIterator[bytes]:
    while source.lag().bytes:
        for line in (await anext(batches)).lines:
            yield line


async def test_datagram_without_a_line_end(path: Path) -> None:
    """One datagram is one line, with or without its end; several lines in one are several."""
    async with reading(listen(path, "datagram")) as found:
        with connected(path, "datagram") as sender:
            for datagram in (b"one", b"two\n", b"three\r\n", b"", b"\n", b"four\nfive"):
                sender.send(datagram)
            await until(lambda: len(lines_of(found)) == 5)
    assert [b"one", b"two", b"three", b"four", b"five"] == lines_of(found)


@pytest.mark.parametrize("excess", [1, 3, 4, 5000])
async def test_datagram_that_is_cut_is_too_long(path: Path, excess: int) -> None:
    """Wherever the memory for it ends, no part of it is taken for a line."""
    async with reading(listen(path, "datagram", max_line_bytes=2000)) as found:
        with connected(path, "datagram") as sender:
            sender.send(b"x" * (2000 + excess))
            sender.send(b"y" * 2000 + b"\r\n")
            await until(lambda: bool(lines_of(found)))
    assert [b"y" * 2000] == lines_of(found)
    assert [{"too_long": 1}] == [batch.rejected for batch in found if batch.rejected]


@both
async def test_socket_is_for_user_and_group_and_goes_at_the_end(path: Path, kind: str) -> None:
    """Its mode is 0660 whatever the umask, and no file is left behind."""
    before = os.umask(0o077)
    try:
        source = listen(path, kind)
    finally:
        os.umask(before)
    assert 0o660 == stat.S_IMODE(path.stat().st_mode)
    async with reading(source):
        pass
    assert not path.exists()


def test_socket_is_never_open_to_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even between its making and the setting of its mode."""
    monkeypatch.setattr(Path, "chmod", lambda _path, _mode: None)
    before = os.umask(0)
    try:
        source = listen(path)
    finally:
        os.umask(before)
    assert 0o660 == stat.S_IMODE(path.stat().st_mode)
    source.close()


@both
@pytest.mark.parametrize("earlier", list(KINDS))
def test_socket_of_an_earlier_run_is_taken_over(path: Path, kind: str, earlier: str) -> None:
    """A kill leaves the file behind, and nobody who listens on it."""
    with socket.socket(socket.AF_UNIX, KINDS[earlier]) as killed:
        killed.bind(str(path))
    source = listen(path, kind)
    connected(path, kind).close()
    source.close()


@both
@pytest.mark.parametrize("other", list(KINDS))
def test_socket_of_another_process_is_left_alone(path: Path, kind: str, other: str) -> None:
    """It is an error that says how to find the other one, which goes on."""
    with socket.socket(socket.AF_UNIX, KINDS[other]) as running:
        running.bind(str(path))
        if other == "stream":
            running.listen()
        with pytest.raises(ConfigError, match="another process listens"):
            listen(path, kind)
        connected(path, other).close()


def test_what_is_no_socket_is_never_deleted(path: Path) -> None:
    """A file of the operator's is left as it is."""
    path.write_text("precious")
    with pytest.raises(ConfigError, match="move it away"):
        listen(path)
    assert "precious" == path.read_text()


def test_missing_folder_and_too_long_a_path_are_told(path: Path) -> None:
    """The remedy stands in the sentence."""
    with pytest.raises(ConfigError, match=f"no folder {path}; make it"):
        listen(path / "eve.sock")
    with pytest.raises(ConfigError, match="too long; name another"):
        listen(path.with_name("x" * 120))


async def test_want_is_told_until_suricata_is_there(path: Path) -> None:
    """A stream waits for its sender; a removed socket is told, and nobody else's is removed."""
    source = listen(path)
    async with reading(source):
        assert "Suricata is not connected" in str(source.waiting_for)
        sender = connected(path)
        await until(lambda: source.waiting_for is None)
        path.unlink()
        assert "removed or replaced" in str(source.waiting_for)
        path.touch()
        sender.close()
    assert path.exists()


async def test_a_sender_that_has_gone_is_not_told_to_be_set_up(path: Path) -> None:
    """Its settings have just worked: it comes back by itself."""
    async with reading(source := listen(path)) as found:
        with connected(path) as sender:
            sender.send(b"1\n")
            await until(lambda: bool(found))
        await until(lambda: source.waiting_for is not None)
        assert (
            f"Suricata has disconnected from {path}; it comes back by itself with its next event"
        ) == source.waiting_for
        with connected(path):
            await until(lambda: source.waiting_for is None)


async def test_connections_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is ended, the others are read on."""
    monkeypatch.setattr(socket_stream, "MOST_CONNECTIONS", 2)
    async with reading(source := listen(path)) as found:
        senders = [connected(path) for _ in range(3)]
        await until(lambda: source.lag().files == 2)
        senders[2].settimeout(None)
        assert b"" == await asyncio.to_thread(senders[2].recv, 1)
        senders[1].send(b"line\n")
        await until(lambda: bool(found))
        for sender in senders:
            sender.close()
    assert [b"line"] == lines_of(found)


async def test_what_a_stop_leaves_is_counted(path: Path) -> None:
    """Lines that were received, and never asked for, are a loss that is told."""
    source = listen(path, batch_size=2)
    with connected(path) as sender:
        sender.send(b"1\n2\n3\n4\n5\n")
        async for batch in source.batches():
            assert [b"1", b"2"] == batch.lines
            assert 6 == source.lag().bytes
            source.stop()
    assert {"stopped": 3} == source.losses.lines


def test_short_lines_weigh_more_than_their_bytes() -> None:
    """A flood of empty-looking lines fills the buffer by the memory that they take."""
    inbox = Inbox(1000)
    taken = sum(inbox.offer(b"x") for _ in range(100))
    assert 15 == taken
    assert 2 * taken == inbox.bytes
