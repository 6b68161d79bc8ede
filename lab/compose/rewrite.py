"""A conversation under other addresses and ports: everything else is as it was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lab.compose.packet import TCP, readdress
from lab.compose.take import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.compose.take import Conversation, Segment

_BACKOFF = (1, 3, 7, 15, 31)
"""Seconds after which Linux repeats a SYN (RFC 6298; tcp_syn_retries is 6, few wait so long)."""
_COPY = 4  # microseconds after the packet that it copies


class Change(NamedTuple):
    """What a conversation becomes."""

    client: bytes
    """4 or 16 bytes, as the recorded one has."""
    server: bytes
    client_port: int
    server_port: int
    hops: int = 0
    """Routers between the client and us, taken off the time to live of its packets."""
    silent: bool = False
    """The server is not there: what the client sent before the first answer, and no more."""
    retries: int = 0
    """Of a silent TCP server: how often the client's kernel repeats the SYN."""
    twice: bool = False
    """The sensor gets each packet twice, as from a mirror port that copies both its directions."""


def rewrite(conversation: Conversation, change: Change) -> Iterator[tuple[int, bytes]]:
    """Yield offset (microseconds) and packet, in order; raises ValueError for another family."""
    if not len(conversation.client) == len(change.client) == len(change.server):
        raise ValueError("a conversation keeps its address family")
    ends, ports = (change.client, change.server), (change.client_port, change.server_port)
    for segment in _segments(conversation, change):
        if segment.outward:
            packet = readdress(segment.data, ends, ports, hops=change.hops)
        else:
            packet = readdress(segment.data, ends[::-1], ports[::-1])
        yield segment.offset, packet
        if change.twice:
            yield segment.offset + _COPY, packet


def _segments(conversation: Conversation, change: Change) -> list[Segment]:
    if not change.silent:
        return conversation.segments
    asked = []
    for segment in conversation.segments:
        if not segment.outward:
            break
        asked.append(segment)
    if conversation.protocol != TCP or len(asked) > 1:
        return asked
    repeats = _BACKOFF[: change.retries]
    return asked + [asked[0]._replace(offset=seconds * SECOND) for seconds in repeats]
