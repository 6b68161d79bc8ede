"""Suricata's own Redis output (`filetype: redis`), in each of its modes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from ai_suricata.core.errors import ConfigError
from ai_suricata.source.base import Batch, Lag, Losses
from ai_suricata.source.message import Cutter
from ai_suricata.source.redis.channel import ChannelReader
from ai_suricata.source.redis.length import EntryLength
from ai_suricata.source.redis.list import ListReader
from ai_suricata.source.redis.reader import FAILURES, Outage
from ai_suricata.source.redis.stream import StreamReader
from ai_suricata.state.clients import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence

    from ai_suricata.config.settings import RedisSettings
    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import Position
    from ai_suricata.source.redis.reader import Reader
    from ai_suricata.state.clients import Client

T = TypeVar("T")


class RedisInput:
    """A source that reads the key to which Suricata writes (`ai_suricata.source.base.Source`).

    | mode | what a kill or an outage costs |
    |---|---|
    | list, rpush | nothing: entries are removed once it is stored that they were analysed |
    | stream | nothing, unless Suricata trims the stream meanwhile: that is counted |
    | channel | what is published while we are away or our buffer is full: the latter is counted |

    The position is one place under `redis:KEY`, in the words of the mode; a channel has none. In
    the modes list and rpush all that is in the list is read, whatever EVE_START says: who else
    would remove it? An entry is a line, as Suricata writes it; one of more lines than a batch holds
    is read again from its beginning after a kill.
    """

    def __init__(
        self,
        settings: SourceSettings,
        redis: RedisSettings,
        position: Position | None = None,
        instance: str = "",
    ) -> None:
        """`redis`: of the server, if EVE_REDIS_URL names no other; `instance`: our name.

        Raises `ConfigError`. Nothing is sent before `batches`.
        """
        self._settings = settings
        self._name = f"redis:{settings.redis_key}"
        self._losses = Losses()
        self._outage = Outage(settings)
        self._cutter = Cutter(settings.max_line_bytes)
        self._stopping = asyncio.Event()
        self._length = EntryLength(settings.max_line_bytes)
        self._client = client_of(settings, redis)
        place = next((p for p in (position or {}).get(self._name, ()) if isinstance(p, str)), None)
        self._reader = self._make_reader(place, instance, redis.socket_timeout)

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield whatever waits, up to the batch size, until `stop`; the client is closed then."""
        try:
            while not self._stopping.is_set():
                entries = await self._unless_stopped(self._fetch())
                for batch in self._cut(entries or ()):
                    yield batch
                    await asyncio.sleep(0)  # a full backlog must not keep others from running
                    if self._stopping.is_set():
                        return
        finally:
            await self._reader.close()
            await self._client.aclose()

    def stop(self) -> None:
        """Stop reading: `batches` ends after the batch that it is handing out."""
        self._stopping.set()

    def lag(self) -> Lag:
        """Return what waits: of a channel what was heard; else the entries times their mean."""
        if isinstance(self._reader, ChannelReader):
            return Lag(self._reader.inbox.bytes, 1)
        return Lag(int(self._reader.waiting * self._length.mean), 1)

    def stored(self, position: Position) -> None:
        """Let what is durable be removed from the list, at the next look at it."""
        for place in position.get(self._name, ()):
            if isinstance(place, str):
                self._reader.stored(place)

    @property
    def losses(self) -> Losses:
        """What has been lost since the start."""
        return self._losses

    @property
    def position(self) -> Position:
        """Where the source stands: behind the last batch that was handed out."""
        place = self._reader.place
        return {} if place is None else {self._name: (place,)}

    @property
    def rotations(self) -> int:
        """None: there is no file."""
        return 0

    @property
    def waiting_for(self) -> str | None:
        """Why nothing can be read, in words, or None."""
        return self._outage.reason

    def _make_reader(self, place: str | None, instance: str, answer_within: float) -> Reader:
        settings, client, losses = self._settings, self._client, self._losses
        if settings.redis_mode == "channel":
            return ChannelReader(client, settings, answer_within, losses, self._outage)
        if settings.redis_mode == "stream":
            return StreamReader(client, settings, place, answer_within, losses)
        return ListReader(client, settings, place, instance, losses)

    async def _fetch(self) -> Sequence[bytes]:
        """Ask for the next entries; where that fails, wait before the next attempt."""
        try:
            entries = await self._reader.fetch(self._most())
        except FAILURES as error:
            await asyncio.sleep(self._outage.begin(error))
            return ()
        if not isinstance(self._reader, ChannelReader):  # which tells by itself
            self._outage.end()
        self._length.note(entries)
        return entries

    def _most(self) -> int:
        """Return how many entries to ask for: about an eighth of the buffer in bytes.

        Their length is known once they are here: a sudden run of long ones can exceed that once.
        """
        fitting = int(self._settings.buffer_bytes / 8 / self._length.expected)
        return max(1, min(fitting, self._settings.batch_size))

    def _cut(self, entries: Sequence[bytes]) -> Iterator[Batch]:
        """Cut entries into lines; the position moves past an entry with its last line."""
        size = self._settings.batch_size
        lines: list[bytes] = []
        for entry in entries:
            new = self._cutter.cut(entry)
            if lines and len(lines) + len(new) > size:
                yield self._batch(lines)
                lines = []
            while len(new) > size:
                yield self._batch(new[:size])
                new = new[size:]
            self._reader.advance()
            lines += new
        if lines or self._cutter.rejected:
            yield self._batch(lines)

    def _batch(self, lines: list[bytes]) -> Batch:
        rejected, samples = self._cutter.take_rejected()
        return Batch(lines, self.position, rejected, samples)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do the work; drop it, whatever it waits for, and return None when told to stop."""
        doing = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            doing.cancel()
            stopping.cancel()
            await asyncio.gather(doing, stopping, return_exceptions=True)


def client_of(settings: SourceSettings, redis: RedisSettings) -> Client:
    """Return a client of the server that EVE_REDIS_URL names, else of the one of REDIS_URL."""
    if settings.redis_url is None:
        return connect(redis)
    changes: dict[str, object] = {
        "url": settings.redis_url,
        "db": 0,
        "username": None,
        "password": None,
        "sentinels": (),
        "cluster": False,
    }
    try:
        return connect(redis.model_copy(update=changes))
    except ConfigError as error:
        raise ConfigError(
            [problem.replace("REDIS_URL", "EVE_REDIS_URL") for problem in error.problems]
        ) from None
