"""Recording alerts: written behind, in order, and the newest kept while the store is away."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ai_suricata.core.errors import StateError
from ai_suricata.core.verdict import Action, Level, Opinion
from ai_suricata.sink import record as module
from ai_suricata.sink.record import Recorder
from ai_suricata.state.local import LocalAlertStore, LocalTopSources
from fakes import eve
from fakes.redis_client import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ai_suricata.core.event import Event
    from ai_suricata.state.shared import StoredAlert

AWAY = StateError("nothing listens there")


@dataclass
class FragileStore(LocalAlertStore):
    """Keeps alerts, unless it is away."""

    most: int = 100
    problem: StateError | None = None
    tries: int = 0

    def __post_init__(self) -> None:
        super().__init__(self.most)

    async def add(self, alerts: Sequence[StoredAlert]) -> None:
        """Keep the alerts."""
        self.tries += 1
        if self.problem is not None:
            raise self.problem
        await super().add(alerts)


@dataclass
class FragileTop(LocalTopSources):
    """Counts, unless it is away."""

    problem: StateError | None = None
    calls: list[Mapping[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def count(self, alerts: Mapping[str, int]) -> None:
        """Count the alerts."""
        if self.problem is not None:
            raise self.problem
        self.calls.append(dict(alerts))
        await super().count(alerts)


@dataclass
class Bench:
    """A recorder, its stores, and how much it writes."""

    store: FragileStore = field(default_factory=FragileStore)
    top: FragileTop = field(default_factory=FragileTop)
    most: int = 100
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.store, self.top, "sensor", self.most)

    def take(self, *ats: float, address: str = eve.STRANGER) -> None:
        """Hand over alerts."""
        self.recorder.take((event(address, at), opinion(address)) for at in ats)

    async def times(self) -> list[float]:
        """Return the times of the stored alerts, in seconds after START, the oldest first."""
        found = await self.store.newest(1000)
        return [each.time / 10**6 - eve.START for each in reversed(found)]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.002)


def event(address: str = eve.STRANGER, at: float = 0) -> Event:
    """Return an alert as an event."""
    return eve.event(eve.alert(address, at=at))


def opinion(address: str = eve.STRANGER) -> Opinion:
    """Return what is thought of an address."""
    return Opinion(address, 0.7512345678, Level.HIGH, Action.RATE_LIMIT, ("many ports",))


@asynccontextmanager
async def recording(bench: Bench) -> AsyncIterator[Bench]:
    """Yield while the recorder runs; its end is awaited."""
    task = asyncio.create_task(bench.recorder.run())
    try:
        yield bench
    finally:
        bench.recorder.stop()
        async with asyncio.timeout(5):
            await task


async def test_an_alert_is_kept_with_what_is_thought_of_its_source() -> None:
    """All that a list of alerts shows."""
    async with recording(Bench()) as bench:
        bench.take(5)

    [stored] = await bench.store.newest(10)
    time = (eve.START + 5) * 10**6
    assert (f"sensor-{time}-1", time) == (stored.id, stored.time)
    assert (eve.STRANGER, eve.STRANGER, eve.SERVER) == (
        stored.source_ip,
        stored.src_ip,
        stored.dest_ip,
    )
    assert (2_000_001, 1, "TCP", 80) == (
        stored.signature_id,
        stored.severity,
        stored.proto,
        stored.dest_port,
    )
    assert (0.751235, "HIGH", "RATE_LIMIT", ("many ports",)) == (
        stored.score,
        stored.level,
        stored.action,
        stored.reasons,
    )


async def test_alerts_are_written_in_order_and_each_once() -> None:
    """However they are cut into writes; no two have the same id."""
    async with recording(Bench()) as bench:
        for start in range(0, 30, 3):
            bench.take(start, start + 1, start + 2)
            await until(lambda: not bench.recorder._waiting)

    assert list(range(30)) == await bench.times()
    assert 30 == len({each.id for each in await bench.store.newest(100)})


async def test_what_waits_is_written_while_it_runs_not_only_at_its_end() -> None:
    """Soon, without anything else having to happen."""
    async with recording(Bench()) as bench:
        bench.take(1)
        await until(lambda: bench.store.tries == 1)
        assert [1] == await bench.times()


async def test_nothing_is_written_where_nothing_has_come() -> None:
    """A quiet network costs the store nothing."""
    async with recording(Bench()) as bench:
        await until(lambda: bench.recorder._writes > 11)

    assert (0, []) == (bench.store.tries, bench.top.calls)


async def test_the_most_active_sources_are_counted_and_rarely_written() -> None:
    """The sums are right at the end."""
    async with recording(Bench()) as bench:
        for number in range(10):
            bench.take(number)
            bench.take(number, number, address=eve.PEER)
            await until(lambda: not bench.recorder._waiting)

    assert [(eve.PEER, 20), (eve.STRANGER, 10)] == await bench.top.top(5)
    assert len(bench.top.calls) <= bench.recorder._writes // 5 + 1


async def test_while_the_store_is_away_the_newest_wait_and_it_is_said_once() -> None:
    """They come when it does, in order; the sums lack nothing."""
    bench = Bench(FragileStore(problem=AWAY), FragileTop(problem=AWAY), most=4)
    with capture_logs() as logs:
        async with recording(bench):
            for number in range(10):
                bench.take(number)
                tries = bench.store.tries
                await until(lambda tries=tries: bench.store.tries > tries)  # type: ignore[misc]
            bench.store.problem = bench.top.problem = None

    assert [6, 7, 8, 9] == await bench.times()
    assert [(eve.STRANGER, 10)] == await bench.top.top(5)
    assert ["alerts can't be stored; the newest wait"] == [entry["event"] for entry in logs]


async def test_alerts_that_were_stored_are_not_stored_again_when_the_sums_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two stores: what one of them has taken is done with."""
    monkeypatch.setattr(module, "_WRITES_A_COUNT", 1)
    bench = Bench(top=FragileTop(problem=AWAY))
    async with recording(bench):
        bench.take(1, 2)
        await until(lambda: bench.recorder._failing)
        bench.top.problem = None

    assert [1, 2] == await bench.times()
    assert Counter({eve.STRANGER: 2}) == Counter(dict(await bench.top.top(5)))


