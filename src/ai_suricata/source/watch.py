"""Waiting until something may have changed."""

from __future__ import annotations

import asyncio


class Watch:
    """Awaited while nothing waits to be read. Today a timer; the kernel's notices belong here."""

    def __init__(self, interval: float) -> None:
        """`interval`: seconds after which files are looked at again in any case."""
        self._interval = interval
        self._stop = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether the waiting is over for good."""
        return self._stop.is_set()

    def stop(self) -> None:
        """End the present wait and all later ones at once."""
        self._stop.set()

    async def changed(self) -> None:
        """Return when files may have changed, or when told to stop."""
        try:
            async with asyncio.timeout(self._interval):
                await self._stop.wait()
        except TimeoutError:
            return
