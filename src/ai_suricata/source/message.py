"""Messages that hold whole lines: a datagram, an entry of Redis."""

from __future__ import annotations

from typing import TypeAlias

from ai_suricata.source.line import Splitter

TOO_LONG = "too_long"

Rejected: TypeAlias = tuple[dict[str, int], list[tuple[str, bytes]]]
"""Counts by reason, and of some of the lines the reason and the first bytes: as in a `Batch`."""


class Cutter:
    """Cuts messages into lines; a line end behind the last one may be missing."""

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._splitter = Splitter(max_line_bytes)

    def cut(self, message: bytes) -> list[bytes]:
        """Return the lines of a message without their ends, and without overlong ones."""
        line = message.removesuffix(b"\n").removesuffix(b"\r")
        if line and len(line) <= self._max_line_bytes and b"\n" not in line:
            return [line]  # as Suricata writes it
        self._splitter.feed(message)
        return self._splitter.take(self._splitter.waiting) + self._splitter.take_rest()

    @property
    def rejected(self) -> int:
        """How many lines were too long since they were taken note of."""
        return self._splitter.rejected

    def take_rejected(self) -> Rejected:
        """Return what was rejected since the last time."""
        return take_rejected(self._splitter)


def take_rejected(splitter: Splitter) -> Rejected:
    """Return what the splitter has rejected, and forget it there."""
    count, beginnings = splitter.rejected, splitter.samples
    splitter.rejected, splitter.samples = 0, []
    if not count:
        return {}, []
    return {TOO_LONG: count}, [(TOO_LONG, beginning) for beginning in beginnings]
