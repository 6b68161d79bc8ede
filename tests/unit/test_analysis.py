"""From lines to verdicts: nothing raises, and time is the events' own."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ai_suricata.analysis import MOST_SAMPLES
from ai_suricata.core.event import Rejection
from ai_suricata.core.verdict import Level, Verdict
from fakes import eve
from fakes import model as fake

_SCAN = [eve.refused(at=n * 0.5, port=n) for n in range(1, 200)]


def test_lines_are_counted_by_kind_and_rejections_by_reason() -> None:
    """Nothing is lost without being counted."""
    lines = [eve.line(eve.flow()), eve.line(eve.alert(severity=2)), b"{", b"[]", b"\xff", b"{}"]
    lines.append(eve.line(eve.http() | {"timestamp": "late"}))
    result = eve.analysis().lines(lines)

    assert {"flow": 1, "alert": 1} == dict(result.events)
    assert {2: 1} == dict(result.severities)
    assert {
        Rejection.NOT_JSON: 2,
        Rejection.WRONG_SHAPE: 2,
        Rejection.BAD_TIME: 1,
    } == dict(result.rejected)


def test_a_few_rejected_lines_of_each_reason_are_handed_on_whole() -> None:
    """Whoever has to find out why they were rejected wants to see some, not all of them."""
    late, odd = eve.line(eve.http(at=3600)), eve.line(eve.http() | {"timestamp": "late"})
    lines = [b"{%d" % n for n in range(9)] + [odd, late, eve.line(eve.http())] + [b"x" * 10**6]
    decoded = eve.analysis().decode(lines, (eve.START + 60) * 10**6)

    expected: list[tuple[str, bytes]] = [("not_json", b"{%d" % n) for n in range(MOST_SAMPLES)]
    expected += [(Rejection.BAD_TIME, odd), ("future", late)]
    assert expected == decoded.samples
    assert {"not_json": 10, "bad_time": 1, "future": 1} == dict(decoded.rejected)
    assert expected == eve.analysis().observe(decoded).samples


def test_a_batch_of_nothing_comes_to_nothing() -> None:
    """A quiet network, or one of bad lines."""
    for lines in ([], [b"x"]):
        result = eve.analysis().lines(lines)
        assert ([], [], -1) == (result.verdicts, result.anomalies, result.latest)


def test_the_latest_event_time_is_told_for_the_lag() -> None:
    """Whatever the order of the lines."""
    lines = [eve.line(eve.http(at=at)) for at in (5, 90, 7)]

    assert (eve.START + 90) * 10**6 == eve.analysis().lines(lines).latest


def test_a_verdict_carries_the_time_of_the_event_that_made_its_source_due() -> None:
    """A replay of last week gives last week's verdicts."""
    found = eve.verdicts([eve.flow(at=3), eve.flow(at=4)])

    assert [(eve.START + at) * 10**6 for at in (3, 4)] == [verdict.time for verdict in found]


def judged(verdicts: list[Verdict]) -> list[Verdict]:
    """Return the verdicts without the time of the record, which only says how late they are."""
    return [msgspec.structs.replace(verdict, written=-1) for verdict in verdicts]


def test_a_verdict_tells_when_the_record_of_its_event_was_written() -> None:
    """A flow's record comes after its end; other records are as old as their events."""
    flow, alert = eve.flow(at=5, written=99), eve.alert(at=7)
    [first] = eve.verdicts([flow])
    [second] = eve.verdicts([alert])
    micro = 1_000_000

    assert (eve.START + 5) * micro == first.time
    assert (eve.START + 99) * micro == first.written
    assert second.time == second.written == (eve.START + 7) * micro


def test_what_two_files_tell_of_the_same_connection_counts_once() -> None:
    """The runs of lines say whose each one is; rejected lines keep their place."""
    lines = [eve.line(eve.flow()), b"{", eve.line(eve.flow()), eve.line(eve.flow("203.0.113.8"))]
    analysis = eve.analysis()
    decoded = analysis.decode(lines, None, [("/wan/eve.json", 2), ("/lan/eve.json", 2)])

    assert (2, 1, 1) == (len(decoded.events), decoded.repeated, decoded.rejected.total())
    assert 2 == analysis.observe(decoded).events["flow"]
    assert 0 == eve.analysis().decode(lines).repeated


