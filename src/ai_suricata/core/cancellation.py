"""Cancellation that a library has swallowed."""

from __future__ import annotations

import asyncio


def heed() -> None:
    """Raise CancelledError where the task was cancelled and nobody noticed.

    `asyncio.wait_for` before Python 3.12, by which redis-py sends, returns as if nothing had been
    when it is cancelled in the moment in which it is done (github.com/python/cpython, gh-86296).
    Waiting on would then be for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for the event, so many seconds at most; return whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
