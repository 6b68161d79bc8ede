"""Lines: whole ones only, of any content, up to a length."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.position import files_of
from ai_suricata.source import merge
from ai_suricata.source.file import log as source_file
from unit.source.following import append, lines, read, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ai_suricata.source.file.tail import Tail

    Follow = Callable[..., Tail]


@pytest.fixture
def eve(tmp_path: Path) -> Path:
    """Return an empty file."""
    path = tmp_path / "eve.json"
    path.touch()
    return path


def test_partial_line_waits_for_its_end(eve: Path, follow: Follow) -> None:
    """Half a line is not handed out; once finished it is, once, and whole."""
    tail = follow(eve)
    append(eve, b'{"a":1}\n{"b"')
    assert [b'{"a":1}'] == read(tail)
    append(eve, b":2")
    assert [] == read(tail)
    append(eve, b"}\n")
    assert [b'{"b":2}'] == read(tail)


def test_offset_is_the_end_of_the_last_whole_line(eve: Path, follow: Follow) -> None:
    """The position never points into a line, nor behind one that waits in memory."""
    tail = follow(eve, batch_size=1)
    append(eve, b"one\ntwo\nthr")
    first, second = tail.poll(), tail.poll()
    assert first is not None
    assert second is not None
    assert 4 == files_of(first.position, str(eve))[0].offset
    assert 8 == files_of(second.position, str(eve))[0].offset
    assert None is tail.poll()


def test_carriage_returns_and_empty_lines_are_taken_out(eve: Path, follow: Follow) -> None:
    """CRLF ends a line as LF does, and only one carriage return belongs to the end."""
    tail = follow(eve)
    append(eve, b"one\r\n\r\n\n\ntwo\nthr\ree\r\r\n")
    assert [b"one", b"two", b"thr\ree\r"] == read(tail)
    assert eve.stat().st_size == files_of(tail.position, str(eve))[0].offset


def test_any_bytes_pass(eve: Path, follow: Follow) -> None:
    """NUL bytes and invalid UTF-8 are the parser's business."""
    tail = follow(eve)
    append(eve, b"\x00\xff\xfe\x00\n")
    assert [b"\x00\xff\xfe\x00"] == read(tail)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_line_of_the_greatest_length_passes(eve: Path, follow: Follow, ending: bytes) -> None:
    """The limit counts the line without its end."""
    tail = follow(eve, max_line_bytes=2000)
    append(eve, b"a" * 2000 + ending + b"b" * 2001 + ending + b"c" + ending)
    batch = tail.poll()
    assert batch is not None
    assert [b"a" * 2000, b"c"] == batch.lines
    assert {"too_long": 1} == batch.rejected


def test_overlong_line_is_not_held_in_memory(
    eve: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of many blocks is counted once, its neighbours pass, and the offset is behind it."""
    monkeypatch.setattr(source_file, "BLOCK_BYTES", 4096)
    tail = follow(eve, max_line_bytes=10_000)
    append(eve, b"before\n" + b"x" * 50_000)
    assert [b"before"] == read(tail)
    (file,) = next(iter(tail._roster)).files
    assert file.lines.held <= 10_000 + 4096
    assert 7 == files_of(tail.position, str(eve))[0].offset
    append(eve, b"x" * 50_000 + b"\nafter\n")
    batch = tail.poll()
    assert batch is not None
    assert [b"after"] == batch.lines
    assert {"too_long": 1} == batch.rejected
    assert eve.stat().st_size == files_of(batch.position, str(eve))[0].offset


def test_file_with_unread_bytes_is_not_drained(eve: Path) -> None:
    """What was written since the latest reading is noticed, though lines before it come first."""
    append(eve, b"one\ntwo\n" + b"x" * 5000)
    file = source_file.LogFile(
        source_file.open_regular(str(eve)), path=str(eve), offset=0, max_line_bytes=1024
    )
    assert [b"one"] == file.take(1)
    append(eve, b"x\nthree\n")
    assert [b"two"] == file.take(9)
    assert not file.drained
    assert [b"three"] == file.take(9)
    assert file.drained
    file.close()


def test_rejection_alone_makes_a_batch(eve: Path, follow: Follow) -> None:
    """Otherwise a file of nothing but overlong lines would never move the position."""
    tail = follow(eve, max_line_bytes=1024)
    append(eve, b"x" * 2000 + b"\n")
    batch = tail.poll()
    assert batch is not None
    assert [] == batch.lines
    assert {"too_long": 1} == batch.rejected


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("block", [13, 4096, 256 * 1024])
def test_batch_and_block_sizes_do_not_show(
    eve: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch, size: int, block: int
) -> None:
    """The same lines come, however the file is cut."""
    monkeypatch.setattr(source_file, "BLOCK_BYTES", block)
    tail = follow(eve, batch_size=size)
    append(eve, text(lines(0, 100)))
    batches = []
    while (batch := tail.poll()) is not None:
        batches.append(batch.lines)
    assert lines(0, 100) == [line for batch in batches for line in batch]
    assert min(size, 100) == max(map(len, batches))


def test_files_take_turns(tmp_path: Path, follow: Follow) -> None:
    """A file with a backlog does not keep the others waiting, and leaves no room unused."""
    names = [tmp_path / name for name in ("a.json", "b.json", "c.json")]
    tail = follow(*names, batch_size=90)
    for path, count in zip(names, (1000, 20, 1000), strict=True):
        append(path, text([b"%s %d" % (path.name.encode(), n) for n in range(count)]))
    batch = tail.poll()
    assert batch is not None
    counts = [sum(line.startswith(p.name.encode()) for line in batch.lines) for p in names]
    assert [35, 20, 35] == counts


def test_one_line_batches_reach_every_file(tmp_path: Path, follow: Follow) -> None:
    """With less room than files, an empty file in front does not hide the others."""
    names = [tmp_path / name for name in ("a.json", "b.json", "c.json")]
    tail = follow(*names, batch_size=1)
    append(names[2], b"one\n")
    assert [b"one"] == read(tail)


@pytest.mark.parametrize("paths", [1, 2])
def test_a_batch_is_bounded_by_bytes(
    tmp_path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch, paths: int
) -> None:
    """Long lines fill the memory long before they are as many as a batch may hold."""
    monkeypatch.setattr(source_file, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(source_file.LogFile, "turn_bytes", 10_000)
    monkeypatch.setattr(merge, "BATCH_BYTES", 10_000)
    files = [tmp_path / f"{number}.json" for number in range(paths)]
    tail = follow(*files, batch_size=1000)
    for file in files:
        append(file, text([b"x" * 3000] * 20))
    sizes = []
    while (batch := tail.poll()) is not None:
        sizes.append(batch.bytes)

    assert paths * 20 * 3000 == sum(sizes)
    assert max(sizes) <= 10_000 + 3000


def test_the_lag_of_a_lost_mount_is_the_last_that_was_known(
    eve: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ESTALE must not end the daemon."""
    tail = follow(eve)
    append(eve, b"twelve bytes")
    tail.poll()
    assert 12 == tail.lag().bytes

    def stale(_file: source_file.LogFile) -> int:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(source_file.LogFile, "lag", stale)
    assert 12 == tail.lag().bytes


def test_lag_counts_what_was_not_handed_out(eve: Path, follow: Follow) -> None:
    """Lines in memory count as well as bytes on disk, and a partial line too."""
    tail = follow(eve, batch_size=1)
    append(eve, b"one\ntwo\nthr")
    tail.poll()
    assert (7, 1) == (tail.lag().bytes, tail.lag().files)
    tail.close()
    assert (0, 0) == (tail.lag().bytes, tail.lag().files)
