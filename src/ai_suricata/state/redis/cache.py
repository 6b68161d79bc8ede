"""Cached metrics, and the sources with the most alerts, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from ai_suricata.core.errors import StateError
from ai_suricata.state.clients import ERRORS, describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_suricata.state.clients import Client
    from ai_suricata.state.redis.keys import Keys


class RedisMetricsCache:
    """Implements `MetricsCache`: a string of JSON for each name, which ends by itself."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def get(self, name: str) -> Any | None:  # noqa: ANN401 - whatever JSON holds
        """Return the value as it was put, or None where it is gone. Raises `StateError`."""
        try:
            found = await self._client.get(self._keys.cache(name))
        except ERRORS as error:
            raise StateError(describe(error)) from error
        try:
            return None if found is None else msgspec.json.decode(found)
        except msgspec.DecodeError:
            # Somebody else's bytes: a cache that can't be read is a cache that holds nothing.
            return None

    async def put(self, name: str, value: Any, seconds: float = 5.0) -> None:  # noqa: ANN401
        """Keep a JSON value for so long. Raises `StateError`."""
        milliseconds = max(1, round(seconds * 1000))
        content = msgspec.json.encode(value)
        try:
            await self._client.set(self._keys.cache(name), content, px=milliseconds)
        except ERRORS as error:
            raise StateError(describe(error)) from error


class RedisTopSources:
    """Implements `TopSources`: one sorted set, the score of an address being its alerts."""

    def __init__(self, client: Client, keys: Keys, most: int = 1000) -> None:
        """`most`: addresses that are kept."""
        self._client = client
        self._key = keys.top_sources
        self._most = most

    async def count(self, alerts: Mapping[str, int]) -> None:
        """Add to the number of alerts of these addresses, all or none. Raises `StateError`."""
        if not alerts:
            return
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                for address, number in alerts.items():
                    pipe.zincrby(self._key, number, address)
                pipe.zremrangebyrank(self._key, 0, -self._most - 1)
                await pipe.execute()
        except ERRORS as error:
            raise StateError(describe(error)) from error

    async def top(self, limit: int) -> list[tuple[str, int]]:
        """Return (address, alerts), the most first, equal ones by address. Raises `StateError`."""
        try:
            found = await self._client.zrange(self._key, 0, -1, withscores=True)
        except ERRORS as error:
            raise StateError(describe(error)) from error
        # All of them, few as they are: Redis sorts equal ones the other way round than is told
        # here, so that the last of its first `limit` would be the wrong ones.
        pairs = cast("list[tuple[bytes, float]]", found)
        counted = [(address.decode(), int(alerts)) for address, alerts in pairs]
        return sorted(counted, key=lambda each: (-each[1], each[0]))[: max(0, limit)]
