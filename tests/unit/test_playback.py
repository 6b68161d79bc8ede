"""Recorded events made present: the same spacing, ending now."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_suricata.core.timestamp import parse_timestamp
from ai_suricata.playback import ending_at, recorded
from fakes import eve

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = 1_800_000_000_000_000


def moved(*records: dict[str, Any], faster: float = 1.0) -> list[dict[str, Any]]:
    """Return the records as they are played."""
    return [json.loads(line) for line in ending_at(records, MOMENT, faster)]


@given(st.lists(st.integers(0, 10_000_000), min_size=1), st.sampled_from([1.0, 8.0]))
def test_spacing_stays_and_the_latest_is_now(micros: list[int], faster: float) -> None:
    """To the microsecond; `faster` shrinks all of it alike."""
    records = [eve.alert(at=each / 1_000_000) for each in micros]
    played = [parse_timestamp(record["timestamp"]) for record in moved(*records, faster=faster)]
    written = [parse_timestamp(record["timestamp"]) for record in records]

    assert MOMENT == max(played)
    assert [MOMENT - int((max(written) - each) / faster) for each in written] == played


def test_a_flow_moves_with_its_record() -> None:
    """Start, end and timestamp keep their distances: features are made of start and end."""
    [flow, last] = moved(eve.flow(at=10, seconds=20, written=50), eve.alert(at=110), faster=2)

    seconds = [
        (parse_timestamp(text) - MOMENT) / 1_000_000
        for text in (flow["flow"]["start"], flow["flow"]["end"], flow["timestamp"])
    ]
    assert [-50.0, -40.0, -30.0] == seconds
    assert MOMENT == parse_timestamp(last["timestamp"])


def test_nothing_but_the_times_changes() -> None:
    """What is played is what was recorded."""
    record = eve.flow(at=10)
    [played] = moved(record)
    for each in (record, played):
        del each["timestamp"], each["flow"]["start"], each["flow"]["end"]

    assert record == played


def test_the_records_that_were_given_stay_as_they_were() -> None:
    """They can be played again."""
    record = eve.flow(at=10)
    before = json.dumps(record)
    moved(record)

    assert before == json.dumps(record)


def test_lines_are_written_as_suricata_does() -> None:
    """One object a line, times with the zone as +0000."""
    [line] = ending_at([eve.alert()], MOMENT)

    assert line.endswith(b"}\n")
    assert b'"timestamp":"2027-01-15T08:00:00.000000+0000"' in line


def test_no_events_are_no_lines() -> None:
    """An empty recording."""
    assert [] == ending_at([], MOMENT)


def test_a_recording_is_read_from_gzip(tmp_path: Path) -> None:
    """One object a line, in their order."""
    records = [eve.alert(at=2), eve.flow(at=1)]
    path = tmp_path / "eve.json.gz"
    path.write_bytes(gzip.compress(b"".join(eve.line(record) + b"\n" for record in records)))

    assert records == recorded(path)


def test_a_recording_that_is_missing_is_an_os_error(tmp_path: Path) -> None:
    """The caller names it."""
    with pytest.raises(FileNotFoundError):
        recorded(tmp_path / "none.gz")
