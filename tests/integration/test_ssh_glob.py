"""SshTail with globs that match more files than are read at once, against a real sshd."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ai_suricata.source.ssh import chain as ssh_chain
from ai_suricata.source.ssh import roster as ssh_roster
from ai_suricata.source.ssh import tail as ssh_tail
from ai_suricata.source.ssh.session import RemoteFile
from fakes.ssh_reader import Reader
from fakes.sshd import SftpStandIn, running_sftp
from unit.source.following import append, lines, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

MOST = 3
START = 1_790_000_000
DAY = 86_400


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SftpStandIn]:
    """Return a host that serves files."""
    with running_sftp(tmp_path / "host") as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for dated files."""
    path = tmp_path / "suricata"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look sooner than on a real line, and read fewer files at once."""
    monkeypatch.setattr(ssh_chain, "LOOK_INTERVAL", 0.05)
    monkeypatch.setattr(ssh_tail, "GLOB_INTERVAL", 0.05)
    monkeypatch.setattr(ssh_tail, "MOST_PATHS", MOST)
    monkeypatch.setattr(ssh_roster, "MOST_PATHS", MOST)


def write(folder: Path, number: int, *, day: int | None = None) -> Path:
    """Write a line to the file of a day, with that day, or another, as its last change."""
    path = folder / f"eve-day{number:03d}.json"
    written = START + DAY * (number if day is None else day)
    with path.open("ab") as file:
        file.write(text(lines(number, number + 1)))
        file.flush()
        os.utime(file.fileno(), (written, written))
    return path


def has_line(reader: Reader, number: int) -> bool:
    """Say whether the line of that number has arrived."""
    return lines(number, number + 1)[0] in reader.lines


def all_looked_at(reader: Reader) -> bool:
    """Say whether as many files as may be are read, and each has been looked at."""
    chains = list(reader.tail._chains.values())
    return len(chains) == MOST and all(chain.position for chain in chains)


async def test_of_many_dated_files_the_newest_are_read(host: SftpStandIn, folder: Path) -> None:
    """Not the first by their names; that of the next day too, and old ones are let go for it."""
    for day in range(5):
        write(folder, day)
    async with Reader(host.settings(), folder / "eve-*.json") as reader:
        await reader.until(lambda: len(reader.lines) >= MOST)
        assert set(lines(2, 5)) == set(reader.lines)
        for day in range(5, 9):
            write(folder, day)
            await reader.until(partial(has_line, reader, day))
        assert set(lines(2, 9)) == set(reader.lines)
        await reader.until(lambda: reader.tail.lag().files == MOST)
        assert reader.tail.waiting_for is None


async def test_files_that_were_read_are_no_want(host: SftpStandIn, folder: Path) -> None:
    """Though they are of the last day and more than are read at once: each had its turn."""
    async with Reader(host.settings(), folder / "eve-*.json") as reader:
        for number in range(2 * MOST):
            write(folder, number, day=20)
            await reader.until(partial(has_line, reader, number))
        await reader.until(lambda: reader.tail.lag().files == MOST)
        assert reader.tail.waiting_for is None


async def test_handles_of_old_files_are_given_back(
    host: SftpStandIn, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are few on the firewall."""
    closed: list[RemoteFile] = []
    close = RemoteFile.close

    async def noted(file: RemoteFile) -> None:
        closed.append(file)
        await close(file)

    for day in range(MOST):
        write(folder, day)
    async with Reader(host.settings(), folder / "eve-*.json") as reader:
        await reader.until(lambda: len(reader.lines) == MOST)
        oldest = reader.tail._chains[str(folder / "eve-day000.json")].logs[0]._blocks.file
        monkeypatch.setattr(RemoteFile, "close", noted)
        write(folder, 7)
        await reader.until(lambda: oldest in closed)


