"""Frames or bare packets: what sizes say, how much it takes, and what follows for the features."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ai_suricata.core.event import Event, decode
from ai_suricata.core.schema import FEATURE_NAMES
from ai_suricata.features.extract import Extractor
from ai_suricata.features.link import FRAME_HEADER, MOST_VOTES, Link
from fakes import eve

if TYPE_CHECKING:
    from collections.abc import Iterable

V6 = "2001:db8::9"
_SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "lab"


def syn(size: int, src: str = eve.STRANGER, times: int = 1, at: float = 0.0) -> eve.Record:
    """Return a SYN of a size that nobody answered, captured so many times."""
    sent = (times, times * size)
    return eve.flow(src, at=at, tcp=eve.SILENT, sent=sent, received=(0, 0), seconds=0)


def refused(size: int, answer: int) -> eve.Record:
    """Return a SYN of a size and the RST that answered it."""
    return eve.flow(eve.PEER, tcp=eve.REFUSED, sent=(1, size), received=(1, answer), seconds=0)


HALF_OPEN = eve.flow(tcp=eve.HALF_OPEN, sent=(2, 66 + 54), received=(1, 66))
"""An ordinary SYN and a RST without padding, whose mean is that of two bare SYNs."""


def last(records: Iterable[eve.Record]) -> dict[str, float]:
    """Return the latest vector by name."""
    found = Extractor(eve.settings().features)
    points = found.observe([eve.event(record) for record in records])
    return dict(zip(FEATURE_NAMES, points.matrix[-1].tolist(), strict=True))


@pytest.mark.parametrize(
    ("before", "record", "expected"),
    [
        ([], syn(60), 0),
        ([syn(74, eve.PEER)], syn(60), 1),
        ([syn(66, eve.PEER)], syn(60), 1),
        ([syn(62, eve.PEER)], syn(60), 1),
        ([syn(74, eve.PEER)], syn(64), 1),
        ([syn(74, eve.PEER)], syn(74), 0),
        ([syn(74, eve.PEER)], syn(60, times=2), 1),
        ([syn(74, eve.PEER, times=2)], syn(60), 1),
        ([syn(74, eve.PEER)], syn(58), 1),
        ([refused(60, 54)], syn(60), 1),
        ([refused(60, 60)], syn(60), 0),
        ([syn(94, "2001:db8::7")], syn(60), 1),
        ([syn(40, eve.PEER)], syn(60), 0),
        ([syn(52, eve.PEER)], syn(60), 0),
        ([refused(60, 40)], syn(60), 0),
        ([syn(40, eve.PEER)], syn(44), 1),
        ([syn(40, eve.PEER)], syn(40, times=2), 1),
        ([syn(71, eve.PEER)], syn(60), 0),
        ([syn(60, eve.PEER)], syn(60), 0),
        ([syn(110, eve.PEER)], syn(60), 0),
        ([syn(40, eve.PEER), syn(74, eve.PEER, at=1)], syn(60), 0),
        ([], syn(60, V6), 1),
        ([], syn(78, V6), 1),
        ([syn(80, "2001:db8::7")], syn(80, V6), 0),
        ([syn(74, eve.PEER)], HALF_OPEN, 0),
        ([HALF_OPEN], syn(60), 0),
        ([syn(74, eve.PEER)], HALF_OPEN | {"tcp": None}, 0),
    ],
)
def test_whether_a_syn_is_bare_depends_on_what_was_seen_before(
    before: list[eve.Record], record: eve.Record, expected: int
) -> None:
    """60 bytes are Linux' own SYN, or on a card one without options, padded."""
    found = last([*before, record])

    assert (expected, expected) == (found["bare_flows"], found["day_bare_flows"])


def test_one_odd_packet_does_not_change_what_many_have_said() -> None:
    """Packets with data can have any size, and who sends them may mean to deceive."""
    link = Link()
    for _ in range(100):
        link.saw(40, ipv6=False)
    for _ in range(MOST_VOTES):
        link.saw(74, ipv6=False)
    before = link.header
    link.saw(74, ipv6=False)

    assert (0, FRAME_HEADER) == (before, link.header)


@pytest.mark.parametrize("size", [0, 39, 71, 96, 110, 1514])
def test_other_sizes_say_nothing(size: int) -> None:
    """Too short for TCP, odd, or longer than headers can be."""
    link = Link()
    link.saw(size, ipv6=False)

    assert ("0",) == link.export()


def test_the_kind_of_link_is_known_after_a_restart() -> None:
    """And a text that nobody can read, or that says more than can be known, does no harm."""
    link, copy, strange = Link(), Link(), Link()
    for _ in range(3):
        link.saw(74, ipv6=False)
    copy.restore(link.export())
    strange.restore(("frames", "999"))

    assert (("3",), FRAME_HEADER) == (copy.export(), copy.header)
    assert (str(MOST_VOTES),) == strange.export()


def test_bytes_are_those_of_ip_once_the_link_is_known() -> None:
    """The same connection on a card and on a tunnel."""
    card = last([syn(74, eve.PEER), eve.flow(sent=(6, 900 + 6 * 14), received=(5, 4000 + 5 * 14))])
    tunnel = last([syn(40, eve.PEER), eve.flow(sent=(6, 900), received=(5, 4000))])

    assert (900, 4000, 150, 4900) == tuple(
        card[name]
        for name in ("bytes_sent", "bytes_received", "bytes_per_packet", "proven_bytes_per_flow")
    )
    assert card == tunnel


@pytest.mark.parametrize(
    ("name", "header"), [("test-29", FRAME_HEADER), ("test-31", 0), ("train-22", 0)]
)
def test_what_suricata_wrote_tells_how_it_was_captured(name: str, header: int) -> None:
    """The shipped days: some were captured as frames, some as bare packets."""
    found = Extractor(eve.settings().features)
    with gzip.open(_SAMPLES / f"{name}.json.gz") as file:
        decoded = [decode(line) for line in islice(file, 4000)]
    found.observe([event for event in decoded if isinstance(event, Event)])

    assert header == found.memory.link.header
    assert 1 <= abs(int(found.memory.link.export()[0]))


def test_bytes_of_a_record_that_can_not_be_are_not_below_nothing() -> None:
    """More packets than bytes."""
    found = last([syn(74, eve.PEER), eve.flow(sent=(100, 900), received=(6, 10))])

    assert (0, 0) == (found["bytes_sent"], found["bytes_received"])
