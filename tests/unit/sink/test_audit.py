"""The audit log: one line for each change of a decision, rotated, and read again."""

from __future__ import annotations

import gzip
import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ai_suricata.core.clock import ManualClock
from ai_suricata.core.decision import Decision, LedgerEntry, LedgerState, Table
from ai_suricata.sink import trail
from ai_suricata.sink.audit import MOST_COMMAND, MOST_COMMANDS, MOST_MEMBERS, AuditLog, read

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_700_000_000.0
TARGET, OTHER = "203.0.113.7", "198.51.100.9"

_DECISION = Decision(
    target=TARGET,
    table=Table.BLOCK,
    duration=600.0,
    step=0,
    decided_at=NOW,
    event_time=int(NOW * 1_000_000),
    score=0.87654321,
    reasons=("brute force: 40 logins were denied in 10 minutes",),
    model_version="none",
    features={"denied_logins": 40.0},
)


def entry(target: str = TARGET, **other: Any) -> LedgerEntry:  # noqa: ANN401 - any field
    """Return an entry of the ledger."""
    decision = msgspec.structs.replace(_DECISION, target=target, **other)
    return LedgerEntry(decision, LedgerState.REQUESTED, NOW, NOW + 600)


def numbered(audit: AuditLog, numbers: range) -> None:
    """Write a line for each number, which is its note."""
    for number in numbers:
        audit.write([entry()], LedgerState.ENFORCED, str(number))


def notes(path: Path) -> list[int]:
    """Return the numbers of all lines that can be read, the oldest first."""
    return [int(line["note"]) for line in read(path)]


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of one file; each has to be whole."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the audit log is."""
    return tmp_path / "audit.jsonl"


@pytest.fixture
def audit(path: Path) -> AuditLog:
    """Return one that is not rotated."""
    return AuditLog(path, ManualClock(NOW + 5), 0, 3, firewall="admin@192.0.2.1:22")


@pytest.fixture
def small(path: Path) -> AuditLog:
    """Return one with five lines a file, and three files beside the present one."""
    AuditLog(path, ManualClock(NOW)).write([entry()], LedgerState.ENFORCED, "12")
    size = path.stat().st_size
    path.unlink()
    return AuditLog(path, ManualClock(NOW), 5 * size, 3)


def test_a_line_says_who_what_when_and_why(path: Path, audit: AuditLog) -> None:
    """Times in UTC; the score as far as it means something; what was sent to which firewall."""
    audit.write([entry()], LedgerState.ENFORCED, "put back", ["pfctl -t block -T add -f -"])

    expected = {
        "time": "2023-11-14T22:13:25.000000Z",
        "state": "enforced",
        "firewall": "admin@192.0.2.1:22",
        "target": TARGET,
        "table": "block",
        "duration_seconds": 600.0,
        "step": 0,
        "event_time": "2023-11-14T22:13:20.000000Z",
        "score": 0.876543,
        "reasons": ["brute force: 40 logins were denied in 10 minutes"],
        "features": {"denied_logins": 40.0},
        "model": "none",
        "by_hand": False,
        "note": "put back",
        "commands": ["pfctl -t block -T add -f -"],
    }
    assert [expected] == lines_of(path)


def test_a_network_has_its_members_named(path: Path, audit: AuditLog) -> None:
    """As many as a line may hold: a /64 can have any number."""
    members = tuple(f"2001:db8::{number:x}" for number in range(MOST_MEMBERS + 1))
    audit.write([entry("2001:db8::/64", members=members)], LedgerState.ENFORCED, "")
    audit.write([entry(by_hand=True)], LedgerState.ENFORCED, "")

    network, address = lines_of(path)
    assert list(members[:-1]) == network["members"]
    assert "members" not in address
    assert address["by_hand"] is True


def test_a_line_names_the_commands_about_its_own_address(path: Path, audit: AuditLog) -> None:
    """Those about another address of the batch say nothing of this one, and would fill the disk."""
    add, kill, kill_other = "pfctl -T add -f -", f"pfctl -k {TARGET}", f"pfctl -k {OTHER}"
    audit.write([entry(), entry(OTHER)], LedgerState.ENFORCED, "", [add, kill, kill_other])

    assert [[add, kill], [add, kill_other]] == [line["commands"] for line in lines_of(path)]


def test_commands_are_bounded(path: Path, audit: AuditLog) -> None:
    """In number and in length."""
    audit.write([entry()], LedgerState.ENFORCED, "", ["x" * 2 * MOST_COMMAND] * 99)

    assert [["x" * MOST_COMMAND] * MOST_COMMANDS] == [line["commands"] for line in lines_of(path)]


