"""Batches do not show in the verdicts: however lines are cut, every field is the same."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_suricata.features.extract import Extractor
from ai_suricata.features.table import Table
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.analysis import Analysis
    from ai_suricata.core.verdict import Verdict
    from fakes.eve import Record

SIZES = (1, 7, 1000, 8192)
_DAY = 86_400
_CROWD = tuple(f"203.0.113.{n}" for n in range(1, 101))
"""So many that a learning period can end: each counts for a twentieth of it at most."""
_SOURCES = ("203.0.113.1", "203.0.113.2", "203.0.113.3", eve.WORKSTATION, "2001:db8::1", eve.PEER)

Outcome = tuple[list["Verdict"], list[float]]


def restarted(analysis: Analysis) -> None:
    """Put a fresh extractor, restored from a snapshot, in the place of the present one."""
    old = analysis.extractor
    fresh = Extractor(eve.settings().features)
    fresh.table = Table(old.table.capacity)
    fresh.restore(eve.snapshot_of(old))
    analysis.extractor = fresh


def outcome(
    analysis: Analysis, lines: Sequence[bytes], cuts: Sequence[int], restarts: frozenset[int]
) -> Outcome:
    """Return all verdicts and anomalies of lines that are cut at `cuts`."""
    verdicts, anomalies = [], []
    borders = [0, *cuts, len(lines)]
    for start, end in pairwise(borders):
        if start in restarts:
            restarted(analysis)
        result = analysis.lines(lines[start:end])
        verdicts += result.verdicts
        anomalies += result.anomalies
    return verdicts, anomalies


def cuts_of(count: int, size: int) -> list[int]:
    """Return where batches of `size` lines end."""
    return list(range(size, count, size))


@st.composite
def records(draw: st.DrawFn, sources: Sequence[str] = _SOURCES) -> Record:
    """Return an event of one of the sources; its time is a step, for `placed` to add up."""
    src = draw(st.sampled_from(sources))
    step = draw(st.sampled_from([0, 0, 0.25, 1, 1, 29, 31, 299, 601, -45, -700, _DAY, _DAY + 31]))
    port = draw(st.integers(1, 40))
    kind = draw(st.integers(0, 7))
    if kind == 0:
        record = eve.flow(src, at=step)
    elif kind <= 2:
        record = eve.refused(src, at=step, port=port)
    elif kind == 3:
        record = eve.login(src, at=step)
    elif kind == 4:
        record = eve.alert(src, eve.PEER, at=step, sid=port, category=eve.TROJAN, opener=src)
    elif kind == 5:
        record = eve.http(src, at=step, url=f"/{port}", status=404)
    elif kind == 6:
        record = eve.dns(eve.WORKSTATION, eve.PEER, at=step)
    else:
        record = eve.other("stats", at=step)
    return record | {"step": step}


def placed(drawn: Sequence[Record]) -> list[bytes]:
    """Return the lines of the records, each so many seconds after the one before it."""
    lines, now = [], 10_000.0
    for record in drawn:
        now = max(0.0, now + record.pop("step"))
        record["timestamp"] = eve.stamp(now)
        if record["event_type"] == "flow":
            record["flow"] |= {"start": eve.stamp(now), "end": eve.stamp(now + 1)}
        lines.append(eve.line(record))
    return lines


_CUTS = st.sets(st.integers(1, 149), max_size=12).map(sorted)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(records(), min_size=1, max_size=150),
    _CUTS,
    st.sampled_from([1, 2, 3, 5, 100]),
    st.frozensets(st.integers(1, 149), max_size=3),
)
def test_random_events_cut_anywhere_give_the_same_verdicts(
    drawn: list[Record], cuts: list[int], capacity: int, restarts: frozenset[int]
) -> None:
    """In a table that is far too small, over the borders of windows, and over restarts."""
    lines = placed(drawn)
    cuts = [cut for cut in cuts if cut < len(lines)]
    expected = outcome(eve.analysis(capacity=capacity), lines, [], frozenset())

    assert expected == outcome(eve.analysis(capacity=capacity), lines, cuts, frozenset())
    assert expected == outcome(eve.analysis(capacity=capacity), lines, cuts, restarts & {*cuts})


@settings(max_examples=12, deadline=None)
@given(st.lists(records(_CROWD), min_size=130, max_size=150), _CUTS, st.sampled_from([2, 100]))
def test_random_events_cut_anywhere_learn_the_same_model(
    drawn: list[Record], cuts: list[int], capacity: int
) -> None:
    """The learning period ends in the midst of them, where they are of enough sources."""
    lines = placed(drawn)
    chosen = eve.settings(TRAINING_EVENTS="100")
    first = eve.analysis(chosen, capacity=capacity, learn=True)
    second = eve.analysis(chosen, capacity=capacity, learn=True)
    expected = outcome(first, lines, [], frozenset())

    assert expected == outcome(second, lines, [c for c in cuts if c < len(lines)], frozenset())
    assert (first.learning is None) == (second.learning is None)


def traffic() -> list[bytes]:
    """Return 5,000 events of 60 sources over 30 hours: scans, logins, pages, and the quiet ones."""
    makers = (eve.flow, eve.refused, eve.login, eve.http, eve.alert, eve.silent)
    drawn = []
    for n in range(5000):
        source = f"203.0.113.{(n * n + n // 7) % 60}"
        moment = n * 22.0 if n % 900 else max(0.0, n * 22.0 - 1000)
        record = makers[(n // 3) % len(makers)](source, at=moment)
        if "dest_port" in record and n % 5 == 0:
            record["dest_port"] = 1 + n % 997
        drawn.append(eve.line(record))
    return drawn


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [8, 100], ids=["a table that is full", "room for all"])
def test_batches_of_every_size_give_the_same_verdicts(capacity: int) -> None:
    """Over the end of the learning period, the windows of 10 minutes, the day, and restarts."""
    lines = traffic()
    chosen = eve.settings(TRAINING_EVENTS="4800")
    outcomes = []
    for size in SIZES:
        found = eve.analysis(chosen, capacity=capacity, learn=True)
        outcomes.append(outcome(found, lines, cuts_of(len(lines), size), frozenset()))
        assert (capacity == 8) == (found.extractor.table.evicted > 0)
    found = eve.analysis(chosen, capacity=capacity, learn=True)
    cuts = cuts_of(len(lines), 1000)
    outcomes.append(outcome(found, lines, cuts, frozenset(cuts)))

    assert len(outcomes[0][1]) > 100
    assert {v.model_version for v in outcomes[0][0]} > {"none"}
    assert max(v.score for v in outcomes[0][0]) > 0.5
    assert all(outcomes[0] == other for other in outcomes[1:])


@pytest.mark.slow
@eve.needs_data
@pytest.mark.parametrize(
    ("name", "training"),
    [
        ("labelled/ctu-008-replay.json.gz", 2000),
        ("labelled/synscan.json.gz", 1900),
        ("labelled/ndpi-benign-dev.json.gz", 2000),
        ("labelled/nmap-80-all.json.gz", 100),
    ],
)
def test_recorded_events_in_batches_of_every_size_give_the_same_verdicts(
    name: str, training: int
) -> None:
    """A day of the Internet, a scan, ordinary applications; and a restart in between.

    A scan is of one source, from which alone nothing is learnt.
    """
    lines = list(eve.recorded(name))
    chosen = eve.settings(TRAINING_EVENTS=str(training))
    outcomes = [
        outcome(
            eve.analysis(chosen, learn=True), lines, cuts_of(len(lines), size), frozenset({1000})
        )
        for size in SIZES
    ]

    assert outcomes[0][0]
    assert bool(outcomes[0][1]) == ("ctu" in name or "ndpi" in name)
    assert all(outcomes[0] == other for other in outcomes[1:])
