"""How long the next entries of Redis will be: known only once they have been fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RELIEF = 0.9
"""Part of what was expected that is still expected after a fetch of shorter entries."""


class EntryLength:
    """Expects entries as long as on the whole, and as in the latest fetches.

    The mean over all time moves too slowly: after a million short entries it would let each fetch
    of a run of long ones take as many as of short ones. So what is expected rises at once with one
    fetch, and falls back to the mean by and by. Lengths are bytes, with a line end each.
    """

    def __init__(self, longest: int) -> None:
        """`longest`: bytes that are expected of an entry as long as none has been seen."""
        self.expected: float = longest + 1
        """Bytes that an entry of the next fetch has, about; at least 1."""
        self._count = self._bytes = 0

    @property
    def mean(self) -> float:
        """Mean over all entries so far, 0 without any."""
        return self._bytes / self._count if self._count else 0.0

    def note(self, entries: Sequence[bytes]) -> None:
        """Learn from a fetch; one that brought nothing tells nothing."""
        if not entries:
            return
        size = sum(map(len, entries)) + len(entries)
        falling = self.expected * RELIEF if self._count else 0.0
        self._count += len(entries)
        self._bytes += size
        self.expected = max(1.0, self.mean, size / len(entries), falling)
