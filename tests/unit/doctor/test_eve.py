"""What the doctor says of a followed eve.json."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.clock import ManualClock
from ai_suricata.doctor import eve as examined
from ai_suricata.doctor import sight
from ai_suricata.doctor.finding import Status
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ai_suricata.doctor.finding import Finding

ALL = [
    eve.alert(),
    eve.http(),
    eve.dns(),
    eve.other("tls"),
    eve.other("ssh"),
    eve.flow(written=0.0),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where eve.json is."""
    return tmp_path / "eve.json"


def write(path: Path, records: Sequence[eve.Record], *more: bytes) -> None:
    """Write records and further lines."""
    path.write_bytes(b"".join(line + b"\n" for line in [*map(eve.line, records), *more]))


def found(path: Path, age: float = 12.0) -> list[Finding]:
    """Examine it so many seconds after the records' time."""
    settings = eve.settings(EVE_PATH=str(path)).source
    return examined.examine(settings, ManualClock(eve.START + age))


def test_a_file_with_all_that_helps_is_well(path: Path) -> None:
    """Its age and its event types are told."""
    write(path, ALL)
    first, second = found(path)

    assert (Status.OK, "readable; its last line is 12 s old") == (first.status, first.sentence)
    assert Status.OK == second.status
    assert "alert 1, http 1, dns 1, tls 1, ssh 1, flow 1" in second.sentence


def test_with_alerts_alone_it_says_what_is_lost(path: Path) -> None:
    """And which types of eve-log to switch on."""
    write(path, [eve.alert(), eve.other("stats")])
    _, coverage = found(path)

    assert Status.WARNING == coverage.status
    assert "only alerts arrive" in coverage.sentence
    for kind, lost in sight.LOST.items():
        assert f"{kind}: {lost}" in coverage.sentence
    assert "switch on flow, http, dns, tls, ssh in suricata.yaml" in coverage.remedy
    assert "eve-log" in coverage.remedy


def test_without_flows_it_says_so(path: Path) -> None:
    """Other events don't replace them, and what does arrive is not asked for."""
    write(path, [eve.alert(), eve.http()])
    _, coverage = found(path)

    assert Status.WARNING == coverage.status
    assert "no flows arrive" in coverage.sentence
    assert "switch on flow, dns, tls, ssh in" in coverage.remedy


def test_types_without_traffic_are_no_warning(path: Path) -> None:
    """A network without SSH has no ssh events."""
    write(path, [each for each in ALL if each["event_type"] != "ssh"])
    _, coverage = found(path)

    assert Status.OK == coverage.status
    assert "none of ssh" in coverage.sentence


@pytest.mark.parametrize(
    ("age", "status", "sentence"),
    [
        (500.0, Status.OK, "its last line is 8 min old"),
        (7200.0, Status.WARNING, "its last line is 2 h old"),
        (-60.0, Status.WARNING, "60 s ahead of this machine's clock"),
    ],
)
def test_the_age_of_the_last_line_is_told(
    path: Path, age: float, status: Status, sentence: str
) -> None:
    """A file that nobody writes any more, and clocks that disagree, are warnings."""
    write(path, ALL)
    told = found(path, age)[0]

    assert status == told.status
    assert sentence in told.sentence


def test_the_age_is_of_the_record_not_of_the_flow(path: Path) -> None:
    """A flow that began an hour ago is written now."""
    write(path, [eve.flow(at=0.0, written=3600.0)])

    assert "its last line is 1 s old" in found(path, 3601.0)[0].sentence


def test_rejected_lines_are_counted(path: Path) -> None:
    """By reason."""
    write(path, ALL, b"{torn", b"[]", b"no json")
    told = found(path)[1]

    assert Status.WARNING == told.status
    assert "3 of its last 9 lines are rejected (2 not_json, 1 wrong_shape)" == told.sentence


def test_another_log_is_wrong(path: Path) -> None:
    """None of its lines is an event."""
    write(path, [], b"Nov 20 sshd[1]: Accepted publickey")
    [told] = found(path)

    assert Status.WRONG == told.status
    assert "none of its last lines is an event (1 not_json)" == told.sentence


def test_only_the_end_of_a_large_file_is_read(path: Path) -> None:
    """The line that the look cuts through is not counted, nor is one that is being written."""
    write(path, [eve.alert()] * 100 + [eve.flow()] * 3)
    with path.open("ab") as file:
        file.write(b'{"half')
    size = len(eve.line(eve.flow())) + 1

    sight = examined.look(str(path), 3 * size + 6 + 10)

    assert ({"flow": 3}, {}) == (sight.types, sight.rejected)


def test_an_empty_file_is_a_warning(path: Path) -> None:
    """Suricata was just started, or sees nothing."""
    path.touch()

    assert [(Status.WARNING, "readable, and empty")] == [
        (one.status, one.sentence) for one in found(path)
    ]


def test_a_missing_file_is_wrong(path: Path) -> None:
    """With what to do."""
    [told] = found(path)

    assert (Status.WRONG, f"{path} does not exist yet") == (told.status, told.sentence)
    assert "EVE_PATH" in told.remedy


def test_a_glob_names_each_of_its_files(tmp_path: Path) -> None:
    """And one that matches none is wrong."""
    for name in ("eve-em0.json", "eve-em1.json"):
        write(tmp_path / name, ALL)
    pattern = tmp_path / "eve-*.json"

    parts = {one.part for one in found(pattern)}
    assert {str(tmp_path / "eve-em0.json"), str(tmp_path / "eve-em1.json")} == parts
    [told] = found(tmp_path / "none-*.json")
    assert (Status.WRONG, f"no file matches {tmp_path}/none-*.json yet") == (
        told.status,
        told.sentence,
    )


def test_what_a_glob_does_not_follow_is_not_examined(tmp_path: Path) -> None:
    """Packed files are passed over; a file with brackets in its name is no glob."""
    for name in ("eve-[0].json", "eve-1.json", "eve-0.json.gz"):
        write(tmp_path / name, ALL)

    assert {str(tmp_path / "eve-1.json")} == {one.part for one in found(tmp_path / "eve-[1].js*")}
    assert {str(tmp_path / "eve-[0].json")} == {
        one.part for one in found(tmp_path / "eve-[0].json")
    }
    assert 1 == len({one.part for one in found(tmp_path / "eve-[01]*")})


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_wrong(path: Path, kind: str) -> None:
    """A named pipe without a writer is not waited for."""
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    [told] = found(path)

    assert (Status.WRONG, f"{path} is no regular file") == (told.status, told.sentence)


def test_a_right_that_is_missing_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For whom, and how to grant it: the tests may run as root, who may read all."""
    write(path, ALL)
    path.chmod(0o600)

    def refuse(path: str, _flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("ai_suricata.doctor.eve.os.open", refuse)
    [told] = found(path)

    assert Status.WRONG == told.status
    assert f"{path} can't be read by uid {os.geteuid()}" == told.sentence
    assert "grant read" in told.remedy