def test_what_a_file_has_told_of_is_remembered_over_a_restart() -> None:
    """The other file's line may come after it."""
    line = eve.line(eve.flow())
    before, after = eve.analysis(), eve.analysis()
    before.observe(before.decode([line], None, [("/wan/eve.json", 1)]))
    after.extractor.restore(eve.snapshot_of(before.extractor))

    assert 1 == after.decode([line], None, [("/lan/eve.json", 1)]).repeated


@pytest.mark.parametrize("hours", [-10_000, -1, 1, 10_000])
def test_when_flow_records_were_written_changes_no_verdict(hours: int) -> None:
    """Every timestamp of a flow record is shifted; nothing else is."""
    records = [*_SCAN, *(eve.login(at=n) for n in range(40)), eve.http(at=50)]
    shifted = [
        record | {"timestamp": eve.stamp(3600 * hours + n)} if "flow" in record else record
        for n, record in enumerate(records)
    ]

    assert eve.worst(records).level is Level.CRITICAL
    assert judged(eve.verdicts(records)) == judged(eve.verdicts(shifted))


@eve.needs_data
def test_when_recorded_flows_were_written_changes_no_verdict() -> None:
    """A day of a server on the Internet, with the learning period inside of it."""
    name = "labelled/ctu-008-replay.json.gz"
    records = [json.loads(line) for line in eve.recorded(name)]
    shifted = [
        record | {"timestamp": "2031-01-01T00:00:00.000000+0000"}
        if record["event_type"] == "flow"
        else record
        for record in records
    ]
    assert records != shifted
    results = [
        eve.analysis(learn=True).lines([eve.line(record) for record in some])
        for some in (records, shifted)
    ]

    assert max(verdict.score for verdict in results[0].verdicts) > 0.85
    assert judged(results[0].verdicts) == judged(results[1].verdicts)
    assert results[0].anomalies == results[1].anomalies


@pytest.mark.parametrize(
    "changed",
    [
        {"dest_port": -1},
        {"dest_port": 70_000},
        {"dest_port": 2**63},
        {"dest_port": 10**300},
        {"src_port": None, "dest_port": None},
        {"src_ip": ""},
        {"src_ip": "router"},
        {"src_ip": "1" * 5000},
        {"src_ip": "\x00", "dest_ip": "\ud800"},
        {"src_ip": eve.SERVER},
        {"proto": "\x00"},
        {"timestamp": "1970-01-01T00:00:00.000000+0000"},
        {"timestamp": "9999-12-31T23:59:59.999999+0000"},
        {"event_type": ""},
        {"event_type": "stats", "src_ip": None},
    ],
)
@pytest.mark.parametrize(
    "record",
    [eve.flow(), eve.alert(opener=eve.STRANGER), eve.http(), eve.dns(), eve.other("anomaly")],
    ids=["flow", "alert", "http", "dns", "anomaly"],
)
def test_strange_values_go_all_the_way_without_raising(
    record: dict[str, Any], changed: dict[str, Any]
) -> None:
    """Among ordinary events, in a table that is full; the strange line is counted once."""
    lines = [eve.line(eve.flow(f"203.0.113.{n}", at=n)) for n in range(8)]
    odd = json.dumps(record | changed).encode()
    result = eve.analysis(capacity=2).lines([*lines, odd, *lines, odd])

    assert 18 == result.events.total() + result.rejected.total()


@pytest.mark.parametrize("value", [0, -1, -(2**63), 2**63 - 1, 2**64, 10**100])
@pytest.mark.parametrize(
    "path",
    [
        ("flow", "pkts_toserver"),
        ("flow", "pkts_toclient"),
        ("flow", "bytes_toserver"),
        ("flow", "bytes_toclient"),
        ("alert", "signature_id"),
        ("alert", "severity"),
        ("http", "status"),
    ],
)
def test_absurd_numbers_go_all_the_way_without_raising(path: tuple[str, str], value: int) -> None:
    """Many times over: sums of them must not overflow either."""
    record = {"flow": eve.flow(), "alert": eve.alert(), "http": eve.http()}[path[0]]
    record[path[0]] |= {path[1]: value}
    result = eve.analysis().lines([eve.line(record)] * 50)

    assert 50 == result.events.total() + result.rejected.total()
    assert all(0 <= verdict.score <= 1 for verdict in result.verdicts)


