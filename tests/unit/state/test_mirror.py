"""The mirror: writes behind, waits for nobody, and knows what it does not know."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from ai_suricata.core.errors import StateError
from ai_suricata.core.position import FilePosition, Position
from ai_suricata.state import mirror as module
from ai_suricata.state.base import Changes, Fetched, Mark
from ai_suricata.state.mirror import Mirror
from ai_suricata.state.row import Rows
from fakes.redis_client import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

OURS, THEIRS = "ours", "theirs"
AWAY = StateError("nothing listens there")
NOTHING = Rows([], {})


def at(offset: int) -> Position:
    """Return the position at an offset."""
    return {"/eve.json": (FilePosition(1, 2, "aa", 64, offset),)}


def mark(clock: int, lineage: str = OURS) -> Mark:
    """Return how far somebody has come."""
    return Mark(lineage, clock, at(clock))


def changes(clock: int) -> Changes:
    """Return a flush at `clock`."""
    return Changes(at(clock), clock, NOTHING)


def rows(*addresses: str) -> Rows:
    """Return rows that say nothing but whose they are."""
    return Rows(addresses, {"home": np.zeros(len(addresses), np.bool_)})


@dataclass
class FakeShared:
    """Keeps a mark, and fails as it is told: before, after, or instead of what it is asked."""

    stored: Mark | None = None
    problem: StateError | None = None
    """What every call raises."""
    lose_answer: bool = False
    """The next save is carried out, and nobody hears of it."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Closed, it holds back every save, after it was written."""
    saved: list[Changes] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    calls: int = 0

    def __post_init__(self) -> None:
        self.gate.set()

    def _answer(self) -> None:
        self.calls += 1
        if self.problem is not None:
            raise self.problem

    async def mark(self) -> Mark | None:
        """Return what is stored."""
        self._answer()
        return self.stored

    async def fetch(self, addresses: Sequence[str]) -> Fetched:
        """Return a row of our own for each address."""
        self._answer()
        self.asked.append(list(addresses))
        return Fetched(rows(*addresses), NOTHING)

    async def save(self, changes: Changes, before: Mark | None, after: Mark) -> bool:
        """Compare and set."""
        self._answer()
        if self.stored != before:
            return False
        self.stored = after
        self.saved.append(changes)
        await self.gate.wait()
        if self.lose_answer:
            self.lose_answer = False
            raise StateError("the answer was lost")
        return True


@dataclass
class Bench:
    """A mirror of a fake, and what it told."""

    shared: FakeShared
    told: list[str | None] = field(default_factory=list)
    mirror: Mirror = field(init=False)

    def __post_init__(self) -> None:
        self.mirror = Mirror(self.shared, self.told.append)
        self.mirror.continue_as(OURS)

    async def wanted(self) -> int:
        """Wait until changes are wanted; return since when."""
        await until(lambda: self.mirror.wants() is not None)
        since = self.mirror.wants()
        assert since is not None
        return since

    async def write(self, clock: int) -> int:
        """Offer changes as soon as they are wanted, and wait for their end; return since when."""
        since = await self.wanted()
        self.mirror.offer(changes(clock))
        await self.mirror.free()
        return since


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.004)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    """Yield while the mirror runs; its end is awaited."""
    task = asyncio.create_task(bench.mirror.run())
    try:
        yield bench
    finally:
        bench.mirror.stop()
        async with asyncio.timeout(5):
            await task


async def test_the_first_flush_holds_everything_and_the_next_what_came_since() -> None:
    """What is wanted begins where the last confirmed one ended."""
    async with running(Bench(FakeShared())) as bench:
        assert [0, 10, 25] == [await bench.write(clock) for clock in (10, 25, 30)]

    assert mark(30) == bench.shared.stored


async def test_a_restart_goes_on_where_redis_stands() -> None:
    """Not from the beginning: most rows are there."""
    async with running(Bench(FakeShared(mark(20)))) as bench:
        assert mark(20) == await bench.mirror.open()
        assert 20 == await bench.write(30)


async def test_nothing_more_is_wanted_while_one_is_under_way() -> None:
    """However long it takes, a row that changes meanwhile is one row of the next flush."""
    shared = FakeShared()
    async with running(Bench(shared)) as bench:
        await bench.wanted()
        shared.gate.clear()
        bench.mirror.offer(changes(10))
        await until(lambda: len(shared.saved) == 1)
        assert [None] * 5 == [bench.mirror.wants() for _ in range(5)]

        shared.gate.set()
        await bench.mirror.free()
        assert 10 == await bench.write(90)


async def test_an_answer_that_was_lost_is_read_back_and_not_repeated() -> None:
    """It was written: the next flush begins after it."""
    shared = FakeShared()
    async with running(Bench(shared)) as bench:
        await bench.wanted()
        shared.lose_answer = True
        assert [0, 10] == [await bench.write(clock) for clock in (10, 20)]

    assert [10, 20] == [each.clock for each in shared.saved]


