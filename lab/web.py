"""HTTP/1.1 on asyncio streams: the server of the site, and the browser that reads it (RFC 9112)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Self

from lab.page import Answer, Request, answer

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

_IDLE = 20.0  # seconds that a kept connection may be silent
_HEAD_LIMIT = 12.0  # seconds for the rest of a head: slow clients are cut off
_KEPT = 8192  # bytes of a request's body that are looked at
_BODY_LIMIT = 64_000_000  # bytes of a body, all told
_PIECE = 65536
_ANSWER_LIMIT = 20.0  # seconds that a browser waits


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests on one connection until either side has had enough."""
    try:
        while await _serve_one(reader, writer):
            pass
    except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
        pass  # scanners send what is no HTTP and leave: their connection just ends
    except asyncio.LimitOverrunError:
        pass  # a header without an end
    finally:
        writer.close()


async def _serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    async with asyncio.timeout(_IDLE):
        first = await reader.readexactly(1)
    async with asyncio.timeout(_HEAD_LIMIT):
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, _, fields = head.partition("\r\n")
    method, target, version = line.split(" ", 2)
    length = re.search(r"(?im)^content-length:\s*(\d+)", fields)
    if re.search(r"(?im)^expect:\s*100-continue", fields):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _body(reader, int(length[1])) if length else b""
    keep = version == "HTTP/1.1" and not re.search(r"(?im)^connection:\s*close", fields)
    reply = answer(Request(method, target, fields, body))
    writer.write(_head(reply, keep=keep))
    writer.write(b"" if method == "HEAD" else reply.body)
    await writer.drain()
    return keep


async def _body(reader: asyncio.StreamReader, length: int) -> bytes:
    """Read a body piece by piece, and return its beginning."""
    begin, left = b"", min(length, _BODY_LIMIT)
    while left:
        async with asyncio.timeout(_IDLE):
            piece = await reader.read(min(left, _PIECE))
        if not piece:
            raise asyncio.IncompleteReadError(begin, length)
        begin, left = (begin + piece)[:_KEPT], left - len(piece)
    return begin


def _head(reply: Answer, *, keep: bool) -> bytes:
    connection = "keep-alive" if keep else "close"
    return (
        f"HTTP/1.1 {reply.status.value} {reply.status.phrase}\r\nServer: lab\r\n"
        f"Content-Type: {reply.kind}\r\nContent-Length: {len(reply.body)}\r\n{reply.extra}"
        f"Connection: {connection}\r\n\r\n"
    ).encode("ascii")


class Browser:
    """One connection to a server, kept open over several requests."""

    def __init__(
        self, source: str, server: str, *, agent: str, host: str, tls: ssl.SSLContext | None = None
    ) -> None:
        """`source` and `server`: addresses; `host`: what the server is called; `tls`: port 443."""
        self._source, self._server = source, server
        self._agent, self._host, self._tls = agent, host, tls

    async def __aenter__(self) -> Self:
        """Connect; raises OSError or TimeoutError."""
        async with asyncio.timeout(_ANSWER_LIMIT):
            self._reader, self._writer = await asyncio.open_connection(
                self._server,
                443 if self._tls else 80,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
                local_addr=(self._source, 0),
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._writer.close()

    async def get(self, target: str, *, body: bytes | None = None, extra: str = "") -> int:
        """Get a page, or post a body to it; return the status. Raises OSError or TimeoutError.

        `extra` are more header lines, each with its end.
        """
        method = "GET" if body is None else "POST"
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: {self._agent}\r\n"
            f"Accept: */*\r\n{length}{extra}\r\n"
        )
        self._writer.write(head.encode("ascii"))
        for begin in range(0, len(body or b""), _PIECE):
            self._writer.write((body or b"")[begin : begin + _PIECE])
            await self._writer.drain()
        async with asyncio.timeout(_ANSWER_LIMIT):
            reply = await self._reader.readuntil(b"\r\n\r\n")
            size = re.search(rb"Content-Length: (\d+)", reply)
            await self._reader.readexactly(int(size[1]) if size else 0)
        return int(reply.split(b" ", 2)[1])
