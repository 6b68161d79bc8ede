"""A TCP proxy on loopback that fails on demand, between a client and a server that does not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
_CHUNK = 64 * 1024


class Proxy:
    """Passes bytes on, until told otherwise."""

    def __init__(self, target: int) -> None:
        """`target`: port of the server on loopback."""
        self.host = HOST
        self.port = 0
        self.lost = 0
        """Answers that were swallowed so far."""
        self._target = target
        self._marker: bytes | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Accept connections (again), on the same port as before."""
        self._listener = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def stall(self) -> None:
        """Hold back all bytes, either way; connections stay."""
        self._flowing.clear()

    def flow(self) -> None:
        """Pass bytes again, those first that were held back."""
        self._flowing.set()

    def lose_reply_to(self, marker: bytes) -> None:
        """Pass the next request that contains `marker`, and cut its connection before the answer.

        The answer is awaited first: the server has carried out what was asked. Only once.
        """
        self._marker = marker

    async def refuse(self) -> None:
        """Cut every connection and refuse new ones, until `open`."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        # A cancelled task would be reported as an error by asyncio's streams: this is the way out.
        with suppress(OSError, asyncio.CancelledError):
            await self._connect(reader, writer)
        writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, server = await asyncio.open_connection(HOST, self._target)
        back = asyncio.create_task(self._pass_on(upstream, writer))
        try:
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                if self._marker is not None and self._marker in data:
                    self._marker = None
                    await self._swallow(data, upstream, server, back)
                    return
                server.write(data)
                await server.drain()
        finally:
            back.cancel()
            server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
            writer.close()

    async def _swallow(
        self,
        data: bytes,
        upstream: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        back: asyncio.Task[None],
    ) -> None:
        """Let the server answer to nobody."""
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        server.write(data)
        await server.drain()
        await upstream.read(_CHUNK)
        self.lost += 1


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """Yield a proxy in front of the server on this port of loopback."""
    running = Proxy(target)
    await running.open()
    try:
        yield running
    finally:
        await running.refuse()
