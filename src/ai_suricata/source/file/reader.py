"""One open file, read in blocks and handed out in whole lines: what all kinds of file share."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ai_suricata.core.position import FilePosition
from ai_suricata.source.identity import HEAD_BYTES, fingerprint
from ai_suricata.source.line import Splitter

if TYPE_CHECKING:
    from ai_suricata.source.identity import Inode


class Reader(ABC):
    """Reads one open file on from an offset. Owns the descriptor."""

    turn_bytes: ClassVar[int]
    """Most bytes read in one turn: long lines must neither fill the memory nor stall the loop."""

    def __init__(
        self, descriptor: int, inode: Inode, *, path: str, offset: int, max_line_bytes: int
    ) -> None:
        """Read on from byte `offset`, which is the start of a line.

        `path` is the followed path to which the file belongs, wherever it has been moved since.
        """
        self.descriptor = descriptor
        self.inode = inode
        self.path = path
        self.head = b""
        """The first bytes, HEAD_BYTES at most: what tells it from other files."""
        self.last_line = 0.0
        """When it last gave a line, or was replaced, on the clock of whoever reads it."""
        self.retired = False
        """Whether another file has taken its place at the followed path."""
        self.lines = Splitter(max_line_bytes, offset)
        self._at_end = False
        self._fingerprint = ("", -1)

    @property
    def offset(self) -> int:
        """Bytes up to the end of the last whole line that was handed out."""
        return self.lines.offset

    @property
    def drained(self) -> bool:
        """Whether the latest reading came to the end of the file and nothing of it is left."""
        return self._at_end and not self.lines.waiting

    @property
    def is_final(self) -> bool:
        """Whether nobody can add to it any more."""
        return False

    @property
    def is_busy(self) -> bool:
        """Whether it has more to read, but the latest turn has brought no line."""
        return False

    @property
    def fault(self) -> str | None:
        """Why the rest of the file can't be read, in words, or None."""
        return None

    @property
    def position(self) -> FilePosition:
        """The place behind the last whole line that was handed out."""
        if self._fingerprint[1] != len(self.head):
            self._fingerprint = (fingerprint(self.head), len(self.head))
        return FilePosition(*self.inode, *self._fingerprint, self.offset)

    def status(self) -> os.stat_result:
        """Return what fstat(2) says of the open file, whatever its path; raises OSError."""
        return os.fstat(self.descriptor)

    @abstractmethod
    def lag(self) -> int:
        """Return how many bytes were written and not yet handed out; raises OSError."""

    def is_intact(self) -> bool:
        """Whether the file still begins as it did and is no shorter than what was read of it.

        Raises OSError.
        """
        return True

    def retire(self, now: float) -> None:
        """Note that another file has taken its place; its writer may not know yet."""
        if not self.retired:
            self.retired, self.last_line = True, now

    def take(self, room: int) -> list[bytes]:
        """Return the next whole lines, at most `room`, without line ends; raises OSError."""
        budget = self.turn_bytes
        while self.lines.waiting < room and budget > 0:
            if self.lines.is_blocked:
                self._at_end = False
                break
            count = self._fill()
            if not count:
                break
            budget -= count
        return self.lines.take(room)

    def take_partial(self) -> list[bytes]:
        """Return what stands behind the last line end as a line: nobody will finish it any more."""
        return self.lines.take_rest()

    def close(self) -> None:
        """Give the descriptor back. The position stays."""
        os.close(self.descriptor)

    @abstractmethod
    def _fill(self) -> int:
        """Read on and return how many bytes that were, 0 at the end; tells `_at_end`."""

    def _learn(self, block: bytes, offset: int) -> None:
        """Keep the first bytes of the file, which are among those read at `offset`."""
        known = len(self.head)
        if known < HEAD_BYTES and offset <= known:
            self.head += block[known - offset : HEAD_BYTES - offset]
