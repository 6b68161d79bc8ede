"""The ledger in Redis, as all instances see it: a string for each target and table.

An entry is compared and written by a script, which touches its one key alone and so works on every
kind of server: a look from here and a write after it would let in, between the two, the newer entry
of another instance. Whether an earlier write arrived need never be known: the whole entry is
written again, and changes nothing where it was there.

The set of all members is how the strings are found at a start. On a Cluster it lies in another
slot: there the strings go first, then the set. A member without a string is removed when it is
met, and a string without a member gets one from whichever instance next compares its ledger.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog
from redis.asyncio import RedisCluster

from ai_suricata.core.address import parse_target
from ai_suricata.core.decision import LedgerEntry, LedgerState
from ai_suricata.core.errors import StateError
from ai_suricata.core.precedence import matters_until, precedence
from ai_suricata.state.clients import ERRORS, describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.core.clock import Clock
    from ai_suricata.state.clients import Client
    from ai_suricata.state.redis.keys import Keys

log = structlog.get_logger(__name__)

_CHUNK = 200
"""Entries that go at a time, in one transaction and one message: some 200 KB."""

_WRITE = """
local held = redis.call('GET', KEYS[1])
if held then
  local order = {string.match(held, '^{"order":%[([^,]+),([^,]+),([^,]+),([^%]]+)%]')}
  for place = 1, 4 do
    local old, new = tonumber(order[place]), tonumber(ARGV[place])
    if not old or new > old then
      break
    end
    if new < old then
      return 0
    end
  end
end
if ARGV[5] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[6])
end
return 1
"""
"""The order is the first field, at a fixed place: no text of a reason can be taken for it. Lua
reads the numbers as JSON writes them, without loss."""


class _Record(msgspec.Struct, frozen=True):
    """An entry as it is stored; what is beside `entry` is for those who read with redis-cli."""

    order: tuple[float, int, float, float]
    """The entry's precedence."""
    reason: str
    score: float
    timestamp: float
    """Wall-clock seconds of the decision."""
    expires: float
    """Wall-clock seconds of the end of the state."""
    step: int
    model: str
    state: str
    entry: LedgerEntry


class _Held(msgspec.Struct, frozen=True):
    """What of a record is read."""

    entry: LedgerEntry


_encoder = msgspec.json.Encoder()
_held = msgspec.json.Decoder(_Held)
_message = msgspec.json.Decoder(list[LedgerEntry])


