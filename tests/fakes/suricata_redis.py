"""Suricata's Redis output, written by hand: its commands, and settings that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_suricata.config.source import SourceSettings

if TYPE_CHECKING:
    from redis import Redis

    from ai_suricata.source.base import Batch
    from fakes.redis_servers import Standalone

KEY = "suricata"


def blocking(server: Standalone) -> Redis:
    """Return a client for assertions."""
    return server.processes[0].client()


def settings_for(mode: str, **changes: object) -> SourceSettings:
    """Return settings that look often."""
    values: dict[str, Any] = {"redis_mode": mode, "redis_key": KEY, "poll_interval": 0.005}
    return SourceSettings(**(values | changes))


def push(server: Standalone, mode: str, *lines: bytes) -> None:
    """Send lines as Suricata 8 does (src/util-log-redis.c), each by itself."""
    with blocking(server).pipeline(transaction=False) as pipe:
        for line in lines:
            if mode == "stream":
                pipe.xadd(KEY, {"eve": line})
            elif mode == "channel":
                pipe.publish(KEY, line)
            else:
                (pipe.lpush if mode == "list" else pipe.rpush)(KEY, line)
        pipe.execute()


def lines(first: int, last: int) -> list[bytes]:
    """Return numbered lines."""
    return [b"%06d" % number for number in range(first, last)]


def lines_of(batches: list[Batch]) -> list[bytes]:
    """Return all lines of the batches."""
    return [line for batch in batches for line in batch.lines]
