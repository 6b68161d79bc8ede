"""What a source must be able to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

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
    samples: Sequence[tuple[str, bytes]] = ()
    """Some of the rejected ones: reason, and the first bytes of the line."""
    origins: Sequence[tuple[str, int]] = ()
    """Of whom the lines are, in their order: a name (the followed path) and how many lines in a
    row. Empty where all are of one."""

    @property
    def bytes(self) -> int:
        """How much memory the lines take, about."""
        return sum(map(len, self.lines))


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a source is behind what has been written."""

    bytes: int
    """Bytes written and not yet handed out; where only lines can be counted, an estimate."""
    files: int
    """Files, connections or keys that are open and being read."""


@dataclass(slots=True)
class Losses:
    """What was written and can't be read any more, since the start, by reason."""

    occasions: Counter[str] = field(default_factory=Counter)
    """How often lines were lost, or may have been: nobody can count what was never seen
    (`truncated`, `deleted`, `compressed`, `given_up`, `trimmed`, `taken` by another reader,
    `disconnected`)."""
    lines: Counter[str] = field(default_factory=Counter)
    """Lines that were dropped because their sender can't be made to wait (`queue_full`), or that
    were in flight at the end (`stopped`), or gone before we came (`trimmed`)."""


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

    def stored(self, position: Position) -> None:
        """Take note that all up to `position` is durable: what is kept for it may go."""
        ...

    @property
    def losses(self) -> Losses:
        """What has been lost since the start, each occasion told in the log as well."""
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
