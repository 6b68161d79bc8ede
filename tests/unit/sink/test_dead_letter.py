"""Samples of rejected lines: readable, few, bounded, and for the owner's eyes only."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ai_suricata.core.event import Rejection
from ai_suricata.sink.dead_letter import (
    LINE_BYTES,
    MOST_A_BATCH,
    MOST_A_MINUTE,
    MOST_REASONS,
    DeadLetter,
    readable,
)
from fakes.response import NOW, clock_at

if TYPE_CHECKING:
    from pathlib import Path

_FAILURE = "samples of rejected lines can't be written"


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _back(text: str) -> bytes:
    """Undo what `readable` did."""

    def undo(escape: re.Match[bytes]) -> bytes:
        return b"\\" if escape[1] == b"\\" else bytes.fromhex(escape[1][1:].decode())

    return re.sub(rb"\\(\\|x[0-9a-f]{2})", undo, text.encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the samples go."""
    return tmp_path / "rejected.jsonl"


def test_a_sample_says_when_why_whence_and_what(path: Path) -> None:
    """The time is when it was rejected: a line that is no event has no time of its own."""
    letters = DeadLetter(path, 10_000, clock_at(NOW + 0.5))
    letters.take([(Rejection.NOT_JSON, b'{"a":"\xff\x00')], "/var/log/eve.json")
    letters.take([("too_long", b"{}")])

    time = "2023-11-14T22:13:20.500000Z"
    assert [
        {
            "time": time,
            "reason": "not_json",
            "origin": "/var/log/eve.json",
            "bytes": 8,
            "line": '{"a":"\\xff\x00',
        },
        {"time": time, "reason": "too_long", "bytes": 2, "line": "{}"},
    ] == _lines(path)


def test_a_long_line_is_cut_and_its_length_told(path: Path) -> None:
    """The beginning says what it was."""
    DeadLetter(path, 100_000, clock_at()).take([("not_json", b"x" * 1_000_000)])

    (found,) = _lines(path)
    assert (1_000_000, "x" * LINE_BYTES) == (found["bytes"], found["line"])


@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_the_bytes_of_a_line_can_be_had_back(line: bytes) -> None:
    """Through JSON, whatever they are: also where the line itself has backslashes."""
    assert line == _back(json.loads(json.dumps(readable(line))))


def test_only_the_owner_may_read_the_samples(path: Path) -> None:
    """A record can hold a password. A file that was open to others is closed to them."""
    letters = DeadLetter(path, 1000, clock_at())
    path.touch()
    path.chmod(0o644)
    letters.take([("not_json", b"{")])
    assert 0o600 == path.stat().st_mode & 0o777
    for number in range(20):
        letters._taken.clear()
        letters.take([("not_json", b"%d" % number)])

    assert [0o600, 0o600] == [file.stat().st_mode & 0o777 for file in (path, letters.older)]


def test_a_flood_of_one_reason_leaves_room_for_the_others(path: Path) -> None:
    """A few of each in a batch and in a minute; then again a few."""
    clock = clock_at()
    letters = DeadLetter(path, 1_000_000, clock)
    for _ in range(100):
        letters.take([("not_json", b"{")] * 1000)
    letters.take([("bad_time", b"{}")] * 1000)
    first = [line["reason"] for line in _lines(path)]
    clock.advance(60)
    letters.take([("not_json", b"{")] * 1000)

    assert ["not_json"] * MOST_A_MINUTE + ["bad_time"] * MOST_A_BATCH == first
    assert MOST_A_MINUTE + 2 * MOST_A_BATCH == len(_lines(path))


def test_reasons_without_number_are_bounded_too(path: Path) -> None:
    """As long as none of them is new, the known ones go on."""
    letters = DeadLetter(path, 1_000_000, clock_at())
    letters.take([(f"reason {number}", b"{") for number in range(1000)])
    letters.take([("reason 0", b"{"), ("reason 999", b"{")])

    assert MOST_REASONS + 1 == len(_lines(path))


def test_a_clock_that_was_set_back_does_not_stop_the_samples(path: Path) -> None:
    """An hour of silence would follow otherwise."""
    early = clock_at(NOW - 3600)
    letters = DeadLetter(path, 1_000_000, clock_at())
    letters.take([("not_json", b"{")] * MOST_A_MINUTE)
    letters.take([("not_json", b"{")] * MOST_A_MINUTE)
    letters._clock = early
    letters.take([("not_json", b"{")])

    assert MOST_A_MINUTE + 1 == len(_lines(path))


