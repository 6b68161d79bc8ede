"""The datagrams that reach our socket: always taken, since their sender can't be made to wait."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from socket import SHUT_RD
from typing import TYPE_CHECKING

from ai_suricata.source.message import Cutter

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from ai_suricata.source.inbox import Inbox
    from ai_suricata.source.overflow import Overflow

MOST_DATAGRAMS = 512
"""Read in one turn, so that a flood does not keep others from running."""

REST_TIME = 1.0
"""Seconds at most in which all that was sent is counted at the end."""


class Datagrams:
    """Takes datagrams out of the kernel, whether there is room for them or not."""

    def __init__(
        self, bound: socket.socket, max_line_bytes: int, inbox: Inbox, overflow: Overflow
    ) -> None:
        """`bound`: without a wait; it stays its owner's. `overflow`: of that inbox."""
        self._socket = bound
        self._inbox = inbox
        self._overflow = overflow
        self._cutter = Cutter(max_line_bytes)
        # One byte more than the longest line with its end: a full one holds a longer datagram.
        # The kernel gives memory to what is touched of it alone.
        self._memory = bytearray(max_line_bytes + 3)
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return 1

    @property
    def waiting(self) -> int:
        """None: how much the kernel holds can't be known."""
        return 0

    def waiting_for(self, _path: Path) -> None:
        """None: whether anybody sends can't be known."""

    def begin(self) -> None:
        """Take what arrives from now on."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._receive)

    def regulate(self) -> None:
        """Nothing to do: what there is no room for is dropped."""

    def close(self) -> int:
        """Take no more; return how many lines were sent and are in no inbox."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._loop = None
        with suppress(OSError):
            self._socket.shutdown(SHUT_RD)  # from here on the sender knows that nobody reads
        count, until = 0, time.monotonic() + REST_TIME
        while time.monotonic() < until and (datagram := self._next()) is not None:
            count += len(self._cutter.cut(datagram))
        rejected, _ = self._cutter.take_rejected()
        return count + sum(rejected.values())

    def _receive(self) -> None:
        for _ in range(MOST_DATAGRAMS):
            datagram = self._next()
            if datagram is None:
                break
            self._overflow.offer(self._cutter.cut(datagram))
        self._inbox.reject(self._cutter.take_rejected())

    def _next(self) -> bytes | None:
        try:
            count = self._socket.recv_into(self._memory)
        except (BlockingIOError, InterruptedError):
            return None
        return bytes(memoryview(self._memory)[:count])
