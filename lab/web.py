"""HTTP/1.1 on asyncio streams: the lab's site, and the browser that reads it (RFC 9112)."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

PAGES = (
    "/",
    "/about",
    "/contact",
    "/news",
    "/products",
    "/products/list?page=2",
    "/products/view?id=7",
    "/products/view?id=12",
    "/docs/install.html",
    "/docs/manual.html",
    "/blog/2024/03/spring",
    "/static/site.css",
    "/static/app.js",
    "/static/logo.png",
    "/search?q=garden+chairs",
    "/login",
)
BROKEN_LINKS = ("/blog/2019/old-post", "/static/missing.png", "/favicon.ico", "/downloads/v1.zip")
_KNOWN = re.compile(
    r"/(about|contact|news|products(/\w+)?|docs/\w+\.html|blog/2024/\d\d/\w+|search|login"
    r"|static/(site\.css|app\.js|logo\.png)|api/v1/(items|orders)/\d+|status)?"
)
_TYPES = {"css": "text/css", "js": "application/javascript", "png": "image/png"}
_IDLE = 20.0  # seconds that a kept connection may be silent
_LIMIT = 8192  # bytes of a request's body that are read
_ANSWER_LIMIT = 10.0  # seconds that a browser waits


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
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, _, fields = head.partition("\r\n")
    method, target, version = line.split(" ", 2)
    length = re.search(r"(?im)^content-length:\s*(\d+)", fields)
    if length:
        await reader.readexactly(min(int(length[1]), _LIMIT))
    keep = version == "HTTP/1.1" and not re.search(r"(?im)^connection:\s*close", fields)
    status, kind, body = _page(method, target)
    writer.write(_response_head(status, kind, len(body), keep=keep))
    writer.write(b"" if method == "HEAD" else body)
    await writer.drain()
    return keep


def _page(method: str, target: str) -> tuple[HTTPStatus, str, bytes]:
    path = target.partition("?")[0]
    if method not in {"GET", "HEAD", "POST"}:
        return HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b"method not allowed\n"
    if not _KNOWN.fullmatch(path):
        return HTTPStatus.NOT_FOUND, "text/html", b"<html><h1>Not found</h1></html>\n"
    if path.startswith("/api/"):
        return HTTPStatus.OK, "application/json", b'{"id": 1, "state": "ready"}\n'
    kind = _TYPES.get(path.rpartition(".")[2], "text/html")
    links = "".join(f'<a href="{page}">{page}</a>\n' for page in PAGES)
    return HTTPStatus.OK, kind, f"<html><h1>{path}</h1>\n{links}</html>\n".encode("latin-1")


def _response_head(status: HTTPStatus, kind: str, length: int, *, keep: bool) -> bytes:
    connection = "keep-alive" if keep else "close"
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nServer: lab\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\nConnection: {connection}\r\n\r\n"
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

    async def get(self, target: str, *, body: bytes | None = None) -> int:
        """Get a page, or post a body to it; return the status. Raises OSError or TimeoutError."""
        method = "GET" if body is None else "POST"
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: {self._agent}\r\n"
            f"Accept: */*\r\nContent-Length: {len(body or b'')}\r\n\r\n"
        )
        if body is None:
            head = head.replace("Content-Length: 0\r\n", "")
        self._writer.write(head.encode("ascii") + (body or b""))
        async with asyncio.timeout(_ANSWER_LIMIT):
            answer = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", answer)
            await self._reader.readexactly(int(length[1]) if length else 0)
        return int(answer.split(b" ", 2)[1])