async def test_a_copy_that_fell_back_gets_what_it_lost() -> None:
    """After a failover, or from an older file: what it says is believed."""
    shared = FakeShared()
    async with running(Bench(shared)) as bench:
        await bench.write(10)
        await bench.write(20)
        shared.stored = mark(10)
        await bench.write(30)
        assert mark(10) == shared.stored

        assert 10 == await bench.write(40)
    assert mark(40) == shared.stored


async def test_a_copy_that_lost_all_gets_all() -> None:
    """Without a mark, everything is wanted."""
    shared = FakeShared()
    async with running(Bench(shared)) as bench:
        await bench.write(10)
        shared.stored = None
        await bench.write(20)

        assert 0 == await bench.write(30)


async def test_an_idle_mirror_finds_out_that_the_copy_lost_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It looks now and then, also where nothing happens here."""
    monkeypatch.setattr(module, "_LOOK", 0.01)
    shared = FakeShared()
    async with running(Bench(shared)) as bench:
        await bench.write(10)
        shared.stored = None
        shared.problem = AWAY
        await until(lambda: not bench.mirror.up)
        shared.problem = None
        await until(lambda: bench.mirror.up)

        assert 0 == await bench.wanted()


async def test_a_copy_that_is_away_is_said_once_and_unsaid_once() -> None:
    """One line for an outage, not one for each try."""
    shared = FakeShared(problem=AWAY)
    with capture_logs() as logs:
        async with running(Bench(shared)) as bench:
            assert await bench.mirror.open() is None
            bench.mirror.wants()
            await until(lambda: shared.calls > 5)
            shared.problem = None
            await until(lambda: bench.mirror.up)

    assert ["warning", "info"] == [entry["log_level"] for entry in logs]
    assert str(AWAY) == logs[0]["problem"]
    assert {str(AWAY), None} == set(bench.told)
    assert bench.told[-1] is None


async def test_tries_grow_rarer_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the first one after a success is soon again."""
    pauses: list[float] = []
    monkeypatch.setattr("random.uniform", lambda _least, most: most)
    shared = FakeShared(problem=AWAY)
    bench = Bench(shared)

    async def rest(seconds: float) -> None:
        pauses.append(seconds)
        shared.problem = None if len(pauses) in {4, 5} else AWAY
        bench.mirror._wake.set()
        await asyncio.sleep(0)

    monkeypatch.setattr(bench.mirror, "_rest", rest)
    bench.mirror.wants()
    async with running(bench):
        await until(lambda: len(pauses) == 4 and bench.mirror.up)
        shared.problem = AWAY
        assert await bench.mirror.fetch(["192.0.2.1"]) is None
        bench.mirror.wants()
        await until(lambda: len(pauses) >= 5)

    assert [0.001, 0.002, 0.004, 0.004, 0.001] == pauses[:5]


async def test_an_offer_that_fails_is_let_go_and_wanted_anew() -> None:
    """What it held has changed by the time that somebody answers."""
    shared = FakeShared()
    async with running(Bench(shared)) as bench:
        await bench.write(10)
        await bench.wanted()
        shared.problem = AWAY
        bench.mirror.offer(changes(20))
        await bench.mirror.free()
        assert bench.mirror.wants() is None

        shared.problem = None
        assert 10 == await bench.write(50)
    assert [10, 50] == [each.clock for each in shared.saved]


async def test_addresses_are_asked_for_once_where_somebody_answers() -> None:
    """Without addresses nobody is asked."""
    shared = FakeShared()
    bench = Bench(shared)
    await bench.mirror.open()

    assert await bench.mirror.fetch([]) is None
    found = await bench.mirror.fetch(["192.0.2.1", "192.0.2.2"])

    assert found is not None
    assert ["192.0.2.1", "192.0.2.2"] == list(found.own.addresses)
    assert await bench.mirror.missed(lambda _address: True) is None


async def test_a_fetch_that_failed_is_not_tried_again_before_somebody_answered() -> None:
    """One wait for an outage, not one a batch; nor is an outage over because nobody asked."""
    shared = FakeShared()
    bench = Bench(shared)
    await bench.mirror.open()
    async with running(bench):
        await bench.wanted()
        shared.problem = AWAY
        assert await bench.mirror.fetch(["192.0.2.1"]) is None
        calls = shared.calls
        assert await bench.mirror.fetch(["192.0.2.2"]) is None
        assert calls == shared.calls

        told = len(bench.told)
        bench.mirror.wants()
        await until(lambda: shared.calls > calls + 3)
        assert not bench.mirror.up
        assert {str(AWAY)} == set(bench.told[told:])


async def test_what_could_not_be_asked_for_is_asked_for_before_anything_is_written() -> None:
    """Else a part would be written without what was there before it; what has gone is left out."""
    shared = FakeShared(problem=AWAY)
    bench = Bench(shared)
    await bench.mirror.open()
    assert await bench.mirror.fetch(["192.0.2.1", "192.0.2.2", "192.0.2.3"]) is None
    shared.problem = None
    async with running(bench):
        await until(lambda: bench.mirror.wants() is not None or bench.mirror.up)
        assert bench.mirror.wants() is None

        found = await bench.mirror.missed(lambda address: address != "192.0.2.2")
        assert found is not None
        assert {"192.0.2.1", "192.0.2.3"} == set(found.own.addresses)
        assert 0 == await bench.wanted()
    assert 1 == len(shared.asked)


