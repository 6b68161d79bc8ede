"""Any order of calls on memory and on a real server: the same answers."""

from __future__ import annotations

import asyncio
import secrets
from operator import methodcaller
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from ai_suricata.core.clock import ManualClock
from ai_suricata.state.clients import connect
from ai_suricata.state.local import (
    LocalAlertStore,
    LocalLease,
    LocalMetricsCache,
    LocalRateLimiter,
    LocalTopSources,
)
from ai_suricata.state.redis.alerts import RedisAlertStore
from ai_suricata.state.redis.cache import RedisMetricsCache, RedisTopSources
from ai_suricata.state.redis.keys import Keys
from ai_suricata.state.redis.lease import RedisLease
from ai_suricata.state.redis.limiter import RedisRateLimiter
from ai_suricata.state.shared import Grant, StoredAlert
from fakes.redis_servers import valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from ai_suricata.config.settings import RedisSettings
    from ai_suricata.state.shared import Lease

MOST = 5
"""Alerts and addresses that are kept: few, so that the bound is often reached."""
LONG = 600.0
"""Seconds: nothing ends by itself, as the time of a server can't be moved."""
NAMES = ("a", "b")

names = st.sampled_from(NAMES)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
addresses = st.sampled_from([f"192.0.2.{n}" for n in range(1, 9)] + ["2001:db8::1"])
counts = st.dictionaries(addresses, st.integers(1, 4), max_size=8)
limits = st.integers(0, MOST + 2)


def alert(number: int, text: str) -> StoredAlert:
    """Return an alert with this number and any text."""
    return StoredAlert(
        id=f"one-{number:04d}",
        time=number,
        source_ip="192.0.2.1",
        signature_id=number,
        signature=text,
        category=text,
        severity=1,
        src_ip="192.0.2.1",
        src_port=None,
        dest_ip="192.0.2.2",
        dest_port=80,
        proto="TCP",
        score=number / 7,
        level="LOW",
        action="LOG",
        reasons=(text,),
    )


class SharedMachine(RuleBasedStateMachine):
    """Asks memory and Redis the same, and compares what they say."""

    server: ClassVar[RedisSettings]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.client = connect(self.server)
        keys = Keys(f"ai_suricata:{secrets.token_hex(8)}")
        clock = ManualClock(1_700_000_000.0)
        self.caches = LocalMetricsCache(clock), RedisMetricsCache(self.client, keys)
        self.tops = LocalTopSources(MOST), RedisTopSources(self.client, keys, MOST)
        self.alerts = LocalAlertStore(MOST), RedisAlertStore(self.client, keys, MOST)
        self.limiters = LocalRateLimiter(), RedisRateLimiter(self.client, keys)
        self.leases: tuple[Lease, Lease] = LocalLease(clock), RedisLease(self.client, keys)
        self.grants: list[tuple[Grant, Grant]] = []
        self.added = 0

    def teardown(self) -> None:
        """Let the connection go."""
        self.loop.run_until_complete(self.client.aclose())
        self.loop.close()

    def both(
        self, call: Callable[[Any], Coroutine[Any, Any, object]], pair: tuple[Any, Any]
    ) -> object:
        """Ask both, and return what they agree on."""
        local, redis = (self.loop.run_until_complete(call(each)) for each in pair)
        assert local == redis
        return local

    @rule(name=names, value=values)
    def put(self, name: str, value: object) -> None:
        """Cache a value, and read it and the other."""
        self.both(lambda each: each.put(name, value, LONG), self.caches)
        for known in NAMES:
            self.both(methodcaller("get", known), self.caches)

    @rule(alerts=counts, limit=limits)
    def count(self, alerts: dict[str, int], limit: int) -> None:
        """Count alerts, and read the top."""
        self.both(lambda each: each.count(alerts), self.tops)
        self.both(lambda each: each.top(limit), self.tops)
        self.both(lambda each: each.top(100), self.tops)

    @rule(texts=st.lists(st.text(), max_size=MOST + 2), limit=limits, offset=limits)
    def add(self, texts: list[str], limit: int, offset: int) -> None:
        """Add alerts, read a page, and look for one that is or was there."""
        batch = [alert(self.added + n, text) for n, text in enumerate(texts)]
        self.added += len(batch)
        self.both(lambda each: each.add(batch), self.alerts)
        self.both(lambda each: each.newest(limit, offset), self.alerts)
        self.both(lambda each: each.find(f"one-{self.added - limit:04d}"), self.alerts)

    @rule(
        key=names,
        limit=st.integers(0, 3),
        seconds=st.sampled_from([1.0, 10.0]),
        now=st.integers(0, 40).map(lambda quarter: 1_700_000_000.0 + quarter / 4),
    )
    def allow(self, key: str, limit: int, seconds: float, now: float) -> None:
        """Ask for a place, also with clocks that go back."""
        self.both(lambda each: each.allow(key, limit, seconds, now), self.limiters)

    @rule(name=names, holder=names)
    def take(self, name: str, holder: str) -> None:
        """Take a lease; tokens differ, but both rise."""
        local, redis = (
            self.loop.run_until_complete(each.take(name, holder, LONG)) for each in self.leases
        )
        assert (local is None) == (redis is None)
        if local is None or redis is None:
            return
        for earlier in (pair for pair in self.grants if pair[0].name == name):
            assert earlier[0].token < local.token
            assert earlier[1].token < redis.token
        self.grants.append((local, redis))

    @rule(
        data=st.data(), value=st.binary(max_size=8), act=st.sampled_from(["write", "renew", "out"])
    )
    def use(self, data: st.DataObject, value: bytes, act: str) -> None:
        """Use any grant, be it the latest or not, and read what is written then."""
        if not self.grants:
            return
        pair = data.draw(st.sampled_from(self.grants))
        answers = [
            self.loop.run_until_complete(_use(lease, grant, act, value))
            for lease, grant in zip(self.leases, pair, strict=True)
        ]
        assert answers[0] == answers[1]
        self.both(lambda each: each.read(f"of-{pair[0].name}"), self.leases)


async def _use(lease: Lease, grant: Grant, act: str, value: bytes) -> object:
    if act == "write":
        return await lease.write(grant, f"of-{grant.name}", value)
    if act == "renew":
        return await lease.renew(grant, LONG)
    await lease.give_up(grant)
    return None


@pytest.fixture(scope="module")
def server() -> Iterator[RedisSettings]:
    """Yield the settings of a running server."""
    with valkey() as running:
        yield running.settings()


def test_memory_and_redis_give_the_same_answers(server: RedisSettings) -> None:
    """Whatever is asked in whatever order, nobody sees which of the two is behind it."""
    SharedMachine.server = server
    run_state_machine_as_test(
        SharedMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,  # a real server has no fixed pace
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