async def test_an_old_file_that_is_written_to_is_read_on(host: SftpStandIn, folder: Path) -> None:
    """From its place, which was kept; after a restart as well."""
    for day in range(MOST):
        write(folder, day)
    async with Reader(host.settings(), folder / "eve-*.json") as reader:
        await reader.until(lambda: len(reader.lines) == MOST)
        write(folder, 7)
        await reader.until(lambda: len(reader.lines) == MOST + 1)
        await reader.until(lambda: str(folder / "eve-day000.json") not in reader.tail._chains)
        write(folder, 0, day=8)
        await reader.until(lambda: len(reader.lines) > MOST + 1)
        assert lines(0, 1) == reader.lines[MOST + 1 :]
        await reader.until(lambda: str(folder / "eve-day001.json") not in reader.tail._chains)
        position = reader.tail.position
    assert 5 == len(position)
    write(folder, 1, day=9)
    async with Reader(host.settings(), folder / "eve-*.json", position=position) as reader:
        await reader.has(*lines(1, 2))
        assert {} == dict(reader.tail.losses.occasions)


async def test_a_file_that_is_not_read_to_its_end_stays(host: SftpStandIn, folder: Path) -> None:
    """However new the others are; they have their turn after it."""
    for day in range(MOST):
        write(folder, day)
    tail = Reader(host.settings(), folder / "eve-*.json").tail
    await tail._session.open()
    await tail._poll(0.0)
    write(folder, 7)
    old = {str(folder / f"eve-day{day:03d}.json") for day in range(MOST)}
    for now in (10.0, 20.0, 30.0):
        await tail._poll(now)
        assert old == tail._chains.keys()
    batch = tail._batch()
    assert batch is not None
    assert set(lines(0, MOST)) == set(batch.lines)
    await tail._poll(40.0)
    assert str(folder / "eve-day007.json") in tail._chains
    assert MOST == len(tail._chains)
    tail._disconnect()


async def test_more_files_that_grow_than_are_read_are_told(host: SftpStandIn, folder: Path) -> None:
    """Those of the last day that nobody has read are a want, told once in the log."""
    for number in range(6):
        write(folder, number, day=20)
    write(folder, 6, day=18)
    with capture_logs() as logs:
        async with Reader(host.settings(), folder / "eve-*.json", start="end") as reader:
            await reader.until(lambda: reader.tail.waiting_for != "connecting to the firewall")
            assert (
                "3 files on the firewall that EVE_PATH matches and that were changed within a day "
                "are not read: at most 3 are at once; let it match fewer"
            ) == reader.tail.waiting_for
            for path in sorted(folder.iterdir())[:3]:
                path.unlink()
            await reader.until(lambda: reader.tail.waiting_for is None)
    assert 1 == sum("too many files match" in log["event"] for log in logs)


async def test_what_was_there_at_a_first_start_is_old(host: SftpStandIn, folder: Path) -> None:
    """Of the files that are read then: the next line is the first."""
    for day in range(MOST + 1):
        write(folder, day)
    async with Reader(host.settings(), folder / "eve-*.json", start="end") as reader:
        await reader.until(partial(all_looked_at, reader))
        append(folder / f"eve-day{MOST:03d}.json", b"new\n")
        await reader.has(b"new")


async def test_no_line_is_lost_of_a_file_whose_turn_comes_after_a_first_start(
    host: SftpStandIn, folder: Path
) -> None:
    """It comes with a line that nobody has looked at: better an old line than a lost one."""
    for day in range(MOST + 1):
        write(folder, day)
    async with Reader(host.settings(), folder / "eve-*.json", start="end") as reader:
        await reader.until(partial(all_looked_at, reader))
        late = folder / "eve-day000.json"
        append(late, b"the line that moved it\n")
        os.utime(late, (START + 8 * DAY, START + 8 * DAY))
        await reader.has(lines(0, 1)[0], b"the line that moved it")
        append(late, b"new\n")
        await reader.has(lines(0, 1)[0], b"the line that moved it", b"new")
