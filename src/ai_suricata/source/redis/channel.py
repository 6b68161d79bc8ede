"""Suricata's Redis output in the mode `channel`: PUBLISH. What nobody hears is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis.exceptions import TimeoutError  # noqa: A004 - as the client's own calls raise it

from ai_suricata.core.cancellation import heed
from ai_suricata.source.inbox import Inbox
from ai_suricata.source.overflow import Overflow
from ai_suricata.source.redis.reader import FAILURES
from ai_suricata.state.clients import subscription

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.source.base import Losses
    from ai_suricata.source.redis.reader import Outage
    from ai_suricata.state.clients import Client

QUIET = 15.0
"""Seconds of silence after which the server is asked whether it is still there."""

_TURN = 256
"""Messages after which others have their turn, however many more there are."""


class ChannelReader:
    """Hears a channel, and keeps what it hears until it is asked for, as far as there is room.

    Hearing does not wait for those who ask: Redis itself would drop us, and all that it holds for
    us, past its `client-output-buffer-limit pubsub`.
    """

    def __init__(
        self,
        client: Client,
        settings: SourceSettings,
        answer_within: float,
        losses: Losses,
        outage: Outage,
    ) -> None:
        """`answer_within`: seconds that the server has to answer a ping."""
        self.inbox = Inbox(settings.buffer_bytes)
        self._client = client
        self._channel = settings.redis_key
        self._patience = answer_within
        self._losses = losses
        self._outage = outage
        self._overflow = Overflow(f"redis:{settings.redis_key}", self.inbox, losses)
        self._hearing: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Return how many messages have been heard and not been asked for."""
        return len(self.inbox)

    @property
    def place(self) -> None:
        """None: a channel has no place to come back to."""

    async def fetch(self, most: int) -> list[bytes]:
        """Return messages; fails only where the listening failed by a fault of ours."""
        if self._hearing is None:
            self._hearing = asyncio.create_task(self._hear(), name="redis channel")
            self._hearing.add_done_callback(lambda _: self.inbox.wake())
        if not self.inbox:
            await self.inbox.filled()
        if self._hearing.done():
            self._hearing.result()
        return self.inbox.take(most)

    def advance(self) -> None:
        """Nothing to do: what was fetched is gone from here."""

    def stored(self, place: str) -> None:
        """Nothing to do: a channel keeps nothing."""

    async def close(self) -> None:
        """End the listening. What still waits is counted as lost."""
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)
            self._hearing = None
        self._overflow.lose_rest()

    async def _hear(self) -> None:
        """Listen for ever; a lost connection is made again with backoff."""
        while True:
            try:
                async with await self._subscribed() as subscription:
                    await self._listen(subscription)
            except FAILURES as error:
                pause = self._outage.begin(error)
            heed()
            await asyncio.sleep(pause)

    async def _subscribed(self) -> PubSub:
        found = await subscription(self._client)
        try:
            await found.subscribe(self._channel)
            # The answer to SUBSCRIBE is the first of what is heard: a refusal is no loss.
            await self._next(found)
        except BaseException:  # cancelled, too: what was begun is let go
            await found.aclose()  # type: ignore[no-untyped-call] # redis-py's
            raise
        return found

    async def _listen(self, subscription: PubSub) -> None:
        """Put what is heard into the inbox; returns never, a lost connection raises."""
        self._outage.end()
        try:
            while True:
                for _ in range(_TURN):
                    message = await self._next(subscription)
                    if message is not None:
                        self._overflow.offer([message])
                await asyncio.sleep(0)
        except FAILURES:
            self._losses.occasions["disconnected"] += 1
            raise

    async def _next(self, subscription: PubSub) -> bytes | None:
        """Wait for a message; return None for what only shows that the connection lives."""
        heed()
        found = await subscription.get_message(timeout=QUIET)
        if found is None:
            # Silence is no proof: a connection whose other end vanished is silent, too.
            await subscription.ping()
            found = await subscription.get_message(timeout=self._patience)
        if found is None:
            raise TimeoutError(f"no answer within {self._patience:g} seconds")
        return found["data"] if found["type"] == "message" else None