async def test_a_flood_of_missed_addresses_is_asked_for_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One question for all of them would not be answered in time."""
    monkeypatch.setattr(module, "_MOST_MISSED", 2)
    shared = FakeShared(problem=AWAY)
    bench = Bench(shared)
    await bench.mirror.open()
    names = [f"192.0.2.{n}" for n in range(5)]
    await bench.mirror.fetch(names)
    shared.problem = None
    async with running(bench):
        bench.mirror.wants()
        await until(lambda: bench.mirror.up)
        while await bench.mirror.missed(lambda _address: True) is not None:
            pass

    assert [2, 2, 1] == list(map(len, shared.asked))
    assert sorted(names) == sorted(chain(*shared.asked))


async def test_missed_addresses_that_have_gone_are_forgotten_meanwhile() -> None:
    """A flood of forged sources must not pile up while nobody answers."""
    bench = Bench(FakeShared(problem=AWAY))
    await bench.mirror.open()
    await bench.mirror.fetch([f"192.0.2.{n}" for n in range(200)])

    assert await bench.mirror.missed(lambda address: address == "192.0.2.7") is None
    assert {"192.0.2.7"} == bench.mirror._missed


async def test_a_missed_address_whose_fetch_fails_again_stays_missed() -> None:
    """It is not forgotten between two outages."""
    shared = FakeShared(problem=AWAY)
    bench = Bench(shared)
    await bench.mirror.fetch(["192.0.2.1"])
    bench.mirror.up = True

    assert await bench.mirror.missed(lambda _address: True) is None
    assert {"192.0.2.1"} == bench.mirror._missed


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_another_daemon_of_the_same_name_is_told_in_words(when: str) -> None:
    """Nothing is written on top of what it has counted, however long we wait."""
    shared = FakeShared(mark(10, THEIRS) if when == "before" else None)
    async with running(Bench(shared)) as bench:
        if when == "meanwhile":
            await bench.write(10)
            shared.stored = mark(15, THEIRS)
            await bench.write(20)
        bench.mirror.wants()
        calls = shared.calls
        await until(lambda: shared.calls > calls + 3)
        assert bench.mirror.wants() is None
        assert not bench.mirror.up

    assert THEIRS == (shared.stored.lineage if shared.stored else "")
    assert "set INSTANCE_NAME to another name" in str(bench.told[-1])


async def test_a_mark_is_claimed_under_a_new_lineage() -> None:
    """A daemon that still writes there finds out; a second one that claims it, too, is refused."""
    shared = FakeShared(mark(10, THEIRS))
    first, second = Bench(shared), Bench(shared)
    second.mirror.continue_as("another")
    found = [await bench.mirror.open() for bench in (first, second)]
    assert [mark(10, THEIRS)] * 2 == found

    assert await first.mirror.claim(mark(10, THEIRS), changes(10))
    assert not await second.mirror.claim(mark(10, THEIRS), changes(10))
    assert mark(10) == shared.stored
    async with running(first):
        assert 10 == await first.write(20)


async def test_a_claim_that_nobody_answers_is_no_claim() -> None:
    """The caller goes on as if the mark were still the other's."""
    bench = Bench(FakeShared(mark(10, THEIRS), problem=AWAY))

    assert not await bench.mirror.claim(mark(10, THEIRS), changes(10))
    assert str(AWAY) == bench.told[-1]


async def test_a_stop_writes_what_was_offered() -> None:
    """Also where it was offered in the same moment."""
    shared = FakeShared()
    async with running(Bench(shared)) as bench:
        await bench.wanted()
        bench.mirror.offer(changes(10))
        bench.mirror.stop()

    assert mark(10) == shared.stored
    assert bench.mirror._free.is_set()


async def test_a_stop_while_nobody_answers_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not sit out its pause."""
    monkeypatch.setattr(module, "_FIRST_PAUSE", 3600.0)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 3600.0)
    shared = FakeShared(problem=AWAY)
    async with running(Bench(shared)) as bench:
        bench.mirror.wants()
        await until(lambda: shared.calls > 0)

    assert str(AWAY) == bench.told[-1]


async def test_a_cancellation_that_the_client_swallows_is_heeded() -> None:
    """As redis-py does on Python 3.11: the task would go on for ever."""
    shared = FakeShared()
    bench = Bench(shared)
    entered = asyncio.Event()

    async def swallow() -> Mark | None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return None
        raise AssertionError

    shared.mark = swallow  # type: ignore[method-assign]
    task = asyncio.create_task(bench.mirror.run())
    bench.mirror.wants()
    await entered.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    ended = task.done()
    bench.mirror.stop()
    task.cancel()

    assert ended
