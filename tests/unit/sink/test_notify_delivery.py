"""Delivering: how much waits, how often it is tried, and how it ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ai_suricata.sink.notify import delivery as module
from ai_suricata.sink.notify.channel import DeliveryError
from ai_suricata.sink.notify.delivery import MOST_WAITING, TRIES, Delivery
from ai_suricata.sink.notify.notice import Kind, Notice
from fakes.redis_client import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

NOW = 1_700_000_000.0


def notice(number: int = 0) -> Notice:
    """Return a notice that can be told from others."""
    return Notice(Kind.BLOCKED, NOW, str(number))


@dataclass
class FakeChannel:
    """Takes messages, or fails as it is told."""

    name: str = "fake"
    interval: float = 0.0
    most: int = 100
    tried: list[dict[str, Any]] = field(default_factory=list)
    arrived: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Exception] = field(default_factory=list)
    gate: asyncio.Event | None = None

    def compose(self, notices: Sequence[Notice], lost: int) -> bytes:
        """Return what can be compared."""
        return json.dumps({"titles": [int(n.title) for n in notices], "lost": lost}).encode()

    async def send(self, message: bytes) -> None:
        """Wait for the gate, where there is one; then fail, where a failure is due."""
        self.tried.append(json.loads(message))
        if self.gate is not None:
            await self.gate.wait()
        if self.problems:
            raise self.problems.pop(0)
        self.arrived.append(json.loads(message))


class Running:
    """A delivery under way, and what its observer heard."""

    def __init__(self, channel: FakeChannel, patience: float = 5.0) -> None:
        self.results: list[str] = []
        self.delivery = Delivery(channel, patience, self._observe)

    def _observe(self, name: str, result: str) -> None:
        assert name == "fake"
        self.results.append(result)

    def count(self, result: str) -> int:
        """Return how many notices had this result."""
        return self.results.count(result)


@asynccontextmanager
async def running(channel: FakeChannel, patience: float = 5.0) -> AsyncIterator[Running]:
    """Run a delivery; its end is awaited."""
    found = Running(channel, patience)
    task = asyncio.create_task(found.delivery.run())
    try:
        yield found
    finally:
        found.delivery.stop()
        async with asyncio.timeout(5):
            await task


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)


async def test_what_comes_while_a_message_is_on_its_way_goes_into_the_next() -> None:
    """In order, as many as fit into one."""
    channel = FakeChannel(gate=asyncio.Event())
    async with running(channel) as found:
        found.delivery.take([notice(0)])
        await until(lambda: len(channel.tried) == 1)
        for number in range(1, 151):
            found.delivery.take([notice(number)])
        assert channel.gate is not None
        channel.gate.set()
        await until(lambda: found.count("sent") == 151)

    expected = [[0], [*range(1, 101)], [*range(101, 151)]]
    assert expected == [message["titles"] for message in channel.arrived]


async def test_a_channel_rests_between_two_messages() -> None:
    """At least as long as its interval says."""
    channel = FakeChannel(interval=3600)
    async with running(channel) as found:
        found.delivery.take([notice(0)])
        await until(lambda: found.count("sent") == 1)
        found.delivery.take([notice(1)])
        for _ in range(50):
            await asyncio.sleep(0)
        assert [[0]] == [message["titles"] for message in channel.tried]

    assert [[0], [1]] == [message["titles"] for message in channel.arrived]  # at the stop


async def test_too_many_push_out_the_oldest_and_the_next_message_says_so() -> None:
    """The queue is bounded; nobody waits for room in it."""
    channel = FakeChannel(most=MOST_WAITING)
    async with running(channel) as found:
        found.delivery.take(notice(number) for number in range(MOST_WAITING + 7))
        await until(lambda: found.count("sent") == MOST_WAITING)
        found.delivery.take([notice(5000)])
        await until(lambda: found.count("sent") == MOST_WAITING + 1)

    assert [7, 0] == [message["lost"] for message in channel.arrived]
    assert 7 == channel.arrived[0]["titles"][0]
    assert 7 == found.count("dropped")


async def test_what_is_lost_while_a_message_says_how_many_were_is_for_the_next() -> None:
    """Each lost notice is told of once."""
    channel = FakeChannel(gate=asyncio.Event(), most=MOST_WAITING)
    async with running(channel) as found:
        found.delivery.take(notice(number) for number in range(MOST_WAITING + 2))
        await until(lambda: len(channel.tried) == 1)
        found.delivery.take(notice(number) for number in range(MOST_WAITING + 3))
        assert channel.gate is not None
        channel.gate.set()
        await until(lambda: len(channel.arrived) == 2)

    assert [2, 3] == [message["lost"] for message in channel.arrived]


async def test_tries_are_bounded_and_what_is_given_up_is_told_of() -> None:
    """The message after it says how many."""
    channel = FakeChannel(problems=[DeliveryError("no")] * TRIES)
    with capture_logs() as logs:
        async with running(channel) as found:
            found.delivery.take([notice(0), notice(1)])
            await until(lambda: found.count("dropped") == 2)
            found.delivery.take([notice(2)])
            await until(lambda: found.count("sent") == 1)

    assert TRIES + 1 == len(channel.tried)
    assert 2 * (TRIES - 1) == found.count("retried")
    assert [{"titles": [2], "lost": 2}] == channel.arrived
    assert ["notices can't be sent", "notices are sent again"] == [log["event"] for log in logs]


async def test_pauses_grow_with_jitter_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's wish counts, too, within a bound of its own."""
    pauses: list[float] = []

    async def at_once(seconds: float, _event: asyncio.Event) -> bool:
        pauses.append(seconds)
        return False

    monkeypatch.setattr(module, "within", at_once)
    monkeypatch.setattr(module, "FIRST_PAUSE", 1.0)
    problems = [DeliveryError("no")] * 10
    problems[3] = DeliveryError("later", after=1e9)
    channel = FakeChannel(problems=[*problems], most=1)
    async with running(channel) as found:
        found.delivery.take([notice(0), notice(1)])
        await until(lambda: found.count("dropped") == 2)

    bounds = [1, 2, 4, 300, 16, 32, 60, 60, 60, 60]
    assert all(bound / 2 <= pause <= bound for bound, pause in zip(bounds, pauses, strict=True))
    assert 300 == pauses[3]
    assert len({pause / bound for bound, pause in zip(bounds, pauses, strict=True)}) > 5


