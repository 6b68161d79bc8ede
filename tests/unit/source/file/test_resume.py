"""A restart with a position neither repeats nor loses a line."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from ai_suricata.core.position import files_of
from unit.source.following import GRACE, append, lines, read, text, unread

if TYPE_CHECKING:
    from collections.abc import Callable
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


def written_at(path: Path, seconds: int) -> None:
    """Set the time of the last write."""
    os.utime(path, (seconds, seconds))


def test_goes_on_behind_the_last_line(eve: Path, follow: Follow, position: Position) -> None:
    """The rest of the file, and what was written meanwhile."""
    append(eve, text(lines(20, 25)))
    assert lines(5, 25) == read(follow(eve, position=position))


def test_many_rotations_while_nobody_read(eve: Path, follow: Follow, position: Position) -> None:
    """A day of hourly rotations: no file is given up before it has been read."""
    for number in range(24):
        renamed = eve.rename(eve.with_name(f"eve.json.{number}"))
        written_at(renamed, 2 * 10**9 + number)
        append(eve, text(lines(20 + number, 21 + number)))
    tail = follow(eve, position=position)
    assert lines(5, 44) == read(tail)


def test_start_setting_is_for_the_first_start_only(
    eve: Path, follow: Follow, position: Position
) -> None:
    """`beginning` does not read again what an earlier run has read."""
    assert lines(5, 20) == read(follow(eve, position=position, start="beginning"))


def test_first_start_at_the_end(eve: Path, follow: Follow) -> None:
    """What stands there already is not read; its unfinished last line is, once finished."""
    append(eve, b"half ")
    tail = follow(eve)
    append(eve, b"line\n")
    assert [b"half line"] == read(tail)


def test_first_start_at_the_end_of_an_overlong_line(eve: Path, follow: Follow) -> None:
    """The rest of a line that is too long is not taken for a line."""
    append(eve, b"x" * 900_000)
    tail = follow(eve, max_line_bytes=300_000)
    append(eve, b"x\nnext\n")
    batch = tail.poll()
    assert batch is not None
    assert [b"next"] == batch.lines
    assert {"too_long": 1} == batch.rejected


def test_nothing_is_lost_before_the_first_batch(eve: Path, follow: Follow) -> None:
    """The position of a tail that has handed out nothing yet is one to restart from."""
    first = follow(eve)
    append(eve, b"one\n")
    assert [b"one"] == read(follow(eve, position=first.position))


def test_rotated_file_is_drained_first(eve: Path, follow: Follow, position: Position) -> None:
    """The renamed file is found beside the path, and read from its offset to its end."""
    eve.rename(eve.with_name("eve.json-20260101"))
    append(eve, text(lines(20, 25)))
    tail = follow(eve, position=position)
    assert lines(5, 25) == read(tail)
    assert 1 == tail.rotations


def test_several_rotations_while_away(eve: Path, follow: Follow, position: Position) -> None:
    """Files that came and went while nobody looked are read in the order of their writing."""
    for number in range(3):
        renamed = eve.rename(eve.with_name(f"eve.json.{3 - number}"))
        written_at(renamed, 1_000_000 + number)
        append(eve, text(lines(20 + number, 21 + number)))
    assert lines(5, 23) == read(follow(eve, position=position))


def test_renamed_and_not_yet_recreated(eve: Path, follow: Follow, position: Position) -> None:
    """The renamed file is read although nothing stands at the path."""
    renamed = eve.rename(eve.with_name("eve.json.1"))
    tail = follow(eve, position=position)
    append(renamed, text(lines(20, 22)))
    assert lines(5, 22) == read(tail)
    append(eve, b"new\n")
    assert [b"new"] == read(tail)


def test_file_in_its_grace_is_taken_up_again(eve: Path, follow: Follow, clock: ManualClock) -> None:
    """A restart within the grace reads both files on, and lets the old one go later."""
    first = follow(eve)
    renamed = eve.rename(eve.with_name("eve.json.1"))
    append(eve, b"new\n")
    assert [b"new"] == read(first)
    tail = follow(eve, position=first.position)
    append(renamed, b"late\n")
    append(eve, b"newer\n")
    assert [b"late", b"newer"] == read(tail)
    assert 0 == tail.rotations
    clock.advance(GRACE)
    assert [] == read(tail)
    assert 1 == len(unread(tail.position, eve))


@pytest.mark.parametrize("fate", ["deleted", "compressed", "truncated"])
def test_loss_is_said_once(eve: Path, follow: Follow, position: Position, fate: str) -> None:
    """What can't be found is named in one warning, and the new file is read from its beginning."""
    if fate == "truncated":
        eve.write_bytes(b"new\n")
    else:
        eve.unlink()
        append(eve, b"new\n")
    if fate == "compressed":
        eve.with_name("eve.json.1.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    with capture_logs() as logs:
        tail = follow(eve, position=position)
        assert [b"new"] == read(tail)
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    offset = files_of(position, str(eve))[0].offset
    assert [(offset, fate)] == [(entry["read"], entry["reason"]) for entry in warnings]
    assert {fate: 1} == tail.losses.occasions
    assert 1 == len(unread(tail.position, eve))


def test_copytruncate_while_away(eve: Path, follow: Follow, position: Position) -> None:
    """The copy has another inode and the same first kilobyte: the rest is read from there."""
    shutil.copy(eve, eve.with_name("eve.json.1"))
    eve.write_bytes(text(lines(20, 22)))
    assert lines(5, 22) == read(follow(eve, position=position))


def test_reused_inode_is_another_file(eve: Path, follow: Follow, position: Position) -> None:
    """The same inode with other first bytes is read from its beginning."""
    eve.write_bytes(text(lines(50, 90)))
    assert files_of(position, str(eve))[0].inode == eve.stat().st_ino
    assert lines(50, 90) == read(follow(eve, position=position))


def test_file_cut_short_while_away(eve: Path, follow: Follow, position: Position) -> None:
    """A file that ends before the place that was read is read from its beginning."""
    first = follow(eve, position=position)
    assert lines(5, 20) == read(first)
    os.truncate(eve, len(text(lines(0, 10))))
    assert lines(0, 10) == read(follow(eve, position=first.position))


def test_changed_device_number(eve: Path, follow: Follow, position: Position) -> None:
    """After a reboot a device may have another number: the first kilobyte decides."""
    moved = msgspec.structs.replace(files_of(position, str(eve))[0], device=1, inode=1)
    assert lines(5, 20) == read(follow(eve, position={str(eve): (moved,)}))


def test_short_file_grows_past_its_fingerprint(tmp_path: Path, follow: Follow) -> None:
    """A fingerprint of few bytes is compared with as many, however long the file is now."""
    eve = tmp_path / "short.json"
    first = follow(eve)
    append(eve, b"one\n")
    assert [b"one"] == read(first)
    assert 4 == files_of(first.position, str(eve))[0].fingerprint_bytes
    append(eve, text(lines(0, 50)))
    tail = follow(eve, position=first.position)
    assert lines(0, 50) == read(tail)
    assert 1024 == files_of(tail.position, str(eve))[0].fingerprint_bytes


def test_file_that_appeared_while_away(tmp_path: Path, follow: Follow) -> None:
    """A path that had no file when it was followed is read from its beginning."""
    eve = tmp_path / "late.json"
    first = follow(eve)
    append(eve, b"one\n")
    assert [b"one"] == read(follow(eve, position=first.position))


def test_missing_folder_does_not_lose_the_place(
    eve: Path, follow: Follow, position: Position
) -> None:
    """A mount that comes late after boot is waited for, not taken for a loss."""
    away = eve.parent.rename(eve.parent.with_name("away"))
    tail = follow(eve, position=position)
    assert [] == read(tail)
    assert position[str(eve)] == tail.position[str(eve)]
    away.rename(eve.parent)
    assert lines(5, 20) == read(tail)


def test_position_outlives_close(eve: Path, follow: Follow, position: Position) -> None:
    """The daemon stores the last position after the source has ended."""
    tail = follow(eve, position=position)
    tail.close()
    assert position == tail.position
