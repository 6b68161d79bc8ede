"""A damaged line or a strange field costs no more than it must."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_suricata.core.event import Event, Rejection, decode
from ai_suricata.core.salvage import mend
from fakes import eve

_HEAD = b'{"timestamp":"2024-01-01T00:00:00.000000+0000","event_type":"http"'


def _with(fields: bytes) -> bytes:
    return _HEAD + b"," + fields + b"}"


def _event(line: bytes) -> Event:
    decoded = decode(line)
    assert isinstance(decoded, Event), decoded
    return decoded


def _value(event: Event, path: str) -> Any:  # noqa: ANN401 - whatever the field holds
    found: Any = event
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _changed(record: eve.Record, path: str, value: object) -> eve.Record:
    """Return the record with another value at `path`."""
    *outer, name = path.split(".")
    inner = record
    for part in outer:
        inner = inner.setdefault(part, {})
    inner[name] = value
    return record


def _without(record: eve.Record, path: str) -> eve.Record:
    """Return a copy of the record that lacks the field."""
    copied: eve.Record = json.loads(json.dumps(record))
    *outer, name = path.split(".")
    inner = copied
    for part in outer:
        inner = inner[part]
    del inner[name]
    return copied


@pytest.mark.parametrize(
    ("path", "value", "read"),
    [
        ("src_port", "443", 443),
        ("src_port", 443.0, 443),
        ("src_port", "443.0", 443),
        ("src_port", None, None),
        ("src_port", 65_535, 65_535),
        ("src_ip", None, None),
        ("src_ip", "", ""),
        ("src_ip", "\x00", "\x00"),
        ("src_ip", "router", "router"),
        ("src_ip", "FE80:0000:0000:0000:0000:0000:0000:0001%em0", ...),
        ("alert.signature_id", "2016672", 2_016_672),
        ("alert.signature_id", 2**63 - 1, 2**63 - 1),
        ("alert", None, None),
        ("http.url", "a\ufffd\u0000\\x41", "a\ufffd\u0000\\x41"),
        ("http.url", "x" * 100_000, "x" * 100_000),
        ("http.status", "404", 404),
        ("flow.bytes_toserver", str(2**62), 2**62),
        ("flow.start", None, None),
        ("ftp.completion_code", ["530"], ["530"]),
        ("ftp.completion_code", None, None),
    ],
)
def test_a_value_that_can_be_read_is_kept(path: str, value: object, read: object) -> None:
    """Numbers may be written as text or with a fraction of zero, and any optional field as null."""
    found = _event(eve.line(_changed(eve.http(), path, value)))

    assert (value if read is ... else read) == _value(found, path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("src_ip", 7),
        ("src_ip", ["192.0.2.1"]),
        ("src_ip", "1" * 65),
        ("src_port", -1),
        ("src_port", 65_536),
        ("src_port", 443.5),
        ("src_port", 1e30),
        ("src_port", True),
        ("src_port", ""),
        ("src_port", "many"),
        ("src_port", 10**400),
        ("src_port", "9" * 5000),
        ("dest_port", {"port": 80}),
        ("proto", 6),
        ("app_proto", ["http"]),
        ("direction", 1),
        ("alert", "bad"),
        ("alert", [1]),
        ("alert.signature", None),
        ("alert.signature", "x" * 1025),
        ("alert.category", 5),
        ("alert.signature_id", 1e30),
        ("alert.signature_id", 2**63),
        ("alert.signature_id", -1),
        ("alert.severity", {}),
        ("alert.severity", -1),
        ("alert.severity", 10**100),
        ("alert.source", "192.0.2.1"),
        ("alert.source.ip", 1),
        ("flow", [1]),
        ("flow.pkts_toserver", None),
        ("flow.pkts_toserver", -5),
        ("flow.bytes_toclient", 2**64),
        ("flow.start", 17),
        ("flow.src_ip", 1),
        ("tcp", 0),
        ("tcp.tcp_flags_ts", 27),
        ("tcp.state", None),
        ("http", "GET /"),
        ("http.status", []),
        ("http.url", 1),
        ("dns", []),
        ("dns.type", 1),
        ("dns.rcode", 3),
        ("ftp.completion_code", "530"),
        ("ftp.completion_code", [530]),
        ("(time)", "half past three"),
    ],
)
def test_a_field_that_holds_what_it_can_not_counts_as_missing(path: str, value: object) -> None:
    """Only that field: all others of the event, before and after it, are as they were."""
    record = _changed(eve.http(), path, value) | {"app_proto": "http", "direction": "to_server"}
    strange = eve.event(_changed(record, path, value))

    assert eve.event(_without(record, path)) == strange


def test_what_is_sound_beside_a_strange_field_is_read_as_ever() -> None:
    """Numbers that are written as text, null, structures inside of structures."""
    strange = _event(
        _with(
            b'"src_ip":[],"dest_port":"443","http":null,"flow":{"pkts_toserver":"7"},'
            b'"alert":{"severity":"1","source":{"ip":"192.0.2.1"},"target":null}'
        )
    )

    assert strange.alert is not None
    assert strange.flow is not None
    assert strange.alert.source is not None
    assert (443, None, 7, 1, "192.0.2.1", None) == (
        strange.dest_port,
        strange.http,
        strange.flow.pkts_toserver,
        strange.alert.severity,
        strange.alert.source.ip,
        strange.alert.target,
    )


@pytest.mark.parametrize(
    "counter", ["pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient"]
)
@pytest.mark.parametrize("value", [None, [], -1, 2**63, "few"])
def test_a_flow_with_a_counter_that_can_not_be_read_counts_for_nobody(
    counter: str, value: object
) -> None:
    """With 0 instead it would look unanswered (a scan), or short (a guessed password)."""
    analysis = eve.analysis()
    lines = [eve.line(_changed(eve.login(), f"flow.{counter}", value))] * 40
    result = analysis.lines(lines)

    assert ({"flow": 40}, {}) == (dict(result.events), dict(result.rejected))
    assert ([], 0) == (result.verdicts, len(analysis.extractor.table))


def test_an_alert_keeps_its_flow_where_a_counter_can_not_be_read() -> None:
    """Who opened the connection still decides whom to blame."""
    record = _changed(eve.alert(opener=eve.STRANGER), "flow.pkts_toclient", "x")

    assert (eve.STRANGER, 0) == (
        _value(eve.event(record), "flow.src_ip"),
        _value(eve.event(record), "flow.pkts_toclient"),
    )


@pytest.mark.parametrize("start", [17, [], {}, True, 1.5e9])
def test_a_flow_whose_start_is_of_another_type_has_a_bad_time(start: object) -> None:
    """Its timestamp, when the record was written, would be the wrong one."""
    assert Rejection.BAD_TIME == decode(eve.line(_changed(eve.flow(), "flow.start", start)))


@pytest.mark.parametrize("flow_id", [0, -5, 2**63, 2**64 - 1, "18446744073709551615", None, 1.5])
def test_any_flow_id_will_do(flow_id: object) -> None:
    """Suricata's are unsigned with 64 bits; nothing here reads them."""
    assert eve.event(eve.flow() | {"flow_id": flow_id}).flow is not None


