"""Suricata's Redis output in the mode `stream` (Suricata 8): XADD with the line in field `eve`.

The position is "ID:ORDINAL": the id of the last entry, and how many entries the stream had ever
been given up to that one (`entries-added` of XINFO STREAM, since Redis 7). Suricata trims the
stream to its `stream-maxlen`; the ordinals tell how many entries were trimmed before we had read
them. What others delete in its middle (XDEL) is not noticed. We remove nothing: there may be other
readers.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.source.base import Losses
    from ai_suricata.state.clients import Client

LONGEST_WAIT = 1.0
"""Seconds for which the server is asked to wait for an entry at most."""

_PLACE = re.compile(r"(\d+-\d+):(\d+)", re.ASCII)
_BEGINNING = "0-0"

_log = structlog.get_logger(__name__)

Info: TypeAlias = "Mapping[str, Any]"
"""What XINFO STREAM says (redis.io)."""


class StreamReader:
    """Reads a stream behind an id."""

    def __init__(
        self,
        client: Client,
        settings: SourceSettings,
        place: str | None,
        answer_within: float,
        losses: Losses,
    ) -> None:
        """`place`: where an earlier run stood, or None. `answer_within`: seconds, the client's."""
        self.waiting = 0
        self._client = client
        self._key = settings.redis_key
        self._start = settings.start
        self._block = max(1, int(1000 * min(LONGEST_WAIT, answer_within / 2)))  # milliseconds
        self._losses = losses
        known = _PLACE.fullmatch(place or "")
        self._id = known[1] if known else ""
        self._ordinal = int(known[2]) if known else 0
        self._within = True  # whether our id was not older than the first entry
        self._fetched: deque[str] = deque()

    @property
    def place(self) -> str | None:
        """Return id and ordinal of the last entry that was moved past."""
        return f"{self._id}:{self._ordinal}" if self._id else None

    async def fetch(self, most: int) -> list[bytes]:
        """Return the next entries, all fields of each. See `Reader`."""
        if not self._id:
            await self._begin()
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.xinfo_stream(self._key)
            pipe.xrange(self._key, min=f"({self._id}", count=most)
            info, entries = await pipe.execute(raise_on_error=False)
        if isinstance(entries, Exception):
            raise entries
        known = _present(info)
        if self._is_gone(known):
            self._start_over()
            return []
        if known is not None:
            self._account(known, len(entries))
        if not entries:
            # What it returns is read again, with the rest: an answer here says that there is some.
            await self._client.xread({self._key: self._id}, count=1, block=self._block)
        self._fetched = deque(identity.decode() for identity, _ in entries)
        return [b"\n".join(fields.values()) for _, fields in entries]

    def advance(self) -> None:
        """Move past one entry."""
        self._id = self._fetched.popleft()
        self._ordinal += 1
        self.waiting -= 1
        self._within = True

    def stored(self, place: str) -> None:
        """Nothing to do: Suricata trims the stream."""

    async def close(self) -> None:
        """Nothing runs beside."""

    async def _begin(self) -> None:
        """Find where a first start begins: where there is no stream yet, at its beginning."""
        try:
            info: Info | None = await self._client.xinfo_stream(self._key)
        except ResponseError as error:
            info = _present(error)
        self._id = _BEGINNING
        if info is None:
            return
        added = info.get("entries-added", 0)
        self._ordinal = max(0, added - info["length"])
        if self._start == "end":
            self._id, self._ordinal = info["last-generated-id"].decode(), added

    def _is_gone(self, info: Info | None) -> bool:
        """Whether the stream that has come as far as we know is there no more."""
        if info is None:
            return self._id != _BEGINNING
        added = info.get("entries-added", self._ordinal)
        last = _number(info["last-generated-id"])
        return bool(added < self._ordinal or last < _number(self._id))

    def _start_over(self) -> None:
        self._id, self._ordinal, self.waiting = _BEGINNING, 0, 0
        self._losses.occasions["deleted"] += 1
        _log.warning(
            "the stream was deleted; what was not read of it is lost, and a new one is read from "
            "its beginning",
            key=self._key,
        )

    def _account(self, info: Info, found: int) -> None:
        """Count what was trimmed unread, and what waits."""
        if "entries-added" not in info:
            self._notice_trimmed(info)
            self.waiting = found
            return
        self._count_trimmed(info["entries-added"] - info["length"])
        if not found:  # all is read: what others deleted in the middle is out of the count
            self._ordinal = info["entries-added"]
        self.waiting = info["entries-added"] - self._ordinal

    def _count_trimmed(self, removed: int) -> None:
        lost = removed - self._ordinal
        if lost > 0:
            self._ordinal = removed
            self._losses.lines["trimmed"] += lost
            self._tell_trimmed(lost)

    def _notice_trimmed(self, info: Info) -> None:
        """Of an older server: it may be that only entries that were read are gone."""
        first = info["first-entry"]
        within = not first or _number(first[0]) <= _number(self._id) or self._id == _BEGINNING
        if self._within and not within:
            self._tell_trimmed(None)
        self._within = within

    def _tell_trimmed(self, lines: int | None) -> None:
        self._losses.occasions["trimmed"] += 1
        _log.warning(
            "the stream was trimmed before it was read; raise `stream-maxlen` of Suricata's Redis "
            "output",
            key=self._key,
            lines=lines if lines is not None else "unknown",
        )


def _present(answer: Info | Exception) -> Info | None:
    """Return what XINFO STREAM says, None where there is no stream; raises what else it says."""
    if not isinstance(answer, Exception):
        return answer
    if "no such key" in str(answer):
        return None
    raise answer


def _number(identity: bytes | str) -> tuple[int, int]:
    text = identity.decode() if isinstance(identity, bytes) else identity
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence)
