"""Our Redis client in a test: opened and closed, used once, and what it says when it fails."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from ai_suricata.state.clients import connect, describe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from ai_suricata.config.settings import RedisSettings
    from ai_suricata.state.clients import Client

VALUE = b"\x00\xff\r\n"
"""Not text, and what would end a line."""


@asynccontextmanager
async def client_of(settings: RedisSettings) -> AsyncIterator[Client]:
    """Yield our client."""
    client = connect(settings)
    try:
        yield client
    finally:
        await client.aclose()


@contextmanager
def close_under(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have connections closed after they were looked at, and before a command is written."""
    write = AbstractConnection._send_packed_command

    async def late(self: AbstractConnection, command: Iterable[bytes]) -> None:
        await self.disconnect(nowait=True)
        await write(self, command)

    with patch.context() as only:
        only.setattr(AbstractConnection, "_send_packed_command", late)
        yield


async def round_trip(settings: RedisSettings) -> bytes | str | None:
    """Ping, set `VALUE` and return what is got."""
    async with client_of(settings) as client:
        assert await client.ping()
        await client.set("key", VALUE)
        return await client.get("key")


async def said(settings: RedisSettings, *command: str) -> str:
    """Run a command that must fail; return the sentence."""
    async with client_of(settings) as client:
        with pytest.raises(RedisError) as raised:
            await client.execute_command(*command)
    return describe(raised.value)


async def said_of_pipeline(settings: RedisSettings) -> str:
    """Run a pipeline with a SET that must fail; return the sentence."""
    async with client_of(settings) as client:
        pipe = client.pipeline(transaction=False)
        pipe.set("key", "value")
        with pytest.raises(RedisError) as raised:
            await pipe.execute()
    return describe(raised.value)


async def until(condition: Callable[[], bool | Awaitable[bool]], within: float = 20) -> None:
    """Wait until the condition holds; TimeoutError where that takes too long."""
    async with asyncio.timeout(within):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.02)
