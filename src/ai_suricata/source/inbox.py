"""Lines that have arrived and wait to be handed out, where nothing can be read a second time."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING

from ai_suricata.source.base import Batch
from ai_suricata.source.line import MOST_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.source.message import Rejected

OVERHEAD = 64
"""Bytes that a line takes in memory besides its own: many short ones must not go unnoticed."""


class Inbox:
    """A queue bounded in bytes. Whether a full one is waited for is up to those who fill it."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes`: memory from which on it is full."""
        self.bytes = 0
        """Bytes of the waiting lines, with one line end each."""
        self._most_bytes = most_bytes
        self._lines: deque[bytes] = deque()
        self._rejected: Counter[str] = Counter()
        self._samples: list[tuple[str, bytes]] = []
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def weight(self) -> int:
        """How many bytes of memory the waiting lines take, about."""
        return self.bytes + OVERHEAD * len(self._lines)

    @property
    def room(self) -> int:
        """How many bytes of memory are left; less than none where it holds too much."""
        return self._most_bytes - self.weight

    @property
    def is_full(self) -> bool:
        """Whether no more should be put into it."""
        return self.room <= 0

    @property
    def is_half_empty(self) -> bool:
        """Whether it has room for more than single lines again."""
        return self.weight * 2 <= self._most_bytes

    def put(self, lines: Sequence[bytes]) -> None:
        """Add lines, also to a full one: for those who have read them already, and wait then."""
        if lines:
            self._lines.extend(lines)
            self.bytes += sum(map(len, lines)) + len(lines)
            self._filled.set()

    def offer(self, line: bytes) -> bool:
        """Add a line if there is room for it; return whether there was.

        An empty inbox takes any: otherwise a line longer than the bound would never pass.
        """
        if self._lines and len(line) + OVERHEAD > self.room:
            return False
        self.put([line])
        return True

    def reject(self, rejected: Rejected) -> None:
        """Count lines that can't be handed on; keep some of their beginnings to be shown."""
        counts, samples = rejected
        if counts:
            self._rejected.update(counts)
            self._samples += samples[: MOST_SAMPLES - len(self._samples)]
            self._filled.set()

    def take(self, room: int) -> list[bytes]:
        """Return the oldest lines, at most `room`."""
        lines = [self._lines.popleft() for _ in range(min(room, len(self._lines)))]
        self.bytes -= sum(map(len, lines)) + len(lines)
        if not self._lines:
            self._filled.clear()
        return lines

    def take_batch(self, room: int) -> Batch | None:
        """Return the oldest lines and all rejections as a batch without a position."""
        lines, rejected, samples = self.take(room), dict(self._rejected), self._samples
        if not lines and not rejected:
            return None
        self._rejected, self._samples = Counter(), []
        return Batch(lines, {}, rejected, samples)

    async def filled(self) -> None:
        """Return when there is something to take, or when woken."""
        await self._filled.wait()

    def wake(self) -> None:
        """Let `filled` return once in any case."""
        self._filled.set()
