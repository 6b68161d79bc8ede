"""The daemon's end of the control socket, over a real socket, with an operator behind it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ai_suricata.control import listener, server
from ai_suricata.control.order import Block, Lift, Order, Pause, Status
from ai_suricata.control.protocol import MOST_ORDER, encode_order
from ai_suricata.control.server import MOST_CONNECTIONS, ControlServer
from ai_suricata.core.decision import Table
from ai_suricata.core.errors import ConfigError
from fakes.control import OperatedPath, as_nobody, open_folder
from fakes.privilege import need_root
from fakes.response import ATTACKER, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LIMIT = 10.0
"""Seconds that any answer may take."""


@pytest.fixture
def path(tmp_path: Path) -> OperatedPath:
    """Return a response path with an operator."""
    return OperatedPath(tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return where the socket is."""
    return tmp_path / "control.sock"


@asynccontextmanager
async def serving(path: OperatedPath, **limits: float) -> AsyncIterator[ControlServer]:
    """Run the operator behind a socket."""
    place = path.folder / "control.sock"
    async with path.running() as operator, ControlServer(operator, place, **limits) as served:
        yield served


async def put(streams: Streams, line: bytes) -> dict[str, Any]:
    """Send a line; return the answer."""
    reader, writer = streams
    writer.write(line)
    async with asyncio.timeout(LIMIT):
        return answer(await reader.readline())


def answer(line: bytes) -> dict[str, Any]:
    """Return a reply as JSON types."""
    reply: dict[str, Any] = msgspec.json.decode(line)
    return reply


async def ask(place: Path, order: Order) -> dict[str, Any]:
    """Send one order on a connection of its own."""
    streams = await asyncio.open_unix_connection(place)
    try:
        return await put(streams, encode_order(order))
    finally:
        streams[1].close()


async def test_orders_are_answered_one_after_the_other(path: OperatedPath, place: Path) -> None:
    """Several on one connection."""
    async with serving(path):
        streams = await asyncio.open_unix_connection(place)
        blocked = await put(streams, encode_order(Block(ATTACKER, Table.BLOCK, 60.0)))
        standing = await put(streams, encode_order(Status()))
        streams[1].close()

    assert [ATTACKER] == [e["decision"]["target"] for e in blocked["result"]["entries"]]
    assert {"enforced": 1} == standing["result"]["tables"]["block"]


@pytest.mark.parametrize(
    ("order", "failure", "text"),
    [
        (Lift(ATTACKER), "refused", "in neither table"),
        (Lift("nobody"), "invalid", "neither an address nor a network"),
        (Block("127.0.0.1", Table.BLOCK, 60.0, force=True), "refused", "not even with --force"),
        (Block(ATTACKER, Table.BLOCK, 1.0), "invalid", "from 10 s"),
    ],
)
async def test_what_is_not_carried_out_is_answered_in_words(
    path: OperatedPath, place: Path, order: Order, failure: str, text: str
) -> None:
    """With the kind of failure, for exit codes."""
    async with serving(path):
        problem = (await ask(place, order))["problem"]

    assert failure == problem["failure"]
    assert text in problem["text"]


async def test_a_disk_that_fails_is_answered(path: OperatedPath, place: Path) -> None:
    """In its words."""
    async with serving(path):
        path.disk.full = True
        problem = (await ask(place, Block(ATTACKER, Table.BLOCK, 60.0)))["problem"]
        path.disk.full = False

    assert {"failure": "failed", "text": "the disk is full; make room"} == problem


