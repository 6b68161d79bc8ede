"""What a source must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_suricata.core.position import Position


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines, in order, and the position behind the last of them."""

    lines: list[bytes]
    """Without their line ends; at most the source's batch size."""
    position: Position
    """Where the source stands once these lines are done with: stored with the state they made."""
    rejected: dict[str, int]
    """Lines that the source itself could not hand on, counted by reason (`too_long`)."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a source is behind what has been written."""

    bytes: int
    files: int
    """Files that are open and being read."""


class Source(Protocol):
    """Yields batches until it is told to stop: whatever waits, up to the size limit."""

    def batches(self) -> AsyncIterator[Batch]:
        """Yield batches of at least one line (or one rejection), for ever or until `stop`.

        Starts behind the position given at construction. A batch is handed out once; asking for
        the next one does not acknowledge it, storing its position does.
        """
        ...

    def stop(self) -> None:
        """Stop reading: `batches` ends after the batch that it is handing out."""
        ...

    def lag(self) -> Lag:
        """Return how much has been written and not yet read."""
        ...

    @property
    def position(self) -> Position:
        """Where the source stands: behind the last batch that was handed out."""
        ...

    @property
    def rotations(self) -> int:
        """Rotations, truncations and re-creations seen so far."""
        ...

    @property
    def waiting_for(self) -> str | None:
        """What the source lacks, in words (`/x/eve.json does not exist yet`), or None."""
        ...
