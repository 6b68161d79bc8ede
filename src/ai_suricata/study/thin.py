"""A few of many, spread over all of them: bounded however long a source lives."""

from __future__ import annotations

from typing import Generic, TypeVar

MOST = 16
"""Rows of one source that count: a loud source must not outweigh a thousand quiet ones."""
T = TypeVar("T")


class Thin(Generic[T]):
    """Keeps at most `most` of what it is given, in order, evenly spread, and always the last.

    Which are kept depends on how many there were, so the same items leave the same few.
    """

    __slots__ = ("_count", "_kept", "_last", "_most", "_stride")

    def __init__(self, most: int = MOST) -> None:
        """`most`: at least 2."""
        self._most = most - 1  # the last one has a place of its own
        self._kept: list[T] = []
        self._last: list[T] = []
        self._stride, self._count = 1, 0

    def add(self, item: T) -> None:
        """Take one more."""
        if self._last:
            self._keep(self._last[0])
        self._last = [item]

    def items(self) -> list[T]:
        """Return what is kept, the oldest first."""
        return [*self._kept, *self._last]

    def _keep(self, item: T) -> None:
        if self._count % self._stride == 0:
            if len(self._kept) == self._most:
                self._kept = self._kept[::2]
                self._stride *= 2
            if self._count % self._stride == 0:
                self._kept.append(item)
        self._count += 1
