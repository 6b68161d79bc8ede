"""Remote logs over a file in memory: what is under way, truncated, short, compressed or damaged."""

from __future__ import annotations

import gzip
from typing import cast

import pytest

from ai_suricata.source.identity import HEAD_BYTES
from ai_suricata.source.ssh.block import READ_BYTES, Blocks, TruncatedError
from ai_suricata.source.ssh.log import RemoteArchive, RemoteLog, text_head
from ai_suricata.source.ssh.session import RemoteFile, Status
from unit.source.following import lines, text


class MemoryFile:
    """A remote file whose bytes the test holds."""

    def __init__(self, content: bytes, at_most: int = READ_BYTES) -> None:
        """`at_most`: bytes that one answer holds, however many were asked for."""
        self.content = content
        self.at_most = at_most
        self.asked: list[int] = []

    async def read(self, offset: int, size: int) -> bytes:
        """Return what stands there now."""
        self.asked.append(offset)
        return self.content[offset : offset + min(size, self.at_most)]

    async def status(self) -> Status:
        """Return its length now."""
        return Status(len(self.content), 0, "file")


def remote(file: MemoryFile) -> RemoteFile:
    """Return the file as what it stands in for."""
    return cast("RemoteFile", file)


def log_of(file: MemoryFile, offset: int = 0) -> RemoteLog:
    """Return a log that begins at that offset."""
    status = Status(len(file.content), 0, "file")
    head = file.content[:HEAD_BYTES]
    return RemoteLog(remote(file), status, head, offset=offset, max_line_bytes=1 << 20)


def archive_of(content: bytes, offset: int = 0) -> RemoteArchive:
    """Return a compressed log whose text is handed out from that offset on."""
    file, status = MemoryFile(content), Status(len(content), 0, "file")
    beginning = content[: 64 * 1024]
    return RemoteArchive(remote(file), status, beginning, offset=offset, max_line_bytes=1 << 20)


async def all_of(log: RemoteLog) -> list[bytes]:
    """Return all lines of a log."""
    found: list[bytes] = []
    while True:
        await log.fill(1000, 1 << 20)
        if not log.lines.waiting:
            return found
        found += log.lines.take(1000)


async def test_several_requests_are_under_way_and_none_is_asked_twice() -> None:
    """A slow line is used; the bytes come in order."""
    content = text(lines(0, 8000))
    file = MemoryFile(content)
    blocks = Blocks(remote(file), content[:HEAD_BYTES], 0)

    first = await blocks.next(len(content), ahead=4)

    assert [1, 2, 3] == [offset // READ_BYTES for offset in file.asked if offset]
    found = first
    while block := await blocks.next(len(content), ahead=4):
        found += block
    assert content == found
    asked = [offset for offset in file.asked if offset]
    assert sorted(set(asked)) == asked


async def test_a_short_answer_leaves_no_gap() -> None:
    """A server may return fewer bytes than it was asked for."""
    content = text(lines(0, 3000))
    assert lines(0, 3000) == await all_of(log_of(MemoryFile(content, at_most=50_001)))


async def test_a_block_of_another_content_is_not_taken() -> None:
    """The head that is read behind each block says whose it is."""
    file = MemoryFile(text(lines(0, 3000)))
    log = log_of(file)
    await log.fill(1, 1)
    before = log.lines.waiting
    file.content = text(lines(5000, 9000))
    log._blocks.forget()

    with pytest.raises(TruncatedError):
        await log.fill(1_000_000, 1 << 20)

    assert lines(0, before) == log.lines.take(1_000_000)


async def test_a_file_that_is_shorter_than_read_was_truncated() -> None:
    """And one that begins otherwise, though it is as long as before."""
    file = MemoryFile(text(lines(0, 10)))
    log = log_of(file)
    await all_of(log)
    file.content = text(lines(0, 9))
    with pytest.raises(TruncatedError):
        await log.measure()
    file.content = text(lines(20, 30))
    with pytest.raises(TruncatedError):
        await log.read_head()


async def test_a_file_that_is_shorter_than_it_was_said_to_be_is_measured_again() -> None:
    """It counts as read to its end until then."""
    file = MemoryFile(text(lines(0, 50)))
    log = log_of(file)
    file.content = text(lines(0, 40))
    assert lines(0, 40) == await all_of(log)
    assert log.drained
    assert 0 == log.lag


@pytest.mark.parametrize("first", [0, 1, 999, 5000])
async def test_a_gzip_is_read_from_an_offset_of_its_text(first: int) -> None:
    """Several members and padding behind them are one text, as for gzip(1)."""
    parts = [text(lines(0, 3000)), text(lines(3000, 5000))]
    content = b"".join(map(gzip.compress, parts)) + b"\0" * 512
    log = archive_of(content, offset=len(text(lines(0, first))))
    assert lines(first, 5000) == await all_of(log)
    assert log.over
    assert not log.is_damaged
    assert len(b"".join(parts)) == log.lines.offset
    assert parts[0][:HEAD_BYTES] == log.head


async def test_a_gzip_is_not_held_whole() -> None:
    """32 MiB of one letter are 32 KiB compressed: no call makes more than a block of it."""
    log = archive_of(gzip.compress(b"a" * (32 << 20)))
    for _ in range(20):
        assert READ_BYTES >= len(await log._next(16))
        assert READ_BYTES >= len(log._compressed)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
async def test_a_gzip_that_breaks_off_is_damaged(kept: float) -> None:
    """Its lines up to there are handed out."""
    whole = gzip.compress(text(lines(0, 5000)))
    log = archive_of(whole[: int(len(whole) * kept)])
    found = await all_of(log)
    assert lines(0, len(found)) == found
    assert log.over
    assert log.is_damaged


async def test_what_is_no_gzip_is_damaged() -> None:
    """Whatever its name says; nothing is raised."""
    log = archive_of(text(lines(0, 100)))
    assert [] == await all_of(log)
    assert log.is_damaged
    assert b"" == text_head(b"\x1f\x8b\x08" + b"\xff" * 50)
