"""A source that listens on a unix socket, what it has handed out, and its senders."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ai_suricata.config.source import SourceSettings
from ai_suricata.source.socket.receiver import Socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ai_suricata.source.base import Batch

MEBIBYTE = 1024 * 1024
KINDS = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM}


def listen(path: Path, kind: str = "stream", **changes: object) -> Socket:
    """Return a source that listens on the path; its buffer is the smallest there is."""
    values: dict[str, Any] = {"socket_path": path, "socket_type": kind, "buffer_bytes": MEBIBYTE}
    return Socket(SourceSettings(**(values | changes)))


def connected(path: Path, kind: str = "stream") -> socket.socket:
    """Return a sender that does not wait."""
    sender = socket.socket(socket.AF_UNIX, KINDS[kind] | socket.SOCK_NONBLOCK)
    sender.connect(str(path))
    return sender


@asynccontextmanager
async def reading(source: Socket) -> AsyncIterator[list[Batch]]:
    """Read beside the test, until its end."""
    found: list[Batch] = []

    async def read() -> None:
        async for batch in source.batches():
            found.append(batch)  # noqa: PERF401 - seen while it grows

    task = asyncio.create_task(read())
    try:
        yield found
    finally:
        source.stop()
        await task


def lines_of(batches: list[Batch]) -> list[bytes]:
    """Return all lines."""
    return [line for batch in batches for line in batch.lines]
