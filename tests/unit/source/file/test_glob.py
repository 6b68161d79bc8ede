"""Globs: new files are followed, and none is read twice under two names."""

from __future__ import annotations

import gzip
import os
import shutil
from typing import TYPE_CHECKING

from ai_suricata.source.file.ending import ABSENCE, IDLE
from ai_suricata.source.file.tail import GLOB_INTERVAL
from unit.source.following import GRACE, append, lines, read, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ai_suricata.core.clock import ManualClock
    from ai_suricata.source.file.tail import Tail

    Follow = Callable[..., Tail]


def test_new_file_is_followed_from_its_beginning(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """An interface that is added while running has its own folder and file."""
    old = tmp_path / "igb0" / "eve.json"
    old.parent.mkdir()
    append(old, b"old\n")
    tail = follow(tmp_path / "*" / "eve.json")
    new = tmp_path / "igb1" / "eve.json"
    new.parent.mkdir()
    append(new, b"one\n")
    append(old, b"two\n")
    clock.advance(GLOB_INTERVAL)
    assert [b"one", b"two"] == sorted(read(tail))


def test_file_that_appeared_while_away(tmp_path: Path, follow: Follow) -> None:
    """A glob that was followed before makes what it finds anew new."""
    append(tmp_path / "a.json", b"old\n")
    first = follow(tmp_path / "*.json")
    append(tmp_path / "b.json", b"one\n")
    assert [b"one"] == read(follow(tmp_path / "*.json", position=first.position))


def test_rotated_file_that_the_glob_matches(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """Three rotations, each file under three names in turn: every line once."""
    eve = tmp_path / "eve.json"
    tail = follow(tmp_path / "eve*", start="beginning")
    seen = []
    for number in range(4):
        for old in (2, 1):
            if (tmp_path / f"eve.json.{old}").exists():
                (tmp_path / f"eve.json.{old}").rename(tmp_path / f"eve.json.{old + 1}")
        if eve.exists():
            eve.rename(tmp_path / "eve.json.1")
        append(eve, text(lines(number * 20, number * 20 + 20)))
        for _ in range(5):
            seen += read(tail)
            clock.advance(GRACE)
    assert lines(0, 80) == seen
    assert [] == read(follow(tmp_path / "eve*", position=tail.position))


def test_dated_name_that_the_glob_matches(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """eve-2026.json is eve.json of yesterday; after its grace it is not taken for a new file."""
    eve = tmp_path / "eve.json"
    append(eve, text(lines(0, 3)))
    tail = follow(tmp_path / "eve*.json", start="beginning")
    assert lines(0, 3) == read(tail)
    renamed = eve.rename(tmp_path / "eve-2026.json")
    append(eve, text(lines(3, 6)))
    for _ in range(5):
        clock.advance(GRACE)
        append(eve, text(lines(6, 7)))
        assert lines(6, 7) == read(tail)[-1:]
    append(renamed, b"very late\n")
    clock.advance(GLOB_INTERVAL)
    assert [b"very late"] == read(tail)


def test_copytruncate_with_a_glob(tmp_path: Path, follow: Follow, clock: ManualClock) -> None:
    """The copy matches the glob and has an inode of its own, but begins as a file already read."""
    eve = tmp_path / "eve.json"
    tail = follow(tmp_path / "eve*", start="beginning")
    append(eve, text(lines(0, 20)))
    clock.advance(GLOB_INTERVAL)
    assert lines(0, 20) == read(tail)
    shutil.copy(eve, tmp_path / "eve.json.1")
    eve.write_bytes(b"")
    clock.advance(GLOB_INTERVAL)
    append(eve, text(lines(20, 21)))
    assert lines(20, 21) == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    assert [] == read(follow(tmp_path / "eve*", position=tail.position))


def test_compressed_files_are_not_read(tmp_path: Path, follow: Follow) -> None:
    """They hold no lines, and have been read before they were compressed."""
    (tmp_path / "eve.json.2.gz").write_bytes(gzip.compress(b"old\n"))
    append(tmp_path / "eve.json", b"one\n")
    assert [b"one"] == read(follow(tmp_path / "eve*", start="beginning"))


def test_two_paths_to_one_file(tmp_path: Path, follow: Follow) -> None:
    """A symlink and the file that it leads to are read once."""
    append(tmp_path / "eve-1.json", b"one\n")
    (tmp_path / "eve.json").symlink_to("eve-1.json")
    assert [b"one"] == read(follow(tmp_path / "eve*.json", start="beginning"))
    both = follow(tmp_path / "eve.json", tmp_path / "eve-1.json", start="beginning")
    assert [b"one"] == read(both)


def test_deleted_file_leaves_the_position(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """Dated files come and go: neither open files nor the position grow with them."""
    tail = follow(tmp_path / "*.json")
    keep = tmp_path / "keep.json"
    for number in range(3):
        path = tmp_path / f"{number}.json"
        append(path, b"one\n")
        clock.advance(GLOB_INTERVAL)
        assert [b"one"] == read(tail)
        path.unlink()
        assert [] == read(tail)
        clock.advance(GRACE)
        assert [] == read(tail)
    append(keep, b"one\n")
    clock.advance(GLOB_INTERVAL)
    assert [b"one"] == read(tail)
    assert {str(tmp_path / "*.json"), str(keep)} == set(tail.position)
    assert 1 == tail.lag().files


def test_file_moved_away_is_let_go_in_the_end(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """A renamed file without a successor is read on for some minutes, not for ever."""
    path = tmp_path / "eve.json"
    append(path, b"one\n")
    tail = follow(tmp_path / "*.json", start="beginning")
    assert [b"one"] == read(tail)
    renamed = path.rename(tmp_path / "archived")
    assert [] == read(tail)
    clock.advance(ABSENCE - 1)
    append(renamed, b"two\n")
    assert [b"two"] == read(tail)
    clock.advance(ABSENCE)
    assert [] == read(tail)
    assert {str(tmp_path / "*.json"): ()} == tail.position


def test_file_moved_away_twice(tmp_path: Path, follow: Follow, clock: ManualClock) -> None:
    """The time without a file at the path begins anew each time."""
    path, away = tmp_path / "eve.json", tmp_path / "archived"
    append(path, b"old\n")
    tail = follow(tmp_path / "*.json")
    for seconds in (0, ABSENCE):
        clock.advance(seconds)
        path.rename(away)
        for _ in range(2):
            assert [] == read(tail)
        append(away, b"one\n")
        assert [b"one"] == read(tail)
        away.rename(path)
        assert [] == read(tail)


def test_deleted_while_away_leaves_the_position(tmp_path: Path, follow: Follow) -> None:
    """A position does not carry files that are gone for ever."""
    append(tmp_path / "a.json", b"one\n")
    first = follow(tmp_path / "*.json")
    (tmp_path / "a.json").unlink()
    tail = follow(tmp_path / "*.json", position=first.position)
    assert {str(tmp_path / "*.json"): ()} == tail.position


def test_quiet_file_is_closed_and_opened_again(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """Of many dated files only those that grow are kept open; a new line opens a file again."""
    path = tmp_path / "eve-1.json"
    append(path, b"one\n")
    tail = follow(tmp_path / "*.json")
    assert [] == read(tail)
    clock.advance(IDLE)
    assert [] == read(tail)
    assert 0 == tail.lag().files
    again = follow(tmp_path / "*.json", position=tail.position)
    for reader in (tail, again):
        assert [] == read(reader)
    append(path, b"two\n")
    assert [b"two"] == read(tail)
    assert [b"two"] == read(again)


def test_quiet_file_with_two_names(tmp_path: Path, follow: Follow, clock: ManualClock) -> None:
    """A closed file is not opened again under its other name."""
    append(tmp_path / "eve-1.json", b"old\n")
    (tmp_path / "eve.json").symlink_to("eve-1.json")
    tail = follow(tmp_path / "eve*.json")
    for _ in range(3):
        clock.advance(IDLE)
        assert [] == read(tail)
    assert 0 == tail.lag().files
    assert {str(tmp_path / name) for name in ("eve*.json", "eve-1.json")} == set(tail.position)
    append(tmp_path / "eve-1.json", b"one\n")
    assert [b"one"] == read(tail)
    assert 1 == tail.lag().files


def test_quiet_file_that_is_rotated(tmp_path: Path, follow: Follow, clock: ManualClock) -> None:
    """A line written into the renamed file is found, though the file was closed when it moved."""
    path = tmp_path / "eve.json"
    append(path, b"one\n")
    tail = follow(tmp_path / "eve.js*n")
    assert [] == read(tail)
    clock.advance(IDLE)
    assert [] == read(tail)
    renamed = path.rename(tmp_path / "eve.json.1")
    append(renamed, b"two\n")
    append(path, b"three\n")
    assert [b"two", b"three"] == read(tail)
    assert 1 == tail.rotations


def test_quiet_file_that_is_truncated(tmp_path: Path, follow: Follow, clock: ManualClock) -> None:
    """A closed file that has become shorter is read from its beginning."""
    path = tmp_path / "eve.json"
    append(path, text(lines(0, 3)))
    tail = follow(tmp_path / "eve.js*n")
    assert [] == read(tail)
    clock.advance(IDLE)
    assert [] == read(tail)
    path.write_bytes(b"new\n")
    assert [b"new"] == read(tail)
    assert 1 == tail.rotations


def test_quiet_file_beside_one_that_is_rotated(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """A closed file is not taken for one that was created and rotated unseen."""
    eve, old = tmp_path / "eve.json", tmp_path / "eve.json.1"
    for path in (eve, old):
        append(path, b"old\n")
    tail = follow(tmp_path / "eve*")
    clock.advance(IDLE)
    append(eve, b"one\n")
    assert [b"one"] == read(tail)
    assert 1 == tail.lag().files
    os.utime(old, (2 * 10**9, 2 * 10**9))
    eve.rename(tmp_path / "eve.json.2")
    append(eve, b"two\n")
    assert [b"two"] == read(tail)


def test_empty_file_at_the_first_start(tmp_path: Path, follow: Follow) -> None:
    """Its first line is new, wherever a first start begins."""
    path = tmp_path / "eve.json"
    path.touch()
    tail = follow(tmp_path / "*.json", start="end")
    append(path, b"one\n")
    assert [b"one"] == read(tail)


def test_path_with_brackets_is_a_path(tmp_path: Path, follow: Follow) -> None:
    """A file that exists under the very name is not a glob."""
    path = tmp_path / "eve[1].json"
    append(path, b"one\n")
    assert [b"one"] == read(follow(path, start="beginning"))


def test_finished_file_stays_finished(tmp_path: Path, follow: Follow, clock: ManualClock) -> None:
    """A glob that matches its new name reads it no more, wherever it goes: compressed, or away."""
    eve = tmp_path / "eve.json"
    tail = follow(tmp_path / "eve*", start="beginning")
    for number in range(3):
        append(eve, text(lines(20 * number, 20 * number + 20)))
        clock.advance(GLOB_INTERVAL)
        assert lines(20 * number, 20 * number + 20) == read(tail)
        renamed = eve.rename(tmp_path / f"eve.json.{number}")
        append(eve, text(lines(900 + number, 901 + number)))
        for _ in range(3):
            clock.advance(GRACE)
            read(tail)
    assert {str(tmp_path / "eve*"), str(eve)} == set(tail.position)
    packed = gzip.compress((tmp_path / "eve.json.0").read_bytes())
    (tmp_path / "eve.json.0.gz").write_bytes(packed)
    (tmp_path / "eve.json.0").unlink()
    (tmp_path / "eve.json.1").unlink()
    append(eve, text(lines(100, 120)))
    append(renamed, text(lines(60, 61)))
    again = follow(tmp_path / "eve*", position=tail.position)
    for reader in (tail, again):
        clock.advance(GLOB_INTERVAL)
        assert sorted([*lines(60, 61), *lines(100, 120)]) == sorted(read(reader))
        assert not reader.losses.occasions


def test_finished_file_that_grew_is_finished_again(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """A late line is read under the new name; after that the file is known as it was before."""
    eve = tmp_path / "eve.json"
    tail = follow(tmp_path / "eve*", start="beginning")
    append(eve, text(lines(0, 3)))
    clock.advance(GLOB_INTERVAL)
    assert lines(0, 3) == read(tail)
    renamed = eve.rename(tmp_path / "eve.json.1")
    append(eve, text(lines(3, 4)))
    assert lines(3, 4) == read(tail)
    clock.advance(GRACE)
    assert [] == read(tail)
    append(renamed, text(lines(4, 5)))
    clock.advance(GLOB_INTERVAL)
    assert lines(4, 5) == read(tail)
    clock.advance(IDLE)
    assert [] == read(tail)
    (tmp_path / "eve.json.2.gz").write_bytes(gzip.compress(renamed.read_bytes()))
    renamed.unlink()
    eve.rename(renamed)
    append(eve, text(lines(5, 6)))
    assert lines(5, 6) == read(tail)
    assert [] == read(follow(tmp_path / "eve*", position=tail.position))
