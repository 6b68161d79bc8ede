"""Tells those who listen of serious verdicts, as they come (Redis pub/sub, `threat_alerts`).

A verdict is published again where that failed, for a few seconds at most: late news is no news. A
listener may therefore hear one twice, where only the answer to us was lost.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import orjson
import structlog

from ai_suricata.core.cancellation import heed, within
from ai_suricata.core.errors import StateError
from ai_suricata.core.timestamp import MICROSECONDS, format_timestamp
from ai_suricata.core.verdict import Level
from ai_suricata.sink.grace import GracePeriod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ai_suricata.core.verdict import Verdict
    from ai_suricata.state.shared import Notifier

log = structlog.get_logger(__name__)

CHANNEL = "pubsub"
"""What the observer is told, as the name of this way to reach people."""
TRIES = 3
FIRST_PAUSE = 0.5
"""Seconds before the second try; the next pause is twice as long."""
PATIENCE = 5.0
"""Seconds after `stop` in which what waits is still published."""

_MOST_WAITING = 1000
_MOST_KNOWN = 10_000
_AGAIN = 60 * MICROSECONDS
"""Event time after which a source that is no better is announced again."""


class Announcer:
    """Publishes verdicts of HIGH and above; nobody waits for it, and it drops rather than grows."""

    def __init__(
        self,
        notifier: Notifier,
        channel: str,
        observe: Callable[[str, str], None] = lambda _channel, _result: None,
    ) -> None:
        """`channel`: its name there; `observe`: told what became of each verdict.

        That is `sent`, `retried` (once for each further try) or `dropped`, after `CHANNEL`.
        """
        self._notifier = notifier
        self._channel = channel
        self._observe = observe
        self._told: OrderedDict[str, tuple[Level, int]] = OrderedDict()
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._grace = GracePeriod(PATIENCE)
        self._failing = False

    def take(self, verdicts: Iterable[Verdict]) -> None:
        """Announce sources that are bad: once, again a minute later, and when they get worse."""
        messages = [message(verdict) for verdict in verdicts if self._is_news(verdict)]
        if messages:
            self._waiting.extend(messages)
            self._drop(len(self._waiting) - _MOST_WAITING)
            self._wake.set()

    def _is_news(self, verdict: Verdict) -> bool:
        if verdict.level < Level.HIGH:
            return False
        level, time = self._told.get(verdict.address, (Level.INFO, 0))
        if verdict.level <= level and verdict.time - time < _AGAIN:
            return False
        self._told[verdict.address] = (verdict.level, verdict.time)
        self._told.move_to_end(verdict.address)
        if len(self._told) > _MOST_KNOWN:
            self._told.popitem(last=False)
        return True

    async def run(self) -> None:
        """Publish what comes, until `stop`, then what waits, for a bounded time.

        What nobody could be told is dropped, and said once.
        """
        try:
            async with self._grace.bounded():
                await self._work()
        except TimeoutError:
            self._observe(CHANNEL, "dropped")  # what was on its way
            self._drop(len(self._waiting))

    def stop(self) -> None:
        """End `run`."""
        self._grace.begin()
        self._wake.set()

    async def _work(self) -> None:
        stopping = False
        while not stopping:
            await self._wake.wait()
            self._wake.clear()
            stopping = self._grace.begun.is_set()
            while self._waiting:
                await self._tell(self._waiting.popleft())

    async def _tell(self, content: bytes) -> None:
        """Publish, again where that may help; where it does not, drop all that waits."""
        for number in range(TRIES):
            if number:
                pause = FIRST_PAUSE * 2.0 ** (number - 1)
                await within(pause * random.uniform(0.5, 1.0), self._grace.begun)  # noqa: S311 - spreads retries
                self._observe(CHANNEL, "retried")
            if await self._publish(content):
                return
            if self._grace.begun.is_set():
                break
        self._observe(CHANNEL, "dropped")
        self._drop(len(self._waiting))

    async def _publish(self, content: bytes) -> bool:
        try:
            await self._notifier.publish(self._channel, content)
        except StateError as error:
            if not self._failing:
                log.warning("verdicts can't be announced", problem=str(error))
            self._failing = True
        else:
            self._failing = False
            self._observe(CHANNEL, "sent")
        heed()
        return not self._failing

    def _drop(self, number: int) -> None:
        """Drop so many of those that wait, the oldest."""
        for _ in range(number):
            self._waiting.popleft()
            self._observe(CHANNEL, "dropped")


def message(verdict: Verdict) -> bytes:
    """Return a verdict as it is told: JSON."""
    return orjson.dumps(
        {
            "severity": verdict.level.name,
            "prediction": "attack",
            "confidence": round(verdict.score, 6),
            "timestamp": format_timestamp(verdict.time),
            "source_ip": verdict.address,
            "action": verdict.action.value,
            "reasons": verdict.reasons,
        }
    )
