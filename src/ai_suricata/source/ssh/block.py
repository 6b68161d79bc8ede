"""Reading a remote file ahead: a few requests under way, so that a slow line is used."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from ai_suricata.source.identity import HEAD_BYTES

if TYPE_CHECKING:
    from ai_suricata.source.ssh.session import RemoteFile

READ_BYTES = 128 * 1024
"""Bytes of one request: at 10 seconds an answer, a line of 13 KB/s is still fast enough."""

MOST_AHEAD = 16
"""Requests under way for one file: 2 MiB, which is 40 MB/s over a line of 50 ms."""


class TruncatedError(Exception):
    """The file is shorter than what was read of it, or begins in another way."""


class Blocks:
    """The bytes of a file from some offset on, in order."""

    def __init__(self, file: RemoteFile, head: bytes, offset: int) -> None:
        """`head`: the file's first bytes, `HEAD_BYTES` at most."""
        self.file = file
        self.head = head
        """The first bytes, which tell the file from others; learnt while it is short."""
        self.offset = offset
        """Up to where the blocks have been handed out."""
        self._asked = offset
        self._window: deque[tuple[int, asyncio.Task[tuple[bytes, bytes]]]] = deque()

    async def next(self, end: int, ahead: int = MOST_AHEAD) -> bytes:
        """Return the next bytes before `end`, none where there are none.

        `ahead`: most requests to have under way. Raises as `RemoteFile`, and TruncatedError.
        """
        self._ask(end, ahead)
        if not self._window:
            return b""
        size, task = self._window.popleft()
        try:
            block, head = await task
        except BaseException:  # cancelled, too: what was asked for after it would leave a gap
            self.forget()
            raise
        if not head.startswith(self.head):
            self.forget()
            raise TruncatedError
        self.head = head
        self.offset += len(block)
        if len(block) < size:  # the file has become shorter, and what is under way is beside it
            self.forget()
        return block

    def forget(self) -> None:
        """Give up the requests that are under way."""
        for _, task in self._window:
            task.cancel()
        self._window.clear()
        self._asked = self.offset

    def _ask(self, end: int, ahead: int) -> None:
        while len(self._window) < max(1, ahead) and self._asked < end:
            size = min(READ_BYTES, end - self._asked)
            task = asyncio.create_task(self._read(self._asked, size))
            task.add_done_callback(_heed)
            self._window.append((size, task))
            self._asked += size

    async def _read(self, offset: int, size: int) -> tuple[bytes, bytes]:
        """Read a block, and then the head: where that is the same, the block is of this file.

        The server answers in the order of the requests.
        """
        block, head = await asyncio.gather(
            self.file.read(offset, size), self.file.read(0, HEAD_BYTES), return_exceptions=True
        )
        if isinstance(block, BaseException):
            raise block
        if isinstance(head, BaseException):
            raise head
        return block, head


def _heed(task: asyncio.Task[tuple[bytes, bytes]]) -> None:
    """Look at the outcome of a request that nobody may wait for any more."""
    if not task.cancelled():
        task.exception()