async def test_what_comes_while_a_write_is_under_way_is_kept() -> None:
    """Whether or not that write succeeds, and in order."""
    bench = Bench()
    waiting, go_on = asyncio.Event(), asyncio.Event()
    add = bench.store.add

    async def slow(alerts: Sequence[StoredAlert]) -> None:
        waiting.set()
        await go_on.wait()
        await add(alerts)

    bench.store.add = slow  # type: ignore[method-assign]
    bench.store.problem = AWAY
    async with recording(bench):
        bench.take(1)
        await waiting.wait()
        bench.take(2)
        go_on.set()
        await until(lambda: bench.store.tries > 0)
        bench.store.problem = None

    assert [1, 2] == await bench.times()


async def test_what_comes_while_a_write_is_under_way_at_the_stop_is_written() -> None:
    """That write was not the last one, whatever it looked like when it ended."""
    bench = Bench()
    waiting, go_on = asyncio.Event(), asyncio.Event()
    add = bench.store.add

    async def slow(alerts: Sequence[StoredAlert]) -> None:
        waiting.set()
        await go_on.wait()
        await add(alerts)

    bench.store.add = slow  # type: ignore[method-assign]
    async with recording(bench):
        bench.take(1)
        await waiting.wait()
        bench.take(2)
        bench.recorder.stop()
        go_on.set()

    assert [1, 2] == await bench.times()
    assert [(eve.STRANGER, 2)] == await bench.top.top(5)


async def test_a_last_write_that_fails_does_not_hold_up_the_end() -> None:
    """The daemon stops; what was not stored is gone with it."""
    bench = Bench(FragileStore(problem=AWAY))
    async with recording(bench):
        bench.take(1)

    assert [] == await bench.times()
