"""Sessions with a host that does not keep to SFTP: nothing that it sends raises something else."""

from __future__ import annotations

import asyncio
import shlex
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ai_suricata.config.firewall import FirewallSettings
from ai_suricata.core.errors import FirewallRefusedError
from ai_suricata.firewall.ssh import Link, _ends
from ai_suricata.source.ssh.session import Session, SessionLostError
from fakes.sshd import SftpStandIn, running_sftp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

VERSION = struct.pack(">IBI", 5, 2, 3)
INIT_BYTES = 9
REQUEST_BYTES = 4


@contextmanager
def saying(folder: Path, *answers: bytes, ends: bool = False) -> Iterator[SftpStandIn]:
    """Yield a host whose sftp subsystem gives these answers, one for each packet that arrives."""
    steps = []
    for number, answer in enumerate(answers):
        (folder / str(number)).write_bytes(answer)
        wanted = REQUEST_BYTES if number else INIT_BYTES
        steps += [f"head -c {wanted} >/dev/null", f"cat {shlex.quote(str(folder / str(number)))}"]
    steps += [] if ends else ["sleep 20"]
    script = folder / "subsystem"
    script.write_text("\n".join(steps))
    with running_sftp(folder / "host", subsystem=f"/bin/sh {script}") as host:
        yield host


GREETINGS = {
    "text": b"This account is not available.\r\n",
    "a packet without end": struct.pack(">I", 2**32 - 1),
    "an empty packet": struct.pack(">I", 0),
    "another type": struct.pack(">IBI", 5, 101, 3),
    "another version": struct.pack(">IBI", 5, 2, 99),
    "a broken extension": struct.pack(">IBII", 9, 2, 3, 77),
}


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS.keys())
async def test_what_is_no_sftp_is_told_with_its_remedy(tmp_path: Path, greeting: bytes) -> None:
    """Whatever it says instead."""
    with saying(tmp_path, greeting) as host:
        session = Session(host.settings(command_timeout=1.5))
        with pytest.raises(FirewallRefusedError, match="offers no SFTP"):
            await session.open()
        session.close()


@pytest.mark.parametrize("ends", [False, True])
async def test_a_subsystem_that_says_nothing_is_told_with_its_remedy(
    tmp_path: Path, *, ends: bool
) -> None:
    """Whether it ends or stays silent."""
    with saying(tmp_path, b"", ends=ends) as host:
        session = Session(host.settings(command_timeout=1.5))
        with pytest.raises(FirewallRefusedError, match="offers no SFTP"):
            await session.open()
        session.close()


ANSWERS = {
    "nothing": b"",
    "another id": struct.pack(">IBI", 5, 105, 7),
    "attributes that break off": struct.pack(">IBIIB", 10, 105, 0, 15, 1),
    "a type that was not asked for": struct.pack(">IBII", 9, 103, 0, 0),
    "a type that does not exist": struct.pack(">IBI", 5, 77, 0),
    "a status that breaks off": struct.pack(">IBI", 5, 101, 0),
    "a packet without end": struct.pack(">I", 2**32 - 1),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_that_makes_no_sense_loses_the_session(
    tmp_path: Path, answer: bytes
) -> None:
    """The source connects again; it does not end."""
    with saying(tmp_path, VERSION, answer) as host:
        session = Session(host.settings(command_timeout=1.5))
        await session.open()
        with pytest.raises(SessionLostError):
            await session.status("/var/log/suricata/eve.json")
        session.close()


async def test_a_size_that_is_a_lie_does_no_harm(tmp_path: Path) -> None:
    """Attributes may be larger than any file, or missing."""
    size = struct.pack(">IBIIQ", 17, 105, 0, 1, 2**63)
    nothing = struct.pack(">IBII", 9, 105, 1, 0)
    with saying(tmp_path, VERSION, size, nothing) as host:
        session = Session(host.settings())
        await session.open()
        assert 2**63 == (await session.status("/x")).size
        assert 0 == (await session.status("/x")).size
        session.close()


async def test_a_session_that_is_closed_is_lost() -> None:
    """A request that comes too late is not a programming error."""
    session = Session(FirewallSettings())
    session.close()
    with pytest.raises(SessionLostError, match="not open"):
        await session.status("/x")


async def test_a_subsystem_that_ends_is_noticed_at_once(tmp_path: Path) -> None:
    """Not only after the time limit."""
    with saying(tmp_path, VERSION, b"", ends=True) as host:
        session = Session(host.settings(command_timeout=30))
        await session.open()
        started = time.monotonic()
        with pytest.raises(SessionLostError):
            await session.status("/x")
        assert 15 > time.monotonic() - started
        session.close()


async def test_a_connection_that_is_lost_at_once_has_no_ends(tmp_path: Path) -> None:
    """What was known of it is gone with it; that is no error."""
    with running_sftp(tmp_path / "host") as host:
        link = Link(host.settings())
        connection = await link.connected()
        assert _ends(connection)
        link.drop(connection)
        async with asyncio.timeout(10):
            await connection.wait_closed()
        assert frozenset() == _ends(connection)


async def test_files_are_sent_compressed(tmp_path: Path) -> None:
    """Events are text: over a slow line that is several times as much. Commands are not."""
    with running_sftp(tmp_path / "host") as host:
        session, link = Session(host.settings()), Link(host.settings())
        await session.open()
        assert session._connection is not None
        assert b"zlib@openssh.com" == session._connection._cmp_alg_sc
        assert b"none" == (await link.connected())._cmp_alg_sc
        session.close()
        await link.close()
