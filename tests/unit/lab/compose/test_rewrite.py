"""A conversation elsewhere: whole, or cut down to what a silent server would get."""

from __future__ import annotations

import pytest
from lab.compose import noise
from lab.compose.packet import ACK, SYN, read
from lab.compose.rewrite import Change, rewrite

from fakes.take import as_recorded, browsing, dice

HERE, THERE = bytes((10, 0, 0, 1)), bytes((203, 0, 113, 9))
CHANGE = Change(HERE, THERE, 5000, 8080)


def test_pace_and_directions_stay() -> None:
    """Every packet is there, at its own distance, and goes the way it went."""
    conversation = browsing().conversations[0]
    written = list(rewrite(conversation, CHANGE))

    assert [offset for offset, _ in as_recorded(conversation)] == [o for o, _ in written]
    assert [s.outward for s in conversation.segments] == [
        read(packet).source == HERE for _, packet in written
    ]


def test_silent_server_gets_the_opening_alone() -> None:
    """What the client sent before the first answer, repeated as its kernel would."""
    conversation = browsing().conversations[0]
    written = list(rewrite(conversation, CHANGE._replace(silent=True, retries=3)))

    assert [0, 1_000_000, 3_000_000, 7_000_000] == [offset for offset, _ in written]
    assert {(SYN, HERE)} == {
        (read(packet).flags & (SYN | ACK), read(packet).source) for _, packet in written
    }


def test_what_was_repeated_live_is_not_repeated_further() -> None:
    """A SYN that its kernel sent again has all its copies already."""
    conversation = noise.syn(dice(), 80, noise.Style.LINUX, again=2)
    written = list(rewrite(conversation, CHANGE._replace(silent=True, retries=5)))

    assert [0, 1_000_000, 3_000_000] == [offset for offset, _ in written]


def test_mirror_port_hands_packets_over_twice() -> None:
    """Each packet has a copy right behind it, before the next one."""
    conversation = browsing().conversations[0]
    written = list(rewrite(conversation, CHANGE._replace(twice=True)))

    assert len(conversation.segments) * 2 == len(written)
    assert [packet for _, packet in written[::2]] == [packet for _, packet in written[1::2]]
    assert sorted(offset for offset, _ in written) == [offset for offset, _ in written]


def test_family_stays() -> None:
    """An IPv4 conversation can't be held between IPv6 addresses."""
    with pytest.raises(ValueError, match="family"):
        list(rewrite(browsing().conversations[0], CHANGE._replace(client=bytes(16))))
