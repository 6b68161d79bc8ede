"""What one log file held, and what a follower has had and has known of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

TELLING = 64
"""First bytes that a follower must have seen to know a copy again (`identity.SHORTEST_HEAD`)."""


@dataclass(eq=False)
class Content:
    """The lines of one file, in order, and what the follower has had of them."""

    path: Path
    """The followed path that it was written to."""
    lines: list[bytes] = field(default_factory=list)
    """Whole lines, without their ends."""
    started: bytes = b""
    """Of a line that has no end yet: what was written."""
    missing: bytes = b""
    """Of a line that has no end yet: what was not written."""
    has_rest: bool = False
    """Whether its last line has no end, and never will."""
    delivered: int = 0
    stored: int = 0
    """How many lines had been handed out when the position was stored."""
    seen: int | None = None
    """Bytes that it had when this run last looked, None where this run never has."""
    seen_stored: int | None = None
    is_held: bool = False
    """Whether this run has opened the file, so that deleting it takes nothing away."""
    is_finished: bool = False
    """Whether the follower has closed it for good, and stored that."""
    is_glimpsed: bool = False
    """Whether a follower that searches the folder may have found it."""
    is_optional: bool = False
    """Whether it could be gone without a follower's fault, and without its knowledge."""
    lost_at: int | None = None
    """How many losses had been reported when it was destroyed; None where it was not."""

    @property
    def is_known(self) -> bool:
        """Whether the follower has seen any of it."""
        return bool(self.seen or self.delivered)

    @property
    def is_suspected(self) -> bool:
        """Whether the follower may know that there was such a file, and what is more it can't."""
        return self.is_known or self.is_glimpsed or self.seen is not None

    @property
    def is_untellable(self) -> bool:
        """Whether the follower may have seen too little of it to know a copy again."""
        return self.is_suspected and not self.delivered and (self.seen or 0) < TELLING

    @property
    def is_complete(self) -> bool:
        """Whether all whole lines have been handed out."""
        return self.delivered >= len(self.lines)


@dataclass(eq=False, repr=False)
class File:
    """A file on disk, or one that was deleted and is still written to."""

    content: Content
    path: Path | None
    """None where it was deleted."""
    handle: BinaryIO | None = None
    """The writer's own: it follows the file wherever it is moved. None in a copy."""
    is_half_packed: bool = False
    """Whether a gzip that is not complete lies beside it."""
    number: int = 1
    """In its name, where a rotation counts all earlier ones up."""

    @property
    def size(self) -> int:
        """Bytes in a file that is being written."""
        return os.fstat(self.handle.fileno()).st_size if self.handle is not None else 0

    @property
    def is_packed(self) -> bool:
        """Whether it is a compressed one."""
        return self.path is not None and self.path.suffix == ".gz"
