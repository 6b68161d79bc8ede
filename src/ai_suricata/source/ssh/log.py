"""One remote log file: read in blocks and handed out in whole lines, plain or from a gzip."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from ai_suricata.core.position import FilePosition
from ai_suricata.source.identity import HEAD_BYTES, SHORTEST_HEAD, fingerprint
from ai_suricata.source.line import Splitter
from ai_suricata.source.ssh.block import MOST_AHEAD, READ_BYTES, Blocks, TruncatedError

if TYPE_CHECKING:
    from ai_suricata.source.ssh.session import RemoteFile, Status

GZIP = ".gz"
_WINDOW_BITS = 31  # zlib's word for a gzip header and trailer around a full window


class RemoteLog:
    """An open file of the other host that grows at its end."""

    def __init__(
        self, file: RemoteFile, status: Status, head: bytes, *, offset: int, max_line_bytes: int
    ) -> None:
        """Read on from byte `offset`, which is the start of a line. Owns the file."""
        self.status = status
        """What was last known of the file."""
        self.lines = Splitter(max_line_bytes, offset)
        self.last_line = 0.0
        """When it last gave a line, or was replaced, on the clock of whoever reads it."""
        self.retired = False
        """Whether another file has taken its place at the followed path."""
        self._max_line_bytes = max_line_bytes
        self._blocks = Blocks(file, head, offset)

    @property
    def head(self) -> bytes:
        """The first bytes of its text, as far as they are known."""
        return self._blocks.head

    @property
    def drained(self) -> bool:
        """Whether all that is known to be written has been handed out, but an unfinished line."""
        return self._blocks.offset >= self.status.size and not self.lines.waiting

    @property
    def over(self) -> bool:
        """Whether nothing can follow, whatever time passes."""
        return False

    @property
    def position(self) -> FilePosition:
        """The place behind the last line that was handed out; SFTP tells no device and inode."""
        return FilePosition(0, 0, fingerprint(self.head), len(self.head), self.lines.offset)

    @property
    def has_identity(self) -> bool:
        """Whether its first bytes tell it from other files."""
        return len(self.head) >= SHORTEST_HEAD or self.lines.offset > 0

    @property
    def lag(self) -> int:
        """How many bytes are known to be written and were not handed out."""
        return max(0, self.status.size - self.lines.offset)

    async def measure(self) -> None:
        """Learn how long the file is now; raises as `RemoteFile`, and TruncatedError."""
        status = await self._blocks.file.status()
        if status.size < self._blocks.offset:
            raise TruncatedError
        self.status = status

    async def read_head(self) -> bytes:
        """Return the first bytes, and learn them while the file is short.

        Raises as `RemoteFile`, and TruncatedError.
        """
        head = await self._blocks.file.read(0, HEAD_BYTES)
        if not head.startswith(self._blocks.head):
            raise TruncatedError
        self._blocks.head = head
        return head

    async def fill(self, room: int, budget: int) -> int:
        """Read until `room` lines wait or `budget` bytes were read; return what is left of it."""
        ahead = min(MOST_AHEAD, budget // READ_BYTES)
        while self.lines.waiting < room and budget > 0 and not self.lines.is_blocked:
            block = await self._next(ahead)
            if not block:
                break
            budget -= len(block)
            self.lines.feed(block)
        return budget

    async def begin_again(self) -> None:
        """Read from byte 0, since the file was truncated; raises as `RemoteFile`.

        The lines that wait must have been taken: they are on disk no more.
        """
        file, old = self._blocks.file, self.lines
        self._blocks.forget()
        self.status = await file.status()
        self._blocks = Blocks(file, await file.read(0, HEAD_BYTES), 0)
        self.lines = Splitter(self._max_line_bytes)
        self.lines.rejected, self.lines.samples = old.rejected, old.samples

    def retire(self, now: float) -> None:
        """Note that another file has taken its place; its writer may not know yet."""
        if not self.retired:
            self.retired, self.last_line = True, now

    async def close(self) -> None:
        """Give the file back; the position stays."""
        self._blocks.forget()
        await self._blocks.file.close()

    def abandon(self) -> None:
        """Give up what is under way: the session is gone, and the file with it."""
        self._blocks.forget()

    async def _next(self, ahead: int) -> bytes:
        block = await self._blocks.next(self.status.size, ahead)
        if not block:  # shorter than it was said to be: measured again before it is read again
            self.status = replace(self.status, size=self._blocks.offset)
        return block


class RemoteArchive(RemoteLog):
    """A rotated file that was compressed with gzip (RFC 1952) since: it will not grow."""

    def __init__(
        self,
        file: RemoteFile,
        status: Status,
        beginning: bytes,
        *,
        offset: int,
        max_line_bytes: int,
    ) -> None:
        """`beginning`: of the compressed file; `offset`: in the text, from where lines count."""
        super().__init__(file, status, b"", offset=offset, max_line_bytes=max_line_bytes)
        self.is_damaged = False
        """Whether it can't be decompressed to its end."""
        self._blocks = Blocks(file, beginning[:HEAD_BYTES], 0)
        self._text_head = text_head(beginning)
        self._to_skip = offset
        self._decoder = zlib.decompressobj(_WINDOW_BITS)
        self._compressed = b""
        self._ended = False

    @property
    def head(self) -> bytes:
        """The first bytes of the text."""
        return self._text_head

    @property
    def drained(self) -> bool:
        """Whether all lines were handed out."""
        return self._ended and not self.lines.waiting

    @property
    def over(self) -> bool:
        """Whether all lines were handed out: nobody writes on into a gzip."""
        return self.drained

    @property
    def lag(self) -> int:
        """How many bytes are left to read, compressed."""
        return max(0, self.status.size - self._blocks.offset)

    async def measure(self) -> None:
        """Nothing to learn: it does not grow."""

    async def read_head(self) -> bytes:
        """Return the first bytes of the text."""
        return self._text_head

    async def _next(self, ahead: int) -> bytes:
        """Return the next text behind the offset, none at the end of the last member."""
        while not self._ended:
            text = self._decompress(await self._more(ahead))
            skipped = min(self._to_skip, len(text))
            self._to_skip -= skipped
            if len(text) > skipped:
                return text[skipped:]
        return b""

    async def _more(self, ahead: int) -> bytes:
        """Return compressed bytes: those that are left, or the next block."""
        left, self._compressed = self._compressed, b""
        if left:
            return left
        try:
            block = await self._blocks.next(self.status.size, ahead)
        except TruncatedError:  # somebody has written over it: what is left is none of its text
            block, self._decoder = b"", zlib.decompressobj(_WINDOW_BITS)
        self._ended = not block
        return block

    def _decompress(self, data: bytes) -> bytes:
        """Return at most one block of text, however well it was compressed."""
        if not data:
            self.is_damaged = not self._decoder.eof
            return b""
        if self._decoder.eof:  # a member is complete; another one may follow
            self._decoder = zlib.decompressobj(_WINDOW_BITS)
        try:
            text = self._decoder.decompress(data, READ_BYTES)
        except zlib.error:
            self._ended = self.is_damaged = True
            return b""
        if self._decoder.eof:  # zeros behind the last member are a tape's padding: gzip(1)
            self._compressed = self._decoder.unused_data.lstrip(b"\0")
        else:
            self._compressed = self._decoder.unconsumed_tail
        return text


def text_head(compressed: bytes) -> bytes:
    """Return the first bytes of a gzip's text out of its own first bytes, none if it is none."""
    try:
        return zlib.decompressobj(_WINDOW_BITS).decompress(compressed, HEAD_BYTES)
    except zlib.error:
        return b""
