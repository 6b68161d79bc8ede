"""Redis clients for every kind of server.

redis-py repeats a command up to ten times by default (redis-py 8, `redis.asyncio.retry`): where the
answer to a write is lost, that write then counts twice. Here nothing is sent twice unasked; `read`
is for what may be.
"""

from __future__ import annotations

import asyncio
import builtins
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004 - redis-py's own, which its errors derive from
    MaxConnectionsError,
    RedisClusterException,
    RedisError,
    TimeoutError,  # noqa: A004 - as above
)
from redis.maint_notifications import MaintNotificationsConfig

from ai_suricata.state.connection import (
    MasterConnection,
    MasterTlsConnection,
    TcpConnection,
    TlsConnection,
    UnixConnection,
)
from ai_suricata.state.diagnosis import describe
from ai_suricata.state.endpoint import SENTINEL_PORT, addresses, endpoint, reveal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio.client import PubSub

    from ai_suricata.config.settings import RedisSettings
    from ai_suricata.state.endpoint import Endpoint

__all__ = ["CLIENT_NAME", "ERRORS", "Client", "connect", "describe", "read", "subscription"]

Client: TypeAlias = Redis | RedisCluster
"""Answers are bytes. Close it with `aclose`."""

ERRORS: tuple[type[Exception], ...] = (RedisError, RedisClusterException)
"""All that a call of a `Client` raises where the server, and not the program, is to blame."""

MAX_CONNECTIONS = 32
"""Of one pool (on a Cluster: for each node). One more is refused, not waited for."""
HEALTH_CHECK_INTERVAL = 30
"""Seconds after which an idle connection is pinged before it is used."""
CLIENT_NAME = "ai-suricata"
"""How CLIENT LIST shows us."""

T = TypeVar("T")


def connect(settings: RedisSettings) -> Client:
    """Return a client of the server, Sentinel's master or Cluster that the settings name.

    Nothing is sent before the first command. Each call takes at most `socket_timeout` to get a
    connection (finding the master or the slots included) and as long again for its answer.
    Raises `ConfigError`.
    """
    at = endpoint(settings)
    if settings.cluster:
        return _cluster(settings, at)
    if settings.sentinels:
        return _sentinel(settings, at)
    return _standalone(settings, at)


async def subscription(client: Client) -> PubSub:
    """Return what channels can be subscribed to with. Raises `ERRORS` where no node is known.

    Of a Cluster any node tells what is told to any other (redis.io, "Redis Cluster specification"):
    where one is dead, the next attempt most likely asks a living one.
    """
    if not isinstance(client, RedisCluster):
        return client.pubsub()
    await client.initialize()
    node = random.choice(client.get_nodes())  # noqa: S311 - spreads load, no secret
    return client.pubsub(node=node)


async def read(call: Callable[[], Awaitable[T]], within: float, attempts: int = 3) -> T:
    """Call, and call again where connection or answer was lost: for reads alone.

    `within`: seconds for all attempts and the growing, random pauses between them. Raises the last
    attempt's error.
    """
    retry: Retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), attempts - 1)
    failures: list[Exception] = []

    async def failed(error: Exception) -> None:
        failures.append(error)

    with suppress(builtins.TimeoutError):
        async with asyncio.timeout(within):
            return await retry.call_with_retry(call, failed, is_retryable=_may_pass)
    # Not within an `except`, which would put itself in the place of what caused the error.
    raise failures[-1] if failures else TimeoutError(f"no answer within {within:g} seconds")


def _may_pass(error: Exception) -> bool:
    """Say whether the next attempt may do better: no password gets right by being repeated."""
    return not isinstance(error, AuthenticationError | MaxConnectionsError)


class _Pool(ConnectionPool):
    """Limits the whole of connecting: redis-py limits each step of it alone."""

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        limit: float = self.connection_kwargs["socket_timeout"]
        try:
            async with asyncio.timeout(limit):
                await super().ensure_connection(connection)
        except builtins.TimeoutError:
            raise TimeoutError(f"no connection within {limit:g} seconds") from None


