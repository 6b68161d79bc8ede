"""Hands notices to every channel that is set. None waits for another, and nobody for any."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, cast

from ai_suricata.core.errors import ConfigError
from ai_suricata.sink.notify.channel import ignore
from ai_suricata.sink.notify.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ai_suricata.config.sink import NotifySettings
    from ai_suricata.core.clock import Clock
    from ai_suricata.sink.notify.channel import Channel, Observer
    from ai_suricata.sink.notify.notice import Notice

PARTING = 5.0
"""Seconds at most in which what waits at the stop may still be sent."""
_EXTRA = {"httpx": "WEBHOOK_URL", "aiosmtplib": "MAIL_TO"}
"""Libraries of the extra `notify`, by the variable that needs each."""


class Dispatch:
    """Implements `pipeline.Companion`."""

    def __init__(self, settings: NotifySettings, clock: Clock, observe: Observer = ignore) -> None:
        """`observe` is told what became of each notice.

        Raises ConfigError where a setting can't be, or where its library is missing.
        """
        self.deliveries = [
            Delivery(channel, min(settings.timeout, PARTING), observe)
            for channel in _channels(settings, clock)
        ]
        self._stopping = asyncio.Event()

    def take(self, notices: Sequence[Notice]) -> None:
        """Tell the notices on every channel. Neither blocks nor raises."""
        for delivery in self.deliveries:
            delivery.take(notices)

    async def run(self) -> None:
        """Send until `stop`."""
        async with asyncio.TaskGroup() as group:
            for delivery in self.deliveries:
                group.create_task(delivery.run(), name=f"notify {delivery.channel.name}")
            await self._stopping.wait()

    def stop(self) -> None:
        """Let what waits be sent once, within `PARTING` or NOTIFY_TIMEOUT, and end `run`."""
        for delivery in self.deliveries:
            delivery.stop()
        self._stopping.set()


def _channels(settings: NotifySettings, clock: Clock) -> Iterator[Channel]:
    if settings.webhook_url is not None:
        yield _made("post", "Webhook", settings, clock)
    if settings.mail_to:
        yield _made("mail", "Mail", settings, clock)


def _made(module: str, name: str, settings: NotifySettings, clock: Clock) -> Channel:
    """Return a channel; its library is loaded only where it is asked for."""
    try:
        kind = getattr(import_module(f"ai_suricata.sink.notify.{module}"), name)
    except ModuleNotFoundError as error:
        variable = _EXTRA.get(error.name or "")
        if variable is None:
            raise
        raise ConfigError(
            [f"{variable} needs {error.name}: run `pip install 'ai-suricata[notify]'`"]
        ) from None
    return cast("Channel", kind(settings, clock))
