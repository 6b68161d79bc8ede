"""The webhook: one POST of a JSON object with some notices. Needs the extra `notify` (httpx).

The URL often is the secret, as is the token: neither they nor anything that the server wrote
stands in a log line or an error. Redirects are not followed, since they would carry both to
somebody else, and the body of a reply is not read at all.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import msgspec

from ai_suricata import __version__
from ai_suricata.core.errors import ConfigError
from ai_suricata.core.timestamp import MICROSECONDS, format_timestamp
from ai_suricata.sink.notify.channel import DeliveryError, reason
from ai_suricata.sink.notify.lookup import Lookup
from ai_suricata.sink.notify.notice import as_json, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai_suricata.config.sink import NotifySettings
    from ai_suricata.core.clock import Clock
    from ai_suricata.sink.notify.notice import Notice

# httpx tells the whole URL of each request at INFO, httpcore the headers of replies at DEBUG.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_TOKEN = re.compile(r"[!-~]+")
_TOLD_LATER = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})
"""Refusals that are none for ever (RFC 9110, 15.5.9; RFC 6585, 4)."""
_MOST_DIGITS = 9  # of Retry-After


class Webhook:
    """Implements `Channel`."""

    name = "webhook"
    most = 100

    def __init__(self, settings: NotifySettings, clock: Clock) -> None:
        """`settings.webhook_url` is set. Raises ConfigError, which doesn't repeat the value."""
        self.interval = 1.0
        self._clock = clock
        self._timeout = settings.timeout
        self._url = _url(settings)
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        self._lookup = Lookup(self._url.raw_host.decode("ascii"), port)
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"ai-suricata/{__version__}",
        }
        if settings.webhook_token is not None:
            token = settings.webhook_token.get_secret_value()
            if not _TOKEN.fullmatch(token):
                raise ConfigError(
                    ["WEBHOOK_TOKEN can't be sent: take out blanks and what is not ASCII"]
                )
            self._headers["Authorization"] = f"Bearer {token}"
        # The system's own authorities, to which an operator adds those of the house.
        self._tls = ssl.create_default_context()

    def compose(self, notices: Sequence[Notice], lost: int) -> bytes:
        """Return a JSON object: who tells, when, a summary, how many were lost, the notices."""
        return msgspec.json.encode(
            {
                "id": uuid4().hex,
                "source": "ai-suricata",
                "host": socket.gethostname(),
                "time": format_timestamp(int(self._clock.now() * MICROSECONDS)),
                "text": f"ai-suricata: {summary(notices)}",
                "dropped": lost,
                "notices": [as_json(notice) for notice in notices],
            }
        )

    async def send(self, message: bytes) -> None:
        """POST it over a connection of its own. Raises `DeliveryError`."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._lookup.answered()
                status, after = await self._post(message)
        except TimeoutError:
            raise DeliveryError(f"no answer within {self._timeout:g} seconds") from None
        except (httpx.HTTPError, OSError) as error:
            raise DeliveryError(_why(error)) from None
        if not httpx.codes.is_success(status):
            raise DeliveryError(_refusal(status), final=_is_final(status), after=after)

    async def _post(self, message: bytes) -> tuple[int, float]:
        """Return the status, and the seconds that the server asks to wait."""
        client = httpx.AsyncClient(verify=self._tls, timeout=None, follow_redirects=False)  # noqa: S113 - `send` bounds the whole
        async with (
            client,
            client.stream("POST", self._url, content=message, headers=self._headers) as reply,
        ):
            return reply.status_code, self._wish(reply.headers.get("Retry-After", ""))

    def _wish(self, value: str) -> float:
        """Read Retry-After: seconds or a date (RFC 9110, 10.2.3); 0 where it is neither."""
        if value.isascii() and value.isdigit():
            return float(value[:_MOST_DIGITS])
        try:
            return max(parsedate_to_datetime(value).timestamp() - self._clock.now(), 0.0)
        except (ValueError, TypeError, OverflowError, IndexError):
            return 0.0


def _url(settings: NotifySettings) -> httpx.URL:
    text = settings.webhook_url.get_secret_value() if settings.webhook_url is not None else ""
    try:
        urlsplit(text)  # refuses brackets that hold no address, which httpx takes for a name
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    if not url.host or url.scheme not in {"http", "https"}:
        raise ConfigError(["WEBHOOK_URL is no URL: write it like https://HOST/PATH"])
    if url.userinfo and settings.webhook_token is not None:
        # httpx would send the one and not the other.
        raise ConfigError(
            ["WEBHOOK_URL has a user, so WEBHOOK_TOKEN would not be sent: take one of them out"]
        )
    return url


def _why(error: Exception) -> str:
    if isinstance(error, httpx.ConnectError | OSError):
        return reason(error)
    if isinstance(error, httpx.ProtocolError):
        return "what answers there speaks no HTTP, or hung up"
    return "the connection was lost"


def _is_final(status: int) -> bool:
    """Tell whether a later try would get the same answer."""
    return status not in _TOLD_LATER and not httpx.codes.is_server_error(status)


def _refusal(status: int) -> str:
    if httpx.codes.is_redirect(status):
        return f"HTTP {status}: redirects are not followed; set WEBHOOK_URL to where it leads"
    return f"HTTP {status}"
