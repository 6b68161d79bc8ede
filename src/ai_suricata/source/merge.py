"""Takes lines from several files in the order of their times, so that none runs ahead.

After a long stop each file has a backlog of its own length. Read in equal shares, the short one
would be done while the long one is still hours behind, and what both tell of the same connection
would come hours apart.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_BEFORE = b'{"timestamp":"'
_FEW = 16
_TIME = slice(len(_BEFORE), len(_BEFORE) + len("2026-01-01T00:00:00.000000"))


class Readable(Protocol):
    """What hands out its lines in their order."""

    path: str

    def take(self, room: int, now: float) -> list[bytes]:
        """Return the next whole lines, at most `room`."""
        ...


class Merge:
    """Remembers how far each file has come, by the timestamp with which Suricata begins a line."""

    def __init__(self) -> None:
        self._reached: dict[str, bytes] = {}
        self._turn = 0
        self._entries = 0  # tells those that are equally far apart, in the order of their turns

    def take(
        self, files: Sequence[Readable], room: int, now: float
    ) -> tuple[list[bytes], list[tuple[str, int]]]:
        """Return the next lines of all files, at most `room`, and whose they are in runs.

        The file that is furthest behind goes first, by the last line that was taken of it; those
        that are equally far take turns, and so do lines that don't begin with a time.
        """
        lines: list[bytes] = []
        runs: list[tuple[str, int]] = []
        self._forget(files)
        heap = self._heap(files)
        while heap and room > len(lines):
            _, _, file = heapq.heappop(heap)
            taken = file.take(1 if heap else room - len(lines), now)
            if taken:
                lines += taken
                _extend(runs, file.path, len(taken))
                self._advance(file.path, taken[-1])
                heapq.heappush(heap, self._entry(file))
        return lines, runs

    def _forget(self, files: Sequence[Readable]) -> None:
        """Forget how far those had come that are not followed any more."""
        if len(self._reached) > 2 * len(files) + _FEW:
            paths = {file.path for file in files}
            self._reached = {path: at for path, at in self._reached.items() if path in paths}

    def _heap(self, files: Sequence[Readable]) -> list[tuple[bytes, int, Readable]]:
        """Return all files, another one first each time among those that are equally far."""
        start = self._turn % max(1, len(files))
        heap = [self._entry(file) for file in (*files[start:], *files[:start])]
        self._turn = start + 1
        heapq.heapify(heap)
        return heap

    def _entry(self, file: Readable) -> tuple[bytes, int, Readable]:
        self._entries += 1
        return self._reached.get(file.path, b""), self._entries, file

    def _advance(self, path: str, line: bytes) -> None:
        if line.startswith(_BEFORE):
            self._reached[path] = line[_TIME]


def _extend(runs: list[tuple[str, int]], path: str, count: int) -> None:
    if runs and runs[-1][0] == path:
        runs[-1] = (path, runs[-1][1] + count)
    else:
        runs.append((path, count))
