"""A day of traffic as a capture: packets of thousands of conversations in the order of time."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

import dpkt

from lab.compose.rewrite import rewrite
from lab.compose.take import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from lab.compose.day import Day
    from lab.compose.stage import Placement

_RAW_IP, _ETHERNET = 101, 1
"""LINKTYPE_RAW: packets begin with their IP header. LINKTYPE_ETHERNET: 14 bytes go before."""
_SNAP = 65_535
_CARDS = bytes.fromhex("020000000001020000000002")
_TYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
_SHORTEST_FRAME = 60


def packets(placements: Sequence[Placement]) -> Iterator[tuple[int, bytes]]:
    """Yield moment (microseconds of the day) and packet in order; placements come in order too.

    In memory are only the packets of conversations that have begun and not yet ended.
    """
    waiting: list[tuple[int, int, bytes]] = []
    number = 0
    for placed in placements:
        while waiting and waiting[0][0] < placed.start:
            moment, _, packet = heappop(waiting)
            yield moment, packet
        for offset, packet in rewrite(placed.conversation, placed.change):
            heappush(waiting, (placed.start + offset, number, packet))
            number += 1
    while waiting:
        moment, _, packet = heappop(waiting)
        yield moment, packet


def frame(packet: bytes) -> bytes:
    """Return the packet as a card receives it: short frames are padded (IEEE 802.3).

    Suricata counts header and padding as bytes of a flow.
    """
    return (_CARDS + _TYPES[packet[0] >> 4] + packet).ljust(_SHORTEST_FRAME, b"\0")


def write(day: Day, path: Path, progress: Callable[[int], None]) -> int:
    """Write the day as pcap; return the number of packets.

    `progress` is told the moment of a packet now and then, in microseconds of the day.
    """
    count = 0
    link = _ETHERNET if day.has_frames else _RAW_IP
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file, snaplen=_SNAP, linktype=link)
        for moment, packet in packets(day.placements):
            count += 1
            if count % 5_000 == 0:
                progress(moment)
            written = frame(packet) if day.has_frames else packet
            writer.writepkt_time(written, (day.begin + moment) / SECOND)
    return count
