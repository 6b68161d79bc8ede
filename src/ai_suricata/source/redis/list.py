"""Suricata's Redis output in the modes `list` and `rpush`: each entry once, also across kills.

Entries are read without being removed, and removed once it is durable that they were analysed. What
was removed is counted by a marker beside the list, in the same transaction: when a restart, or an
answer that was lost, leaves it open whether entries were removed, the marker says so. The position
is "EPOCH:HANDED", the marker "EPOCH:REMOVED:INSTANCE". Both count entries since the epoch began; it
begins anew where position and marker know nothing of each other.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from redis.exceptions import WatchError

from ai_suricata.source.redis.reader import TakenError, marker_of

if TYPE_CHECKING:
    from ai_suricata.config.source import SourceSettings
    from ai_suricata.source.base import Losses
    from ai_suricata.state.clients import Client

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """How many entries of an epoch are done with; of a marker, also whose it is."""

    epoch: str
    count: int
    instance: str = field(default="", compare=False)

    @classmethod
    def read(cls, value: bytes | str | None) -> Mark | None:
        """Read a marker or a place; None for none, and for what is neither."""
        text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
        epoch, _, rest = text.partition(":")
        count, _, instance = rest.partition(":")
        if not epoch or not (count.isascii() and count.isdecimal()):
            return None
        return cls(epoch, int(count), instance)


class ListReader:
    """Reads a list whose oldest entry is at the right end (LPUSH) or at the left one (RPUSH)."""

    def __init__(
        self,
        client: Client,
        settings: SourceSettings,
        place: str | None,
        instance: str,
        losses: Losses,
    ) -> None:
        """`place`: where an earlier run stood, or None; `instance`: our name in the marker."""
        self.waiting = 0
        self._client = client
        self._key = settings.redis_key
        self._marker = marker_of(settings.redis_key)
        self._oldest_right = settings.redis_mode == "list"
        self._interval = settings.poll_interval
        self._instance = instance
        self._losses = losses
        known = Mark.read(place)
        self._epoch = known.epoch if known else ""
        self._handed = self._durable = self._removed = known.count if known else 0
        self._fetched: deque[bytes] = deque()
        self._last: bytes | None = None  # the entry that was moved past last
        self._has_begun = False
        self._is_certain = False  # whether marker and list are as we left them

    @property
    def place(self) -> str | None:
        """Return epoch and number of entries handed out."""
        return f"{self._epoch}:{self._handed}" if self._epoch else None

    async def fetch(self, most: int) -> list[bytes]:
        """Return the next entries; what is durable is removed first. See `Reader`."""
        certain, self._is_certain = self._is_certain, False  # an error leaves it at that
        if not certain and not await self._begin():
            return []
        if self._durable > self._removed and not await self._remove(self._durable):
            return []
        entries = await self._peek(most)
        if self._is_certain and not entries:
            await asyncio.sleep(self._interval)
        self._fetched = deque(entries)
        return entries

    def advance(self) -> None:
        """Move past one entry."""
        self._last = self._fetched.popleft()
        self._handed += 1
        self.waiting -= 1

    def stored(self, place: str) -> None:
        """Let the entries up to `place` be removed at the next `fetch`."""
        known = Mark.read(place)
        if known is not None and known.epoch == self._epoch:
            self._durable = max(self._durable, min(known.count, self._handed))

    async def close(self) -> None:
        """Nothing runs beside. What is durable and not removed yet, the next start removes."""

    async def _begin(self) -> bool:
        """Learn from the marker what has been removed; set it where it says nothing to us."""
        marker = Mark.read(await self._client.get(self._marker))
        if marker is not None and marker.epoch == self._epoch:
            self._continue_from(marker.count)
        elif not self._has_begun:
            self._has_begun = await self._begin_epoch(marker)
            return self._has_begun
        elif marker is None:
            self._tell_lost()
            return await self._find_again(None)
        else:
            raise TakenError(
                f"instance {marker.instance!r} reads the list {self._key} too, which no two can; "
                "stop one of them, and start this one again"
            )
        self._has_begun = True
        return True

    def _continue_from(self, removed: int) -> None:
        self._removed = removed
        if removed > self._handed:
            _log.warning(
                "entries that the state knows nothing of were removed from the list: the state is "
                "older than the list",
                key=self._key,
                entries=removed - self._handed,
            )
            self._handed = self._durable = removed

    async def _begin_epoch(self, marker: Mark | None) -> bool:
        if self._epoch or marker is not None:
            _log.warning(
                "the list is read from its old end: state and list don't know each other; if "
                "another instance reads this list too, stop it",
                key=self._key,
                reader_before=marker.instance if marker else None,
            )
        # Named before it is written: if the answer is lost, the marker is known to be ours.
        self._epoch = secrets.token_hex(4)
        self._handed = self._durable = self._removed = 0
        return await self._write(marker, Mark(self._epoch, 0))

    async def _peek(self, most: int) -> list[bytes]:
        """Read on behind what was handed out; return nothing where the list is not as we left it.

        The last entry that was handed out is read again: if it is not in its place, somebody else
        has removed entries.
        """
        seen = self._handed - self._removed
        again = 1 if seen and self._last is not None else 0
        first, last = seen - again, seen + most - 1
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.get(self._marker)
            pipe.llen(self._key)
            pipe.lrange(self._key, *(self._from_old_end(first, last)))
            marker, length, entries = await pipe.execute()
        if Mark.read(marker) != Mark(self._epoch, self._removed):
            return []
        if self._oldest_right:
            entries.reverse()
        if length < seen or (again and entries[:1] != [self._last]):
            self._tell_taken()
            await self._find_again(Mark(self._epoch, self._removed))
            return []
        self.waiting = length - seen
        self._is_certain = True
        found: list[bytes] = entries[again:]
        return found

    def _from_old_end(self, first: int, last: int) -> tuple[int, int]:
        return (-last - 1, -first - 1) if self._oldest_right else (first, last)

    async def _remove(self, up_to: int) -> bool:
        """Remove entries up to this count; return whether the marker was ours until then."""
        before, after = Mark(self._epoch, self._removed), Mark(self._epoch, up_to)
        return await self._write(before, after, up_to - self._removed)

    async def _write(self, before: Mark | None, after: Mark, count: int = 0) -> bool:
        """Remove so many entries and set the marker, if it is still `before`.

        Where an error leaves the outcome open, `_begin` looks at the marker again.
        """
        async with self._client.pipeline(transaction=True) as pipe:
            await pipe.watch(self._marker)
            if Mark.read(await pipe.get(self._marker)) != before:
                return False
            pipe.multi()  # type: ignore[no-untyped-call] # redis-py's
            pipe.llen(self._key)
            if count:
                pipe.ltrim(self._key, *((0, -count - 1) if self._oldest_right else (count, -1)))
            pipe.set(self._marker, f"{after.epoch}:{after.count}:{self._instance}")
            try:
                length, *_ = await pipe.execute()
            except WatchError:  # somebody else was faster, or the connection was lost meanwhile
                return False
        if length < count:
            self._tell_taken()
        self._removed = after.count
        return True

    async def _find_again(self, marker: Mark | None) -> bool:
        """Find the last entry that was handed out, wherever it stands now, and set the marker.

        Where it is gone, all that is there came after it.
        """
        seen = 0
        if self._last is not None:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.llen(self._key)
                pipe.lpos(self._key, self._last, rank=-1 if self._oldest_right else 1)  # type: ignore[arg-type] # bytes, too
                length, index = await pipe.execute()
            if index is not None:
                seen = length - index if self._oldest_right else index + 1
        return await self._write(marker, Mark(self._epoch, self._handed - seen))

    def _tell_lost(self) -> None:
        self._losses.occasions["deleted"] += 1
        _log.warning(
            "the marker of the list is gone: Redis was emptied, or removes keys for lack of memory "
            "(maxmemory-policy); entries may be lost",
            key=self._key,
        )

    def _tell_taken(self) -> None:
        if not self._losses.occasions["taken"]:
            _log.warning(
                "somebody else removes entries from the list, unread by us; let nobody else read "
                "it, or use Suricata's mode stream, which any number can read",
                key=self._key,
            )
        self._losses.occasions["taken"] += 1
