"""A stop that waits, but not for ever: what is under way may still be finished."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class GracePeriod:
    """So many seconds for a task, counted from when it is asked to stop."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long the task may then go on."""
        self._seconds = seconds
        self._limit: asyncio.Timeout | None = None
        self.begun = asyncio.Event()
        """Whether the task is asked to stop."""

    def begin(self) -> None:
        """Ask the task to stop. Asked again, it gets no more time."""
        if not self.begun.is_set():
            self.begun.set()
            self._run()

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Run the body; TimeoutError where the period ends before it does."""
        async with asyncio.timeout(None) as limit:
            self._limit = limit
            if self.begun.is_set():
                self._run()
            try:
                yield
            finally:
                self._limit = None

    def _run(self) -> None:
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)
