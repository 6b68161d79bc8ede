"""What is known of the model that serves, in Redis: one hash, read with HGETALL."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ai_suricata.core.errors import StateError
from ai_suricata.state.clients import ERRORS, describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_suricata.state.clients import Client
    from ai_suricata.state.redis.keys import Keys


class RedisModelMetadata:
    """Implements `ModelMetadata`: the hash `models:metadata`."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._key = keys.models

    async def tell(self, fields: Mapping[str, str]) -> None:
        """Replace what is known, as a whole. Raises `StateError`."""
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.delete(self._key)
                for name, value in fields.items():
                    pipe.hset(self._key, name, value)
                await pipe.execute()
        except ERRORS as error:
            raise StateError(describe(error)) from error

    async def read(self) -> dict[str, str]:
        """Return what was told last; empty where nothing was. Raises `StateError`."""
        try:
            found = await self._client.hgetall(self._key)
        except ERRORS as error:
            raise StateError(describe(error)) from error
        pairs = cast("dict[bytes, bytes]", found)
        return {name.decode(): value.decode() for name, value in pairs.items()}
