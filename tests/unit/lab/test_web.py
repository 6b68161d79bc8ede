"""The site knows its own pages, and survives what scanners send."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from lab import page, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK, NOT_FOUND, NOT_ALLOWED = b"200", b"404", b"405"


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve the site on a loopback port and connect to it."""
    async with await asyncio.start_server(web.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


async def status(request: bytes) -> bytes:
    """Return the status of the answer to a request, or nothing where there is no answer."""
    async with connection() as (reader, writer):
        writer.write(request)
        line = await asyncio.wait_for(reader.readline(), 5)
    return line[9:12]


@pytest.mark.parametrize("path", [*page.PAGES, *page.ARCHIVE])
async def test_page_of_the_site_is_there(path: str) -> None:
    """Every page that clients visit exists."""
    assert OK == await status(f"GET {path} HTTP/1.1\r\n\r\n".encode())


@pytest.mark.parametrize("path", [*page.BROKEN_LINKS, "/.env", "/wp-login.php"])
async def test_page_that_is_not_there(path: str) -> None:
    """Broken links and probes find nothing."""
    assert NOT_FOUND == await status(f"GET {path} HTTP/1.1\r\n\r\n".encode())


async def test_foreign_method_is_refused() -> None:
    """A method that the site doesn't serve gets 405."""
    assert NOT_ALLOWED == await status(b"TRACE / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("rubbish", [b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n"])
async def test_rubbish_ends_the_connection(rubbish: bytes) -> None:
    """What is no HTTP gets no answer: the connection is closed."""
    assert b"" == await status(rubbish)


async def test_connection_serves_several_requests() -> None:
    """A connection is kept: the second request on it is answered as the first."""
    async with connection() as (reader, writer):
        for _ in range(2):
            writer.write(b"GET /static/site.css HTTP/1.1\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            assert OK == head[9:12]


async def test_long_body_is_read_to_its_end() -> None:
    """An upload is taken whole, so that the next request on the connection is understood."""
    body = bytes(300_000)
    async with connection() as (reader, writer):
        writer.write(b"PUT /upload/a HTTP/1.1\r\nContent-Length: 300000\r\n\r\n" + body)
        writer.write(b"GET /.env HTTP/1.1\r\nConnection: close\r\n\r\n")
        answers = await asyncio.wait_for(reader.read(), 5)

    assert [OK, NOT_FOUND] == [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]
