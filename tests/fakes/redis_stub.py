"""A server that answers by script: for what no real server can be brought to say."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@asynccontextmanager
async def stub(answer: Callable[[bytes], bytes], delay: float = 0) -> AsyncIterator[int]:
    """Yield the port of a server that answers each request with `answer`, `delay` seconds late."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.read(1024):
                await asyncio.sleep(delay)
                writer.write(answer(request))
        except asyncio.CancelledError:
            pass  # asyncio's streams would report it as an error; the task ends here anyway
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
