"""Takes lines from several files in the order of their times, so that none runs ahead.

After a long stop each file has a backlog of its own length. Read in equal shares, the short one
would be done while the long one is still hours behind, and what both tell of the same connection
would come hours apart.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Protocol

from ai_suricata.core.timestamp import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH_BYTES = 64 * 1024 * 1024
"""Bytes from which on a batch is full, however few its lines are."""

_BEFORE = b'{"timestamp":"'
_LONGEST = 64  # bytes within which the time ends
_FEW = 16


class Readable(Protocol):
    """What hands out its lines in their order."""

    path: str

    def take(self, room: int, now: float) -> list[bytes]:
        """Return the next whole lines, at most `room`."""
        ...


class Merge:
    """Remembers how far each file has come, by the timestamp with which Suricata begins a line."""

    def __init__(self) -> None:
        self._reached: dict[str, int] = {}
        self._turn = 0
        self._entries = 0  # tells those that are equally far apart, in the order of their turns

    def take(
        self, files: Sequence[Readable], room: int, now: float
    ) -> tuple[list[bytes], list[tuple[str, int]]]:
        """Return the next lines of all files, at most `room`, and whose they are in runs.

        The file that is furthest behind goes first, by the last line that was taken of it; those
        that are equally far take turns. A line that does not begin with a time counts as being as
        old as the file that is furthest behind, so that neither waits for the other.
        """
        lines: list[bytes] = []
        runs: list[tuple[str, int]] = []
        size = 0
        self._forget(files)
        heap = self._heap(files)
        while heap and room > len(lines) and size < BATCH_BYTES:
            _, _, file = heapq.heappop(heap)
            alone = not heap
            taken = file.take(room - len(lines) if alone else 1, now)
            if not taken:
                continue
            lines += taken
            size += sum(map(len, taken))
            _extend(runs, file.path, len(taken))
            if alone:
                self._advance(file.path, taken[-1], self._reached.get(file.path, 0))
                break  # it was asked for all, and bounds its own bytes
            self._advance(file.path, taken[-1], heap[0][0])
            heapq.heappush(heap, self._entry(file))
        return lines, runs

    def _forget(self, files: Sequence[Readable]) -> None:
        """Forget how far those had come that are not followed any more."""
        if len(self._reached) > 2 * len(files) + _FEW:
            paths = {file.path for file in files}
            self._reached = {path: at for path, at in self._reached.items() if path in paths}

    def _heap(self, files: Sequence[Readable]) -> list[tuple[int, int, Readable]]:
        """Return all files, another one first each time among those that are equally far."""
        start = self._turn % max(1, len(files))
        heap = [self._entry(file) for file in (*files[start:], *files[:start])]
        self._turn = start + 1
        heapq.heapify(heap)
        return heap

    def _entry(self, file: Readable) -> tuple[int, int, Readable]:
        self._entries += 1
        return self._reached.get(file.path, 0), self._entries, file

    def _advance(self, path: str, line: bytes, furthest_behind: int) -> None:
        at = _time_of(line)
        self._reached[path] = furthest_behind if at is None else at


def _time_of(line: bytes) -> int | None:
    """Return the time with which a line begins, in microseconds; None where it does not."""
    if not line.startswith(_BEFORE):
        return None
    end = line.find(b'"', len(_BEFORE), _LONGEST)
    try:
        return parse_timestamp(line[len(_BEFORE) : end].decode())
    except ValueError:
        return None


def _extend(runs: list[tuple[str, int]], path: str, count: int) -> None:
    if runs and runs[-1][0] == path:
        runs[-1] = (path, runs[-1][1] + count)
    else:
        runs.append((path, count))
