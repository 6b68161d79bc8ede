"""Rotation: renamed, truncated, copied, deleted and re-created files."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from unit.source.following import GRACE, append, lines, read, text, unread

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
    """Rename the file and create a new one, as logrotate's `create` does."""
    renamed = path.rename(path.with_name(path.name + suffix))
    path.touch()
    return renamed


def test_renamed_file_is_drained_before_the_new_one(eve: Path, follow: Follow) -> None:
    """What was written before the rename comes first."""
    tail = follow(eve)
    append(eve, b"one\n")
    rotate(eve)
    append(eve, b"two\n")
    assert [b"one", b"two"] == read(tail)
    assert 1 == tail.rotations


def test_renamed_file_is_read_on_within_the_grace(
    eve: Path, follow: Follow, clock: ManualClock
) -> None:
    """Suricata writes on into the renamed file until SIGHUP; each line starts the grace anew."""
    tail = follow(eve)
    renamed = rotate(eve)
    for number in range(4):
        append(renamed, b"late %d\n" % number)
        append(eve, b"new %d\n" % number)
        assert [b"late %d" % number, b"new %d" % number] == read(tail)
        clock.advance(GRACE - 0.1)
    assert 2 == len(tail.position[str(eve)])


def test_finished_file_leaves_the_position(eve: Path, follow: Follow, clock: ManualClock) -> None:
    """After the grace the renamed file is closed: a position does not grow with each rotation."""
    tail = follow(eve)
    renamed = rotate(eve)
    assert [] == read(tail)
    clock.advance(GRACE)
    append(renamed, b"in time\n")
    assert [b"in time"] == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    append(renamed, b"too late\n")
    append(eve, b"new\n")
    assert [b"new"] == read(tail)
    assert [eve.stat().st_ino] == [file.inode for file in unread(tail.position, eve)]
    assert 1 == tail.lag().files


def test_unfinished_last_line_is_handed_out_when_the_grace_ends(
    eve: Path, follow: Follow, clock: ManualClock
) -> None:
    """Nobody will finish it any more, and it may be a whole record without its line end."""
    tail = follow(eve)
    append(eve, b"whole\nrest")
    rotate(eve)
    assert [b"whole"] == read(tail)
    clock.advance(GRACE)
    assert [b"rest"] == read(tail)
    assert [] == read(tail)


def test_overlong_rest_is_counted_when_the_grace_ends(
    eve: Path, follow: Follow, clock: ManualClock
) -> None:
    """A rejection is not lost with the file that it came from."""
    tail = follow(eve, max_line_bytes=1024)
    append(eve, b"x" * 5000)
    rotate(eve)
    assert [] == read(tail)
    clock.advance(GRACE)
    batch = tail.poll()
    assert batch is not None
    assert {"too_long": 1} == batch.rejected


def test_file_is_kept_while_no_new_one_exists(
    eve: Path, follow: Follow, clock: ManualClock
) -> None:
    """Between the rename and SIGHUP the renamed file is the only one, however long that takes."""
    tail = follow(eve)
    renamed = eve.rename(eve.with_name("eve.json.1"))
    assert [] == read(tail)
    clock.advance(100 * GRACE)
    assert [] == read(tail)
    append(renamed, b"one\n")
    assert [b"one"] == read(tail)


def test_several_rotations_within_the_grace(eve: Path, follow: Follow) -> None:
    """Each renamed file is read on."""
    tail = follow(eve)
    renamed = []
    for number in range(5):
        renamed.append(rotate(eve, f".{number}"))
        assert [] == read(tail)
    for path in renamed:
        append(path, path.name.encode() + b"\n")
    assert [path.name.encode() for path in renamed] == read(tail)
    assert 5 == tail.rotations


def test_two_rotations_between_two_looks(eve: Path, follow: Follow) -> None:
    """A file that was created and rotated unseen is found beside the path and read."""
    append(eve, text(lines(0, 3)))
    tail = follow(eve, start="beginning")
    assert [b"old", *lines(0, 3)] == read(tail)
    first = rotate(eve, ".2")
    append(eve, text(lines(3, 6)))
    later = first.stat().st_mtime_ns + 10**9
    unseen = rotate(eve, ".1")
    os.utime(unseen, ns=(later, later))
    append(eve, text(lines(6, 9)))
    assert lines(3, 9) == read(tail)


def test_finished_file_is_not_taken_for_an_unseen_one(
    eve: Path, follow: Follow, clock: ManualClock
) -> None:
    """A renamed file that was written last of all is still one that has been read."""
    tail = follow(eve)
    renamed = rotate(eve, ".2")
    append(renamed, b"late\n")
    assert [b"late"] == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    os.utime(renamed, (2 * 10**9, 2 * 10**9))
    rotate(eve, ".1")
    append(eve, b"new\n")
    assert [b"new"] == read(tail)


