"""Connections to Redis that say so in redis-py's own words when they were lost.

redis-py 8.1.0 writes without a look at whether the other end has closed the connection meanwhile,
or a failed health check this end (redis/redis-py, issue 4287). What comes of that is an
AttributeError or a TypeError out of asyncio, which no caller can tell from a fault of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's own

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Plain(AbstractConnection):
    """Raises `redis.exceptions.ConnectionError` for a connection that is gone."""

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: FBT001, FBT002 - redis-py's signature
    ) -> None:
        try:
            await super().send_packed_command(command, check_health)
        # The command is packed by now: only the writing is left that can raise these, and redis-py
        # has let go of the connection when they come out.
        except (AttributeError, TypeError) as error:
            raise ConnectionError("the connection was closed while a command was sent") from error


class TcpConnection(_Plain, Connection):
    """Over TCP."""


class TlsConnection(_Plain, SSLConnection):
    """Over TLS."""


class UnixConnection(_Plain, UnixDomainSocketConnection):
    """Over a unix socket."""


class MasterConnection(_Plain, SentinelManagedConnection):
    """To the master that the Sentinels name."""


class MasterTlsConnection(_Plain, SentinelManagedSSLConnection):
    """The same over TLS."""