async def test_a_stop_ends_a_pause_and_tries_once_more() -> None:
    """Then it is given up."""
    channel = FakeChannel(problems=[DeliveryError("later", after=300)] * 9)
    async with running(channel) as found:
        found.delivery.take([notice()])
        await until(lambda: len(channel.tried) == 1)

    assert 2 == len(channel.tried)
    assert ["retried", "dropped"] == found.results


async def test_a_stop_waits_no_longer_than_its_patience() -> None:
    """However many wait for a server that hangs; a second stop gives it no more time."""
    channel = FakeChannel(gate=asyncio.Event(), most=1)
    began = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        async with running(channel, patience=0.1) as found:
            found.delivery.take(notice(number) for number in range(5))
            await until(lambda: len(channel.tried) == 1)
            found.delivery.stop()

    assert asyncio.get_running_loop().time() - began < 2
    assert ["dropped"] * 5 == found.results
    assert [("notices were never sent", 5)] == [(log["event"], log["count"]) for log in logs]


async def test_a_stop_before_and_after_the_run_is_a_stop() -> None:
    """What was taken before is sent."""
    channel = FakeChannel()
    found = Running(channel)
    found.delivery.take([notice()])
    found.delivery.stop()
    async with asyncio.timeout(5):
        await found.delivery.run()
    found.delivery.stop()

    assert ["sent"] == found.results


async def test_a_run_that_begins_after_its_stop_is_bounded() -> None:
    """A daemon that fails at its start stops what has hardly begun."""
    channel = FakeChannel(gate=asyncio.Event())
    found = Running(channel, patience=0.05)
    found.delivery.take([notice()])
    found.delivery.stop()
    async with asyncio.timeout(2):
        await found.delivery.run()

    assert ["dropped"] == found.results


async def test_a_cancelled_delivery_ends() -> None:
    """A daemon that fails doesn't wait for people to be told."""
    channel = FakeChannel(gate=asyncio.Event())
    found = Running(channel)
    task = asyncio.create_task(found.delivery.run())
    found.delivery.take([notice()])
    await until(lambda: len(channel.tried) == 1)
    found.delivery.take([notice(1)])
    task.cancel()

    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await task
    assert [("notices were never sent", 2)] == [(log["event"], log["count"]) for log in logs]
    assert ["dropped"] * 2 == found.results
