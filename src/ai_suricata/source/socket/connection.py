"""One connection of Suricata to our stream socket."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from typing import TYPE_CHECKING, cast

import structlog

from ai_suricata.source.line import Splitter
from ai_suricata.source.message import take_rejected

if TYPE_CHECKING:
    from ai_suricata.source.inbox import Inbox

MOST_CONNECTIONS = 256
"""At once. Each may hold one unfinished line in memory."""

_log = structlog.get_logger(__name__)


class Connection(asyncio.Protocol):
    """Cuts what arrives into lines and puts them into the inbox, while that has room."""

    def __init__(self, max_line_bytes: int, inbox: Inbox, connections: set[Connection]) -> None:
        """Join `connections`, all that are open, when connected, and leave them at the end."""
        self._inbox = inbox
        self._connections = connections
        self._lines = Splitter(max_line_bytes)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, or wait where there is no room."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._connections) >= MOST_CONNECTIONS:
            _log.warning("a connection is refused: there are too many", most=MOST_CONNECTIONS)
            self._transport.abort()
            return
        self._connections.add(self)
        _log.info("connected to the socket", connections=len(self._connections))
        if self._inbox.is_full:
            self.pause()

    def data_received(self, data: bytes) -> None:
        """Put the whole lines into the inbox; where that makes it full, all connections wait."""
        self._lines.feed(data)
        self._inbox.put(self._lines.take(self._lines.waiting))
        self._inbox.reject(take_rejected(self._lines))
        if self._inbox.is_full:
            for connection in self._connections:
                connection.pause()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand out what has no line end: nobody will finish it any more."""
        if self not in self._connections:  # refused, or aborted
            return
        self._connections.discard(self)
        self._inbox.put(self._lines.take_rest())
        self._inbox.reject(take_rejected(self._lines))
        _log.info("disconnected from the socket", error=str(exc) if exc else None)

    def pause(self) -> None:
        """Leave what arrives to the kernel, which lets the sender wait."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """End the connection at once, with all that it still holds."""
        self._connections.discard(self)
        self._transport.abort()

    def waiting(self) -> int:
        """Return how many bytes were received and are in no inbox yet."""
        descriptor = self._transport.get_extra_info("socket").fileno()
        if descriptor < 0:  # just lost
            return self._lines.held
        answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
        return self._lines.held + int(struct.unpack("i", answer)[0])
