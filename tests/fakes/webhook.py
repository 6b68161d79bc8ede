"""An HTTP server on loopback that takes notifications, and can be told how to answer."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator


@dataclass
class Answer:
    """How one request is answered."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    after: float = 0.0
    """Seconds before it is."""
    never: bool = False
    raw: bytes | None = None
    """Sent instead of HTTP."""
    endless: bool = False
    """Whether the body never ends."""


@dataclass
class Request:
    """What came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    """Of the loop's clock, seconds."""

    @property
    def content(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the body, decoded."""
        return orjson.loads(self.body)


@dataclass
class WebhookServer:
    """What it got, and what it says to the next requests; to those after them, 200."""

    requests: list[Request] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    sent: int = 0
    """Bytes of endless bodies that somebody took."""
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where it listens, with a path that is a secret."""
        return f"{self.scheme}://127.0.0.1:{self.port}/hooks/PATHSECRET?key=QUERYSECRET"

    @property
    def notices(self) -> list[dict[str, Any]]:
        """Return the notices of all requests, in order."""
        return [notice for request in self.requests for notice in request.content["notices"]]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            self.requests.append(await _read(reader))
            await self._answer(self.answers.popleft() if self.answers else Answer(), writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other end hung up
        finally:
            writer.close()

    async def _answer(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600 if answer.never else answer.after)
        if answer.raw is not None:
            writer.write(answer.raw)
        else:
            length = 10**12 if answer.endless else len(answer.body)
            lines = {"Content-Length": str(length), **answer.headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            writer.write(f"HTTP/1.1 {answer.status} Said\r\n{head}\r\n".encode() + answer.body)
        await writer.drain()
        while answer.endless:
            writer.write(bytes(65536))
            await writer.drain()
            self.sent += 65536


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    return Request(method, path, headers, body, asyncio.get_running_loop().time())


@asynccontextmanager
async def webhook_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[WebhookServer]:
    """Yield a server on a free port."""
    server = WebhookServer(scheme="http" if tls is None else "https")
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
