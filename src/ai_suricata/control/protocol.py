"""What goes over the control socket: one JSON object a line, each answered by one.

    {"version": 1, "order": {"do": "pause", "reason": "maintenance"}}
    {"version": 1, "result": {"reason": "maintenance", "since": 1700000000.0}}

A connection may carry several orders, one after the other. The version stands outside of what it
is about, so that a daemon and a command of different versions understand each other that far.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.control.order import AnyOrder

if TYPE_CHECKING:
    from ai_suricata.control.order import Order

VERSION = 1
MOST_ORDER = 16 * 1024
"""Bytes of one order with its line end."""
MOST_REPLY = 16 * 1024 * 1024
"""Bytes of one reply with its line end: an outcome names a thousand entries at most."""
LONGEST_ORDER = 120.0
"""Seconds in which an order is answered; it goes on after that, and the reply says so."""


class Failure(StrEnum):
    """Why an order has no result."""

    INVALID = "invalid"
    """It makes no sense as it stands."""
    REFUSED = "refused"
    """It is understood, and not carried out."""
    FAILED = "failed"
    """It could not be carried out, or not wholly: the disk, or an error of the program."""
    BUSY = "busy"
    """Not now: too many at once, or it takes long and goes on."""


class Problem(msgspec.Struct, frozen=True):
    """A failure, and what to do about it, in words."""

    failure: Failure
    text: str


class Envelope(msgspec.Struct, frozen=True):
    """A line to the daemon."""

    version: int
    order: msgspec.Raw


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line from the daemon: a result or a problem."""

    version: int
    result: msgspec.Raw = msgspec.Raw(b"null")
    problem: Problem | None = None


_envelope = msgspec.json.Decoder(Envelope)
_order: msgspec.json.Decoder[AnyOrder] = msgspec.json.Decoder(AnyOrder)


class ProtocolError(Exception):
    """A line is no order of this version; the text says why."""


def encode_order(order: Order) -> bytes:
    """Return the line of an order."""
    envelope = Envelope(VERSION, msgspec.Raw(msgspec.json.encode(order)))
    return msgspec.json.encode(envelope) + b"\n"


def decode_order(line: bytes) -> AnyOrder:
    """Return the order of a line. Raises `ProtocolError`, whatever the line holds."""
    try:
        envelope = _envelope.decode(line)
        if envelope.version != VERSION:
            raise ProtocolError(
                f"the daemon speaks version {VERSION} of the control protocol, the command "
                f"version {envelope.version}; restart the daemon after an update"
            )
        return _order.decode(envelope.order)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"no order: {error}") from error


def encode_result(result: object) -> bytes:
    """Return the line of a reply with a result."""
    return msgspec.json.encode(Reply(VERSION, msgspec.Raw(msgspec.json.encode(result)))) + b"\n"


def encode_problem(failure: Failure, text: str) -> bytes:
    """Return the line of a reply with a problem."""
    return msgspec.json.encode(Reply(VERSION, problem=Problem(failure, text))) + b"\n"
