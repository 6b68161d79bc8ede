"""Following local eve.json files: several at once, across rotations and restarts."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ai_suricata.source.base import Batch, Lag, Losses
from ai_suricata.source.file.roster import GLOB_INTERVAL, Roster
from ai_suricata.source.file.watch import Watch
from ai_suricata.source.line import MOST_SAMPLES
from ai_suricata.source.merge import Merge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import Position

__all__ = ["GLOB_INTERVAL", "Tail"]


class Tail:
    """A source of files that grow (`ai_suricata.source.base.Source`).

    Files are opened at construction: what is written from then on is handed out, whatever
    `settings.start` says. The position also holds each glob, and each path without a file, with an
    empty tuple: they were followed, so what a later run finds there is new.
    """

    def __init__(
        self,
        settings: SourceSettings,
        position: Position | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`position`: where an earlier run stood, or None. `clock`: seconds, from any start."""
        self._settings = settings
        self._clock = clock
        self._watch = Watch(settings)
        self._losses = Losses()
        self._roster = Roster(settings, self._losses)
        self._roster.begin(position or {}, clock())
        self._merge = Merge()
        self._lag = 0  # as it was when the files could be asked last

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield whatever waits, up to the batch size, until `stop`; the files are closed then."""
        try:
            while not self._watch.stopped:
                batch = self.poll()
                if batch is not None:
                    yield batch
                if self.is_busy or (batch and len(batch.lines) == self._settings.batch_size):
                    await asyncio.sleep(0)  # a full backlog must not keep others from running
                elif batch is not None:
                    await self._watch.pause()
                else:
                    await self._watch.changed()
        finally:
            self._watch.close()
            self.close()

    def poll(self) -> Batch | None:
        """Return what waits now, None where nothing does or is only being unpacked (`is_busy`)."""
        now = self._clock()
        self._roster.look(now, has_notice=self._watch.take_notice())
        batch = self._next_batch(now)
        while batch is None and sum(chain.backlog.open(now) for chain in self._roster) > 0:
            batch = self._next_batch(now)
        return batch

    @property
    def is_busy(self) -> bool:
        """Whether there is more to read, though the latest look has brought no line."""
        return any(chain.files.is_busy for chain in self._roster)

    def _next_batch(self, now: float) -> Batch | None:
        lines, origins = self._merge.take(list(self._roster), self._settings.batch_size, now)
        room = self._settings.batch_size - len(lines)
        if room:
            lines += self._let_go(now, room, origins)
        rejected, samples = self._take_rejected()
        if not lines and not rejected:
            return None
        return Batch(
            lines,
            self.position,
            {"too_long": rejected} if rejected else {},
            [("too_long", sample) for sample in samples],
            origins if self._roster.is_shared else (),
        )

    def stop(self) -> None:
        """Stop reading: `batches` ends after the batch that it is handing out."""
        self._watch.stop()

    def close(self) -> None:
        """Close all files. The position can still be asked for."""
        for chain in self._roster:
            chain.close()

    def lag(self) -> Lag:
        """Return how much has been written and not yet handed out, over all open files."""
        files = [file for chain in self._roster for file in chain.files]
        with suppress(OSError):  # a mount that was lost: the next look says so
            self._lag = sum(file.lag() for file in files)
        return Lag(self._lag, len(files))

    def stored(self, position: Position) -> None:
        """Nothing to do: files stay where they are, whether they have been counted or not."""

    @property
    def losses(self) -> Losses:
        """What has been lost since the start."""
        return self._losses

    @property
    def position(self) -> Position:
        """Where the source stands: behind the last batch that was handed out."""
        return self._roster.position

    @property
    def rotations(self) -> int:
        """Rotations, truncations and re-creations seen so far."""
        return self._roster.rotations

    @property
    def waiting_for(self) -> str | None:
        """What can't be read and why, one sentence each, or None."""
        obstacles = [chain.obstacle for chain in self._roster if chain.obstacle]
        return "; ".join(obstacles + self._roster.unmatched()) or None

    def _take_rejected(self) -> tuple[int, list[bytes]]:
        """Return how many lines were too long since the latest batch, and some of them."""
        count, samples = 0, []
        for chain in self._roster:
            number, beginnings = chain.files.take_rejected()
            count += number
            samples += beginnings
        return count, samples[:MOST_SAMPLES]

    def _let_go(self, now: float, room: int, origins: list[tuple[str, int]]) -> list[bytes]:
        lines: list[bytes] = []
        before = self._roster.open_files
        for chain in self._roster:
            last = chain.let_go(now, room - len(lines))
            if last:
                lines += last
                origins.append((chain.path, len(last)))
        if self._roster.patterns and self._roster.open_files < before:
            self._roster.match(now)  # a path whose files are finished is followed no more
        return lines