def test_copy_is_not_taken_for_an_unseen_file(eve: Path, follow: Follow) -> None:
    """An operator's copy beside the file holds nothing that was not read."""
    append(eve, text(lines(0, 20)))
    tail = follow(eve)
    assert [] == read(tail)
    copy = eve.with_name("eve.json.bak")
    shutil.copy(eve, copy)
    os.utime(copy, (2 * 10**9, 2 * 10**9))
    rotate(eve)
    append(eve, b"new\n")
    assert [b"new"] == read(tail)


def test_truncation_in_place(eve: Path, follow: Follow) -> None:
    """A file that has become shorter is read from its beginning."""
    tail = follow(eve)
    append(eve, text(lines(0, 9)))
    assert lines(0, 9) == read(tail)
    eve.write_bytes(b"short\n")
    assert [b"short"] == read(tail)
    assert 1 == tail.rotations


def test_file_cut_short(eve: Path, follow: Follow) -> None:
    """A file that still begins as it did, but ends before the place that was read, begins again."""
    tail = follow(eve)
    append(eve, text(lines(0, 40)))
    assert lines(0, 40) == read(tail)
    os.truncate(eve, len(b"old\n" + text(lines(0, 20))))
    assert [b"old", *lines(0, 20)] == read(tail)


def test_truncation_hidden_by_growth(eve: Path, follow: Follow) -> None:
    """A file that was truncated and has since outgrown its former size begins otherwise."""
    tail = follow(eve)
    append(eve, text(lines(0, 3)))
    assert lines(0, 3) == read(tail)
    eve.write_bytes(text(lines(10, 30)))
    assert lines(10, 30) == read(tail)


def test_lines_read_before_a_truncation_are_not_lost(eve: Path, follow: Follow) -> None:
    """What is in memory when the file is emptied is still handed out."""
    tail = follow(eve, batch_size=1)
    append(eve, b"one\ntwo\nthree\n")
    assert tail.poll() is not None
    eve.write_bytes(b"new\n")
    assert [b"two", b"three", b"new"] == read(tail)


def test_copytruncate(eve: Path, follow: Follow) -> None:
    """With copytruncate, neither what the file held before nor its copy is read again."""
    tail = follow(eve)
    append(eve, text(lines(0, 20)))
    assert lines(0, 20) == read(tail)
    shutil.copy(eve, eve.with_name("eve.json.1"))
    eve.write_bytes(b"")
    append(eve, text(lines(20, 22)))
    assert lines(20, 22) == read(tail)


def test_copytruncate_before_the_file_was_drained(eve: Path, follow: Follow) -> None:
    """What was not yet read is read from the copy."""
    tail = follow(eve, batch_size=5)
    append(eve, text(lines(0, 20)))
    first = tail.poll()
    assert first is not None
    append(eve, text(lines(20, 30)))
    shutil.copy(eve, eve.with_name("eve.json.1"))
    eve.write_bytes(text(lines(30, 31)))
    assert lines(0, 31) == first.lines + read(tail)


def test_delete_and_recreate(eve: Path, follow: Follow, clock: ManualClock) -> None:
    """A deleted file is drained through its open descriptor, then the new one is read."""
    tail = follow(eve)
    append(eve, b"one\n")
    eve.unlink()
    append(eve, b"two\n")
    assert [b"one", b"two"] == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    assert 1 == tail.lag().files


def test_symlink_is_switched(tmp_path: Path, follow: Follow) -> None:
    """A symlink that leads to another file is a rotation."""
    for name in ("one", "two"):
        append(tmp_path / name, b"old\n")
    link = tmp_path / "eve.json"
    link.symlink_to("one")
    tail = follow(link)
    append(tmp_path / "one", b"1\n")
    link.unlink()
    link.symlink_to("two")
    assert [b"1", b"old"] == read(tail)
    append(tmp_path / "one", b"3\n")
    assert [b"3"] == read(tail)


def test_symlink_is_switched_to_a_file_that_is_followed_too(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """The file is not read a second time, and the one that the link led to before is let go."""
    link = tmp_path / "eve.json"
    for name in ("one", "two"):
        append(tmp_path / name, b"old\n")
    link.symlink_to("one")
    tail = follow(link, tmp_path / "two")
    link.unlink()
    link.symlink_to("two")
    append(tmp_path / "one", b"1\n")
    append(tmp_path / "two", b"2\n")
    assert [b"1", b"2"] == sorted(read(tail))
    clock.advance(GRACE)
    assert [] == read(tail)
    assert [] == unread(tail.position, link)
    assert 1 == tail.lag().files


def test_renamed_back(eve: Path, follow: Follow) -> None:
    """A file that returns to its path is read on, not again."""
    tail = follow(eve)
    renamed = rotate(eve)
    append(eve, b"one\n")
    assert [b"one"] == read(tail)
    renamed.rename(eve)
    append(eve, b"two\n")
    assert [b"two"] == read(tail)
