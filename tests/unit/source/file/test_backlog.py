"""Many rotated files at once: none is skipped because it can't be opened now."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ai_suricata.source.file import fileset
from ai_suricata.source.file.backlog import RETRY
from ai_suricata.source.file.chain import ABSENT_LOOK
from ai_suricata.source.file.fileset import MAX_UNREAD
from unit.source.following import GRACE, append, finished, lines, read, text, unread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ai_suricata.core.clock import ManualClock
    from ai_suricata.core.position import Position
    from ai_suricata.source.file.tail import Tail

    Follow = Callable[..., Tail]


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


def rotate(eve: Path, number: int, first: int) -> Path:
    """Rename the file, date it, and begin a new one with the line `first`."""
    renamed = eve.rename(eve.with_name(f"eve.json.{number}"))
    os.utime(renamed, (1_000_000 + number, 1_000_000 + number))
    append(eve, text(lines(first, first + 1)))
    return renamed


@contextmanager
def descriptors(free: int) -> Iterator[None]:
    """Let the process open no more than so many files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_more_files_than_may_be_open(
    eve: Path, follow: Follow, position: Position, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest waits, closed, and is read in its turn: all in the order of their writing."""
    monkeypatch.setattr(fileset, "MAX_UNREAD", 3)
    for number in range(12):
        rotate(eve, number, 20 + number)
    tail = follow(eve, position=position)
    assert 4 == tail.lag().files
    assert 13 == len(unread(tail.position, eve))
    assert lines(5, 32) == read(tail)
    assert not tail.losses.occasions


def test_bound_is_wide() -> None:
    """Five days of hourly rotation."""
    assert MAX_UNREAD >= 5 * 24


def test_killed_while_files_wait(
    eve: Path, follow: Follow, position: Position, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were not opened yet are in the position."""
    monkeypatch.setattr(fileset, "MAX_UNREAD", 2)
    for number in range(9):
        rotate(eve, number, 20 + number)
    first = follow(eve, position=position, batch_size=16)
    batch = first.poll()
    assert batch is not None
    assert lines(5, 21) == batch.lines
    assert lines(21, 29) == read(follow(eve, position=batch.position))


def test_slow_reader_closes_the_newest(
    eve: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotations that outrun the reader: files with a name wait, and nothing is given up."""
    monkeypatch.setattr(fileset, "MAX_UNREAD", 2)
    tail = follow(eve, batch_size=1, start="beginning")
    seen = []
    for number in range(8):
        rotate(eve, number, 20 + number)
        batch = tail.poll()
        assert batch is not None
        seen += batch.lines
        assert tail.lag().files <= 3
    assert lines(0, 28) == seen + read(tail)
    assert not tail.losses.occasions


def test_deleted_files_are_given_up_in_the_end(
    eve: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without a name can't wait: of too many the oldest is lost, and each loss is told."""
    monkeypatch.setattr(fileset, "MAX_UNREAD", 2)
    tail = follow(eve, batch_size=1, start="beginning")
    for number in range(4):
        rotate(eve, number, 20 + number).unlink()
        assert tail.poll() is not None
    assert tail.losses.occasions["given_up"] > 0
    assert lines(23, 24) == read(tail)[-1:]


def test_no_descriptor_is_free(
    eve: Path, follow: Follow, clock: ManualClock, position: Position
) -> None:
    """What can't be opened now is opened later, the reason is told, and the place is kept."""
    for number in range(6):
        rotate(eve, number, 20 + number)
    with descriptors(free=4):
        tail = follow(eve, position=position)
        assert "LimitNOFILE" in str(tail.waiting_for)
        seen = read(tail)
        stored = tail.position
    clock.advance(RETRY)
    seen += read(tail)
    assert sorted(lines(5, 26)) == sorted(seen)
    assert None is tail.waiting_for
    assert not tail.losses.occasions
    rest = read(follow(eve, position=stored))
    assert sorted(set(lines(5, 26)) - set(seen[: len(seen) - len(rest)])) == sorted(rest)


def test_no_descriptor_for_anything(
    eve: Path, follow: Follow, clock: ManualClock, position: Position
) -> None:
    """Not even the folder can be listed: nothing is taken for lost."""
    rotate(eve, 1, 20)
    with descriptors(free=0):
        tail = follow(eve, position=position)
        assert [] == read(tail)
        assert "Too many open files" in str(tail.waiting_for)
    clock.advance(RETRY)
    assert lines(5, 21) == read(tail)
    assert not tail.losses.occasions


def test_rotated_file_that_may_not_be_read(eve: Path, follow: Follow, position: Position) -> None:
    """It is named, waits for its right, and the new file is read meanwhile."""
    if os.geteuid():
        pytest.skip("needs root, to become somebody whom file modes bind")
    for folder in eve.parents:
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    renamed = rotate(eve, 1, 20)
    renamed.chmod(0o600)
    os.seteuid(65534)
    try:
        tail = follow(eve, position=position)
        assert lines(20, 21) == read(tail)
        assert f"{renamed} can't be read" in str(tail.waiting_for)
        os.seteuid(0)
        renamed.chmod(0o644)
        os.seteuid(65534)
        assert lines(5, 20) == read(tail)
        assert None is tail.waiting_for
        assert not tail.losses.occasions
    finally:
        os.seteuid(0)


def test_rotated_files_of_before_are_not_read(
    eve: Path, follow: Follow, clock: ManualClock
) -> None:
    """What was rotated before the first start is old, however late it was written."""
    for number in range(3):
        rotate(eve, number, 20 + number)
    os.utime(eve, (1, 1))
    tail = follow(eve, start="beginning")
    assert lines(22, 23) == read(tail)
    for number in range(3, 5):
        rotate(eve, number, 20 + number)
    assert lines(23, 25) == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    assert 5 == len(finished(tail.position, eve))
    assert [] == read(follow(eve, position=tail.position))


@pytest.mark.parametrize("is_down", [False, True])
def test_files_that_nobody_ever_looked_at(
    tmp_path: Path, follow: Follow, clock: ManualClock, *, is_down: bool
) -> None:
    """Created and rotated away, several in a row, at a path where no file was seen before."""
    eve = tmp_path / "eve.json"
    tail = follow(eve)
    if is_down:
        tail.close()
    for number in range(3):
        append(eve, text(lines(number, number + 1)))
        renamed = eve.rename(eve.with_name(f"eve.json-2026010{number}"))
        os.utime(renamed, ns=(10**18, 10**18))  # a coarse clock: all at one time
    if is_down:
        tail = follow(eve, position=tail.position)
    clock.advance(ABSENT_LOOK)
    assert sorted(lines(0, 3)) == sorted(read(tail))
    append(eve, text(lines(3, 4)))
    assert lines(3, 4) == read(tail)


def test_empty_newest_file(eve: Path, follow: Follow, position: Position) -> None:
    """An empty file that was rotated away unseen does not hide those behind it."""
    first = follow(eve, position=position)
    assert lines(5, 20) == read(first)
    eve.rename(eve.with_name("eve.json.3"))
    eve.touch()
    assert [] == read(first)
    stored = first.position
    for number in (2, 1):
        eve.rename(eve.with_name(f"eve.json.{number}"))
        append(eve, text(lines(30 - number, 31 - number)))
    assert lines(28, 30) == read(follow(eve, position=stored))
    assert lines(28, 30) == read(first)