async def test_an_error_of_the_program_ends_nothing(
    path: OperatedPath, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next order is carried out."""

    async def broken(_self: object, _reason: str) -> None:
        raise ZeroDivisionError

    async with serving(path):
        with monkeypatch.context() as patch:
            patch.setattr(type(path.operator), "pause", broken)
            problem = (await ask(place, Pause()))["problem"]
        assert {"failure": "failed", "text": "the daemon failed; its log says how"} == problem
        assert "result" in await ask(place, Pause())


@pytest.mark.parametrize(
    "line",
    [b"\n", b"hello\n", b"\xff\xfe\n", b"{}\n", b"[" * 5000 + b"\n", b'{"version": 7}\n'],
)
async def test_what_is_no_order_is_answered_and_the_next_is_heard(
    path: OperatedPath, place: Path, line: bytes
) -> None:
    """On the same connection."""
    async with serving(path):
        streams = await asyncio.open_unix_connection(place)
        assert "invalid" == (await put(streams, line))["problem"]["failure"]
        assert "result" in await put(streams, encode_order(Status()))
        streams[1].close()


async def test_an_endless_line_is_cut_off(path: OperatedPath, place: Path) -> None:
    """With its bound in words; others are served."""
    async with serving(path):
        reader, writer = await asyncio.open_unix_connection(place)
        writer.write(b"x" * (MOST_ORDER + 1))
        async with asyncio.timeout(LIMIT):
            reply = answer(await reader.readline())
            assert b"" == await reader.read()
        writer.close()
        assert "16384 bytes at most" in reply["problem"]["text"]
        assert "result" in await ask(place, Status())


async def test_who_says_nothing_is_let_go(path: OperatedPath, place: Path) -> None:
    """Half an order is nothing, either."""
    async with serving(path, idle=0.1):
        reader, writer = await asyncio.open_unix_connection(place)
        writer.write(encode_order(Status())[:10])
        async with asyncio.timeout(LIMIT):
            assert b"" == await reader.read()
        writer.close()


async def test_who_does_not_read_is_let_go(path: OperatedPath, place: Path) -> None:
    """His answers don't pile up."""
    async with serving(path, idle=0.1) as served:
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(str(place))
        peer.setblocking(False)  # noqa: FBT003 - the standard library takes no keyword
        sent = 0
        # When neither side takes anything any more, or the daemon has had enough.
        with contextlib.suppress(OSError):
            while sent < 1_000_000_000:
                sent += peer.send(encode_order(Status()) * 20)
                await asyncio.sleep(0)
        assert 0 < sent < 1_000_000_000
        await until(lambda: not served._connections)
        peer.close()


async def test_there_is_room_for_eight(path: OperatedPath, place: Path) -> None:
    """The ninth is told so; when one has gone, the next is served."""
    async with serving(path):
        open_ones = [await asyncio.open_unix_connection(place) for _ in range(MOST_CONNECTIONS)]
        for streams in open_ones:
            assert "result" in await put(streams, encode_order(Status()))
        assert "busy" == (await ask(place, Status()))["problem"]["failure"]

        open_ones.pop()[1].close()
        await until_served(place)
        for _, writer in open_ones:
            writer.close()


async def until_served(place: Path) -> None:
    """Wait until an order is carried out."""
    async with asyncio.timeout(LIMIT):
        while "result" not in await ask(place, Status()):
            await asyncio.sleep(0.01)


async def test_an_order_that_takes_long_goes_on(path: OperatedPath, place: Path) -> None:
    """The answer says so in time; half of an order would be worse than none."""
    async with serving(path, longest=0.1):
        path.disk.writing = asyncio.Event()
        problem = (await ask(place, Block(ATTACKER, Table.BLOCK, 60.0)))["problem"]
        assert "busy" == problem["failure"]
        assert "it goes on" in problem["text"]

        path.disk.writing.set()
        await until(lambda: path.ledger.enforced(Table.BLOCK))


async def test_a_peer_that_goes_away_does_not_stop_its_order(
    path: OperatedPath, place: Path
) -> None:
    """It was said."""
    async with serving(path):
        path.disk.writing = asyncio.Event()
        _, writer = await asyncio.open_unix_connection(place)
        writer.write(encode_order(Block(ATTACKER, Table.BLOCK, 60.0)))
        await writer.drain()
        writer.close()
        path.disk.writing.set()
        await until(lambda: path.ledger.enforced(Table.BLOCK))


async def test_the_end_waits_for_orders_for_a_bounded_time(
    path: OperatedPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that never ends is given up."""
    monkeypatch.setattr(server, "PARTING", 0.1)
    async with path.running() as operator:
        place = path.folder / "control.sock"
        async with ControlServer(operator, place):
            path.disk.writing = asyncio.Event()
            _, writer = await asyncio.open_unix_connection(place)
            writer.write(encode_order(Block(ATTACKER, Table.BLOCK, 60.0)))
            await writer.drain()
            await until(operator._ordering.locked)
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - before < 5
        writer.close()
        path.disk.writing.set()
    assert not place.exists()


# -- the file -------------------------------------------------------------------------------------


async def test_the_socket_is_for_its_owner_alone_from_the_first_instant(
    path: OperatedPath, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the umask says; before it listens, its mode is right."""
    modes: list[int] = []
    listen = socket.socket.listen

    def spy(self: socket.socket, backlog: int) -> None:
        modes.append(stat.S_IMODE(place.stat().st_mode))
        listen(self, backlog)

    monkeypatch.setattr(socket.socket, "listen", spy)
    before = os.umask(0)
    try:
        async with serving(path):
            modes.append(stat.S_IMODE(place.stat().st_mode))
    finally:
        os.umask(before)

    assert {0o600} == set(modes)
    assert 2 <= len(modes)
    assert not place.exists()


async def test_another_user_is_not_heard() -> None:
    """Even where the file's mode has let him in: the kernel says who he is."""
    need_root("for another user")
    with open_folder() as folder:
        path = OperatedPath(folder)
        async with serving(path):
            (folder / "control.sock").chmod(0o666)
            line = await asyncio.to_thread(as_nobody, lambda: said(folder, encode_order(Pause())))
            problem = answer(line)["problem"]

    assert "refused" == problem["failure"]
    assert "own user and root alone" in problem["text"]
    assert not path.responder.paused


def said(folder: Path, line: bytes) -> bytes:
    """Send a line; return the answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT)
        connection.connect(str(folder / "control.sock"))
        with contextlib.suppress(BrokenPipeError):  # turned away before it was said
            connection.sendall(line)
        return connection.recv(65536)


def test_the_kernel_says_who_the_peer_is() -> None:
    """Its user, not its process or group."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert os.geteuid() == listener.peer_uid(one)


async def test_the_socket_of_a_killed_daemon_is_replaced(path: OperatedPath, place: Path) -> None:
    """Nobody holds it any more."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
        left.listen()
    assert place.exists()
    async with serving(path):
        assert "result" in await ask(place, Status())


async def test_a_living_daemon_keeps_its_socket(path: OperatedPath, place: Path) -> None:
    """The second one names it, and the first one is heard as before."""
    async with serving(path):
        with pytest.raises(ConfigError, match="CONTROL_SOCKET: another daemon listens on"):
            await ControlServer(path.operator, place).__aenter__()
        assert "result" in await ask(place, Status())


async def test_what_somebody_else_has_put_there_stays(path: OperatedPath, place: Path) -> None:
    """A file at the start, and another socket at the end."""
    place.write_text("notes")
    with pytest.raises(ConfigError, match="is there and no socket"):
        await ControlServer(path.operator, place).__aenter__()
    assert "notes" == place.read_text()
    place.unlink()

    async with serving(path):
        place.unlink()
        place.write_text("notes")
    assert "notes" == place.read_text()


async def test_a_folder_that_is_missing_is_named(path: OperatedPath, tmp_path: Path) -> None:
    """With the remedy."""
    with pytest.raises(ConfigError, match=f"there is no folder {tmp_path / 'run'}; make it"):
        await ControlServer(path.operator, tmp_path / "run" / "control.sock").__aenter__()


async def test_a_connection_that_is_open_at_the_end_is_no_error(
    path: OperatedPath, place: Path
) -> None:
    """Of a handler that ends as cancelled, the library would log a traceback."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    async with serving(path):
        reader, writer = await asyncio.open_unix_connection(place)
        await put((reader, writer), encode_order(Status()))

    async with asyncio.timeout(LIMIT):
        assert b"" == await reader.read()
    writer.close()
    assert [] == told
