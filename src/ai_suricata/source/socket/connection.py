"""One connection of Suricata to our stream socket."""

from __future__ import annotations

import fcntl
import struct
import termios
import time
from contextlib import suppress
from socket import SHUT_RD
from typing import TYPE_CHECKING

import structlog

from ai_suricata.source.line import Splitter
from ai_suricata.source.message import take_rejected

if TYPE_CHECKING:
    import socket

    from ai_suricata.source.inbox import Inbox

READ_BYTES = 256 * 1024
"""Bytes that are read in one turn, so that a flood does not keep others from running."""

MOST_REST = 8 * 1024 * 1024
"""Bytes that are read at the end to be counted; the kernel holds less (unix(7): SO_SNDBUF)."""

_log = structlog.get_logger(__name__)


class Connection:
    """Cuts what arrives into lines, and puts them into the inbox."""

    def __init__(self, accepted: socket.socket, max_line_bytes: int, inbox: Inbox) -> None:
        """Own the socket `accepted` from now on."""
        accepted.setblocking(False)  # noqa: FBT003 - the standard library takes no keyword
        self.socket = accepted
        self._inbox = inbox
        self._lines = Splitter(max_line_bytes)

    @property
    def held(self) -> int:
        """How many bytes of an unfinished line are in memory."""
        return self._lines.held

    @property
    def finished(self) -> int:
        """Up to which byte whole lines were received."""
        return self._lines.offset

    @property
    def waiting(self) -> int:
        """How many bytes were received and are in no inbox yet."""
        return self.held + self._unread()

    def receive(self) -> bool:
        """Put the whole lines of what has arrived into the inbox; return whether more may come."""
        try:
            data = self.socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError as error:
            _log.info("the connection to the socket has failed", error=str(error))
            return False
        self._lines.feed(data)
        self._inbox.put(self._lines.take(self._lines.waiting))
        self._inbox.reject(take_rejected(self._lines))
        return bool(data)

    def end(self) -> None:
        """Close it; hand out what has no line end: nobody will finish it any more."""
        self.socket.close()
        self._inbox.put(self._lines.take_rest())
        self._inbox.reject(take_rejected(self._lines))

    def count_rest(self, until: float) -> int:
        """Close it; return how many lines had been sent, an unfinished one as one.

        `until`: when to give up reading, on the monotonic clock.
        """
        with suppress(OSError):  # it is lost already
            self.socket.shutdown(SHUT_RD)  # from here on the sender knows that nobody reads
        count = size = 0
        while size < MOST_REST and time.monotonic() < until and (block := self._rest()):
            self._lines.feed(block)
            count += self._count(self._lines.take(self._lines.waiting))
            size += len(block)
        unread = self._unread()
        if unread:
            _log.warning("bytes were received and their lines not counted: stopped", bytes=unread)
        self.socket.close()
        return count + self._count(self._lines.take_rest())

    def _rest(self) -> bytes:
        try:
            return self.socket.recv(READ_BYTES)
        except OSError:  # there is no more, or the connection was lost
            return b""

    def _count(self, lines: list[bytes]) -> int:
        """Return how many lines these are with those that were too long."""
        counts, _ = take_rejected(self._lines)
        return len(lines) + sum(counts.values())

    def _unread(self) -> int:
        """Return how many bytes the kernel holds."""
        answer = fcntl.ioctl(self.socket, termios.FIONREAD, bytes(4))
        return int(struct.unpack("i", answer)[0])
