"""Suricata's unix socket output (`filetype: unix_stream` or `unix_dgram`): we listen."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from ai_suricata.source.base import Lag, Losses
from ai_suricata.source.inbox import Inbox
from ai_suricata.source.message import Cutter
from ai_suricata.source.overflow import Overflow
from ai_suricata.source.socket.connection import Connection
from ai_suricata.source.socket.listener import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import Position
    from ai_suricata.source.base import Batch

MOST_DATAGRAMS = 512
"""Read in one turn, so that a flood does not keep others from running."""


class Socket:
    """A source to which Suricata connects (`ai_suricata.source.base.Source`).

    The socket is there from construction on, with mode 0660, and removed at the end. There is no
    position: what Suricata has sent and we have not analysed is lost when we are killed, and what
    it logs while we are away is counted by Suricata alone (`SCLogFileWriteSocket`: it drops the
    event, and tries to connect again at the next one).

    A stream is read only while the buffer has room. Then the kernel's own buffer fills, and
    Suricata waits (reading pcaps) or drops and counts (live). What a connection leaves without a
    line end is handed out like a line: whether it is a whole record is for the parser to say.

    Datagrams are always read, and dropped with a count when the buffer is full. Their kernel queue
    is as long as sysctl net.unix.max_dgram_qlen says (10 without systemd, which makes it 512);
    SO_RCVBUF has no effect on unix sockets (unix(7)).
    """

    def __init__(self, settings: SourceSettings) -> None:
        """Bind and listen; raises `ConfigError`."""
        self._settings = settings
        self._listener = Listener(settings)
        self._inbox = Inbox(settings.buffer_bytes)
        self._losses = Losses()
        self._overflow = Overflow(str(settings.socket_path), self._inbox, self._losses)
        self._cutter = Cutter(settings.max_line_bytes)
        self._connections: set[Connection] = set()
        self._stop_accepting: Callable[[], object] = lambda: None
        # One byte more than the longest line with its end: a full one holds a longer datagram.
        # The kernel gives memory to what is touched of it alone.
        self._datagram = bytearray(0 if self._listener.is_stream else settings.max_line_bytes + 3)
        self._stopped = False

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield whatever waits, up to the batch size, until `stop`; the socket is removed then."""
        try:
            await self._accept()
            while not self._stopped:
                batch = self._inbox.take_batch(self._settings.batch_size)
                self._resume()
                if batch is None:
                    await self._inbox.filled()
                else:
                    yield batch
                    await asyncio.sleep(0)  # a full buffer must not keep others from running
        finally:
            self.close()

    def stop(self) -> None:
        """Stop reading: `batches` ends after the batch that it is handing out."""
        self._stopped = True
        self._inbox.wake()

    def close(self) -> None:
        """Close all connections and remove the socket. What still waits is counted as lost."""
        self._stopped = True
        self._stop_accepting()
        self._stop_accepting = lambda: None
        for connection in tuple(self._connections):
            connection.abort()
        self._listener.close()
        self._overflow.lose_rest()

    def lag(self) -> Lag:
        """Return what was received and not yet handed out; of datagrams without the kernel's."""
        waiting = sum(connection.waiting() for connection in self._connections)
        files = len(self._connections) if self._listener.is_stream else 1
        return Lag(self._inbox.bytes + waiting, files)

    def stored(self, position: Position) -> None:
        """Nothing to do: what was received can't be asked for again."""

    @property
    def losses(self) -> Losses:
        """What has been lost since the start."""
        return self._losses

    @property
    def position(self) -> Position:
        """Empty: a connection has no place to come back to."""
        return {}

    @property
    def rotations(self) -> int:
        """None: there is no file."""
        return 0

    @property
    def waiting_for(self) -> str | None:
        """Why nothing can arrive, or None."""
        path = self._settings.socket_path
        if self._stopped:
            return None
        if not self._listener.is_at_path():
            return f"the socket {path} was removed or replaced by another; start ai-suricata again"
        if self._listener.is_stream and not self._connections:
            return (
                f"Suricata is not connected to {path}; set `filetype: unix_stream` and "
                f"`filename: {path}` in its eve-log, and let its user into the socket's group"
            )
        return None

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        listening = self._listener.socket
        if self._listener.is_stream:
            server = await loop.create_unix_server(self._connect, sock=listening)
            self._stop_accepting = server.close
        else:
            loop.add_reader(listening, self._receive)
            self._stop_accepting = partial(loop.remove_reader, listening)

    def _connect(self) -> Connection:
        return Connection(self._settings.max_line_bytes, self._inbox, self._connections)

    def _resume(self) -> None:
        if self._inbox.is_half_empty:
            for connection in self._connections:
                connection.resume()

    def _receive(self) -> None:
        """Take datagrams out of the kernel, whether there is room for them or not."""
        for _ in range(MOST_DATAGRAMS):
            try:
                count = self._listener.socket.recv_into(self._datagram)
            except BlockingIOError:
                break
            message = bytes(memoryview(self._datagram)[:count])
            self._overflow.offer(self._cutter.cut(message))
        self._inbox.reject(self._cutter.take_rejected())
