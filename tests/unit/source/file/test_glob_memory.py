"""Globs: what has been read stays known, whatever becomes of the path that it was written to."""

from __future__ import annotations

import gzip
import shutil
import zlib
from typing import TYPE_CHECKING

import pytest

from ai_suricata.source.file import log
from ai_suricata.source.file.ending import ABSENCE
from ai_suricata.source.file.tail import GLOB_INTERVAL
from unit.source.following import GRACE, append, finished, lines, read, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ai_suricata.core.clock import ManualClock
    from ai_suricata.source.file.tail import Tail

    Follow = Callable[..., Tail]

_GZIP = 16 + zlib.MAX_WBITS


def rotate(eve: Path, name: str, first: int, last: int) -> Path:
    """Rename the file and write these lines into a new one; return where the old one is."""
    renamed = eve.rename(eve.with_name(name))
    append(eve, text(lines(first, last)))
    return renamed


def read_all(tail: Tail, clock: ManualClock) -> list[bytes]:
    """Return all lines that wait, and let replaced files be finished."""
    found: list[bytes] = []
    for _ in range(3):
        clock.advance(GRACE + GLOB_INTERVAL)
        found += read(tail)
    return found


def half_gzip(content: bytes) -> bytes:
    """Return what stands on disk while gzip(1) is at work and has read no more than this."""
    packer = zlib.compressobj(wbits=_GZIP)
    return packer.compress(content) + packer.flush(zlib.Z_SYNC_FLUSH)


