"""Unpacking a compressed file piece by piece, in bounded memory, as far as it can be read.

RFC 1952 (gzip), bzip2 and the .xz format allow several streams one behind the other; what stands
behind the last one and is no stream is passed over, as gzip(1) does.
"""

from __future__ import annotations

import bz2
import lzma
import os
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

PACKED_BYTES = 64 * 1024
"""Compressed bytes read at once."""

_MEMORY = 256 * 1024 * 1024  # most that an xz stream's dictionary may take; `xz -9` needs 65 MiB
_GZIP = 31  # window bits: with gzip's header and checksum (zlib manual, inflateInit2)
_MAGIC = {
    ".gz": b"\x1f\x8b",
    ".bz2": b"BZh",
    ".xz": b"\xfd7zXZ\x00",
    ".lzma": b"\x5d\x00\x00",
}
_MAGICS = (*_MAGIC.values(), b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"PK\x03\x04")


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


_Inflater = type(zlib.decompressobj())

_DECODERS: dict[str, Callable[[], _Decoder]] = {
    ".gz": lambda: zlib.decompressobj(_GZIP),
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lambda: lzma.LZMADecompressor(memlimit=_MEMORY),
    ".lzma": lambda: lzma.LZMADecompressor(memlimit=_MEMORY),
}


def is_packed(head: bytes) -> bool:
    """Whether a file that begins so is compressed, whatever its name: .zst, .lz4, .zip as well."""
    return head.startswith(_MAGICS)


class Unpacker:
    """Reads an open compressed file; where it ends too early, reads on once it has grown."""

    def __init__(self, descriptor: int, packing: str) -> None:
        """`packing`: the ending of its name, one of `identity.UNPACKABLE`."""
        self.damage: str | None = None
        """Why nothing can be read behind this place, in words."""
        self.packed_offset = 0
        """Compressed bytes read so far."""
        self._descriptor = descriptor
        self._packing = packing
        self._decoder = _DECODERS[packing]()
        self._rest = b""
        self._is_complete = False

    @property
    def is_complete(self) -> bool:
        """Whether the last stream has come to its end."""
        return self._is_complete

    def read(self, most: int) -> bytes:
        """Return the next bytes, `most` at most; none where there are none now. Raises OSError."""
        while self.damage is None and not self._is_complete:
            packed = self._next()
            unpacked = self._unpack(packed, most)
            if self._decoder.eof and not self._begin_next_stream():
                self._is_complete = True
            if unpacked:
                return unpacked
            if not packed:
                break
        return b""

    def _next(self) -> bytes:
        """Return compressed bytes to go on with, none where the decoder still has some."""
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        if not getattr(self._decoder, "needs_input", True):
            return b""
        return self._read()

    def _read(self) -> bytes:
        packed = os.pread(self._descriptor, PACKED_BYTES, self.packed_offset)
        self.packed_offset += len(packed)
        return packed

    def _unpack(self, packed: bytes, most: int) -> bytes:
        # Only zlib can go back to before an error; the others lose a block of their own to it.
        before = self._decoder.copy() if isinstance(self._decoder, _Inflater) else None
        try:
            unpacked = self._decoder.decompress(packed, most)
        except (zlib.error, lzma.LZMAError, OSError, ValueError) as error:
            self.damage = str(error)
            return _rescue(before, packed, most) if before is not None else b""
        self._rest = getattr(self._decoder, "unconsumed_tail", b"")
        return unpacked

    def _begin_next_stream(self) -> bool:
        """Turn to the stream behind the one that has ended; return whether there is one."""
        magic = _MAGIC[self._packing]
        behind = self._decoder.unused_data
        while len(behind) < len(magic) and (more := self._read()):
            behind += more
        if not behind.startswith(magic):
            return False
        self._decoder, self._rest = _DECODERS[self._packing](), behind
        return True


def _rescue(decoder: zlib._Decompress, packed: bytes, most: int) -> bytes:
    """Return what stands before the place that is damaged, byte by byte."""
    found = bytearray()
    with suppress(zlib.error):
        while len(found) < most and (byte := decoder.decompress(packed, 1)):
            found += byte
            packed = decoder.unconsumed_tail
    return bytes(found)
