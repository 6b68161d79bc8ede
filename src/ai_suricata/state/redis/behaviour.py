"""Behaviour in Redis: one hash an address, and the position whose events made them.

Every instance writes its own part of an address, whole (`row:{instance}`, `alerts:{instance}`),
and adds to what all share (`alert_count`). A flush is one MULTI that begins with a look at the
instance's own position (WATCH): it is written only onto the state that it continues, so a flush
whose answer was lost is neither lost nor counted twice. It is never retried blindly: the position
is read back first.

A Cluster has no transaction across slots. There the rows go first, each made right by a look at
what this instance had already counted in it, and the position last: a crash in between leaves rows
that are ahead of the position, which the next flush from the local log makes right again.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import structlog
from redis.exceptions import WatchError

from ai_suricata.core.errors import StateError
from ai_suricata.state.base import Fetched, Mark
from ai_suricata.state.clients import ERRORS, describe
from ai_suricata.state.row import Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis.asyncio.client import Pipeline
    from redis.asyncio.cluster import ClusterPipeline

    from ai_suricata.core.behaviour import BehaviourSummary
    from ai_suricata.state.base import Changes
    from ai_suricata.state.clients import Client
    from ai_suricata.state.redis.keys import Keys
    from ai_suricata.state.row import Layout

log = structlog.get_logger(__name__)

TTL_LOW, TTL_MIDDLE, TTL_HIGH = 6 * 3600, 24 * 3600, 7 * 24 * 3600
"""Seconds that an address is kept after its last event, by its score."""
_RISKY, _HARMLESS = 0.7, 0.3
_CHUNK = 500
_REFUSED = "Watched variable changed"


class RedisBehaviour:
    """Implements `SharedBehaviour`."""

    def __init__(
        self, client: Client, keys: Keys, instance: str, layout: Layout, *, cluster: bool
    ) -> None:
        """`instance`: names what is this instance's own; no two may have the same."""
        self._client = client
        self._keys = keys
        self._instance = instance
        self._layout = layout
        self._cluster = cluster
        self._row = f"row:{instance}"
        self._own = f"alerts:{instance}"
        self._warned = False

    async def mark(self) -> Mark | None:
        """Return how far this instance has come, or None. Raises `StateError`."""
        try:
            return _mark(await self._client.get(self._keys.position(self._instance)))
        except ERRORS as error:
            raise StateError(describe(error)) from error

    async def fetch(self, addresses: Sequence[str]) -> Fetched:
        """Return what is known of the addresses, in one round trip. Raises `StateError`."""
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for address in addresses:
                    pipe.hgetall(self._keys.behaviour(address))
                found = await pipe.execute()
        except ERRORS as error:
            raise StateError(describe(error)) from error
        own: list[tuple[str, bytes]] = []
        foreign: list[tuple[str, bytes]] = []
        for address, fields in zip(addresses, found, strict=True):
            for field, value in fields.items():
                if field.startswith(b"row:"):
                    (own if field.decode() == self._row else foreign).append((address, value))
        return Fetched(self._rows(own), self._rows(foreign))

    async def save(self, changes: Changes, before: Mark | None, after: Mark) -> bool:
        """Write the changes if the state is still `before`; return whether it was.

        Raises `StateError` where the outcome is not known: `mark` then tells.
        """
        try:
            if self._cluster:
                return await self._save_apart(changes, before, after)
            return await self._save_as_one(changes, before, after)
        except WatchError as error:
            if _REFUSED in str(error):
                return False
            # redis-py says the same of a connection that was lost at EXEC: then nobody knows.
            raise StateError(describe(error)) from error
        except ERRORS as error:
            raise StateError(describe(error)) from error

    async def _save_as_one(self, changes: Changes, before: Mark | None, after: Mark) -> bool:
        key = self._keys.position(self._instance)
        counted = await self._counted(changes.rows.addresses)
        async with self._client.pipeline(transaction=True) as pipe:
            await pipe.watch(key)
            if _mark(await pipe.get(key)) != before:
                return False
            pipe.multi()  # type: ignore[no-untyped-call] # redis-py's
            self._write(pipe, changes, counted)
            pipe.set(key, msgspec.json.encode(after))
            await pipe.execute()
        return True

    async def _save_apart(self, changes: Changes, before: Mark | None, after: Mark) -> bool:
        if await self.mark() != before:
            return False
        counted = await self._counted(changes.rows.addresses)
        async with self._client.pipeline(transaction=False) as pipe:
            self._write(pipe, changes, counted)
            await pipe.execute()
        await self._client.set(self._keys.position(self._instance), msgspec.json.encode(after))
        return True

    async def _counted(self, addresses: Sequence[str]) -> list[int]:
        """Return how many alerts of each address this instance has already counted in Redis."""
        counted: list[int] = []
        for start in range(0, len(addresses), _CHUNK):
            async with self._client.pipeline(transaction=False) as pipe:
                for address in addresses[start : start + _CHUNK]:
                    pipe.hget(self._keys.behaviour(address), self._own)
                counted += [int(value or 0) for value in await pipe.execute()]
        return counted

    def _write(
        self, pipe: Pipeline | ClusterPipeline, changes: Changes, counted: Iterable[int]
    ) -> None:
        packed = self._layout.pack(changes.rows.columns)
        for address, row, facts, already in zip(
            changes.rows.addresses, packed, changes.facts, counted, strict=True
        ):
            key = self._keys.behaviour(address)
            pipe.hset(key, mapping=self._fields(row.tobytes(), facts))
            # What all share never falls. This instance's own part would, where a row was begun
            # anew because nobody answered when it came back.
            pipe.hincrby(key, "alert_count", max(0, facts.alerts - already))
            pipe.expire(key, time_to_live(facts.score))

    def _fields(
        self, row: bytes, facts: BehaviourSummary
    ) -> Mapping[Any, bytes | str | int | float]:
        return {
            self._row: self._layout.digest.encode() + zlib.compress(row, 1),
            self._own: facts.alerts,
            "threat_score": round(facts.score, 6),
            "first_seen": facts.first_seen,
            "last_seen": facts.last_seen,
            "patterns": ",".join(facts.patterns),
            "unique_ports": facts.ports,
            "unique_dest_ips": facts.destinations,
            "severity_1": facts.severity_1,
            "severity_2": facts.severity_2,
        }

    def _rows(self, found: Sequence[tuple[str, bytes]]) -> Rows:
        """Read rows of this layout, which each names; those of another version mean another thing.

        Versions run side by side while instances are upgraded one after the other.
        """
        digest = self._layout.digest.encode()
        kept: list[str] = []
        packed: list[bytes] = []
        for address, value in found:
            if not value.startswith(digest):
                self._leave_behind()
                continue
            try:
                row = zlib.decompress(value[len(digest) :])
            except zlib.error:
                continue
            if len(row) == self._layout.width:
                kept.append(address)
                packed.append(row)
        array = np.frombuffer(b"".join(packed), np.uint8).reshape(len(kept), self._layout.width)
        return Rows(kept, self._layout.unpack(array))

    def _leave_behind(self) -> None:
        """Say it once, not once an address."""
        if not self._warned:
            self._warned = True
            log.warning("behaviour of another version in Redis is left behind")


def time_to_live(score: float) -> int:
    """Return the seconds that an address is kept: longer, the greater the risk."""
    if score >= _RISKY:
        return TTL_HIGH
    return TTL_LOW if score < _HARMLESS else TTL_MIDDLE


_decoder = msgspec.json.Decoder(Mark)


def _mark(value: bytes | str | None) -> Mark | None:
    if value is None:
        return None
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise StateError(
            f"the position in Redis can't be read ({error}); delete its key"
        ) from error
