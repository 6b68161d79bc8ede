"""A file that grows at its end, and what is left of one that was truncated."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.source.file.reader import Reader
from ai_suricata.source.identity import HEAD_BYTES, inode_of, read_head
from ai_suricata.source.line import Splitter

if TYPE_CHECKING:
    from ai_suricata.core.position import FilePosition

BLOCK_BYTES = 256 * 1024
"""Bytes read at once: large enough for the cost of a call to vanish, small enough for the cache."""

_remnants = count(1)


def open_regular(path: str) -> int:
    """Open a file for reading and return its descriptor; raises OSError.

    O_NONBLOCK, since opening a FIFO that somebody put there would otherwise wait for its writer.
    """
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


class LogFile(Reader):
    """An open file that grows at its end, and can be truncated in place."""

    turn_bytes = 64 * 1024 * 1024

    def __init__(self, descriptor: int, *, path: str, offset: int, max_line_bytes: int) -> None:
        """Read on from byte `offset` of the open file, see `Reader`; raises OSError."""
        status = os.fstat(descriptor)
        super().__init__(
            descriptor, inode_of(status), path=path, offset=offset, max_line_bytes=max_line_bytes
        )
        self.head = read_head(descriptor)
        self._max_line_bytes = max_line_bytes
        self._read_offset = offset
        self._size = status.st_size
        self._is_copy = False

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
    def unread(self) -> int:
        """Bytes that it was last seen to hold and that were not read."""
        return max(0, self._size - self._read_offset)

    def lag(self) -> int:
        """Return how many bytes were written and not yet handed out; raises OSError."""
        return max(0, self.status().st_size - self.offset)

    def is_intact(self) -> bool:
        """Whether the file still begins as it did and is no shorter than what was read of it.

        Learns the first bytes while the file is shorter than HEAD_BYTES. Raises OSError.
        """
        size = self.status().st_size
        if size < self._read_offset:
            return False
        head = read_head(self.descriptor)
        if not head.startswith(self.head):
            return False
        self.head, self._size = head, size
        return True

    def restart(self) -> Remnant:
        """Begin again at byte 0 of the truncated file; return what had been read of it before.

        Raises OSError.
        """
        head = read_head(self.descriptor)
        remnant = Remnant(self.position, self.head, self.lines, path=self.path)
        self.head = head
        self.lines = Splitter(self._max_line_bytes)
        self._read_offset = self._size = 0
        self._at_end = False
        self._fingerprint = ("", -1)
        return remnant

    def read_on(self, offset: int) -> None:
        """Hand out the lines of a copy from byte `offset` on: its original has been emptied."""
        self._is_copy = self._at_end = False
        self.lines = Splitter(self._max_line_bytes, offset)
        self._read_offset = offset

    def take(self, room: int) -> list[bytes]:
        """Return the next whole lines, at most `room`, without line ends; raises OSError."""
        if self._is_copy:
            self._skip_to_end()
            return []
        return super().take(room)

    def _skip_to_end(self) -> None:
        self.lines.offset = self._read_offset = self._size = self.status().st_size
        self._at_end = True

    def _fill(self) -> int:
        block = os.pread(self.descriptor, BLOCK_BYTES, self._read_offset)
        if block and read_head(self.descriptor, len(self.head)) != self.head:
            self._at_end = False  # truncated and written anew since it was looked at: not our line
            return 0
        self._learn(block, self._read_offset)
        self._read_offset += len(block)
        self._at_end = len(block) < BLOCK_BYTES
        self.lines.feed(block)
        return len(block)


class Remnant(Reader):
    """Lines that were read of a file before it was truncated: on disk they are no more."""

    turn_bytes = 1

    def __init__(self, position: FilePosition, head: bytes, lines: Splitter, *, path: str) -> None:
        """`position`: of the truncated file; `lines`: what was read of it, from that offset on."""
        no_inode = (-1, next(_remnants))  # that of the file is its new content's
        super().__init__(-1, no_inode, path=path, offset=lines.offset, max_line_bytes=0)
        self.head = head
        self.retired = self._at_end = True
        self.lines = lines
        self._place = position

    @property
    def is_final(self) -> bool:
        """Always: there is no file behind it."""
        return True

    @property
    def position(self) -> FilePosition:
        """Where the file was when it was truncated: a restart reports what it then lacks."""
        return msgspec.structs.replace(self._place, offset=self.offset)

    def lag(self) -> int:
        """Return 0: what waits is in memory."""
        return 0

    def take_partial(self) -> list[bytes]:
        """Return nothing: the end of that line was never read, and its beginning is no line."""
        return []

    def close(self) -> None:
        """Nothing to give back."""

    def _fill(self) -> int:
        self._at_end = True
        return 0


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
