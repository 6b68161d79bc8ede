"""Following local eve.json files: several at once, across rotations and restarts."""

from __future__ import annotations

import asyncio
import glob
import os
import time
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import structlog

from ai_suricata.core.position import files_of
from ai_suricata.source.base import Batch, Lag, Losses
from ai_suricata.source.chain import Chain
from ai_suricata.source.identity import COMPRESSED, inode_of
from ai_suricata.source.line import MOST_SAMPLES
from ai_suricata.source.obstacle import describe_pattern
from ai_suricata.source.registry import Registry
from ai_suricata.source.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import Position
    from ai_suricata.source.identity import Inode

GLOB_INTERVAL = 1.0
"""Seconds between two looks at the globs: new files are rarer than new lines."""

MANY = 64
"""Paths from which on quiet files of an earlier run are not opened: descriptors are limited."""

_log = structlog.get_logger(__name__)


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
        self._watch = Watch(settings.poll_interval)
        self._registry = Registry()
        self._chains: dict[str, Chain] = {}
        self._patterns = tuple(path for path in settings.paths if _is_pattern(path))
        self._dropped_rotations = 0
        self._turn = 0
        self._losses = Losses()
        self._is_shared = len(settings.paths) > 1 or bool(self._patterns)
        self._begin(position or {}, clock())

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield whatever waits, up to the batch size, until `stop`; the files are closed then."""
        try:
            while not self._watch.stopped:
                batch = self.poll()
                if batch is None:
                    await self._watch.changed()
                else:
                    yield batch
                    await asyncio.sleep(0)  # a full backlog must not keep others from running
        finally:
            self.close()

    def poll(self) -> Batch | None:
        """Return what waits now, None where nothing does. Does not wait."""
        now = self._clock()
        self._look(now)
        origins: list[tuple[str, int]] = []
        lines = self._collect(now, origins)
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
            origins if self._is_shared else (),
        )

    def stop(self) -> None:
        """Stop reading: `batches` ends after the batch that it is handing out."""
        self._watch.stop()

    def close(self) -> None:
        """Close all files. The position can still be asked for."""
        for chain in self._chains.values():
            chain.close()

    def lag(self) -> Lag:
        """Return how much has been written and not yet handed out, over all open files."""
        files = [file for chain in self._chains.values() for file in chain.files]
        return Lag(sum(file.lag() for file in files), len(files))

    def stored(self, position: Position) -> None:
        """Nothing to do: files stay where they are, whether they have been counted or not."""

    @property
    def losses(self) -> Losses:
        """What has been lost since the start."""
        return self._losses

    @property
    def position(self) -> Position:
        """Where the source stands: behind the last batch that was handed out."""
        position: Position = dict.fromkeys(self._patterns, ())
        for path, chain in self._chains.items():
            if not chain.is_empty or (path in self._settings.paths and chain.is_new):
                position[path] = chain.position
        return position

    @property
    def rotations(self) -> int:
        """Rotations, truncations and re-creations seen so far."""
        return self._dropped_rotations + sum(chain.rotations for chain in self._chains.values())

    @property
    def waiting_for(self) -> str | None:
        """What can't be read and why, one sentence each, or None."""
        obstacles = [chain.obstacle for chain in self._chains.values() if chain.obstacle]
        return "; ".join(obstacles + self._unmatched()) or None

    def _begin(self, known: Position, now: float) -> None:
        """Find the files of an earlier run first: only then is it clear which others are new."""
        for path in self._settings.paths:
            if path not in self._patterns:
                self._follow(path, globbed=False, at_end=path not in known)
        for path in known:
            if path not in self._chains and path not in self._patterns and self._is_matched(path):
                self._follow(path, globbed=True, at_end=False)
        for path, chain in self._chains.items():
            sparing = len(self._chains) > MANY and path not in self._settings.paths
            chain.resume(files_of(known, path), sparing=sparing)
        for chain in self._chains.values():
            chain.look(now)
        for pattern in self._patterns:
            self._match(pattern, now, at_end=pattern not in known)
        self._matched_at = now
        for reason in self._unmatched():
            _log.warning("waiting for a file", reason=reason)

    def _unmatched(self) -> list[str]:
        """Return a sentence on each glob that matches nothing."""
        return [
            describe_pattern(pattern)
            for pattern in self._patterns
            if not any(PurePath(path).match(pattern) for path in self._chains)
        ]

    def _follow(self, path: str, *, globbed: bool, at_end: bool) -> Chain:
        at_end = at_end and self._settings.start == "end"
        chain = Chain(path, self._settings, self._registry, globbed=globbed, at_end=at_end)
        self._chains[path] = chain
        return chain

    def _is_matched(self, path: str) -> bool:
        return any(PurePath(path).match(pattern) for pattern in self._patterns)

    def _look(self, now: float) -> None:
        for chain in self._chains.values():
            chain.look(now)
        if now - self._matched_at >= GLOB_INTERVAL:
            self._match_all(now)

    def _match_all(self, now: float) -> None:
        """Look at the globs again, and forget the paths that are gone."""
        self._matched_at = now
        matched = {path for pattern in self._patterns for path in self._match(pattern, now)}
        self._registry.forget({inode for path in matched if (inode := _inode(path))})
        for path in [path for path, chain in self._chains.items() if chain.is_empty]:
            if path not in matched and path not in self._settings.paths:
                self._dropped_rotations += self._chains.pop(path).rotations

    def _match(self, pattern: str, now: float, *, at_end: bool = False) -> list[str]:
        """Follow the matching paths that nobody reads yet; return all that match."""
        found = sorted(glob.glob(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern
        matched = [path for path in found if not path.endswith(COMPRESSED)]
        for path in matched:
            if path not in self._chains and not self._is_taken(path):
                self._follow(path, globbed=True, at_end=at_end).look(now)
        return matched

    def _is_taken(self, path: str) -> bool:
        inode = _inode(path)
        return inode is None or self._registry.is_taken(inode)

    def _take_rejected(self) -> tuple[int, list[bytes]]:
        """Return how many lines were too long since the latest batch, and some of them."""
        count, samples = 0, []
        for chain in self._chains.values():
            number, beginnings = chain.files.take_rejected()
            count += number
            samples += beginnings
        return count, samples[:MOST_SAMPLES]

    def _collect(self, now: float, origins: list[tuple[str, int]]) -> list[bytes]:
        """Take lines from the paths in turn, a like share each, until the batch is full."""
        lines: list[bytes] = []
        waiting = self._in_turn()
        room = self._settings.batch_size
        while waiting and room:
            share = max(1, room // len(waiting))
            counts = []
            for chain in waiting:
                taken = chain.take(min(share, room), now)
                lines += taken
                room -= len(taken)
                if taken:
                    origins.append((chain.path, len(taken)))
                counts.append(len(taken))
            waiting = [
                chain for chain, count in zip(waiting, counts, strict=True) if count == share
            ]
        return lines

    def _in_turn(self) -> list[Chain]:
        """Return the paths, another one first each time."""
        chains = list(self._chains.values())
        self._turn = (self._turn + 1) % max(1, len(chains))
        return chains[self._turn :] + chains[: self._turn]

    def _let_go(self, now: float, room: int, origins: list[tuple[str, int]]) -> list[bytes]:
        lines: list[bytes] = []
        before = self._open_files()
        for chain in self._chains.values():
            last = chain.let_go(now, room - len(lines))
            if last:
                lines += last
                origins.append((chain.path, len(last)))
        if self._patterns and self._open_files() < before:
            self._match_all(now)  # a finished file that a glob matches too keeps its place there
        return lines

    def _open_files(self) -> int:
        return sum(len(chain.files) for chain in self._chains.values())


def _inode(path: str) -> Inode | None:
    try:
        return inode_of(Path(path).stat())
    except OSError:  # gone since it was matched
        return None


def _is_pattern(path: str) -> bool:
    """Whether the path is a glob; a file may have brackets in its name."""
    return glob.has_magic(path) and not os.path.lexists(path)
