"""Announcing: serious verdicts, as they come, to whoever listens; never in anybody's way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from structlog.testing import capture_logs

from ai_suricata.core.errors import StateError
from ai_suricata.core.timestamp import MICROSECONDS
from ai_suricata.core.verdict import ACTION_OF_LEVEL, Level, Verdict
from ai_suricata.sink import announce as module
from ai_suricata.sink.announce import Announcer
from fakes import eve
from fakes.redis_client import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

CHANNEL = "ai_suricata:threat_alerts"


@dataclass
class FakeNotifier:
    """Hears what is told, or is away."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    problem: StateError | None = None
    failures: int = 1_000_000
    """Times that the problem is met."""
    hangs: bool = False
    tries: int = 0

    async def publish(self, channel: str, message: bytes) -> None:
        """Keep the message."""
        assert channel == CHANNEL
        self.tries += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.problem is not None and self.tries <= self.failures:
            raise self.problem
        self.heard.append(orjson.loads(message))

    def listen(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Not asked for here."""
        raise NotImplementedError(channel)

    def sources(self) -> list[str]:
        """Return whose verdicts were heard."""
        return [each["source_ip"] for each in self.heard]


def verdict(address: str = eve.STRANGER, level: Level = Level.HIGH, at: float = 0) -> Verdict:
    """Return a verdict, `at` seconds after `eve.START`."""
    return Verdict(
        address=address,
        time=round((eve.START + at) * MICROSECONDS),
        score=0.75,
        proven_score=0.75,
        level=level,
        action=ACTION_OF_LEVEL[level],
        home=False,
        reasons=("340 ports in 10 minutes",),
        patterns=("port_scan",),
        model_version="none",
    )


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pauses between two tries be short."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)


@asynccontextmanager
async def announcing(
    notifier: FakeNotifier, results: list[str] | None = None
) -> AsyncIterator[Announcer]:
    """Yield an announcer that runs; its end is awaited. `results`: what its observer hears."""
    heard = [] if results is None else results

    def observe(channel: str, result: str) -> None:
        assert channel == "pubsub"
        heard.append(result)

    announcer = Announcer(notifier, CHANNEL, observe)
    task = asyncio.create_task(announcer.run())
    try:
        yield announcer
    finally:
        announcer.stop()
        async with asyncio.timeout(5):
            await task


async def test_a_verdict_is_told_with_the_fields_of_the_contract() -> None:
    """As JSON, for those who read it in another language."""
    notifier = FakeNotifier()
    async with announcing(notifier) as announcer:
        announcer.take([verdict(level=Level.CRITICAL)])
        await until(lambda: bool(notifier.heard))

    assert [
        {
            "severity": "CRITICAL",
            "prediction": "attack",
            "confidence": 0.75,
            "timestamp": "2023-11-14T22:13:30.000000Z",
            "source_ip": eve.STRANGER,
            "action": "BLOCK",
            "reasons": ["340 ports in 10 minutes"],
        }
    ] == notifier.heard


async def test_what_is_not_serious_is_not_told() -> None:
    """HIGH and above are."""
    notifier = FakeNotifier()
    async with announcing(notifier) as announcer:
        announcer.take(verdict(f"192.0.2.{level}", level) for level in Level)

    assert [f"192.0.2.{level}" for level in (Level.HIGH, Level.CRITICAL)] == notifier.sources()


@pytest.mark.parametrize(
    ("level", "seconds", "told"),
    [
        (Level.HIGH, 59, 1),
        (Level.HIGH, 60, 2),
        (Level.CRITICAL, 1, 2),
        (Level.MEDIUM, 600, 1),
    ],
)
async def test_a_source_is_told_again_when_it_got_worse_or_a_minute_has_passed(
    level: Level, seconds: float, told: int
) -> None:
    """Not at each of its verdicts: a scan makes thousands. Time is that of the events."""
    notifier = FakeNotifier()
    async with announcing(notifier) as announcer:
        announcer.take([verdict()])
        announcer.take([verdict(level=level, at=seconds)])

    assert told == len(notifier.heard)


async def test_what_waits_at_the_stop_is_told() -> None:
    """The last verdicts of a daemon are verdicts, too."""
    notifier = FakeNotifier()
    async with announcing(notifier) as announcer:
        announcer.take([verdict()])
        announcer.stop()

    assert [eve.STRANGER] == notifier.sources()


async def test_an_outage_is_said_once_and_what_nobody_heard_is_dropped() -> None:
    """News that is late is no news; after the outage it goes on."""
    notifier = FakeNotifier(problem=StateError("nothing listens there"))
    results: list[str] = []
    with capture_logs() as logs:
        async with announcing(notifier, results) as announcer:
            for number in range(5):
                announcer.take(verdict(f"192.0.2.{number}") for number in range(number, 9))
                announcer.take([verdict(f"198.51.100.{number}")])
                await until(lambda number=number: notifier.tries == module.TRIES * (number + 1))  # type: ignore[misc]
                await until(lambda: not announcer._waiting)
            notifier.problem = None
            announcer.take([verdict(eve.PEER)])
            await until(lambda: bool(notifier.heard))

    assert [eve.PEER] == notifier.sources()
    assert ["verdicts can't be announced"] == [entry["event"] for entry in logs]
    assert (14, 10, 1) == tuple(results.count(each) for each in ("dropped", "retried", "sent"))


async def test_a_failure_that_passes_loses_nothing() -> None:
    """It is tried again, a few times."""
    notifier = FakeNotifier(problem=StateError("loading"), failures=module.TRIES - 1)
    results: list[str] = []
    async with announcing(notifier, results) as announcer:
        announcer.take([verdict(), verdict(eve.PEER)])
        await until(lambda: len(notifier.heard) == 2)

    assert [eve.STRANGER, eve.PEER] == notifier.sources()
    assert ["retried"] * (module.TRIES - 1) + ["sent"] * 2 == results


async def test_the_end_waits_for_no_server_that_hangs() -> None:
    """What waits is dropped and counted."""
    notifier = FakeNotifier(hangs=True)
    results: list[str] = []
    async with announcing(notifier, results) as announcer:
        announcer._grace._seconds = 0.05
        announcer.take([verdict(), verdict(eve.PEER)])
        await until(lambda: notifier.tries == 1)

    assert ["dropped"] * 2 == results


async def test_what_waits_and_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of forged sources must not fill the memory; the newest are told."""
    monkeypatch.setattr(module, "_MOST_KNOWN", 10)
    notifier = FakeNotifier()
    announcer = Announcer(notifier, CHANNEL)
    announcer.take(verdict(f"198.18.{n // 250}.{n % 250}") for n in range(3000))
    announcer.stop()

    assert (10, 1000) == (len(announcer._told), len(announcer._waiting))
    assert "198.18.11.249" in announcer._told
