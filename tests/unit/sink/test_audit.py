"""The audit log: one line for each change of a decision."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from ai_suricata.core.decision import LedgerEntry, LedgerState
from ai_suricata.sink.audit import AuditLog
from fakes.response import NOW, OTHER, clock_at, decision, lines_of

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = LedgerEntry(decision(score=0.87654321), LedgerState.REQUESTED, NOW, NOW + 600)


def test_a_line_says_who_what_when_and_why(tmp_path: Path) -> None:
    """Times in UTC; the score as far as it means something."""
    audit = AuditLog(tmp_path / "audit.jsonl", clock_at(NOW + 5))
    audit.write([ENTRY], LedgerState.ENFORCED, "put back")

    expected = {
        "time": "2023-11-14T22:13:25.000000Z",
        "state": "enforced",
        "target": "203.0.113.7",
        "table": "block",
        "duration_seconds": 600.0,
        "step": 0,
        "event_time": "2023-11-14T22:13:20.000000Z",
        "score": 0.876543,
        "reasons": ["brute force: 40 logins were denied in 10 minutes"],
        "model": "none",
        "note": "put back",
    }
    assert [expected] == lines_of(tmp_path / "audit.jsonl")


def test_lines_are_added_one_an_entry(tmp_path: Path) -> None:
    """Append-only."""
    audit = AuditLog(tmp_path / "audit.jsonl", clock_at())
    other = LedgerEntry(decision(OTHER), LedgerState.REQUESTED, NOW, NOW + 600)
    audit.write([ENTRY, other], LedgerState.REQUESTED, "")
    audit.write([ENTRY], LedgerState.ENFORCED, "")

    found = lines_of(tmp_path / "audit.jsonl")
    assert [
        ("203.0.113.7", "requested"),
        (OTHER, "requested"),
        ("203.0.113.7", "enforced"),
    ] == [(line["target"], line["state"]) for line in found]


def test_it_can_be_rotated_by_renaming(tmp_path: Path) -> None:
    """The next line goes into a new file of the old name."""
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(path, clock_at())
    audit.write([ENTRY], LedgerState.REQUESTED, "")
    path.rename(tmp_path / "audit.jsonl.1")
    audit.write([ENTRY], LedgerState.ENFORCED, "")

    assert ["enforced"] == [line["state"] for line in lines_of(path)]


def test_a_disk_that_fails_is_told_once_and_stops_nothing(tmp_path: Path) -> None:
    """Once it works again, a new failure is told again."""
    path = tmp_path / "audit.jsonl"
    path.mkdir()
    audit = AuditLog(path, clock_at())
    with capture_logs() as told:
        for _ in range(3):
            audit.write([ENTRY], LedgerState.REQUESTED, "")
    assert ["audit log can't be written"] == [line["event"] for line in told]

    path.rmdir()
    audit.write([ENTRY], LedgerState.REQUESTED, "")
    path.unlink()
    path.mkdir()
    with capture_logs() as told:
        audit.write([ENTRY], LedgerState.REQUESTED, "")
    assert ["audit log can't be written"] == [line["event"] for line in told]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """The line after it stands on its own again."""
    path = tmp_path / "audit.jsonl"
    code = (
        "import sys; from pathlib import Path; from fakes.response import *\n"
        "from ai_suricata.sink.audit import AuditLog\n"
        "audit = AuditLog(Path(sys.argv[1]), clock_at())\n"
        "entry = LedgerEntry(decision(), LedgerState.REQUESTED, NOW, NOW)\n"
        "for _ in range(9): audit.write([entry], LedgerState.REQUESTED, '')"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(path)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )

    assert 0 < path.stat().st_size < 1000
    assert path.read_bytes().endswith(b"}\n")
    assert {"requested"} == {line["state"] for line in lines_of(path)}
