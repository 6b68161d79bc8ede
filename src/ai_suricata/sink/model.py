"""Which model serves, told to all who look: version, when it was trained, and its figures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ai_suricata.state.shared import ModelMetadata

log = structlog.get_logger(__name__)

_EVERY = 5.0  # seconds between two looks


class ModelCard:
    """Writes what is known of the serving model whenever another one serves."""

    def __init__(
        self, metadata: ModelMetadata, instance: str, read: Callable[[], Mapping[str, str]]
    ) -> None:
        """`read` returns the fields of the model that serves now, empty where none does.

        Instances that serve different models write over each other: `instance` says whose it is.
        """
        self._metadata = metadata
        self._instance = instance
        self._read = read
        self._told: dict[str, str] = {}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Look until `stop`; what could not be written is written at a later look."""
        while not self._stopping.is_set():
            await self._look()
            try:
                async with asyncio.timeout(_EVERY):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    async def _look(self) -> None:
        fields = dict(self._read())
        if not fields or fields == self._told:
            return
        try:
            await self._metadata.tell({**fields, "instance": self._instance})
        except StateError as error:
            log.debug("the model's metadata can't be written", problem=str(error))
            return
        self._told = fields
