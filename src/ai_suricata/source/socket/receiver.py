"""Suricata's unix socket output (`filetype: unix_stream` or `unix_dgram`): we listen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ai_suricata.source.base import Lag, Losses
from ai_suricata.source.inbox import Inbox
from ai_suricata.source.overflow import Overflow
from ai_suricata.source.socket.datagram import Datagrams
from ai_suricata.source.socket.listener import listening
from ai_suricata.source.socket.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import Position
    from ai_suricata.source.base import Batch


class Socket:
    """A source to which Suricata connects (`ai_suricata.source.base.Source`).

    The socket is there from construction on, with mode 0660, and removed at the end. There is no
    position: what Suricata has sent and we have not analysed is lost when we are killed, and what
    it logs while we are away is counted by Suricata alone (`SCLogFileWriteSocket`: it drops the
    event, and tries to connect again at the next one).

    A stream is read only while the buffer has room. Then the kernel's own buffer fills, and
    Suricata waits (reading pcaps) or drops and counts (live). What a connection leaves without a
    line end is handed out like a line: whether it is a whole record is for the parser to say.

    At the end the kernel tells Suricata that nobody reads any more; what had been sent until then
    is counted as lost.

    Datagrams are always read, and dropped with a count when the buffer is full. Their kernel queue
    is as long as sysctl net.unix.max_dgram_qlen says (10 without systemd, which makes it 512);
    SO_RCVBUF has no effect on unix sockets (unix(7)).
    """

    def __init__(self, settings: SourceSettings) -> None:
        """Bind and listen; raises `ConfigError`."""
        self._settings = settings
        self._listener = listening(settings)
        self._inbox = Inbox(settings.buffer_bytes)
        self._losses = Losses()
        self._overflow = Overflow(str(settings.socket_path), self._inbox, self._losses)
        self._intake = self._make_intake()
        self._stopped = self._is_closed = False

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield whatever waits, up to the batch size, until `stop`; the socket is removed then."""
        try:
            self._intake.begin()
            while not self._stopped:
                batch = self._inbox.take_batch(self._settings.batch_size)
                self._intake.regulate()
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
        if self._is_closed:
            return
        self._stopped = self._is_closed = True
        self._overflow.lose_rest(self._intake.close())
        self._listener.close()

    def lag(self) -> Lag:
        """Return what was received and not yet handed out; of datagrams without the kernel's."""
        return Lag(self._inbox.bytes + self._intake.waiting, len(self._intake))

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
        return self._intake.waiting_for(path)

    def _make_intake(self) -> Stream | Datagrams:
        listener, longest = self._listener, self._settings.max_line_bytes
        if listener.is_stream:
            return Stream(listener.socket, longest, self._inbox)
        return Datagrams(listener.socket, longest, self._inbox, self._overflow)
