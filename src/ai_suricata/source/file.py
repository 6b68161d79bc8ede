"""One open file, read in blocks and handed out in whole lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ai_suricata.core.position import FilePosition
from ai_suricata.source.identity import HEAD_BYTES, fingerprint, inode_of, read_head
from ai_suricata.source.line import Splitter

if TYPE_CHECKING:
    from ai_suricata.source.identity import Inode

BLOCK_BYTES = 256 * 1024
"""Bytes read at once: large enough for the cost of a call to vanish, small enough for the cache."""

TURN_BYTES = 64 * 1024 * 1024
"""Most bytes read in one turn, so that long lines neither fill the memory nor stall the loop."""


def open_regular(path: str) -> int:
    """Open a file for reading and return its descriptor; raises OSError.

    O_NONBLOCK, since opening a FIFO that somebody put there would otherwise wait for its writer.
    """
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


class LogFile:
    """An open file that grows at its end. Owns the descriptor."""

    def __init__(self, descriptor: int, *, path: str, offset: int, max_line_bytes: int) -> None:
        """Read on from byte `offset`, which is the start of a line.

        `path` is the followed path to which the file belongs, wherever it has been moved since.
        """
        self.descriptor = descriptor
        self.path = path
        self.inode: Inode = inode_of(os.fstat(descriptor))
        self.head = read_head(descriptor)
        self.last_line = 0.0
        """When it last gave a line, or was replaced, on the clock of whoever reads it."""
        self.retired = False
        """Whether another file has taken its place at the followed path."""
        self._is_copy = False
        self._max_line_bytes = max_line_bytes
        self._restart_at(offset)

    def _restart_at(self, offset: int) -> None:
        self.lines = Splitter(self._max_line_bytes, offset)
        self._read_offset = offset
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
    def is_copy(self) -> bool:
        """Whether its lines have been read elsewhere, so that none is handed out."""
        return self._is_copy

    @is_copy.setter
    def is_copy(self, value: bool) -> None:
        self._is_copy = value
        if value:
            self._skip_to_end()

    @property
    def position(self) -> FilePosition:
        """The place behind the last whole line that was handed out."""
        if self._fingerprint[1] != len(self.head):
            self._fingerprint = (fingerprint(self.head), len(self.head))
        return FilePosition(*self.inode, *self._fingerprint, self.offset)

    def status(self) -> os.stat_result:
        """Return what fstat(2) says of the open file, whatever its path; raises OSError."""
        return os.fstat(self.descriptor)

    def lag(self) -> int:
        """Return how many bytes were written and not yet handed out; raises OSError."""
        return max(0, self.status().st_size - self.offset)

    def is_intact(self) -> bool:
        """Whether the file still begins as it did and is no shorter than what was read of it.

        Learns the first bytes while the file is shorter than HEAD_BYTES. Raises OSError.
        """
        if self.status().st_size < self._read_offset:
            return False
        head = read_head(self.descriptor)
        if not head.startswith(self.head):
            return False
        self.head = head
        return True

    def truncate(self) -> list[bytes]:
        """Begin again at byte 0; return the lines that were read before and are on disk no more."""
        old = self.lines
        lines = old.drop()
        self.head = read_head(self.descriptor)
        self._restart_at(0)
        self.lines.rejected, self.lines.samples = old.rejected, old.samples
        return lines

    def retire(self, now: float) -> None:
        """Note that another file has taken its place; its writer may not know yet."""
        if not self.retired:
            self.retired, self.last_line = True, now

    def take(self, room: int) -> list[bytes]:
        """Return the next whole lines, at most `room`, without line ends; raises OSError."""
        if self._is_copy:
            self._skip_to_end()
            return []
        budget = TURN_BYTES
        while self.lines.waiting < room and budget > 0:
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

    def _skip_to_end(self) -> None:
        self.lines.offset = self._read_offset = self.status().st_size
        self._at_end = True

    def _fill(self) -> int:
        """Read one block and return its length, 0 at the end of the file."""
        if self.lines.is_blocked:
            self._at_end = False
            return 0
        block = os.pread(self.descriptor, BLOCK_BYTES, self._read_offset)
        self._read_offset += len(block)
        self._at_end = len(block) < BLOCK_BYTES
        self.lines.feed(block)
        return len(block)


def end_of_last_line(descriptor: int, max_line_bytes: int) -> int:
    """Return the offset behind the last line end of an open file; raises OSError.

    Where the last line is longer than `max_line_bytes`, an offset inside of it from which it is
    still too long.
    """
    end = os.fstat(descriptor).st_size
    lowest = max(0, end - max_line_bytes - HEAD_BYTES)
    while end > lowest:
        start = max(lowest, end - BLOCK_BYTES)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return lowest
