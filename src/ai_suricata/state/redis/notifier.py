"""Pub/sub in Redis: a connection of its own for each that listens, made again where it is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import TimeoutError  # noqa: A004 - as the client's own calls raise it

from ai_suricata.core.cancellation import heed
from ai_suricata.core.errors import StateError
from ai_suricata.state.clients import ERRORS, describe, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from redis.asyncio.client import PubSub

    from ai_suricata.state.clients import Client

log = structlog.get_logger(__name__)

_BASE, _CAP = 0.1, 5.0
"""Seconds: of the first pause before a connection is made again, and of the longest."""


class RedisNotifier:
    """Implements `Notifier`. Channels are named as they are: `Keys` has their prefix."""

    def __init__(self, client: Client, quiet: float = 15.0, patience: float = 2.0) -> None:
        """`quiet`: seconds of silence after which the server is asked whether it is still there.

        `patience`: seconds that it has to answer.
        """
        self._client = client
        self._quiet = quiet
        self._patience = patience

    async def publish(self, channel: str, message: bytes) -> None:
        """Tell. Raises `StateError`."""
        try:
            await self._client.publish(channel, message)
        except ERRORS as error:
            raise StateError(describe(error)) from error

    async def listen(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Yield what is told from now on, for ever; a lost connection is made again with backoff.

        Nothing is raised, also where the server refuses: rights can be given while we run.
        """
        backoff = ExponentialWithJitterBackoff(base=_BASE, cap=_CAP)
        failures = 0
        while True:
            try:
                async with await self._subscribed(channel) as subscription:
                    while True:
                        message = await self._next(subscription)
                        failures = _back(channel, failures)
                        if message is not None:
                            yield message
            except ERRORS as error:
                failures = _lost(channel, failures, error)
            heed()
            await asyncio.sleep(backoff.compute(failures))

    async def _subscribed(self, channel: str) -> PubSub:
        found = await subscription(self._client)
        try:
            await found.subscribe(channel)
        except BaseException:  # cancelled, too: what was begun is let go
            await found.aclose()  # type: ignore[no-untyped-call] # redis-py's
            raise
        return found

    async def _next(self, subscription: PubSub) -> bytes | None:
        """Wait for a message; return None for what only shows that the connection lives."""
        heed()
        found = await subscription.get_message(timeout=self._quiet)
        if found is None:
            # Silence is no proof: a connection whose other end vanished is silent, too.
            await subscription.ping()
            found = await subscription.get_message(timeout=self._patience)
        if found is None:
            raise TimeoutError(f"no answer within {self._patience:g} seconds")
        return found["data"] if found["type"] == "message" else None


def _lost(channel: str, failures: int, error: Exception) -> int:
    """Say so once for each time that it is lost; return the failures in a row."""
    if not failures:
        log.warning("notifications are interrupted", channel=channel, problem=describe(error))
    return failures + 1


def _back(channel: str, failures: int) -> int:
    """Say so where it had been lost; return the failures in a row, which are none."""
    if failures:
        log.info("notifications are back", channel=channel)
    return 0