@pytest.mark.parametrize("most", [0, 300, 1000, 5000])
def test_both_files_together_never_hold_more_than_is_allowed(path: Path, most: int) -> None:
    """The newest samples stay, in whole lines."""
    letters = DeadLetter(path, most, clock_at())
    for number in range(200):
        letters._taken.clear()
        letters.take([("not_json", b"%03d" % number)])
        files = [file for file in (letters.older, path) if file.exists()]
        assert sum(file.stat().st_size for file in files) <= most

    kept = [line["line"] for file in files for line in _lines(file)]
    assert [f"{number:03}" for number in range(200 - len(kept), 200)] == kept
    assert (most > 0) == bool(kept)


def test_a_lower_limit_holds_for_what_an_earlier_run_has_left(path: Path) -> None:
    """From the first sample on."""
    letters = DeadLetter(path, 1000, clock_at())
    path.write_bytes(b"{}\n" * 10_000)
    letters.older.write_bytes(b"{}\n" * 10_000)
    letters.take([("not_json", b"new")])

    assert [path] == list(path.parent.iterdir())
    assert ["new"] == [line["line"] for line in _lines(path)]


def test_a_sample_that_is_larger_than_a_file_may_be_is_left_out(path: Path) -> None:
    """And spares what is there."""
    letters = DeadLetter(path, 600, clock_at())
    letters.take([("not_json", b"small"), ("not_json", b"x" * 4000)])

    assert ["small"] == [line["line"] for line in _lines(path)]


def test_the_file_may_be_renamed_or_removed_meanwhile(path: Path) -> None:
    """The next sample goes into a new one."""
    letters = DeadLetter(path, 10_000, clock_at())
    letters.take([("not_json", b"1")])
    path.rename(path.with_suffix(".old"))
    letters.take([("not_json", b"2")])

    assert ["2"] == [line["line"] for line in _lines(path)]


@pytest.mark.parametrize("obstacle", ["folder", "link", "pipe", "missing", "older"])
def test_a_file_that_can_not_be_written_is_told_once_and_stops_nothing(
    path: Path, obstacle: str
) -> None:
    """What is lost is counted; after it worked again, a new failure is told again."""
    letters = DeadLetter(path / "x" if obstacle == "missing" else path, 1000, clock_at())
    if obstacle == "folder":
        path.mkdir()
    elif obstacle == "link":
        path.symlink_to(path.parent / "elsewhere")
    elif obstacle == "pipe":
        os.mkfifo(path)
    elif obstacle == "older":
        letters.older.mkdir()
        path.write_bytes(b"{}\n" * 200)
    with capture_logs() as told:
        for _ in range(3):
            letters.take([("not_json", b"{")])
        letters.close()

    assert [_FAILURE, "samples of rejected lines were lost"] == [line["event"] for line in told]
    assert 3 == letters.unwritten == told[1]["number"]
    assert not (path.parent / "elsewhere").exists()


def test_what_works_again_is_told_again_when_it_fails(path: Path) -> None:
    """An operator who has made room must learn of the next time."""
    letters = DeadLetter(path, 1000, clock_at())
    with capture_logs() as told:
        for _ in range(2):
            path.mkdir()
            letters.take([("not_json", b"{")])
            path.rmdir()
            letters.take([("not_json", b"{")])
            path.unlink()

    assert [_FAILURE] * 2 == [line["event"] for line in told]
    assert 2 == letters.unwritten


def test_a_full_disk_leaves_no_half_line(path: Path) -> None:
    """The line after it stands on its own again."""
    code = (
        "import sys; from pathlib import Path; from fakes.response import *\n"
        "from ai_suricata.sink.dead_letter import DeadLetter\n"
        "letters = DeadLetter(Path(sys.argv[1]), 100_000, clock_at())\n"
        "letters.take([(f'reason {n}', b'x' * 200) for n in range(9)])\n"
        "sys.exit(letters.unwritten)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )

    assert 0 < len(_lines(path)) < 9
    assert 9 == len(_lines(path)) + done.returncode
    assert path.read_bytes().endswith(b"}\n")


def test_an_origin_need_not_be_text(path: Path) -> None:
    """A path is bytes, and Python hands on those that are no UTF-8 as halves of surrogates."""
    DeadLetter(path, 1000, clock_at()).take([("not_json", b"{")], os.fsdecode(b"/log/\xff.json"))

    assert ["/log/\\xff.json"] == [line["origin"] for line in _lines(path)]


def test_after_the_end_nothing_is_taken(path: Path) -> None:
    """Closing twice is as good as once; where nothing was lost there is nothing to tell."""
    letters = DeadLetter(path, 1000, clock_at())
    with capture_logs() as told:
        letters.close()
        letters.take([("not_json", b"{")])
        letters.close()

    assert ([], False) == (told, path.exists())
