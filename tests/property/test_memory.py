"""The memory beyond single addresses does not show where a batch ends or the program restarts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_suricata.core.schema import PROVEN
from ai_suricata.features import beat, reputation, service
from ai_suricata.features.extract import Extractor
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ai_suricata.core.event import Event
    from fakes.eve import Record

_SOURCES = ("203.0.113.1", "203.0.113.2", eve.WORKSTATION, "2001:db8::1", eve.PEER)
_TARGETS = (eve.SERVER, eve.PEER, "198.51.100.8")
_SMALL = (
    patch.object(service, "MOST_SERVICES", 3),
    patch.object(beat, "MOST_PAIRS", 3),
    patch.object(reputation, "MOST_SIGNATURES", 2),
    patch.object(reputation, "MOST_SOURCES", 2),
)


@st.composite
def records(draw: st.DrawFn) -> Record:  # noqa: PLR0911 - one for each kind
    """Return an event that the memory has a part in."""
    src, dest = draw(st.sampled_from(_SOURCES)), draw(st.sampled_from(_TARGETS))
    port, at = draw(st.integers(80, 84)), draw(st.integers(0, 40)) * 60.0
    kind = draw(st.integers(0, 7))
    if kind <= 1:
        return eve.flow(src, dest, at, port)
    if kind == 2:
        return eve.refused(src, dest, at, port)
    if kind == 3:
        size = draw(st.sampled_from([40, 52, 60, 66, 74]))
        record = eve.silent(src, dest, at, port, draw(st.sampled_from(["TCP", "UDP", "ICMP"])))
        return record | {"flow": record["flow"] | {"bytes_toserver": size}}
    if kind == 4:
        proof = draw(st.sampled_from([None, "http"]))
        return eve.alert(src, dest, at, port, sid=port, opener=src, app_proto=proof)
    if kind == 5:
        return eve.guess(f"{port}", src, at, dest=dest)
    if kind == 6:
        record = eve.ftp(src, dest, at, "227")
        return record | {"ftp": record["ftp"] | {"dynamic_port": port}}
    return eve.http(src, dest, at, url=draw(st.sampled_from(["/", "/../x"])))


def outcome(
    events: Sequence[Event], cuts: Sequence[int], restarts: frozenset[int]
) -> tuple[NDArray[np.float64], object]:
    """Return all vectors of events that are cut at `cuts`, and what is remembered at the end."""
    found, parts = Extractor(eve.settings().features), []
    for start, end in pairwise([0, *cuts, len(events)]):
        if start in restarts:
            fresh = Extractor(eve.settings().features)
            fresh.restore(eve.snapshot_of(found))
            found = fresh
        parts.append(found.observe(events[start:end]).matrix)
    return np.concatenate(parts), found.memory.export()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(records(), min_size=1, max_size=60),
    st.sets(st.integers(1, 59), max_size=8).map(sorted),
    st.frozensets(st.integers(1, 59), max_size=4),
)
def test_vectors_are_the_same_however_events_are_cut(
    drawn: list[Record], cuts: list[int], restarts: frozenset[int]
) -> None:
    """With memories that are far too small, and over restarts at any border."""
    events = [eve.event(record) for record in drawn]
    cuts = [cut for cut in cuts if cut < len(events)]
    with _SMALL[0], _SMALL[1], _SMALL[2], _SMALL[3]:
        whole, known = outcome(events, [], frozenset())
        parts, also_known = outcome(events, cuts, restarts | {*cuts[::2]})

    assert np.array_equal(whole, parts)
    assert known == also_known


@st.composite
def forgeries(draw: st.DrawFn) -> Record:
    """Return an event that somebody can make who never sees an answer."""
    src, dest = draw(st.sampled_from(_SOURCES)), draw(st.sampled_from(_TARGETS))
    port, at = draw(st.sampled_from([22, 25, 53, 80, 443, 3389])), draw(st.integers(0, 40)) * 60.0
    shape = draw(st.sampled_from([eve.REFUSED, eve.SILENT, eve.HALF_OPEN, eve.CONNECTED]))
    received = draw(st.sampled_from([(0, 0), (6, 4000)]))
    kind = draw(st.integers(0, 5))
    if kind <= 1:
        return eve.flow(src, dest, at, port, tcp=shape, received=received)
    if kind == 2:
        proto = draw(st.sampled_from(["UDP", "ICMP", "SCTP"]))
        return eve.flow(src, dest, at, port, tcp=None, proto=proto, received=received)
    if kind == 3:
        proto = draw(st.sampled_from(["TCP", "UDP", "ICMP"]))
        return eve.alert(src, dest, at, port, sid=port, opener=src) | {"proto": proto}
    if kind == 4:
        return eve.dns(src, dest, at)
    return eve.other("anomaly", src, dest, at)


@settings(max_examples=150, deadline=None)
@given(st.lists(forgeries(), min_size=1, max_size=60))
def test_no_forged_packet_moves_what_is_called_proven(drawn: list[Record]) -> None:
    """A block rests on these features: an innocent address must not be framed."""
    points = Extractor(eve.settings().features).observe([eve.event(record) for record in drawn])
    proven = points.matrix[:, np.array(PROVEN)]

    assert len(points) > 0
    assert not proven.any()