class _SentinelPool(_Pool, SentinelConnectionPool):
    """Closes the connections to the Sentinels too: redis-py leaves them open."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


class _Cluster(RedisCluster):
    """Limits the search for the slots, node by node in redis-py, as a whole."""

    async def initialize(
        self,
        additional_startup_nodes_info: list[tuple[str, int]] | None = None,
        last_failed_node_name: str | None = None,
    ) -> RedisCluster:
        limit: float = self.connection_kwargs["socket_timeout"]
        try:
            async with asyncio.timeout(limit):
                return await super().initialize(
                    additional_startup_nodes_info, last_failed_node_name
                )
        except builtins.TimeoutError:
            raise TimeoutError(f"no map of the slots within {limit:g} seconds") from None
        except RedisClusterException as error:
            # It derives from Exception alone: whoever catches RedisError would miss it.
            raise ConnectionError("no map of the slots") from error


def _standalone(settings: RedisSettings, at: Endpoint) -> Redis:
    options = _options(settings, at)
    if at.path is not None:
        options |= {"connection_class": UnixConnection, "path": at.path}
        return Redis.from_pool(_Pool(db=at.db, **options))
    kind = TlsConnection if at.tls else TcpConnection
    options |= _tcp(settings) | _tls(settings, at)
    return Redis.from_pool(
        _Pool(connection_class=kind, host=at.host, port=at.port, db=at.db, **options)
    )


def _sentinel(settings: RedisSettings, at: Endpoint) -> Redis:
    nodes = addresses("REDIS_SENTINELS", settings.sentinels, SENTINEL_PORT)
    common = _options(settings, at) | _tcp(settings) | _tls(settings, at)
    common |= {"ssl": at.tls}
    # Asked one after the other: each gets its share, so that a hanging one leaves time for the
    # next, and the last one for the master.
    share = settings.socket_timeout / (len(nodes) + 1)
    asked = common | {
        "username": settings.sentinel_username,
        "password": reveal(settings.sentinel_password),
        "socket_timeout": share,
        "socket_connect_timeout": share,
    }
    sentinel = Sentinel(nodes, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    for each in sentinel.sentinels:  # connections to the Sentinels themselves
        each.connection_pool.connection_class = TlsConnection if at.tls else TcpConnection
    master: Redis = sentinel.master_for(
        settings.sentinel_master or "",
        connection_pool_class=_SentinelPool,
        db=at.db,
        connection_class=MasterTlsConnection if at.tls else MasterConnection,
        **common,
    )
    return master


def _cluster(settings: RedisSettings, at: Endpoint) -> RedisCluster:
    more = addresses("REDIS_CLUSTER_NODES", settings.cluster_nodes, at.port)
    options = _options(settings, at) | _tcp(settings) | _tls(settings, at)
    cluster = _Cluster(
        startup_nodes=[ClusterNode(host, port) for host, port in [(at.host, at.port), *more]],
        ssl=at.tls,
        **options,
    )
    # It takes no such argument: neither for the nodes that it knows nor for those that it finds.
    kind = TlsConnection if at.tls else TcpConnection
    cluster.connection_kwargs["connection_class"] = kind
    for node in cluster.startup_nodes:
        node.connection_class = kind
    return cluster


def _options(settings: RedisSettings, at: Endpoint) -> dict[str, Any]:
    return {
        "username": at.username,
        "password": at.password,
        "socket_timeout": settings.socket_timeout,
        "socket_connect_timeout": settings.socket_timeout,
        "health_check_interval": HEALTH_CHECK_INTERVAL,
        "client_name": CLIENT_NAME,
        "max_connections": MAX_CONNECTIONS,
        "retry": Retry(NoBackoff(), 0),
        # Redis Enterprise's: they would stretch `socket_timeout` during its maintenance.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


def _tcp(settings: RedisSettings) -> dict[str, Any]:
    return {"socket_keepalive": settings.socket_keepalive}


def _tls(settings: RedisSettings, at: Endpoint) -> dict[str, Any]:
    files = {
        "ssl_ca_certs": settings.tls_ca,
        "ssl_certfile": settings.tls_cert,
        "ssl_keyfile": settings.tls_key,
    }
    return {name: str(path) for name, path in files.items() if path and at.tls}
