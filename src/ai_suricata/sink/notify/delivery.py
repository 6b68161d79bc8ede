"""Brings notices to one channel: a bounded queue, one message at a time, bounded retries.

What happens while a message is on its way, or while the channel rests, goes into the next one: a
thousand blocks become few messages. What will never be told is counted, and the next message that
arrives says how many those were.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.cancellation import heed, within
from ai_suricata.sink.grace import GracePeriod
from ai_suricata.sink.notify.channel import DeliveryError, ignore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ai_suricata.sink.notify.channel import Channel, Observer
    from ai_suricata.sink.notify.notice import Notice

log = structlog.get_logger(__name__)

MOST_WAITING = 1000
"""Notices that wait for one channel; past it the oldest are dropped."""
TRIES = 5
"""Times that one message is sent before it is given up."""
FIRST_PAUSE = 1.0
"""Seconds before the second try; each pause is about twice the one before."""
LONGEST_PAUSE = 60.0
"""Seconds that such a pause doesn't exceed."""
LONGEST_WISH = 300.0
"""Seconds that a server can make us wait by asking for it."""


class Delivery:
    """The queue and the task of one channel."""

    def __init__(self, channel: Channel, patience: float, observe: Observer = ignore) -> None:
        """`patience`: seconds after `stop` in which what waits may still be sent."""
        self.channel = channel
        self.patience = patience
        self._grace = GracePeriod(patience)
        self._observe = observe
        self._waiting: deque[Notice] = deque()
        self._in_hand = 0  # notices of the message that is on its way
        self._lost = 0  # notices since the last message that arrived
        self._failures = 0  # tries in a row
        self._news = asyncio.Event()

    def take(self, notices: Iterable[Notice]) -> None:
        """Let the notices wait for their turn. Never blocks; the oldest give way to the newest."""
        for notice in notices:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self._lose(1, "dropped")
            self._waiting.append(notice)
        self._news.set()

    async def run(self) -> None:
        """Send what comes, until `stop`; then what waits, once and for so long at most."""
        try:
            with suppress(TimeoutError):
                async with self._grace.bounded():
                    await self._work()
        finally:  # also where the daemon is out of patience, and cancels
            self._lose(self._in_hand + len(self._waiting), "dropped")
            if self._lost:
                log.warning("notices were never sent", channel=self.channel.name, count=self._lost)

    def stop(self) -> None:
        """End `run`, within its patience."""
        self._grace.begin()
        self._news.set()

    async def _work(self) -> None:
        while await self._due():
            size = min(len(self._waiting), self.channel.most)
            notices = [self._waiting.popleft() for _ in range(size)]
            self._in_hand = size
            await self._carry(notices)
            self._in_hand = 0
            await within(max(self.channel.interval, self._backoff()), self._grace.begun)

    async def _due(self) -> bool:
        """Wait for a notice; return False where none will come."""
        while not self._waiting and not self._grace.begun.is_set():
            self._news.clear()
            await self._news.wait()
        return bool(self._waiting)

    async def _carry(self, notices: Sequence[Notice]) -> None:
        """Send one message, again where that may help, and count what became of it."""
        lost = self._lost
        message = self.channel.compose(notices, lost)
        for left in reversed(range(TRIES)):
            last = not left or self._grace.begun.is_set()
            problem = await self._try(message)
            if problem is None:
                self._arrived(len(notices), lost)
                return
            self._failed(problem)
            if problem.final or last:
                self._lose(len(notices), "refused" if problem.final else "dropped")
                return
            await within(max(self._backoff(), min(problem.after, LONGEST_WISH)), self._grace.begun)
            self._count(len(notices), "retried")

    async def _try(self, message: bytes) -> DeliveryError | None:
        try:
            await self.channel.send(message)
        except DeliveryError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever a library makes of what a server
            # answers: people who can't be told are no reason to stop blocking. The class alone is
            # named, since a text could hold the URL or what the server wrote.
            return DeliveryError(f"unexpected {type(error).__name__}")
        finally:
            heed()
        return None

    def _backoff(self) -> float:
        """Return the seconds to wait after so many failures in a row."""
        if not self._failures:
            return 0.0
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 30), LONGEST_PAUSE)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries

    def _arrived(self, notices: int, lost: int) -> None:
        if self._failures:
            log.info("notices are sent again", channel=self.channel.name, lost=self._lost)
        self._failures = 0
        self._lost -= lost  # the message said so; what was lost since is for the next one
        self._count(notices, "sent")

    def _failed(self, problem: DeliveryError) -> None:
        """Say it once for each time that it begins."""
        if not self._failures:
            log.warning("notices can't be sent", channel=self.channel.name, problem=str(problem))
        self._failures += 1

    def _lose(self, notices: int, result: str) -> None:
        self._lost += notices
        self._count(notices, result)

    def _count(self, notices: int, result: str) -> None:
        for _ in range(notices):
            self._observe(self.channel.name, result)