def test_ten_thousand_kills_cost_no_more_than_their_own_lines(path: Path, audit: AuditLog) -> None:
    """Each line holds two commands, not twenty thousand."""
    targets = [f"198.18.{n // 250}.{n % 250}" for n in range(10_000)]
    commands = [f"pfctl -k {target}" for target in targets for _ in range(2)]
    audit.write([entry(target) for target in targets], LedgerState.ENFORCED, "", commands)

    assert path.stat().st_size < 10_000 * 1000
    assert {2} == {len(line["commands"]) for line in read(path)}


def test_lines_are_added_one_an_entry(path: Path, audit: AuditLog) -> None:
    """Append-only. A batch without entries leaves no file."""
    audit.write([], LedgerState.REQUESTED, "")
    assert not path.exists()
    audit.write([entry(), entry(OTHER)], LedgerState.REQUESTED, "")
    audit.write([entry()], LedgerState.ENFORCED, "")

    expected = [(TARGET, "requested"), (OTHER, "requested"), (TARGET, "enforced")]
    assert expected == [(line["target"], line["state"]) for line in lines_of(path)]


def test_only_the_owner_may_read_it(path: Path, small: AuditLog) -> None:
    """Whoever made the file, and after a rotation, too."""
    path.touch(0o666)
    path.chmod(0o666)
    numbered(small, range(10, 17))

    files = [path, path.with_name("audit.jsonl.1")]
    assert [0o600, 0o600] == [stat.S_IMODE(file.stat().st_mode) for file in files]


def test_a_link_is_not_followed(path: Path, tmp_path: Path, audit: AuditLog) -> None:
    """Somebody could have laid it to have another file written to."""
    victim = tmp_path / "victim"
    victim.touch()
    path.symlink_to(victim)
    with capture_logs():
        audit.write([entry()], LedgerState.REQUESTED, "")

    assert b"" == victim.read_bytes()


def test_somebody_else_may_rotate_by_renaming(path: Path, audit: AuditLog) -> None:
    """The next line goes into a new file of the old name."""
    numbered(audit, range(1))
    path.rename(path.with_name("audit.jsonl.1"))
    numbered(audit, range(1, 2))

    assert ["1"] == [line["note"] for line in lines_of(path)]
    assert [0, 1] == notes(path)


def test_without_a_size_nothing_is_rotated(path: Path, audit: AuditLog) -> None:
    """AUDIT_BYTES=0 leaves it to others."""
    numbered(audit, range(200))

    assert [path] == list(path.parent.iterdir())


def test_it_is_rotated_before_it_gets_too_large(path: Path, small: AuditLog) -> None:
    """The newest lines are in the present file; of the others, so many files are kept."""
    numbered(small, range(10, 41))

    names = ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"]
    assert names == sorted(file.name for file in path.parent.iterdir())
    assert [1, 5, 5, 5] == [len(lines_of(path.with_name(name))) for name in names]
    assert list(range(25, 41)) == notes(path)


def test_a_batch_that_is_larger_than_a_file_stays_together(path: Path, small: AuditLog) -> None:
    """It goes into a file of its own, whole."""
    numbered(small, range(10, 12))
    small.write([entry()] * 20, LedgerState.ENFORCED, "12")

    assert 20 == len(lines_of(path))
    assert [10, 11, *[12] * 20] == notes(path)


