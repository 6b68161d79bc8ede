"""Cutting a stream of bytes into whole lines, in bounded memory: shared by all byte sources."""

from __future__ import annotations

SAMPLE_BYTES = 1024
"""First bytes of an overlong line that are kept to be shown."""

MOST_SAMPLES = 16
"""Overlong lines that are kept to be shown until somebody takes them."""


class Splitter:
    """Is fed blocks, and hands out whole lines without their ends. Knows how far it has come."""

    def __init__(self, max_line_bytes: int, offset: int = 0) -> None:
        """`offset`: place in the stream, in bytes, of the first byte that is fed."""
        self.offset = offset
        """Bytes up to the end of the last whole line that was handed out or passed over."""
        self.rejected = 0
        """Lines that were longer than `max_line_bytes`, since this was last set to 0."""
        self.samples: list[bytes] = []
        """The beginnings of some of them, until somebody takes them."""
        self._max_line_bytes = max_line_bytes
        self._ready: list[bytes] = []
        self._partial = bytearray()
        self._skipped = 0
        self._beginning = b""  # of the overlong line that is being passed over
        self._has_carriage_return = False

    @property
    def waiting(self) -> int:
        """How many whole lines wait to be taken, empty and overlong ones among them."""
        return len(self._ready)

    @property
    def held(self) -> int:
        """How many bytes of an unfinished line are in memory."""
        return len(self._partial)

    @property
    def is_blocked(self) -> bool:
        """Whether the waiting lines must be taken first: the offset follows the order."""
        return bool(self._skipped and self._ready)

    def feed(self, block: bytes) -> None:
        """Add bytes. To be called only where the splitter is not blocked."""
        if self._skipped:
            self._skip(block)
        else:
            self._split(block)

    def take(self, room: int) -> list[bytes]:
        """Return the next whole lines, at most `room`, without empty and overlong ones."""
        raw = self._ready[:room]
        del self._ready[:room]
        self.offset += sum(map(len, raw)) + len(raw)
        return self._clean(raw)

    def take_rest(self) -> list[bytes]:
        """Return what stands behind the last line end as a line: nobody will finish it any more."""
        if self._skipped:
            self._reject(self._beginning)
        rest = bytes(self._partial)
        self.offset += self._skipped + len(rest)
        self._partial, self._skipped = bytearray(), 0
        return self._clean([rest])

    def drop(self) -> list[bytes]:
        """Return the waiting lines without moving the offset: their stream is no more."""
        raw, self._ready = self._ready, []
        return self._clean(raw)

    def _split(self, block: bytes) -> None:
        """Add the block's lines to those that are ready; keep the rest after its last line end."""
        if not self._has_carriage_return:
            self._has_carriage_return = b"\r" in block
        lines = block.split(b"\n")
        self._partial += lines[0]
        if len(lines) > 1:
            lines[0] = bytes(self._partial)
            self._partial = bytearray(lines.pop())
            self._ready += lines
        if len(self._partial) > self._max_line_bytes + 1:  # + 1: it may end in a carriage return
            self._beginning = bytes(self._partial[:SAMPLE_BYTES])
            self._skipped, self._partial = len(self._partial), bytearray()

    def _skip(self, block: bytes) -> None:
        """Pass over an overlong line without holding it, up to its end."""
        line, end, rest = block.partition(b"\n")
        self._skipped += len(line)
        if end:
            self.offset += self._skipped + 1
            self._skipped = 0
            self._reject(self._beginning)
            self._split(rest)

    def _clean(self, raw: list[bytes]) -> list[bytes]:
        """Take out carriage returns, empty lines and overlong lines."""
        if self._has_carriage_return:
            raw = [line.removesuffix(b"\r") for line in raw]
        if b"" in raw:
            raw = [line for line in raw if line]
        if sum(map(len, raw)) > self._max_line_bytes:
            return [line for line in raw if self._fits(line)]
        return raw

    def _fits(self, line: bytes) -> bool:
        if len(line) <= self._max_line_bytes:
            return True
        self._reject(line)
        return False

    def _reject(self, line: bytes) -> None:
        self.rejected += 1
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(line[:SAMPLE_BYTES])


class Rejects:
    """The overlong lines of several splitters: how many, and the beginnings of some."""

    def __init__(self) -> None:
        self.count = 0
        self._samples: list[bytes] = []

    def collect(self, lines: Splitter) -> None:
        """Take over what a splitter has counted."""
        self.count += lines.rejected
        self._samples = (self._samples + lines.samples)[:MOST_SAMPLES]
        lines.rejected, lines.samples = 0, []

    def take(self) -> tuple[int, list[bytes]]:
        """Return how many there were since this was last asked, and some beginnings."""
        found = self.count, self._samples
        self.count, self._samples = 0, []
        return found
