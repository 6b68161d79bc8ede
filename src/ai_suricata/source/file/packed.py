"""A rotated file that has been compressed, read like any other: by offsets of what it holds."""

from __future__ import annotations

import os

from ai_suricata.source.file.reader import Reader
from ai_suricata.source.file.unpacker import Unpacker
from ai_suricata.source.identity import HEAD_BYTES, inode_of

BLOCK_BYTES = 256 * 1024
"""Bytes unpacked at once."""


class PackedFile(Reader):
    """An open .gz, .bz2 or .xz file. Up to the offset it is unpacked and passed over."""

    turn_bytes = 4 * 1024 * 1024  # unpacking 4 MiB takes some 20 ms (gzip) to 150 ms (bzip2)

    def __init__(
        self, descriptor: int, packing: str, *, path: str, offset: int, max_line_bytes: int
    ) -> None:
        """`packing`: the ending of its name. `offset` counts unpacked bytes. Else see `Reader`.

        Raises OSError.
        """
        inode = inode_of(os.fstat(descriptor))
        super().__init__(descriptor, inode, path=path, offset=offset, max_line_bytes=max_line_bytes)
        self.head = unpacked_head(descriptor, packing)
        self.retired = True
        self._unpacker = Unpacker(descriptor, packing)
        self._start = offset
        self._read_offset = 0

    @property
    def is_final(self) -> bool:
        """Whether it has been read to the end of what was compressed, or as far as it can be."""
        return self._unpacker.is_complete or self._unpacker.damage is not None

    @property
    def is_busy(self) -> bool:
        """Whether it is being unpacked up to the offset, or in the middle of a long line."""
        return not (self._at_end or self.is_final or self.lines.waiting)

    @property
    def fault(self) -> str | None:
        """Why the rest can't be read, in words, or None."""
        if self._unpacker.damage is not None:
            return f"it is damaged ({self._unpacker.damage})"
        if not self._unpacker.is_complete:
            return "it is cut off"
        if self._read_offset < self._start:
            return "it is shorter than what was read of it"
        return None

    def lag(self) -> int:
        """Return about how many bytes wait: those still packed, at the ratio so far."""
        packed = self.status().st_size - self._unpacker.packed_offset
        if self.is_final or packed <= 0:
            return max(0, self._read_offset - self.offset)
        ratio = max(1.0, self._read_offset / max(1, self._unpacker.packed_offset))
        return max(0, self._read_offset - self.offset) + int(packed * ratio)

    def _fill(self) -> int:
        block = self._unpacker.read(BLOCK_BYTES)
        self._learn(block, self._read_offset)
        to_skip = max(0, self._start - self._read_offset)
        self._read_offset += len(block)
        self._at_end = not block
        self.lines.feed(block[to_skip:])
        return len(block)


def unpacked_head(descriptor: int, packing: str) -> bytes:
    """Return the first bytes of what a compressed file holds, none where that can't be read.

    Raises OSError.
    """
    unpacker = Unpacker(descriptor, packing)
    head = b""
    while len(head) < HEAD_BYTES and (more := unpacker.read(HEAD_BYTES - len(head))):
        head += more
    return head
