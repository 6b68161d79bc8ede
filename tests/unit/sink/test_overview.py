"""The overview: figures of the moment in the metrics cache, and nothing where that is away."""

from __future__ import annotations

import asyncio
from typing import Any

from ai_suricata.core.clock import ManualClock
from ai_suricata.core.errors import StateError
from ai_suricata.sink.overview import Overview
from ai_suricata.state.local import LocalMetricsCache


class AwayCache:
    """A cache that does not answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def get(self, _name: str) -> Any | None:  # noqa: ANN401 - as the protocol
        """Return nothing."""
        return None

    async def put(self, _name: str, _value: Any, _seconds: float = 5.0) -> None:  # noqa: ANN401 - as above
        """Fail."""
        self.asked.set()
        raise StateError("Redis is away")


async def test_the_figures_stand_in_the_cache_under_the_name_of_the_instance() -> None:
    """Two instances on one Redis don't write over each other."""
    cache = LocalMetricsCache(ManualClock())
    overview = Overview(cache, "home", lambda: {"events": 7, "top_sources": {"203.0.113.9": 3}})
    running = asyncio.create_task(overview.run())
    async with asyncio.timeout(5):
        while await cache.get("overview:home") is None:
            await asyncio.sleep(0)
        overview.stop()
        await running

    assert await cache.get("overview:home") == {"events": 7, "top_sources": {"203.0.113.9": 3}}
    assert await cache.get("overview:other") is None


async def test_a_cache_that_is_away_ends_nothing() -> None:
    """The figures are gone in seconds anyway; the next ones are tried again."""
    cache = AwayCache()
    overview = Overview(cache, "home", lambda: {"events": 1})
    running = asyncio.create_task(overview.run())
    async with asyncio.timeout(5):
        await cache.asked.wait()
        overview.stop()
        await running
