"""A line becomes an event, or is rejected with a reason."""

from __future__ import annotations

from collections import Counter

import pytest

from ai_suricata.core.event import Event, Rejection, decode
from ai_suricata.core.timestamp import parse_timestamp
from fakes import eve


def test_an_alert_keeps_what_the_analysis_asks_for() -> None:
    """Addresses, ports, signature and opener of an alert arrive unchanged."""
    found = eve.event(eve.alert(sid=2_016_672, opener=eve.STRANGER, direction="to_client"))

    assert found.alert is not None
    assert found.flow is not None
    assert 2_016_672 == found.alert.signature_id
    assert 1 == found.alert.severity
    assert eve.STRANGER == found.flow.src_ip
    assert (eve.STRANGER, 40_000, eve.SERVER, 80) == (
        found.src_ip,
        found.src_port,
        found.dest_ip,
        found.dest_port,
    )
    assert "to_client" == found.direction


def test_a_flow_happened_when_it_began_not_when_its_record_was_written() -> None:
    """The event time of a flow is flow.start."""
    assert eve.event(eve.flow(at=5.5, written=9_000)).time == (eve.START * 1_000_000) + 5_500_000


def test_an_alert_happened_at_its_timestamp_even_where_its_flow_began_earlier() -> None:
    """Only flow records take the time of their flow."""
    record = eve.alert(at=100, opener=eve.STRANGER)
    record["flow"]["start"] = eve.stamp(0)

    assert parse_timestamp(eve.stamp(100)) == eve.event(record).time


def test_a_flow_without_a_start_takes_its_timestamp() -> None:
    """A flow record of another writer has no flow.start."""
    record = eve.flow(written=77)
    del record["flow"]["start"]

    assert parse_timestamp(eve.stamp(77)) == eve.event(record).time


def test_a_field_named_time_is_not_taken_for_the_event_time() -> None:
    """A shipper of logs may add fields of its own, such as `time`."""
    record = eve.http() | {"time": "half past three"}

    assert parse_timestamp(eve.stamp(0)) == eve.event(record).time


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", Rejection.NOT_JSON),
        (b"{", Rejection.NOT_JSON),
        (b"\x00", Rejection.NOT_JSON),
        (b"\xff\xfe{}", Rejection.NOT_JSON),
        (b"\x00" * 4096, Rejection.NOT_JSON),
        (b"\xef\xbb\xbf", Rejection.NOT_JSON),
        (b'{"event_type":"flow","timestamp":"2024-01-01T00:00:00', Rejection.NOT_JSON),
        (b"[" * 100_000, Rejection.WRONG_SHAPE),
        (b'{"a":' * 100_000, Rejection.NOT_JSON),
        (b"null", Rejection.WRONG_SHAPE),
        (b"[]", Rejection.WRONG_SHAPE),
        (b"{}", Rejection.WRONG_SHAPE),
        (b'{"timestamp":"2024-01-01T00:00:00Z"}', Rejection.WRONG_SHAPE),
        (b'{"event_type":"flow"}', Rejection.WRONG_SHAPE),
        (b'{"event_type":"flow","timestamp":17}', Rejection.WRONG_SHAPE),
        (b'{"event_type":"flow","timestamp":null}', Rejection.WRONG_SHAPE),
        (b'{"event_type":7,"timestamp":"2024-01-01T00:00:00Z"}', Rejection.WRONG_SHAPE),
        (b'{"event_type":null,"timestamp":"2024-01-01T00:00:00Z"}', Rejection.WRONG_SHAPE),
        (b'{"event_type":"flow","timestamp":"yesterday"}', Rejection.BAD_TIME),
    ],
)
def test_what_is_no_event_is_rejected_with_its_reason(text: bytes, reason: Rejection) -> None:
    """Broken JSON, JSON of another shape, and a time that is none are told apart."""
    assert reason == decode(text)


@pytest.mark.parametrize("start", ["", "never", "2024-13-01T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_a_flow_whose_start_is_no_time_is_rejected_unless_it_is_empty(start: str) -> None:
    """Its timestamp would be the wrong time."""
    record = eve.flow()
    record["flow"]["start"] = start

    assert (start == "") == isinstance(decode(eve.line(record)), Event)


@eve.needs_data
@pytest.mark.parametrize(
    "name",
    sorted(f"{path.parent.name}/{path.name}" for path in eve.DATA.glob("*/*.json.gz")) or ["none"],
)
def test_every_recorded_line_is_an_event(name: str) -> None:
    """Of every type, with the longest lines and the strangest values; 8.0 as well as 7.0."""
    outcome = Counter(
        text if isinstance(text, Rejection) else "event" for text in map(decode, eve.recorded(name))
    )

    assert {"event"} == set(outcome)
