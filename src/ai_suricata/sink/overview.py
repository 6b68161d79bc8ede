"""The figures of the moment, for those who ask often: kept in the metrics cache for seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from ai_suricata.core.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ai_suricata.state.shared import MetricsCache

log = structlog.get_logger(__name__)

NAME = "overview"
_EVERY = 2.5  # seconds; the cache keeps a value for twice as long


class Overview:
    """Puts an overview of one instance into the cache, as long as it runs."""

    def __init__(
        self, cache: MetricsCache, instance: str, read: Callable[[], Mapping[str, Any]]
    ) -> None:
        """`read` returns the figures as JSON types; the value is named `overview:{instance}`."""
        self._cache = cache
        self._name = f"{NAME}:{instance}"
        self._read = read
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Write until `stop`. A cache that is away is left alone: values last seconds anyway."""
        while not self._stopping.is_set():
            try:
                await self._cache.put(self._name, dict(self._read()))
            except StateError as error:
                log.debug("overview can't be cached", problem=str(error))
            try:
                async with asyncio.timeout(_EVERY):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()
