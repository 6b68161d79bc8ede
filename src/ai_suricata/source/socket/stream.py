"""All connections to our stream socket, which share one buffer."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from socket import SHUT_RD
from typing import TYPE_CHECKING

import structlog

from ai_suricata.source.socket.connection import Connection
from ai_suricata.source.socket.listener import BACKLOG

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from ai_suricata.source.inbox import Inbox

MOST_CONNECTIONS = 256
"""At once."""

PATIENCE = 10.0
"""Seconds that one connection may take to finish a line while the others wait for it."""

ACCEPT_PAUSE = 1.0
"""Seconds until connections are accepted again where the system had no room for one."""

REST_TIME = 1.0
"""Seconds at most in which all that was sent is counted at the end."""

_log = structlog.get_logger(__name__)


class Stream:
    """Reads the connections while the buffer has room; else the kernel lets the senders wait.

    The buffer holds the inbox and the unfinished lines of all connections. Where these alone fill
    it, none could ever be finished: then the connection with the longest is read on, and only that.
    So memory is bounded by the buffer and one line. Should it not finish the line in time, it is
    ended, and what it has sent is handed out like the rest of any connection.
    """

    def __init__(self, listening: socket.socket, max_line_bytes: int, inbox: Inbox) -> None:
        """Take the connections of `listening`, which never blocks and stays its owner's."""
        self._listening = listening
        self._max_line_bytes = max_line_bytes
        self._inbox = inbox
        self._was_connected = False
        self._connections: set[Connection] = set()
        self._reading: set[Connection] = set()
        self._is_full = False  # until the inbox is half empty
        self._alone: tuple[Connection, int] | None = None  # read on alone, in the line from there
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def held(self) -> int:
        """How many bytes of unfinished lines are in memory."""
        return sum(connection.held for connection in self._connections)

    @property
    def waiting(self) -> int:
        """How many bytes were received and are in no inbox yet."""
        return sum(connection.waiting for connection in self._connections)

    def waiting_for(self, path: Path) -> str | None:
        """Why nothing arrives at that path, or None."""
        if self._connections:
            return None
        if self._was_connected:
            return (
                f"Suricata has disconnected from {path}; it comes back by itself with its next "
                "event"
            )
        return (
            f"Suricata is not connected to {path}; set `filetype: unix_stream` and "
            f"`filename: {path}` in its eve-log, and let its user into the socket's group"
        )

    def begin(self) -> None:
        """Accept connections, and read them."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._listening, self._accept)

    def regulate(self) -> None:
        """Read those connections for which there is room, and no others."""
        if self._loop is None:
            return
        wanted = self._wanted()
        for connection in self._reading - wanted:
            self._loop.remove_reader(connection.socket)
        for connection in wanted - self._reading:
            self._loop.add_reader(connection.socket, self._receive, connection)
        self._reading = wanted

    def close(self) -> int:
        """End all connections; return how many lines were sent and are in no inbox."""
        if self._loop is not None:
            self._loop.remove_reader(self._listening)
            for connection in self._reading:
                self._loop.remove_reader(connection.socket)
        self._loop = None
        for timer in self._timers.values():
            timer.cancel()
        rest = self._connections | self._unaccepted()
        self._connections, self._reading = set(), set()
        until = time.monotonic() + REST_TIME
        return sum(connection.count_rest(until) for connection in rest)

    def _wanted(self) -> set[Connection]:
        self._is_full = self._inbox.is_full or (self._is_full and not self._inbox.is_half_empty)
        is_over = not self._is_full and self.held >= self._inbox.room
        if not is_over:
            self._watch(None)
            return set() if self._is_full else set(self._connections)
        longest = max(self._connections, key=lambda connection: connection.held)
        self._watch((longest, longest.finished))
        return {longest}

    def _watch(self, alone: tuple[Connection, int] | None) -> None:
        """Give the connection that is read on alone its time for this line."""
        if alone == self._alone or self._loop is None:
            return
        self._alone = alone
        if "alone" in self._timers:
            self._timers.pop("alone").cancel()
        if alone is not None:
            self._timers["alone"] = self._loop.call_later(PATIENCE, self._give_up, alone[0])

    def _give_up(self, connection: Connection) -> None:
        """End the connection for which the others wait; without others it may take its time."""
        self._alone = None
        if len(self._connections) > 1:
            _log.warning(
                "a connection is ended: the buffer is full of unfinished lines, and its own was not"
                " finished in time; raise EVE_BUFFER_BYTES",
                seconds=PATIENCE,
            )
            self._end(connection)
        self.regulate()

    def _accept(self) -> None:
        """Take the connections that wait for it."""
        for _ in range(BACKLOG):
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:  # no file descriptor or memory is left (accept(2))
                self._pause_accepting(error)
                break
            self._add(accepted)
        self.regulate()

    def _add(self, accepted: socket.socket) -> None:
        if len(self._connections) >= MOST_CONNECTIONS:
            _log.warning("a connection is refused: there are too many", most=MOST_CONNECTIONS)
            accepted.close()
            return
        self._connections.add(Connection(accepted, self._max_line_bytes, self._inbox))
        self._was_connected = True
        _log.info("connected to the socket", connections=len(self._connections))

    def _pause_accepting(self, error: OSError) -> None:
        _log.warning("a connection can't be accepted", error=error.strerror or str(error))
        if self._loop is not None:
            self._loop.remove_reader(self._listening)
            self._timers["accept"] = self._loop.call_later(ACCEPT_PAUSE, self.begin)

    def _receive(self, connection: Connection) -> None:
        if not connection.receive():
            self._end(connection)
        self.regulate()

    def _end(self, connection: Connection) -> None:
        if self._loop is not None:
            self._loop.remove_reader(connection.socket)
        self._reading.discard(connection)
        self._connections.discard(connection)
        connection.end()
        _log.info("disconnected from the socket", connections=len(self._connections))

    def _unaccepted(self) -> set[Connection]:
        """Return the connections that nobody has accepted; no others can come any more."""
        found = set()
        with suppress(OSError):  # there is no more, or there are too many files
            self._listening.shutdown(SHUT_RD)
            for _ in range(BACKLOG + 1):  # listen(2) lets one more wait
                accepted, _ = self._listening.accept()
                found.add(Connection(accepted, self._max_line_bytes, self._inbox))
        return found