class RedisLedger:
    """Implements `respond.sharing.SharedLedger`."""

    def __init__(self, client: Client, keys: Keys, clock: Clock) -> None:
        """`clock`: wall clock, by which is told how long an entry is kept."""
        self._client: Any = client  # redis-py types the answers for sync and async at once
        self._keys = keys
        self._clock = clock
        self._cluster = isinstance(client, RedisCluster)
        self.channel = keys.ledger_channel

    async def write(self, entries: Sequence[LedgerEntry]) -> None:
        """Write the entries that go before what is there, and tell all on the channel.

        May be repeated. Raises `StateError` where it is not known that all was written.
        """
        try:
            for start in range(0, len(entries), _CHUNK):
                await self._write_chunk(entries[start : start + _CHUNK])
        except ERRORS as error:
            await self._lose_the_map(error)
            raise StateError(describe(error)) from error

    async def read_all(self) -> list[LedgerEntry]:
        """Return all entries. Raises `StateError`."""
        try:
            found = self._client.sscan_iter(self._keys.ledger, count=_CHUNK)
            members = sorted({member async for member in found})  # a scan may give one twice
            entries: list[LedgerEntry] = []
            for start in range(0, len(members), _CHUNK):
                entries += await self._read_chunk(members[start : start + _CHUNK])
        except ERRORS as error:
            await self._lose_the_map(error)
            raise StateError(describe(error)) from error
        return entries

    def told(self, message: bytes) -> list[LedgerEntry]:
        """Return the entries of a message on the channel; none where it can't be read."""
        try:
            return [_valid(entry) for entry in _message.decode(message)]
        except (msgspec.DecodeError, ValueError) as error:
            log.warning("ledger message can't be read and is left out", problem=str(error))
            return []

    async def _lose_the_map(self, error: Exception) -> None:
        """On a Cluster, let the next call ask anew which node has which slots.

        A pipeline that is not repeated goes on asking a dead node for ever, also when another has
        long taken its place (redis-py 8.1, `PipelineStrategy.execute`).
        """
        if self._cluster and isinstance(error, RedisCluster.ERRORS_ALLOW_RETRY):
            with suppress(*ERRORS):
                await self._client.aclose()

    async def _write_chunk(self, entries: Sequence[LedgerEntry]) -> None:
        kept = [_member(entry) for entry in entries if entry.state is not LedgerState.FORGOTTEN]
        message = _encoder.encode(entries)
        async with self._client.pipeline(transaction=not self._cluster) as pipe:
            for entry in entries:
                key = self._keys.blocked(entry.target, entry.decision.table)
                pipe.eval(_WRITE, 1, key, *self._arguments(entry))
            if not self._cluster:
                if kept:
                    pipe.sadd(self._keys.ledger, *kept)
                pipe.publish(self.channel, message)
            await pipe.execute()
        if self._cluster:
            if kept:
                await self._client.sadd(self._keys.ledger, *kept)
            await self._client.publish(self.channel, message)

    def _arguments(self, entry: LedgerEntry) -> list[bytes | str]:
        order = [repr(float(each)) for each in precedence(entry)]
        if entry.state is LedgerState.FORGOTTEN:
            return [*order, b"", "0"]
        left = matters_until(entry) - self._clock.now()
        return [*order, _encoder.encode(_record(entry)), str(max(1000, round(left * 1000)))]

    async def _read_chunk(self, members: Sequence[bytes]) -> list[LedgerEntry]:
        values = await self._values(members)
        gone = [member for member, value in zip(members, values, strict=True) if value is None]
        values += await self._sweep(gone)
        stored = (_stored(value) for value in values)
        return [entry for entry in stored if entry is not None]

    async def _values(self, members: Sequence[bytes]) -> list[bytes | None]:
        async with self._client.pipeline(transaction=False) as pipe:
            for member in members:
                table, _, target = member.decode().partition(" ")
                pipe.get(self._keys.blocked(target, table))
            return cast("list[bytes | None]", await pipe.execute())

    async def _sweep(self, gone: Sequence[bytes]) -> list[bytes | None]:
        """Remove the members whose string has expired; return what was written meanwhile.

        A string is written before its member. So whoever wrote one after the second look adds the
        member after the removal, and who wrote it before is seen by that look.
        """
        if not gone:
            return []
        await self._client.srem(self._keys.ledger, *gone)
        values = await self._values(gone)
        back = [member for member, value in zip(gone, values, strict=True) if value is not None]
        if back:
            await self._client.sadd(self._keys.ledger, *back)
        return values


def _member(entry: LedgerEntry) -> str:
    return f"{entry.decision.table} {entry.target}"


def _record(entry: LedgerEntry) -> _Record:
    decision = entry.decision
    decided_at, over, expires_at, changed_at = precedence(entry)
    return _Record(
        order=(decided_at, int(over), expires_at, changed_at),
        reason="; ".join(decision.reasons),
        score=decision.score,
        timestamp=decision.decided_at,
        expires=entry.expires_at,
        step=decision.step,
        model=decision.model_version,
        state=entry.state,
        entry=entry,
    )


def _stored(value: bytes | None) -> LedgerEntry | None:
    """Return the entry of a record, or None where there is none that can be read."""
    if value is None:
        return None
    try:
        return _valid(_held.decode(value).entry)
    except (msgspec.DecodeError, ValueError) as error:
        log.warning("ledger entry in Redis can't be read and is left out", problem=str(error))
        return None


def _valid(entry: LedgerEntry) -> LedgerEntry:
    """Return the entry; ValueError where it has no target, or one that is not spelt as ours are.

    Others may write to this Redis: nothing but an address goes near a firewall.
    """
    if str(parse_target(entry.target)) != entry.target:
        raise ValueError(f"{entry.target} is not in its canonical form")
    return entry