def test_finished_files_are_known_while_nothing_stands_at_the_path(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """The path was deleted while nobody looked: after the next restart nothing comes again."""
    eve = tmp_path / "eve.json"
    first = follow(tmp_path / "eve*", start="beginning")
    append(eve, text(lines(0, 5)))
    assert lines(0, 5) == read_all(first, clock)
    plain = rotate(eve, "eve.json.2", 5, 10)
    assert lines(5, 10) == read_all(first, clock)
    packed = rotate(eve, "eve.json.1", 10, 15)
    assert lines(10, 15) == read_all(first, clock)
    packed.with_name("eve.json.1.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    eve.unlink()
    second = follow(tmp_path / "eve*", position=first.position)
    assert [] == read_all(second, clock)
    assert plain.stat().st_ino in [place.inode for place in finished(second.position, eve)]
    third = follow(tmp_path / "eve*", position=second.position)
    append(eve, text(lines(15, 18)))
    for tail in (second, third):
        assert lines(15, 18) == read_all(tail, clock)


def test_path_without_a_file_is_forgotten_with_its_rotated_files(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """What is left beside it keeps it in mind; when that is gone too, so is its position."""
    eve = tmp_path / "eve.json"
    tail = follow(tmp_path / "eve*", start="beginning")
    append(eve, text(lines(0, 5)))
    assert lines(0, 5) == read_all(tail, clock)
    renamed = rotate(eve, "eve.json.1", 5, 10)
    assert lines(5, 10) == read_all(tail, clock)
    eve.unlink()
    assert [] == read_all(tail, clock)
    clock.advance(ABSENCE)
    assert [] == read_all(tail, clock)
    assert str(eve) in tail.position
    assert tail.waiting_for is None
    renamed.unlink()
    assert [] == read_all(tail, clock)
    assert {str(tmp_path / "eve*"): ()} == tail.position
    assert tail.waiting_for == f"no file matches {tmp_path / 'eve*'} yet"


def test_packed_files_beside_a_missing_path_match_no_glob(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """The path is kept in mind for their sake, but what is waited for is told."""
    eve = tmp_path / "eve.json"
    tail = follow(tmp_path / "*.json", start="beginning")
    append(eve, text(lines(0, 5)))
    assert lines(0, 5) == read_all(tail, clock)
    renamed = rotate(eve, "eve.json.1", 5, 10)
    assert lines(5, 10) == read_all(tail, clock)
    renamed.with_name("eve.json.1.gz").write_bytes(gzip.compress(renamed.read_bytes()))
    renamed.unlink()
    eve.unlink()
    again = follow(tmp_path / "*.json", position=tail.position)
    for _ in range(2):
        assert [] == read_all(again, clock)
    assert str(eve) in again.position
    assert again.waiting_for == f"no file matches {tmp_path / '*.json'} yet"


def test_dated_file_that_is_compressed_leaves_the_position(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """Nobody writes to its path again: a year of dated files is not looked after for ever."""
    dated = tmp_path / "eve-2026.json"
    tail = follow(tmp_path / "eve-*.json")
    append(dated, text(lines(0, 5)))
    clock.advance(GLOB_INTERVAL)
    assert lines(0, 5) == read(tail)
    (tmp_path / "eve-2026.json.gz").write_bytes(gzip.compress(dated.read_bytes()))
    dated.unlink()
    assert [] == read_all(tail, clock)
    assert {str(tmp_path / "eve-*.json"): ()} == tail.position


def test_rotated_file_that_was_there_before_its_origin(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """Started between the rename and the first line: `eve.json.1` is no log of its own for ever."""
    eve, newest, oldest = (tmp_path / f"eve.json{ending}" for ending in ("", ".1", ".2"))
    append(newest, text(lines(0, 20)))
    tail = follow(tmp_path / "eve*", start="beginning")
    seen = read_all(tail, clock)
    append(eve, text(lines(20, 22)))
    for day in range(1, 5):
        seen += read_all(tail, clock)
        oldest.with_name(f"eve.json.{8 - day}.gz").write_bytes(gzip.compress(newest.read_bytes()))
        newest.unlink()
        rotate(eve, "eve.json.1", 20 + 2 * day, 22 + 2 * day)
    seen += read_all(tail, clock)
    assert lines(0, 30) == seen
    assert {str(tmp_path / "eve*"), str(eve)} == set(tail.position)
    assert [] == read_all(follow(tmp_path / "eve*", position=tail.position), clock)


def test_finished_under_a_rotated_name(tmp_path: Path, follow: Follow, clock: ManualClock) -> None:
    """What was read as `eve.json.1`, and compressed since, is known when `eve.json` is rotated."""
    eve, first = tmp_path / "eve.json", tmp_path / "eve.json.1"
    append(first, text(lines(0, 5)))
    tail = follow(tmp_path / "eve*", start="beginning")
    append(eve, text(lines(5, 7)))  # met later, so that `eve.json.1` is looked at first
    assert lines(0, 7) == sorted(read_all(tail, clock))
    old = first.rename(tmp_path / "eve.json.3")
    rotate(eve, "eve.json.2", 7, 9)
    rotate(eve, "eve.json.1", 9, 11)  # twice between two looks: a file that was never `eve.json`
    assert lines(7, 11) == sorted(read_all(tail, clock))
    old.with_name("eve.json.3.gz").write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()
    rotate(eve, "eve.json.0", 11, 13)
    assert lines(11, 13) == read_all(tail, clock)


def test_rotated_file_that_is_compressed_before_its_end(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """Stopped in `eve.json.1`, which is `eve.json.9.gz` by now: it is read on, not anew."""
    eve, old = tmp_path / "eve.json", tmp_path / "eve.json.1"
    append(eve, text(lines(5, 7)))
    append(old, text(lines(0, 5)))
    first = follow(tmp_path / "eve*", start="beginning", batch_size=2)
    batch = first.poll()
    assert batch is not None
    (tmp_path / "eve.json.9.gz").write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()
    tail = follow(tmp_path / "eve*", position=batch.position)
    assert lines(0, 7) == sorted([*batch.lines, *read_all(tail, clock)])
    assert not tail.losses.occasions


def test_gzip_at_work_on_a_dated_file_that_is_followed(
    tmp_path: Path, follow: Follow, clock: ManualClock
) -> None:
    """Its half-made copy lies beside the path itself: the lines come from the original alone."""
    dated = tmp_path / "eve-2026.json"
    append(dated, text(lines(900, 901)))
    first = follow(tmp_path / "eve*", start="beginning")
    dated.write_bytes(b"")
    append(dated, text(lines(0, 10)))
    dated.with_name("eve-2026.json.gz").write_bytes(half_gzip(text(lines(0, 5))))
    tail = follow(tmp_path / "eve*", position=first.position)
    assert lines(0, 10) == read_all(tail, clock)
    assert {"truncated": 1} == tail.losses.occasions


@pytest.mark.parametrize("block", [200, 256 * 1024])
def test_copy_that_is_seen_before_its_original_is_truncated(
    tmp_path: Path, follow: Follow, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """A glob meets the copy while `copytruncate` is at work: its lines are neither lost nor twice.

    Until the original is emptied it is read there, from then on in the copy.
    """
    monkeypatch.setattr(log, "BLOCK_BYTES", block)
    eve = tmp_path / "eve.json"
    tail = follow(tmp_path / "eve*", start="beginning", batch_size=3)
    append(eve, text(lines(0, 20)))
    seen: list[bytes] = []
    for _ in range(3):
        clock.advance(GLOB_INTERVAL)
        batch = tail.poll()
        assert batch is not None
        seen += batch.lines
        shutil.copy(eve, tmp_path / "eve.json.1")
    assert lines(0, 9) == seen
    eve.write_bytes(text(lines(20, 22)))
    assert lines(9, 22) == sorted(read(tail))  # of two paths: these lines tell no time
    assert [] == read_all(tail, clock)
    assert not tail.losses.occasions
    assert [] == read(follow(tmp_path / "eve*", position=tail.position))


def test_copy_that_is_too_short(tmp_path: Path, follow: Follow, clock: ManualClock) -> None:
    """What was emptied before it was all copied is lost, told, and not looked for in that copy."""
    eve = tmp_path / "eve.json"
    tail = follow(tmp_path / "eve*", start="beginning")
    append(eve, text(lines(0, 20)))
    assert lines(0, 20) == read_all(tail, clock)
    append(tmp_path / "eve.json.1", text(lines(0, 10)))
    clock.advance(GLOB_INTERVAL)
    assert [] == read(tail)
    eve.write_bytes(b"a\n")
    assert [b"a"] == read(tail)
    assert {"truncated": 1} == tail.losses.occasions
    eve.write_bytes(lines(0, 1)[0][:20])  # too few bytes to tell whose copy that is
    assert [] == read(tail)
    eve.write_bytes(b"b\n")
    assert [b"b"] == read(tail)
    assert {"truncated": 3} == tail.losses.occasions


def test_path_that_was_never_read_is_not_in_the_position(tmp_path: Path, follow: Follow) -> None:
    """What stands there when it can be read is old to a first start, and so it stays."""
    eve = tmp_path / "eve.json"
    eve.mkdir()
    append(tmp_path / "eve.json.1", text(lines(0, 5)))
    tail = follow(tmp_path / "*.json", start="end")
    assert [] == read(tail)
    assert {str(tmp_path / "*.json"): ()} == tail.position