@pytest.mark.parametrize(
    ("line", "url"),
    [
        (_with(b'"http":{"url":"a\xffb"}'), "a\ufffdb"),
        (_with(b'"http":{"url":"a\xe4\xb8"}'), "a\ufffd"),
        (_with(b'"http":{"url":"\xed\xa0\x80"}'), "\ufffd\ufffd\ufffd"),
        (_with(b'"http":{"url":"a\x01b\x00"}'), "a b "),
        (_with(b'"http":{"url":"a\tb"}'), "a b"),
        (_with(rb'"http":{"url":"a\ud800b"}'), "a\ufffdb"),
        (_with(rb'"http":{"url":"a\uDC00"}'), "a\ufffd"),
        (_with(rb'"http":{"url":"\ud800\ud83d\ude00\ude00"}'), "\ufffd\U0001f600\ufffd"),
        (_with(rb'"http":{"url":"\\ud800\ud800"}'), "\\ud800\ufffd"),
        (_with(rb'"http":{"url":"\\\ud800"}'), "\\\ufffd"),
        (_with(b'"x\xff":"\xff","http":{"url":"/"}'), "/"),
        (_with(b'"x":"\x1b","http":{"url":"/"}'), "/"),
        (_with(rb'"x":"\udead","http":{"url":"/"}'), "/"),
        (_with(b'"x":1,"http":{"url":"a\xffb"},"src_port":"x"'), "a\ufffdb"),
        (b"\xef\xbb\xbf" + _with(b'"http":{"url":"/"}'), "/"),
        (b"\x00" * 4096 + _with(b'"http":{"url":"/"}'), "/"),
        (_with(b'"http":{"url":"/"}') + b"\x00\r", "/"),
        (_with(b'"http":{"url":"/1"},"http":{"url":"/2"}'), "/2"),
        (_with(b'"http":{"url":"/1","url":"/2"},"src_port":1,"src_port":[]'), "/2"),
    ],
)
def test_a_line_whose_text_is_damaged_is_an_event(line: bytes, url: str) -> None:
    """Raw bytes, control characters, half a surrogate pair; of a doubled key the last one holds."""
    assert url == _value(_event(line), "http.url")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (_HEAD, Rejection.NOT_JSON),
        (_with(b'"x":"cut o'), Rejection.NOT_JSON),
        (_with(b'"src_port":[],"x":"cut o'), Rejection.NOT_JSON),
        (_with(b'"x":1') + _with(b'"x":2'), Rejection.NOT_JSON),
        (_HEAD + _with(b'"x":2'), Rejection.NOT_JSON),
        (_with(b'"x":1') + b",", Rejection.NOT_JSON),
        (_with(b'"x":NaN'), Rejection.NOT_JSON),
        (_with(rb'"x":"\q"'), Rejection.NOT_JSON),
        (_with(rb'"x":"\ud8zz"'), Rejection.NOT_JSON),
        (_with(b'"x":' + b"[" * 100_000 + b"]" * 100_000), Rejection.NOT_JSON),
        (b"[" + _with(b'"x":1') + b"]", Rejection.WRONG_SHAPE),
        (_with(b'"x":1').decode().encode("utf-16"), Rejection.NOT_JSON),
        (b'{"timestamp":"2024-01-01T00:00:00Z","event_type":"' + b"x" * 65 + b'"}', "wrong_shape"),
        (b'{"timestamp":"\xff","event_type":"http"}', Rejection.BAD_TIME),
    ],
)
def test_what_would_have_to_be_guessed_is_rejected(line: bytes, reason: str) -> None:
    """A record that was cut off, two on a line, a value that is none."""
    assert reason == decode(line)


def test_moderate_nesting_is_an_event() -> None:
    """In a field that nobody asks for."""
    assert _event(_with(b'"x":' + b"[" * 200 + b"]" * 200)).src_ip is None


@pytest.mark.parametrize(
    "fields",
    [
        b'"x":"' + b"a" * 2**24 + b'"',
        b'"http":{"url":"' + b"\xff" * 2**20 + b'"}',
        b'"src_port":' + b"9" * 2**24,
        b'"src_ip":"' + b"1" * 2**24 + b'"',
        b'"a":1,' * 2**20 + b'"src_port":-1',
        b'"x":"' + rb"\n\ud800" * 2**17 + b'"',
    ],
    ids=["skipped", "no-utf-8", "digits", "address", "keys", "surrogates"],
)
def test_a_huge_line_is_an_event(fields: bytes) -> None:
    """Up to the longest that a source hands on."""
    assert "http" == _event(_with(fields)).event_type


def test_sound_text_is_not_changed_by_mending() -> None:
    """Whatever JSON can hold."""
    line = json.dumps({"a": '\\ud800 "\u0000\U0001f600\ufffd', "b": [1.5, None]}).encode()

    assert line == mend(line)
    assert json.loads(line) == json.loads(mend("\ufeff".encode() + line))
