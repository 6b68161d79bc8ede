"""A file in the folder of a followed path, opened to see which one it is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from ai_suricata.core.position import FilePosition
from ai_suricata.source.file.log import LogFile, open_regular
from ai_suricata.source.file.packed import PackedFile, unpacked_head
from ai_suricata.source.identity import (
    SHORTEST_HEAD,
    fingerprint,
    inode_of,
    packing_of,
    read_head,
)

if TYPE_CHECKING:
    from types import TracebackType

    from ai_suricata.source.file.reader import Reader
    from ai_suricata.source.identity import Inode

_SIZE_BYTES = 4


@dataclass(slots=True)
class Candidate:
    """An open file, compressed or not. Owns the descriptor until a reader is made of it."""

    descriptor: int
    inode: Inode
    size: int
    """Bytes on disk."""
    packing: str
    """The ending that says how it is compressed, empty where it is not."""
    head: bytes
    """The first bytes of what it holds, `identity.HEAD_BYTES` at most."""
    _fingerprints: dict[int, str] = field(default_factory=dict)
    """By how many of them it covers: it is compared with many places."""

    @classmethod
    def open(cls, path: str, packing: str | None = None) -> Self:
        """Open a file and read its beginning; raises OSError. Its name tells the packing, or you.

        It must be one of `identity.UNPACKABLE`, or none.
        """
        descriptor = open_regular(path)
        packing = packing_of(path) if packing is None else packing
        try:
            status = os.fstat(descriptor)
            head = unpacked_head(descriptor, packing) if packing else read_head(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        return cls(descriptor, inode_of(status), status.st_size, packing, head)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)

    def position(self, offset: int) -> FilePosition:
        """Return the place at `offset` bytes of what it holds."""
        return FilePosition(*self.inode, fingerprint(self.head), len(self.head), offset)

    def holds(self, position: FilePosition) -> bool:
        """Whether it begins as `position` says and reaches as far, as far as can be seen."""
        reaches = bool(self.packing) or self.size >= position.offset
        return reaches and self._begins_as(position)

    def follows(self, position: FilePosition) -> bool:
        """Whether a file with the inode of a finished one is that one still.

        Inodes are reused at once: where few bytes are known, it must not have changed at all.
        """
        if position.fingerprint_bytes < SHORTEST_HEAD:
            return self._is_just(position)
        return self.holds(position)

    def repeats(self, position: FilePosition) -> bool:
        """Whether it is the file of `position` by its content alone: copied or compressed."""
        if position.fingerprint_bytes < SHORTEST_HEAD:
            return position.offset > 0 and self._is_just(position)
        return self._begins_as(position)

    def _is_just(self, position: FilePosition) -> bool:
        """Whether it holds what `position` names, and not a byte more."""
        size = len(self.head) if self.packing else self.size
        is_short = size == position.fingerprint_bytes == position.offset
        return is_short and self._begins_as(position)

    def _begins_as(self, position: FilePosition) -> bool:
        length = position.fingerprint_bytes
        if length > len(self.head):
            return False
        if length not in self._fingerprints:
            self._fingerprints[length] = fingerprint(self.head[:length])
        return self._fingerprints[length] == position.fingerprint

    def has_more(self, position: FilePosition) -> bool:
        """Whether it may hold something behind a place to which it has been read."""
        if not self.packing:
            return self.size > position.offset
        if self.inode == (position.device, position.inode):
            return False  # nobody writes on into a compressed file
        return self.packing != ".gz" or self._gzip_size() != position.offset % 2**32

    def length(self) -> int:
        """Return how many bytes it holds, as far as that is known without unpacking it."""
        if not self.packing:
            return self.size
        return self._gzip_size() if self.packing == ".gz" else 0

    def reader(self, path: str, offset: int, max_line_bytes: int) -> Reader:
        """Return what reads the file from `offset` on, and now owns the descriptor."""
        if self.packing:
            return PackedFile(
                self.descriptor,
                self.packing,
                path=path,
                offset=offset,
                max_line_bytes=max_line_bytes,
            )
        return LogFile(self.descriptor, path=path, offset=offset, max_line_bytes=max_line_bytes)

    def _gzip_size(self) -> int:
        """Return the length of what the last stream holds, modulo 2**32 (RFC 1952, ISIZE)."""
        tail = os.pread(self.descriptor, _SIZE_BYTES, max(0, self.size - _SIZE_BYTES))
        return int.from_bytes(tail, "little")
