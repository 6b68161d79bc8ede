"""Leases in Redis: a hash for each, with holder, fencing token and end; each step is one script.

The hash outlives the lease, and the token with it, which so rises for ever. It is never less than
the server's time in microseconds: where a failover loses the last grant (replication is
asynchronous, redis.io, "Redis replication"), the next token is still greater than the lost one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ai_suricata.core.errors import StateError
from ai_suricata.state.clients import ERRORS, describe
from ai_suricata.state.shared import Grant

if TYPE_CHECKING:
    from ai_suricata.state.clients import Client
    from ai_suricata.state.redis.keys import Keys

_NOW = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
"""
"""Microseconds by the server's clock, the one that all holders share; Lua's numbers hold them
exactly (below 2^53)."""

_OURS = """
local lease = redis.call('HMGET', KEYS[1], 'holder', 'token', 'until')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then
  return 0
end
"""

_TAKE = f"""{_NOW}
local lease = redis.call('HMGET', KEYS[1], 'holder', 'token', 'until')
if lease[1] and lease[1] ~= ARGV[1] and tonumber(lease[3]) > now then
  return false
end
local token = string.format('%.0f', math.max(tonumber(lease[2] or '0') + 1, now))
local ends = string.format('%.0f', now + tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', token, 'until', ends)
return token
"""

_RENEW = f"""{_NOW}{_OURS}
if tonumber(lease[3]) <= now then
  return 0
end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + tonumber(ARGV[3])))
return 1
"""

_GIVE_UP = f"""{_OURS}
redis.call('HDEL', KEYS[1], 'holder', 'until')
return 1
"""

_WRITE = f"""{_OURS}
redis.call('SET', KEYS[2], ARGV[3])
return 1
"""


class RedisLease:
    """Implements `Lease`. All leases and what they guard share one slot: a script needs that."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def take(self, name: str, holder: str, seconds: float) -> Grant | None:
        """Take the lease, or return None while another holds it. Raises `StateError`."""
        keys = [self._keys.lease(name)]
        token = await self._run(_TAKE, keys, holder, _microseconds(seconds))
        return None if token is None else Grant(name, holder, int(token))

    async def renew(self, grant: Grant, seconds: float) -> bool:
        """Hold it for so long again; False where it was lost. Raises `StateError`."""
        keys = [self._keys.lease(grant.name)]
        return bool(await self._run(_RENEW, keys, *_own(grant), _microseconds(seconds)))

    async def give_up(self, grant: Grant) -> None:
        """Let others have it, if it is still ours. Raises `StateError`."""
        await self._run(_GIVE_UP, [self._keys.lease(grant.name)], *_own(grant))

    async def write(self, grant: Grant, key: str, value: bytes) -> bool:
        """Write a value in the name of the lease; False where it was lost. Raises `StateError`."""
        keys = [self._keys.lease(grant.name), self._keys.leased(key)]
        return bool(await self._run(_WRITE, keys, *_own(grant), value))

    async def read(self, key: str) -> bytes | None:
        """Return what was written last under `key`. Raises `StateError`."""
        try:
            found = await self._client.get(self._keys.leased(key))
        except ERRORS as error:
            raise StateError(describe(error)) from error
        return cast("bytes | None", found)

    async def _run(self, script: str, keys: list[str], *arguments: str | bytes) -> bytes | None:
        try:
            # The whole script each time, as in `limiter`: a failover forgets what it was taught.
            answer = await self._client.eval(script, len(keys), *keys, *arguments)
        except ERRORS as error:
            raise StateError(describe(error)) from error
        return cast("bytes | None", answer)


def _own(grant: Grant) -> tuple[str, str]:
    return grant.holder, str(grant.token)


def _microseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1_000_000)))
