"""The newest alerts in Redis: one list of JSON, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from ai_suricata.core.errors import StateError
from ai_suricata.state.clients import ERRORS, describe
from ai_suricata.state.shared import StoredAlert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_suricata.state.clients import Client
    from ai_suricata.state.redis.keys import Keys

_CHUNK = 500
"""Alerts that are read at a time in a search: some 250 KB."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(StoredAlert)


class RedisAlertStore:
    """Implements `AlertStore`. A batch is two commands, however many alerts it has."""

    def __init__(self, client: Client, keys: Keys, most: int) -> None:
        """`most`: alerts that are kept (MAX_ALERTS)."""
        self._client = client
        self._key = keys.alerts
        self._most = most

    async def add(self, alerts: Sequence[StoredAlert]) -> None:
        """Keep the alerts, in order; the oldest go. Raises `StateError`; then none is kept."""
        # A batch that is larger than the store would be trimmed at once: it is not sent whole.
        content = [_encoder.encode(alert) for alert in alerts[-self._most :]]
        if not content or not self._most:
            return
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.lpush(self._key, *content)
                pipe.ltrim(self._key, 0, self._most - 1)
                await pipe.execute()
        except ERRORS as error:
            raise StateError(describe(error)) from error

    async def newest(self, limit: int, offset: int = 0) -> list[StoredAlert]:
        """Return alerts, the newest first. Raises `StateError`."""
        return list(_readable(await self._range(max(0, offset), limit)))

    async def find(self, alert_id: str) -> StoredAlert | None:
        """Return the alert, or None where it is not (or no longer) kept. Raises `StateError`.

        Reads the list from its newest end: what is asked for is what was just shown. Alerts that
        come in meanwhile push the others further down, so none is passed over.
        """
        needle = _encoder.encode(alert_id)
        for start in range(0, self._most, _CHUNK):
            found = await self._range(start, _CHUNK)
            # Decoding is most of the work, and a look for the bytes spares nearly all of it.
            for alert in _readable(content for content in found if needle in content):
                if alert.id == alert_id:
                    return alert
            if len(found) < _CHUNK:
                return None
        return None

    async def _range(self, start: int, number: int) -> list[bytes]:
        if number <= 0:
            return []
        try:
            found = await self._client.lrange(self._key, start, start + number - 1)
        except ERRORS as error:
            raise StateError(describe(error)) from error
        return cast("list[bytes]", found)


def _readable(found: Iterable[bytes]) -> Iterable[StoredAlert]:
    """Yield the alerts; entries that another version wrote differently are passed over."""
    for content in found:
        try:
            yield _decoder.decode(content)
        except msgspec.DecodeError:
            continue
