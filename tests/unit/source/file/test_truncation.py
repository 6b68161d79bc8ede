"""Truncation of every open file, whatever else happens within one look; and what is lost."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from ai_suricata.core.position import FilePosition, files_of
from unit.source.following import GRACE, append, lines, read, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ai_suricata.core.clock import ManualClock
    from ai_suricata.source.file.tail import Tail

    Follow = Callable[..., Tail]


@pytest.fixture
def eve(tmp_path: Path) -> Path:
    """Return a file that already holds a line."""
    path = tmp_path / "eve.json"
    append(path, b"old\n")
    return path


def rotate(path: Path, suffix: str = ".1") -> Path:
    """Rename the file and create a new one."""
    renamed = path.rename(path.with_name(path.name + suffix))
    path.touch()
    return renamed


def test_truncated_written_and_renamed(eve: Path, follow: Follow) -> None:
    """All within one look: the renamed file is read from its beginning, and is no garbage."""
    tail = follow(eve)
    append(eve, text(lines(0, 9)))
    assert lines(0, 9) == read(tail)
    eve.write_bytes(text(lines(10, 40)))
    rotate(eve)
    append(eve, text(lines(40, 42)))
    assert lines(10, 42) == read(tail)


def test_renamed_file_is_truncated(eve: Path, follow: Follow) -> None:
    """A file that is only read on for the grace time is looked at as well."""
    tail = follow(eve)
    append(eve, text(lines(0, 9)))
    renamed = rotate(eve)
    assert lines(0, 9) == read(tail)
    renamed.write_bytes(text(lines(20, 22)))
    assert lines(20, 22) == read(tail)


def test_grown_past_its_place_with_a_short_beginning(eve: Path, follow: Follow) -> None:
    """The bytes that were read are what is compared, though they are fewer than a kilobyte."""
    eve.write_bytes(b"")
    tail = follow(eve)
    append(eve, text(lines(0, 2)))
    assert lines(0, 2) == read(tail)
    eve.write_bytes(text(lines(1, 9)))
    assert lines(1, 9) == read(tail)


def test_beginning_is_learned_from_what_is_read(eve: Path, follow: Follow) -> None:
    """A file that grew between the look and the reading: what was read tells it, not the look."""
    append(eve, text(lines(0, 3)))
    tail = follow(eve, start="beginning", batch_size=1)
    assert tail.poll() is not None
    file = next(iter(next(iter(tail._roster)).files))
    assert file.head == eve.read_bytes()[:1024]
    append(eve, text(lines(3, 30)))
    file.take(100)
    assert 1024 == len(file.head)


def test_rewritten_between_the_look_and_the_reading(
    eve: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of other content are never put behind a line that was begun before."""
    eve.write_bytes(text(lines(0, 20)))
    tail = follow(eve, start="beginning")
    assert lines(0, 20) == read(tail)
    append(eve, text(lines(20, 21)))
    pread, calls = os.pread, 0

    def rewrite_first(descriptor: int, length: int, offset: int) -> bytes:
        nonlocal calls
        calls += offset > 0
        if calls == 1 and offset:
            eve.write_bytes(text(lines(100, 140, width=133)))
        return pread(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", rewrite_first)
    assert lines(100, 140, width=133) == read(tail) + read(tail)


@pytest.mark.parametrize(("unread", "level"), [(0, "info"), (5, "warning")])
def test_loss_is_told_once(eve: Path, follow: Follow, unread: int, level: str) -> None:
    """Each truncation is one occasion, with the bytes that were seen and not read, if any."""
    tail = follow(eve, batch_size=20 - unread)
    append(eve, text(lines(0, 20)))
    assert tail.poll() is not None
    file = next(iter(next(iter(tail._roster)).files))
    if unread:  # seen to be longer than what has been read
        append(eve, text(lines(20, 20 + unread)))
        assert file.is_intact()
    with capture_logs() as logs:
        eve.write_bytes(b"new\n")
        assert b"new" == read(tail)[-1]
        assert [] == read(tail)
    assert {"truncated": 1} == tail.losses.occasions
    assert [(level, len(text(lines(20, 20 + unread))))] == [
        (entry["log_level"], entry["unread_bytes"]) for entry in logs if "unread_bytes" in entry
    ]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_copytruncate_is_no_loss(eve: Path, follow: Follow, times: int) -> None:
    """However often it happens between two looks: each copy is found and read in its turn."""
    tail = follow(eve)
    append(eve, text(lines(0, 20)))
    assert lines(0, 20) == read(tail)
    for number in range(times):
        append(eve, text(lines(20 + 10 * number, 30 + 10 * number)))
        copy = eve.with_name(f"eve.json.{times - number}")
        shutil.copy(eve, copy)
        os.utime(copy, (2 * 10**9 + number, 2 * 10**9 + number))
        eve.write_bytes(b"")
    append(eve, text(lines(90, 92)))
    assert [*lines(20, 20 + 10 * times), *lines(90, 92)] == read(tail)
    assert not tail.losses.occasions


def test_killed_before_the_lines_of_old_were_handed_out(eve: Path, follow: Follow) -> None:
    """What was read of a truncated file is in memory alone: after a kill its loss is told."""
    tail = follow(eve, batch_size=2, start="beginning")
    append(eve, text(lines(0, 9)))
    assert tail.poll() is not None
    eve.write_bytes(text(lines(20, 22)))
    batch = tail.poll()
    assert batch is not None
    assert lines(1, 3) == batch.lines
    again = follow(eve, position=batch.position)
    assert lines(20, 22) == read(again)
    assert {"truncated": 1} == again.losses.occasions
    assert lines(3, 9) + lines(20, 22) == read(tail)
    assert [eve.stat().st_ino] == [p.inode for p in files_of(tail.position, str(eve)) if not p.done]


def test_deleted_while_running_is_no_loss(eve: Path, follow: Follow, clock: ManualClock) -> None:
    """Its descriptor is open: it is read to its end."""
    tail = follow(eve, batch_size=1)
    append(eve, text(lines(0, 5)))
    assert tail.poll() is not None
    eve.unlink()
    append(eve, text(lines(5, 6)))
    assert lines(1, 6) == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    assert not tail.losses.occasions


def test_finished_file_that_is_gone_is_no_loss(
    eve: Path, follow: Follow, clock: ManualClock
) -> None:
    """It was read to its end: rotation deletes such files every day."""
    tail = follow(eve)
    renamed = rotate(eve)
    append(eve, text(lines(0, 1)))
    assert lines(0, 1) == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    renamed.unlink()
    again = follow(eve, position=tail.position)
    assert [] == read(again)
    assert not again.losses.occasions


def test_nul_bytes(eve: Path, follow: Follow) -> None:
    """They are bytes of a line like others: what is no JSON is rejected where it is decoded."""
    tail = follow(eve)
    append(eve, b"a\0b\n\0\0\0\nc\n")
    assert [b"a\0b", b"\0\0\0", b"c"] == read(tail)


def test_hole_that_a_truncation_leaves(eve: Path, follow: Follow) -> None:
    """A writer that does not append goes on at its old place: the line behind the hole is there."""
    tail = follow(eve)
    with eve.open("r+b", buffering=0) as writer:
        writer.seek(0, os.SEEK_END)
        writer.write(text(lines(0, 5)))
        assert lines(0, 5) == read(tail)
        os.truncate(eve, 0)
        writer.write(text(lines(5, 7)))
    first, second = read(tail)
    assert lines(5, 7) == [first.lstrip(b"\0"), second]


def test_carriage_returns(eve: Path, follow: Follow) -> None:
    """They are no part of a line, and the place behind it counts them."""
    tail = follow(eve)
    append(eve, b"one\r\ntwo\r\n\r\nthr")
    assert [b"one", b"two"] == read(tail)
    append(eve, b"ee\r\n")
    assert [b"three"] == read(follow(eve, position=tail.position))


def test_inode_that_is_used_again(eve: Path, follow: Follow, clock: ManualClock) -> None:
    """A deleted file's inode at a rotated name unseen: it is a new file, read whole."""
    tail = follow(eve)
    append(eve, text(lines(0, 20)))
    renamed = rotate(eve, ".2")
    assert lines(0, 20) == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    finished = [place for place in files_of(tail.position, str(eve)) if place.done]
    renamed.write_bytes(text(lines(20, 60)))  # the same inode, other content
    assert renamed.stat().st_ino == finished[0].inode
    rotate(eve, ".1")
    append(eve, text(lines(60, 61)))
    assert lines(20, 61) == read(tail)


def test_folder_that_vanishes_and_comes_back(eve: Path, follow: Follow, clock: ManualClock) -> None:
    """What was written meanwhile is read, and what had been read is not."""
    tail = follow(eve)
    append(eve, text(lines(0, 20)))
    assert lines(0, 20) == read(tail)
    away = eve.parent.rename(eve.parent.with_name("away"))
    assert [] == read(tail)
    assert "does not exist" in str(tail.waiting_for)
    append(away / eve.name, text(lines(20, 22)))
    assert lines(20, 22) == read(tail)
    clock.advance(100 * GRACE)
    away.rename(eve.parent)
    append(eve, text(lines(22, 23)))
    assert lines(22, 23) == read(tail)
    assert None is tail.waiting_for
    assert not tail.losses.occasions


def test_position_of_an_earlier_version() -> None:
    """Without the mark of finished files it is a file that is being read."""
    stored = b'{"device":1,"inode":2,"fingerprint":"ab","fingerprint_bytes":3,"offset":4}'
    expected = FilePosition(1, 2, "ab", 3, 4, done=False)
    assert expected == msgspec.json.decode(stored, type=FilePosition)


@pytest.mark.parametrize("name", ["now.json", "eve-before-lunch.json", "eve.txt", "backup"])
def test_somebodys_own_copy_is_not_taken_for_that_of_copytruncate(
    eve: Path, follow: Follow, name: str
) -> None:
    """It may hold lines that never were in the file; a loss is told, as without it."""
    tail = follow(eve)
    append(eve, text(lines(0, 20)))
    assert lines(0, 20) == read(tail)
    eve.with_name(name).write_bytes(eve.read_bytes() + text(lines(500, 600)))
    eve.write_bytes(text(lines(20, 22)))

    assert lines(20, 22) == read(tail)
    assert {"truncated": 1} == dict(tail.losses.occasions)
