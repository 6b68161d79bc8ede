"""Whatever a line holds, it becomes an event or a rejection, and goes all the way."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_suricata.analysis import MOST_SAMPLES
from ai_suricata.core.event import Event, Rejection, decode
from ai_suricata.core.salvage import mend
from fakes import eve

_LINES = [
    eve.line(record)
    for record in (
        eve.flow(),
        eve.silent(proto="UDP"),
        eve.alert(opener=eve.STRANGER, app_proto="http"),
        eve.http(),
        eve.dns(),
        eve.ftp(),
        eve.other("tls"),
    )
]
_WHOLE = st.one_of(
    st.integers(),
    st.sampled_from([2**31, 2**32, 2**53, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**300]),
)
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    _WHOLE,
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            *("", "\x00", "::", "0.0.0.0", "::ffff:1.2.3.4", "fe80::1%eth0", "255.255.255.255"),
            *("TCP", "UDP", "ICMP", "flow", "alert", "http", "dns", "ftp", "to_client"),
            *("1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2024-02-30T00:00:00Z"),
        ]
    ),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def _is_json(value: object) -> bool:
    """Whether it has no NaN and no infinity in it, which JSON can't hold."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


_FIELDS = [
    *("timestamp", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto"),
    *("app_proto", "direction", "alert", "flow", "tcp", "http", "dns", "ftp", "(time)"),
]
_OPTIONAL = [name for name in _FIELDS if name not in {"timestamp", "event_type", "(time)"}]
_NESTED = {
    "flow": ["pkts_toserver", "pkts_toclient", "bytes_toserver", "start", "end", "src_ip", "state"],
    "alert": ["signature_id", "signature", "category", "severity", "source", "target"],
    "http": ["http_method", "url", "status"],
    "dns": ["type", "rcode"],
    "tcp": ["tcp_flags_ts", "tcp_flags_tc", "state"],
    "ftp": ["completion_code"],
}


@st.composite
def changed_records(draw: st.DrawFn) -> dict[str, Any]:
    """Return a record of which some fields hold any value, or are missing."""
    record: dict[str, Any] = json.loads(draw(st.sampled_from(_LINES)))
    for name in draw(st.lists(st.sampled_from(_FIELDS), max_size=3, unique=True)):
        if draw(st.booleans()):
            record[name] = draw(_VALUES)
        else:
            record.pop(name, None)
    for name, inner in _NESTED.items():
        if isinstance(record.get(name), dict) and draw(st.booleans()):
            record[name][draw(st.sampled_from(inner))] = draw(_VALUES)
    return record


@st.composite
def mutated_lines(draw: st.DrawFn) -> bytes:
    """Return a real line in which some bytes are changed, doubled or lost."""
    line = bytearray(draw(st.sampled_from(_LINES)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(len(line) - 1, 0)))
        length = draw(st.sampled_from([0, 1, 1, 5, 40]))
        line[place : place + length] = draw(st.binary(max_size=4))
    return bytes(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_a_rejection(line: bytes) -> None:
    """A followed file may hold anything."""
    assert isinstance(decode(line), Event | Rejection)


@settings(max_examples=300)
@given(mutated_lines())
def test_a_damaged_line_is_an_event_or_a_rejection(line: bytes) -> None:
    """As a crash or a full disk leaves it."""
    assert isinstance(decode(line), Event | Rejection)


@settings(max_examples=300)
@given(st.sampled_from(_LINES), st.sampled_from(_OPTIONAL), _VALUES.filter(_is_json))
def test_a_strange_value_costs_no_more_than_its_own_field(
    line: bytes, name: str, value: object
) -> None:
    """Whatever it is, the event is the same as without it, but for what was read of the value."""
    record: dict[str, Any] = json.loads(line)
    record.pop(name, None)
    without, found = eve.event(record), decode(eve.line(record | {name: value}))

    if record["event_type"] == "flow" and name == "flow" and found == Rejection.BAD_TIME:
        return  # the time of a flow is not guessed
    assert isinstance(found, Event)
    setattr(found, name, getattr(without, name))
    found.time = without.time
    assert without == found


@settings(max_examples=200)
@given(mutated_lines(), st.binary(max_size=3), st.integers(0, 400))
def test_mending_is_done_once(line: bytes, scrap: bytes, place: int) -> None:
    """What was mended needs no more of it, is UTF-8, and holds no control character."""
    mended = mend(line[:place] + scrap + line[place:])

    assert mended.removeprefix(b"\xef\xbb\xbf") == mend(mended)
    assert not [byte for byte in mended.decode() if byte < " "]


@given(st.sampled_from([b"[", b'{"a":', b'{"flow":', b'[{"alert":']), st.integers(1, 60_000))
def test_deep_nesting_is_a_rejection(opening: bytes, depth: int) -> None:
    """It must not exhaust the stack, in a field that is asked for or in one that is skipped."""
    nested = opening * depth
    inside = b'{"timestamp":"2024-01-01T00:00:00","event_type":"x","y":' + nested + b"}"

    assert isinstance(decode(nested), Rejection)
    assert isinstance(decode(inside), Rejection)


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.one_of(mutated_lines(), changed_records().map(eve.line)), max_size=12))
def test_no_lines_make_the_analysis_raise(lines: list[bytes]) -> None:
    """Each is counted once, and every score lies in 0..1; the next batch is worked as ever."""
    analysis = eve.analysis(capacity=3)
    result = analysis.lines(lines)
    after = analysis.lines(_LINES)

    assert len(lines) == result.events.total() + result.rejected.total()
    assert {reason: min(number, MOST_SAMPLES) for reason, number in result.rejected.items()} == (
        Counter(reason for reason, _ in result.samples)
    )
    assert {line for _, line in result.samples} <= set(lines)
    assert all(0 <= verdict.score <= 1 for verdict in result.verdicts)
    assert len(_LINES) == after.events.total()
