"""Connections in step: one home host and one port of one peer, again and again after equal times.

Malware that waits for orders asks for them at intervals. So do updates, clocks and mail: steps
alone make nobody guilty. Times between connections that are left to chance lie within a third
of their mean in one of four cases; four such in a row are one in 256.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from ai_suricata.features.recency import Recency

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.features.home import Party

MOST_PAIRS = 1024
"""Pairs of host and service that are remembered; the one that was used longest ago goes first."""
STEPS = 4
"""Equal times in a row from which a connection counts as one in step."""
_SHORTEST = 1000  # milliseconds; what comes sooner belongs to the same visit
_LONGEST = 6 * 3600 * 1000
_TOLERANCE = 3  # a third of the mean: beacons are told to waver
_SMOOTHING = 4  # a new interval moves the mean by a quarter

_KEY = struct.Struct("<IIH")
_Pace = tuple[int, int, int]
"""Latest start and mean time between starts, in milliseconds; how many were equal in a row."""


class Beats:
    """Remembers the pace of each pair."""

    def __init__(self) -> None:
        self._paces: Recency[int, _Pace] = Recency(MOST_PAIRS)
        """By a hash of host, peer and port, which two of a thousand pairs share once in 8,000."""

    def is_in_step(self, owner: Party, other: Party, port: int, time: int) -> bool:
        """Take note of a connection that began at `time`; say whether it came when it had to.

        `time`: microseconds since the epoch.
        """
        pair, time = zlib.crc32(_KEY.pack(owner.digest, other.digest, port)), time // 1000
        pace = self._paces.get(pair)
        if pace is None:
            self._paces.put(pair, (time, 0, 0))
            return False
        last, mean, steps = pace
        gap = time - last
        if 0 <= gap < _SHORTEST or -_LONGEST < gap < 0:
            return False
        if abs(gap) > _LONGEST:
            self._paces.put(pair, (time, 0, 0))
            return False
        if mean and abs(gap - mean) * _TOLERANCE <= mean:
            steps, mean = steps + 1, mean + (gap - mean) // _SMOOTHING
        else:
            steps, mean = 0, gap
        self._paces.put(pair, (time, mean, steps))
        return steps >= STEPS

    def export(self) -> tuple[str, ...]:
        """Return what is known, for a snapshot."""
        return self._paces.export(lambda key, value: "{:x} {:x} {:x} {:x}".format(key, *value))

    def restore(self, stored: Iterable[str]) -> None:
        """Take over what a snapshot holds."""
        self._paces.restore(stored, _read)


def _read(text: str) -> tuple[int, _Pace]:
    pair, last, mean, steps = (int(number, 16) for number in text.split(" "))
    return pair, (last, mean, steps)
