"""What each of Suricata's Redis modes must be able to do for us, and what goes wrong with all."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Protocol

import structlog

from ai_suricata.state.clients import ERRORS, describe

if TYPE_CHECKING:
    from ai_suricata.config.source import SourceSettings

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds: before the second attempt to reach a server, and between all later ones at most."""

_VARIABLES = re.compile(r"REDIS_HOST and REDIS_PORT|REDIS_(?:USERNAME|PASSWORD|HOST|PORT|URL|DB)")

_log = structlog.get_logger(__name__)


class TakenError(Exception):
    """Another instance reads what we read. The text says what to do."""


FAILURES: tuple[type[Exception], ...] = (*ERRORS, TakenError)
"""All that a reader raises where not the program is to blame."""


class Reader(Protocol):
    """Reads one key. An entry is what Suricata sent at once: a line, as a rule."""

    @property
    def waiting(self) -> int:
        """How many entries there are behind `place`, as far as was known at the last `fetch`."""
        ...

    @property
    def place(self) -> str | None:
        """Where it stands: behind the last entry that was moved past; None before the first."""
        ...

    async def fetch(self, most: int) -> list[bytes]:
        """Return the next entries, oldest first; where there is none, wait a moment for some.

        Asked again, it returns them again: `advance` moves past them. Raises `FAILURES`.
        """
        ...

    def advance(self) -> None:
        """Move past the first of the fetched entries that has not been moved past."""
        ...

    def stored(self, place: str) -> None:
        """Take note that all up to `place` is durable."""
        ...

    async def close(self) -> None:
        """End what runs beside; the client is left open."""
        ...


class Outage:
    """How long nothing can be read: told once, with growing, random pauses."""

    def __init__(self, settings: SourceSettings) -> None:
        self.reason: str | None = None
        """Why nothing can be read, in words; None while it can."""
        self._settings = settings
        self._pause = FIRST_PAUSE

    def begin(self, error: Exception) -> float:
        """Note a failure; return the seconds to wait before the next attempt."""
        told, self.reason = self.reason, explain(error, self._settings)
        if told is None:
            _log.warning("no events from Redis", key=self._settings.redis_key, reason=self.reason)
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads attempts, no secret

    def end(self) -> None:
        """Note that it could be read."""
        if self.reason is not None:
            _log.info("events from Redis are read again", key=self._settings.redis_key)
        self.reason, self._pause = None, FIRST_PAUSE


def explain(error: Exception, settings: SourceSettings) -> str:
    """Return a sentence with the remedy."""
    key, text = settings.redis_key, str(error)
    if isinstance(error, TakenError):
        return text
    if "WRONGTYPE" in text:
        return (
            f"the key {key} holds something else than EVE_REDIS_MODE={settings.redis_mode} says; "
            "set it to Suricata's `mode`, and EVE_REDIS_KEY to its `key`"
        )
    if getattr(error, "status_code", "") == "NOPERM" and "No permissions" in text:
        rights = f"&{key}" if settings.redis_mode == "channel" else f"~{key} ~{marker_of(key)}"
        return f"the ACL user may not read {key}; allow it with ACL SETUSER <user> {rights}"
    sentence = describe(error)
    if settings.redis_url is not None:  # which says all that the other variables would
        sentence = _VARIABLES.sub("EVE_REDIS_URL", sentence)
    return f"events in Redis: {sentence}"


def marker_of(key: str) -> str:
    """Name the string that says what of a list was removed: on a Cluster, in the list's slot.

    The slot is that of what stands in the first braces, where something does (redis.io, "Redis
    Cluster specification", hash tags). For a key with `}` and without such a tag there is no such
    name: a Cluster refuses it.
    """
    _, opening, rest = key.partition("{")
    tag, closing, _ = rest.partition("}")
    has_tag = bool(opening and closing and tag)
    return f"{key if has_tag else f'{{{key}}}'}:ai_suricata"
