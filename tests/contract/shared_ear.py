"""One that listens on a channel while a test goes on."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from contract.shared_backends import eventually

if TYPE_CHECKING:
    from contract.shared_backends import Backend, Shared

CHANNEL = "ai_suricata:threat_alerts"


class Ear:
    """One that listens, in a task of its own."""

    def __init__(self, shared: Shared, channel: str) -> None:
        """`channel`: on which."""
        self.heard: list[bytes] = []
        self.task = asyncio.create_task(self._listen(shared, channel))

    async def _listen(self, shared: Shared, channel: str) -> None:
        async with aclosing(shared.notifier.listen(channel)) as messages:
            async for message in messages:
                self.heard.append(message)

    async def close(self) -> None:
        """Cancel it, and wait until it has let go."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def listening(backend: Backend, shared: Shared, channel: str = CHANNEL) -> Ear:
    """Return one more that listens already."""
    before = await backend.listeners(channel)
    ear = Ear(shared, channel)

    async def begun() -> bool:
        return before < await backend.listeners(channel)

    await eventually(backend, begun)
    return ear