@pytest.mark.parametrize("step", range(5))
def test_a_kill_in_a_rotation_loses_and_doubles_nothing(
    path: Path, small: AuditLog, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any of its renames the next daemon goes on, and no line is missing or there twice."""

    class KilledError(BaseException):
        pass

    left = step
    replace = type(path).replace

    def dying(self: Path, target: Path) -> Path:
        nonlocal left
        if not left:
            raise KilledError
        left -= 1
        return replace(self, target)

    small._files = 5
    numbered(small, range(10, 30))
    monkeypatch.setattr(type(path), "replace", dying)
    killed = False
    try:
        numbered(small, range(30, 31))
    except KilledError:
        killed = True
    monkeypatch.undo()
    first = 31 - killed
    assert (step < 4) == killed
    assert list(range(10, first)) == notes(path)

    numbered(small, range(first, 35))
    assert list(range(10, 35)) == notes(path)


def test_fewer_files_are_kept_where_fewer_are_asked_for(path: Path, small: AuditLog) -> None:
    """At the next rotation; what is no rotated log stays."""
    numbered(small, range(10, 31))
    path.with_name("audit.jsonl.backup").touch()
    small._files = 1
    numbered(small, range(31, 36))

    names = ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.backup"]
    assert names == sorted(file.name for file in path.parent.iterdir())


def test_where_it_can_t_be_rotated_it_is_written_all_the_same(path: Path, small: AuditLog) -> None:
    """A file that is too large is better than a line that is lost; it is told once."""
    path.with_name("audit.jsonl.1").mkdir()
    small._files = 1
    with capture_logs() as told:
        numbered(small, range(10, 30))

    assert ["audit log can't be rotated"] == [line["event"] for line in told]
    assert 20 == len(lines_of(path))


def test_a_line_without_an_end_spoils_only_itself(path: Path, audit: AuditLog) -> None:
    """A power failure may leave one; the next one begins a line."""
    numbered(audit, range(1))
    with path.open("ab") as file:
        file.write(b'{"note": "1", "st')
    numbered(audit, range(2, 4))

    found = read(path)
    assert ["0", "2", "3"] == [line["note"] for line in found]
    assert 1 == found.skipped


def test_a_disk_that_fails_is_told_once_and_stops_nothing(path: Path, audit: AuditLog) -> None:
    """Once it works again, a new failure is told again."""
    path.mkdir()
    with capture_logs() as told:
        for _ in range(3):
            audit.write([entry()], LedgerState.REQUESTED, "")
    assert ["audit log can't be written"] == [line["event"] for line in told]

    path.rmdir()
    audit.write([entry()], LedgerState.REQUESTED, "")
    path.unlink()
    path.mkdir()
    with capture_logs() as told:
        audit.write([entry()], LedgerState.REQUESTED, "")
    assert ["audit log can't be written"] == [line["event"] for line in told]


def test_a_full_disk_leaves_no_half_line(path: Path) -> None:
    """The line after it stands on its own again."""
    code = (
        "import sys; from pathlib import Path\n"
        "sys.path[:0] = [sys.argv[2]]\n"
        "from test_audit import *\n"
        "numbered(AuditLog(Path(sys.argv[1]), ManualClock(NOW)), range(9))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(path), str(Path(__file__).parent)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )

    assert 0 < path.stat().st_size < 1000
    assert path.read_bytes().endswith(b"}\n")
    assert {"enforced"} == {line["state"] for line in lines_of(path)}


def test_reading_goes_on_past_what_is_none(path: Path, audit: AuditLog) -> None:
    """Each such line is counted; an overlong one once."""
    numbered(audit, range(1))
    with path.open("ab") as file:
        file.write(b"no JSON\n[1]\n\n\xff\xfe\n" + b"x" * (3 * trail.MOST_LINE) + b"\n")
        file.write(b"[" * 100_000 + b"\n")
    numbered(audit, range(1, 2))

    found = read(path)
    assert ["0", "1"] == [line["note"] for line in found]
    assert 5 == found.skipped
    assert ["0", "1"] == [line["note"] for line in found]
    assert 5 == found.skipped  # of the latest reading, not of both


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_no_content_of_the_file_makes_the_reading_fail(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    """Whatever stands there, lines that are whole are found."""
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    path.write_bytes(b"\n".join(chunks) + b'\n{"note": "7"}\n')

    assert {"note": "7"} == list(read(path))[-1]


def test_what_somebody_else_has_compressed_is_read(path: Path, small: AuditLog) -> None:
    """As logrotate does; a file that is damaged is counted."""
    numbered(small, range(10, 23))
    for number in (1, 2):
        rotated = path.with_name(f"audit.jsonl.{number}")
        with gzip.open(f"{rotated}.gz", "wb") as packed:
            packed.write(rotated.read_bytes())
        rotated.unlink()
    assert list(range(10, 23)) == notes(path)

    damaged = path.with_name("audit.jsonl.2.gz")
    damaged.write_bytes(damaged.read_bytes()[:40])
    found = read(path)
    assert list(range(15, 23)) == [int(line["note"]) for line in found]
    assert 1 == found.skipped


def test_where_nothing_was_written_nothing_is_read(tmp_path: Path) -> None:
    """No file, no folder."""
    assert [] == list(read(tmp_path / "audit.jsonl"))
    assert [] == list(read(tmp_path / "nowhere" / "audit.jsonl"))


def test_a_rotation_while_it_is_read_loses_and_doubles_nothing(path: Path, small: AuditLog) -> None:
    """A file is known by what it is, not by the name that it had when the reading began."""
    small._files = 9
    numbered(small, range(10, 27))
    found: list[int] = []
    for line in read(path):
        found.append(int(line["note"]))
        if len(found) in {5, 6, 12}:
            numbered(small, range(50, 55))

    assert list(range(10, 27)) == [number for number in found if number < 50]


def test_a_file_whose_time_comes_while_it_is_read_is_left_out(path: Path, small: AuditLog) -> None:
    """What is gone before it was opened is no failure."""
    numbered(small, range(10, 25))
    found = read(path)
    reading = iter(found)
    first = next(reading)
    for file in path.parent.iterdir():
        file.unlink()

    assert [10, 11, 12, 13, 14] == [int(line["note"]) for line in (first, *reading)]
    assert 0 == found.skipped


def test_a_write_that_is_cut_short_goes_on(
    path: Path, audit: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """write(2) may take less than it was given."""
    write: Callable[[int, memoryview], int] = os.write
    monkeypatch.setattr(os, "write", lambda file, view: write(file, view[:100]))
    numbered(audit, range(3))
    monkeypatch.undo()

    assert ["0", "1", "2"] == [line["note"] for line in lines_of(path)]
