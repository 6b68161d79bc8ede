"""What goes over the control socket."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_suricata.control.order import Allow, Block, Lift, Order, Pause, ReleaseAll, Status, Undo
from ai_suricata.control.protocol import (
    ProtocolError,
    decode_order,
    encode_order,
)
from ai_suricata.core.decision import Table

ORDERS = [
    Status(),
    Block("203.0.113.7", Table.LIMIT, 60.0, "why", force=True),
    Lift("203.0.113.7"),
    Undo(1.5),
    Pause("maintenance"),
    Allow("192.0.2.0/28", "ours"),
    ReleaseAll(),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_an_order_arrives_as_it_was_sent(order: Order) -> None:
    """On one line."""
    line = encode_order(order)

    assert line.endswith(b"\n")
    assert 1 == line.count(b"\n")
    assert order == decode_order(line)


def test_a_line_is_json_that_other_programs_can_write() -> None:
    """The version stands outside of the order."""
    assert {
        "version": 1,
        "order": {"do": "lift", "target": "203.0.113.7", "reason": "a colleague"},
    } == json.loads(encode_order(Lift("203.0.113.7", "a colleague")))


def test_another_version_is_told_whatever_its_order_holds() -> None:
    """An old daemon can't know the orders of a new command."""
    line = b'{"version": 2, "order": {"do": "dance", "steps": [1, 2]}, "more": 1}\n'
    with pytest.raises(ProtocolError, match=r"version 1 .* version 2; restart the daemon"):
        decode_order(line)


@pytest.mark.parametrize(
    "order",
    [
        {"do": "dance"},
        {"do": "lift"},
        {"do": "lift", "target": 7},
        {"do": "lift", "target": "x" * 201},
        {"do": "lift", "target": "203.0.113.7", "force": True},
        {"do": "pause", "reason": "x" * 501},
        {"do": "block", "target": "203.0.113.7", "table": "all", "duration": 60},
        {"do": "undo", "since": "yesterday"},
        {},
        [],
        None,
    ],
)
def test_an_order_that_is_none_is_refused(order: object) -> None:
    """Unknown words, missing and surplus ones, wrong kinds, and what is too long."""
    with pytest.raises(ProtocolError, match="no order"):
        decode_order(msgspec.json.encode({"version": 1, "order": order}))


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_line_raises_anything_else(line: bytes) -> None:
    """Whatever a peer sends."""
    with pytest.raises(ProtocolError):
        decode_order(line)


def test_depth_does_not_matter() -> None:
    """A line may nest as deep as it fits."""
    deep = b'{"version": 1, "order": ' + b"[" * 8000 + b"]" * 8000 + b"}"
    with pytest.raises(ProtocolError):
        decode_order(deep)
