"""Tells those who listen of serious verdicts, as they come (Redis pub/sub, `threat_alerts`)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import orjson
import structlog

from ai_suricata.core.cancellation import heed
from ai_suricata.core.errors import StateError
from ai_suricata.core.timestamp import MICROSECONDS, format_timestamp
from ai_suricata.core.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ai_suricata.core.verdict import Verdict
    from ai_suricata.state.shared import Notifier

log = structlog.get_logger(__name__)

_MOST_WAITING = 1000
_MOST_KNOWN = 10_000
_AGAIN = 60 * MICROSECONDS
"""Event time after which a source that is no better is announced again."""


class Announcer:
    """Publishes verdicts of HIGH and above; nobody waits for it, and it drops rather than grows."""

    def __init__(self, notifier: Notifier, channel: str) -> None:
        """`channel`: its name there."""
        self._notifier = notifier
        self._channel = channel
        self._told: OrderedDict[str, tuple[Level, int]] = OrderedDict()
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._wake = asyncio.Event()
        self._stopping = False
        self._failing = False

    def take(self, verdicts: Iterable[Verdict]) -> None:
        """Announce sources that are bad: once, again a minute later, and when they get worse."""
        messages = [message(verdict) for verdict in verdicts if self._is_news(verdict)]
        if messages:
            self._waiting.extend(messages)
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
        """Publish what comes, until `stop`. What nobody could be told is dropped, and said once."""
        stopping = False
        while not stopping:
            await self._wake.wait()
            self._wake.clear()
            stopping = self._stopping
            while self._waiting:
                await self._publish(self._waiting.popleft())
                heed()

    def stop(self) -> None:
        """End `run`."""
        self._stopping = True
        self._wake.set()

    async def _publish(self, content: bytes) -> None:
        try:
            await self._notifier.publish(self._channel, content)
        except StateError as error:
            if not self._failing:
                log.warning("verdicts can't be announced", problem=str(error))
            self._failing = True
            self._waiting.clear()
        else:
            self._failing = False


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
