"""Sliding windows in Redis: a sorted set for each key, one member for each place that is taken."""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING

from ai_suricata.core.errors import StateError
from ai_suricata.state.clients import ERRORS, describe

if TYPE_CHECKING:
    from ai_suricata.state.clients import Client
    from ai_suricata.state.redis.keys import Keys

_SLACK = 60
"""Seconds that a window is kept beyond its length, for instances whose clocks are behind."""

_TAKE = """
if redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[1], '+inf') >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
"""
"""One script, so that no other call comes between the look and the taking (redis.io, "Scripting
with Lua"). It goes out whole each time: shorter than a second round trip after a restart or a
failover, which forget the scripts that they were taught. ZADD comes before the clearing: a full
server refuses a script at its first write alone, and only where that write needs memory.
"""


class RedisRateLimiter:
    """Implements `RateLimiter`, exact for all instances together."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        # No two places may have the same name, also not those of two instances.
        self._own = secrets.token_hex(8)
        self._number = itertools.count()

    async def allow(self, key: str, limit: int, seconds: float, now: float) -> bool:
        """Take one place of `limit` in the last `seconds`, if there is one. Raises `StateError`.

        `now`: wall-clock seconds. After a `StateError` a place may have been taken or not.
        """
        arguments = (
            repr(now - seconds),
            str(limit),
            repr(now),
            f"{self._own}:{next(self._number)}",
            str(round((seconds + _SLACK) * 1000)),
        )
        try:
            taken = await self._client.eval(_TAKE, 1, self._keys.rate_limit(key), *arguments)
        except ERRORS as error:
            raise StateError(describe(error)) from error
        return bool(taken)
