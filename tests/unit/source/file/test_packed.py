"""Rotated files that were compressed while nobody read: what they hold is read all the same."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ai_suricata.source.file import packed
from unit.source.following import GRACE, append, finished, lines, read, text, unread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ai_suricata.core.clock import ManualClock
    from ai_suricata.core.position import Position
    from ai_suricata.source.file.tail import Tail

    Follow = Callable[..., Tail]

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.fixture
def eve(tmp_path: Path) -> Path:
    """Return a file of 20 lines."""
    path = tmp_path / "eve.json"
    append(path, text(lines(0, 20)))
    return path


@pytest.fixture
def position(eve: Path, follow: Follow) -> Position:
    """Return where a tail stands that has handed out 5 lines and then was killed."""
    batch = follow(eve, start="beginning", batch_size=5).poll()
    assert batch is not None
    return batch.position


def compress(path: Path, ending: str = ".gz") -> Path:
    """Do as gzip(1), bzip2(1) and xz(1): make NAME.gz of the same time, then delete NAME."""
    packed_path = path.with_name(path.name + ending)
    packed_path.write_bytes(COMPRESS[ending](path.read_bytes()))
    shutil.copystat(path, packed_path)
    path.unlink()
    return packed_path


@pytest.mark.parametrize("ending", COMPRESS)
@pytest.mark.parametrize(
    "name", ["eve.json.1", "eve.json-20260101", "eve-20260101.json", "eve.json.2026_0101_1200"]
)
def test_rest_of_a_compressed_file(
    eve: Path, follow: Follow, position: Position, ending: str, name: str
) -> None:
    """It is known by its content and read on from the line that was next, before the new file."""
    append(eve, text(lines(20, 30)))
    compress(eve.rename(eve.with_name(name)), ending)
    append(eve, text(lines(30, 33)))
    tail = follow(eve, position=position)
    assert lines(5, 33) == read(tail)
    assert [] == read(tail)
    assert not tail.losses.occasions
    assert 1 == tail.lag().files


def test_files_that_nobody_saw(eve: Path, follow: Follow, position: Position) -> None:
    """Created, rotated and compressed while away: read whole, in the order of their writing."""
    for number in range(4):
        renamed = eve.rename(eve.with_name(f"eve.json.{9 - number}"))
        os.utime(renamed, (1_000_000 + number, 1_000_000 + number))
        if number != 2:
            compress(renamed)
        append(eve, text(lines(20 + 10 * number, 30 + 10 * number)))
    assert lines(5, 60) == read(follow(eve, position=position))


def test_killed_in_the_middle(eve: Path, follow: Follow, position: Position) -> None:
    """The position in a compressed file finds it again, also under its next name."""
    packed_path = compress(eve.rename(eve.with_name("eve.json.1")))
    append(eve, text(lines(20, 22)))
    first = follow(eve, position=position, batch_size=4)
    batch = first.poll()
    assert batch is not None
    assert lines(5, 9) == batch.lines
    packed_path.rename(eve.with_name("eve.json.2.gz"))
    assert lines(9, 22) == read(follow(eve, position=batch.position))


def test_finished_file_that_is_compressed_later(
    eve: Path, follow: Follow, clock: ManualClock
) -> None:
    """It was read to its end: neither a running tail nor a restarted one reads it again."""
    tail = follow(eve, start="beginning")
    renamed = eve.rename(eve.with_name("eve.json.1"))
    append(eve, text(lines(20, 40)))
    assert lines(0, 40) == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    assert [len(text(lines(0, 20)))] == [place.offset for place in finished(tail.position, eve)]
    compress(renamed)
    eve.rename(eve.with_name("eve.json.2"))
    append(eve, text(lines(40, 60)))
    assert lines(40, 60) == read(follow(eve, position=tail.position))
    assert lines(40, 60) == read(tail)


def test_compressed_while_it_is_read(eve: Path, follow: Follow, clock: ManualClock) -> None:
    """A file that gzip unlinks before it is finished is known by its content afterwards."""
    tail = follow(eve, start="beginning")
    renamed = eve.rename(eve.with_name("eve.json.1"))
    append(eve, text(lines(20, 40)))
    assert lines(0, 40) == read(tail)
    compress(renamed)
    clock.advance(GRACE)
    assert [] == read(tail)
    assert [] == read(follow(eve, position=tail.position))


def test_lines_that_came_after_the_end(eve: Path, follow: Follow, clock: ManualClock) -> None:
    """What was written into a finished file is read, and only that, though it is compressed."""
    tail = follow(eve, start="beginning")
    renamed = eve.rename(eve.with_name("eve.json.1"))
    append(eve, text(lines(20, 40)))
    assert lines(0, 40) == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    append(renamed, text(lines(50, 52)))
    compress(renamed)
    assert lines(50, 52) == read(follow(eve, position=tail.position))


@pytest.mark.parametrize("made", [0, 10, 60, 100])
def test_gzip_that_is_not_done(eve: Path, follow: Follow, position: Position, made: int) -> None:
    """As long as the original is there it is read: no loss, and no line twice.

    `made`: percent of the compressed bytes that have been written.
    """
    renamed = eve.rename(eve.with_name("eve.json.1"))
    unseen = eve.with_name("eve.json.2")
    append(unseen, text(lines(20, 40)))
    append(eve, text(lines(40, 60)))
    for path in (renamed, unseen):
        content = gzip.compress(path.read_bytes())
        path.with_name(path.name + ".gz").write_bytes(content[: len(content) * made // 100])
    tail = follow(eve, position=position)
    assert sorted(lines(5, 60)) == sorted(read(tail))
    assert not tail.losses.occasions


def test_half_written_under_another_name(eve: Path, follow: Follow, position: Position) -> None:
    """Compressed bytes in a file whose name does not say so are no lines."""
    eve.with_name("eve.json.1.part").write_bytes(gzip.compress(b"no line\n"))
    assert lines(5, 20) == read(follow(eve, position=position))


def damaged(content: bytes) -> bytes:
    """Return compressed content with a wrong checksum."""
    return content[:-8] + b"\xff" * 4 + content[-4:]


@pytest.mark.parametrize(
    ("harm", "fault"), [(lambda packed: packed[:-30], "cut off"), (damaged, "damaged")]
)
def test_damaged_file(  # noqa: PLR0917 - fixtures and parameters
    eve: Path,
    follow: Follow,
    clock: ManualClock,
    position: Position,
    harm: Callable[[bytes], bytes],
    fault: str,
) -> None:
    """What can be read of it is read; that its rest is lost is told once, with the place."""
    append(eve, b"".join(os.urandom(60).hex().encode() + b"\n" for _ in range(200)))
    whole = eve.read_bytes().splitlines()
    packed_path = compress(eve.rename(eve.with_name("eve.json.1")))
    packed_path.write_bytes(harm(packed_path.read_bytes()))
    append(eve, text(lines(90, 91)))
    with capture_logs() as logs:
        tail = follow(eve, position=position)
        seen = read(tail)
        clock.advance(GRACE)
        seen += read(tail)
        clock.advance(GRACE)
        assert [] == read(tail)
    assert lines(90, 91)[0] in seen
    rescued = [line for line in seen if line in whole]
    assert whole[5 : 5 + len(rescued)] == rescued
    assert len(rescued) > 150
    assert {"compressed": 1} == tail.losses.occasions
    assert fault in next(entry["fault"] for entry in logs if "fault" in entry)
    assert not follow(eve, position=tail.position).losses.occasions


def test_cut_off_file_that_grows(eve: Path, follow: Follow, position: Position) -> None:
    """A compressed file that is copied in from elsewhere is read on as it comes."""
    renamed = eve.rename(eve.with_name("eve.json.1"))
    content = gzip.compress(renamed.read_bytes(), compresslevel=0)
    renamed.unlink()
    copy = eve.with_name("eve.json.1.gz")
    copy.write_bytes(content[:1500])
    append(eve, text(lines(20, 21)))
    tail = follow(eve, position=position)
    seen = read(tail)
    append(copy, content[1500:])
    seen += read(tail)
    assert sorted(lines(5, 21)) == sorted(seen)
    assert not tail.losses.occasions


@pytest.mark.parametrize("ending", [".zst", ".lz4", ".zip"])
def test_format_that_cannot_be_read(
    eve: Path, follow: Follow, position: Position, ending: str
) -> None:
    """A file that was rotated and compressed unseen is a loss, told once for all rotations."""
    unseen = eve.with_name(f"eve.json.1{ending}")
    unseen.write_bytes(b"\x28\xb5\x2f\xfd")
    os.utime(unseen, (2 * 10**9, 2 * 10**9))
    tail = follow(eve, position=position)
    assert lines(5, 20) == read(tail)
    eve.rename(eve.with_name("eve.json.2"))
    append(eve, text(lines(20, 21)))
    assert lines(20, 21) == read(tail)
    assert {"compressed": 1} == tail.losses.occasions


def test_several_streams_in_one_file(eve: Path, follow: Follow, position: Position) -> None:
    """One behind the other, and zeros behind the end: read as gzip(1) reads them."""
    renamed = eve.rename(eve.with_name("eve.json.1"))
    content = renamed.read_bytes()
    renamed.unlink()
    streams = gzip.compress(content[:1500]) + gzip.compress(content[1500:]) + b"\0" * 64
    eve.with_name("eve.json.1.gz").write_bytes(streams)
    append(eve, text(lines(20, 21)))
    tail = follow(eve, position=position)
    assert lines(5, 21) == read(tail)
    assert not tail.losses.occasions


def test_unpacking_takes_turns(
    eve: Path, follow: Follow, position: Position, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the stored place a large file is unpacked in parts, so that the loop is not held up."""
    append(eve, text(lines(20, 400)))
    tail = follow(eve, position=position)
    assert lines(5, 390) == [line for batch in [tail.poll()] if batch for line in batch.lines][:385]
    stored = tail.position
    compress(eve.rename(eve.with_name("eve.json.1")))
    append(eve, text(lines(400, 401)))
    monkeypatch.setattr(packed, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(packed.PackedFile, "turn_bytes", 1000)
    again = follow(eve, position=stored)
    turns, seen = 0, []
    while again.is_busy or (batch := again.poll()) is not None:
        if again.is_busy:
            turns += 1
            batch = again.poll()
        seen += batch.lines if batch is not None else []
    assert lines(400, 401) == seen
    assert turns > 20
    assert [] == [
        place for place in unread(again.position, eve) if place.inode != eve.stat().st_ino
    ]


def test_inode_of_an_empty_file_goes_to_a_compressed_one(
    eve: Path, follow: Follow, position: Position
) -> None:
    """Of an empty file only the inode is known: it does not claim what is known by its content."""
    first = follow(eve, position=position)
    assert lines(5, 20) == read(first)
    renamed = eve.rename(eve.with_name("eve.json.1"))
    eve.touch()
    assert [] == read(first)
    content = renamed.read_bytes()
    renamed.unlink()
    eve.rename(eve.with_name("eve.json.1.gz")).write_bytes(gzip.compress(content))
    append(eve, text(lines(20, 21)))
    assert lines(20, 21) == read(follow(eve, position=first.position))


def test_mark_of_a_file_goes_by_its_content(eve: Path, follow: Follow, clock: ManualClock) -> None:
    """A new file with the inode of a finished one does not make that one forgotten."""
    tail = follow(eve, start="beginning")
    renamed = eve.rename(eve.with_name("eve.json.1"))
    append(eve, text(lines(20, 40)))
    assert lines(0, 40) == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    eve.rename(eve.with_name("eve.json.2"))
    eve.with_name("eve.json.1.gz").write_bytes(gzip.compress(renamed.read_bytes()))
    renamed.write_bytes(text(lines(40, 60)))
    renamed.rename(eve)
    assert lines(40, 60) == read(tail)
    eve.rename(eve.with_name("eve.json.3"))
    append(eve, text(lines(60, 80)))
    assert lines(60, 80) == read(tail)
    assert [] == read(follow(eve, position=tail.position))