@pytest.mark.parametrize(
    "times", [["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"], ["9999-12-31T23:59:59Z"] * 2]
)
def test_the_ends_of_time_go_all_the_way_without_raising(times: list[str]) -> None:
    """In either order, and ordinary events after them."""
    for some in (times, times[::-1]):
        flows = [eve.flow(seconds=1) for _ in some]
        for record, moment in zip(flows, some, strict=True):
            record["flow"] |= {"start": moment, "end": moment}
        result = eve.analysis().lines([eve.line(record) for record in [*flows, *_SCAN]])
        assert 2 + len(_SCAN) == result.events.total()


def test_events_in_any_order_are_all_counted() -> None:
    """Recorded files have hundreds of backward steps."""
    found = eve.analysis()
    found.lines([eve.line(record) for record in reversed(_SCAN)])
    table = found.extractor.table

    assert len(_SCAN) == table.summary(table.row_of[eve.STRANGER]).events


@eve.needs_data
@pytest.mark.parametrize(
    "name",
    [
        "odd/oddities.json.gz",
        "odd/huge-line.json.gz",
        "eve/protocol-zoo-7.0.10.json.gz",
        "eve/protocol-zoo-8.0.7.json.gz",
        "eve/real-maccdc2012.json.gz",
    ],
)
def test_recorded_oddities_go_all_the_way(name: str) -> None:
    """Every event type, the longest lines, the strangest values."""
    lines = list(eve.recorded(name))
    result = eve.analysis(learn=True).lines(lines)

    assert len(lines) == result.events.total() + result.rejected.total()


def test_a_learning_period_without_addresses_leaves_the_patterns_to_judge() -> None:
    """There is nothing to learn from; the daemon goes on."""
    found = eve.analysis(eve.settings(TRAINING_EVENTS="100"), learn=True)
    found.lines([eve.line(eve.other("stats") | {"src_ip": None})] * 100)
    result = found.lines([eve.line(record) for record in _SCAN])

    assert found.learning is None
    assert found.classifier.model is None
    assert "port_scan" in result.verdicts[-1].patterns


def test_whoever_waits_for_the_model_is_told_once() -> None:
    """The daemon stores it."""
    told: list[str] = []
    found = eve.analysis(eve.settings(TRAINING_EVENTS="100"), learn=True)
    found._trained = [lambda model: told.append(model.version)]
    records = [eve.line(eve.flow(f"203.0.113.{n}", at=n)) for n in range(120)]
    found.lines(records)
    found.lines(records)

    assert found.classifier.model is not None
    assert [found.classifier.model.version] == told


def test_too_few_sources_leave_the_model_that_serves() -> None:
    """One host and its habits are no network; the shipped forest goes on."""
    found = eve.analysis(eve.settings(TRAINING_EVENTS="100"), learn=True, model=fake.trained())
    found.lines([eve.line(eve.flow(eve.WORKSTATION, eve.PEER, at=n)) for n in range(1000)])

    assert found.learning is None
    assert found.classifier.model is fake.trained()


def test_a_served_model_learns_what_is_usual_here() -> None:
    """From the first event it judges; after the period its forest is of this network."""
    found = eve.analysis(eve.settings(TRAINING_EVENTS="100"), learn=True, model=fake.trained())
    records = [eve.line(eve.flow(f"203.0.113.{n}", at=n)) for n in range(120)]
    versions = [verdict.model_version for verdict in found.lines(records).verdicts]

    assert [fake.trained().version] * 100 == versions[:100]
    assert found.classifier.model is not None
    assert {f"{fake.trained().version}+{found.classifier.model.novelty.version}"} == (
        set(versions[100:])
    )
