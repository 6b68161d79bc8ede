"""Following eve.json files of another host (pfSense) over SSH, across rotations and lost lines."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import structlog

from ai_suricata.core.errors import FirewallRefusedError, FirewallUnreachableError
from ai_suricata.source.base import Batch, Lag, Losses
from ai_suricata.source.line import MOST_SAMPLES
from ai_suricata.source.merge import Merge
from ai_suricata.source.ssh.block import READ_BYTES
from ai_suricata.source.ssh.chain import RemoteChain
from ai_suricata.source.ssh.folder import is_pattern
from ai_suricata.source.ssh.roster import MOST_PATHS, Roster, latest_first
from ai_suricata.source.ssh.session import Session, SessionLostError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence

    from ai_suricata.config.firewall import FirewallSettings
    from ai_suricata.config.source import SourceSettings
    from ai_suricata.core.position import Place, Position

GLOB_INTERVAL = 5.0
"""Seconds between two looks at the globs: each is a listing of a folder over the line."""

FIRST_PAUSE = 0.5
"""Seconds before the first attempt to connect again; each further pause is twice as long."""

LONGEST_PAUSE = 60.0
"""Seconds between attempts at most, and where only the operator can change something."""

_log = structlog.get_logger(__name__)


class SshTail:
    """A source of files that grow on another host (`ai_suricata.source.base.Source`).

    Connects in `batches`, and again whenever the connection is lost. `settings.start` counts for
    what stands at a path at the first look of a first start. The position names each path
    `ssh://HOST/path`; a glob is held with an empty tuple, so that what a later run finds is new.
    """

    def __init__(
        self,
        settings: SourceSettings,
        firewall: FirewallSettings,
        position: Position | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`position`: where an earlier run stood, or None. `clock`: seconds, from any start."""
        self._settings = settings
        self._clock = clock
        self._prefix = f"ssh://{firewall.host}/"
        self._stopped = asyncio.Event()
        self._session = Session(firewall)
        self._is_open = False
        self._losses = Losses()
        self._patterns = tuple(filter(is_pattern, settings.paths))
        self._roster = Roster(
            self._patterns, {one for one in self._patterns if self._key(one) in (position or {})}
        )
        self._matched_at: float | None = None
        self._unread = 0
        self._chains: dict[str, RemoteChain] = {}
        self._dropped_rotations = 0
        self._failures = 0
        self._obstacle: str | None = "connecting to the firewall"
        self._told: str | None = None
        self._merge = Merge()
        self._begin(position or {})

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield whatever waits, up to the batch size, until `stop`; the connection ends then."""
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            while await _before(stopped, self._read()):
                # In one step: nobody may see a position before its lines are handed out.
                batch = self._batch()
                if batch is not None:
                    yield batch
                elif not await _before(stopped, asyncio.sleep(self._settings.poll_interval)):
                    return
        finally:
            stopped.cancel()
            self._disconnect()

    def stop(self) -> None:
        """Stop reading: `batches` ends after the batch that it is handing out."""
        self._stopped.set()

    def lag(self) -> Lag:
        """Return how much is known to be written and was not handed out."""
        chains = self._chains.values()
        return Lag(sum(chain.lag for chain in chains), sum(len(chain.logs) for chain in chains))

    def stored(self, position: Position) -> None:
        """Nothing to do: files stay where they are, whether they have been counted or not."""

    @property
    def losses(self) -> Losses:
        """What has been lost since the start."""
        return self._losses

    @property
    def position(self) -> Position:
        """Where the source stands: behind the last batch that was handed out."""
        position: Position = {self._key(one): () for one in self._roster.known_patterns}
        position.update((self._key(path), places) for path, places in self._roster.places())
        for path, chain in self._chains.items():
            places = chain.position
            if places is not None and (places or not chain.globbed):
                position[self._key(path)] = places
        return position

    @property
    def rotations(self) -> int:
        """Rotations, truncations and re-creations seen so far."""
        return self._dropped_rotations + sum(chain.rotations for chain in self._chains.values())

    @property
    def waiting_for(self) -> str | None:
        """What can't be read and why, one sentence each, or None."""
        if self._obstacle is not None:
            return self._obstacle
        obstacles = [chain.obstacle for chain in self._chains.values() if chain.obstacle]
        if self._unread:
            obstacles.append(
                f"{self._unread} files on the firewall that EVE_PATH matches and that were changed "
                f"within a day are not read: at most {MOST_PATHS} are at once; let it match fewer"
            )
        return "; ".join(obstacles + self._roster.unmatched()) or None

    def _key(self, path: str) -> str:
        return self._prefix + path.lstrip("/")

    def _begin(self, position: Position) -> None:
        """Take up the paths of an earlier run, and those that the settings name."""
        for path in self._settings.paths:
            if path not in self._patterns:
                self._follow(path, position.get(self._key(path)))
        matched: dict[str, Sequence[Place]] = {}
        for key in position:
            path = "/" + key.removeprefix(self._prefix)
            is_matched = any(PurePosixPath(path).match(pattern) for pattern in self._patterns)
            if key.startswith(self._prefix) and is_matched and path not in self._patterns:
                matched[path] = position[key]
        for number, path in enumerate(latest_first(matched)):
            if number < MOST_PATHS:
                self._follow(path, matched[path], globbed=True)
            elif path not in self._chains:
                self._roster.rest(path, matched[path])

    def _follow(self, path: str, known: Sequence[Place] | None, *, globbed: bool = False) -> None:
        if path not in self._chains:
            self._chains[path] = RemoteChain(
                path, self._settings, self._losses, known=known, globbed=globbed
            )

    async def _read(self) -> None:
        """Read what waits; where there is no connection, wait for the next attempt."""
        try:
            if not self._is_open:
                await self._session.open()
                self._is_open = True
            await self._poll(self._clock())
        except (SessionLostError, FirewallUnreachableError, FirewallRefusedError) as error:
            self._disconnect()
            await asyncio.sleep(self._pause(error))
        else:
            self._recover()

    def _disconnect(self) -> None:
        """Give up the connection; what was read and not handed out is read again."""
        for chain in self._chains.values():
            chain.disconnect()
        self._session.close()
        self._is_open = False

    def _pause(self, error: Exception) -> float:
        """Tell of a failure, once each kind; return the seconds until the next attempt."""
        self._obstacle = str(error)
        kind = "refused" if isinstance(error, FirewallRefusedError) else "lost"
        if kind != self._told:
            _log.warning("events can't be read from the firewall", reason=self._obstacle)
            self._told = kind
        longest = FIRST_PAUSE * 2.0 ** min(self._failures, 30)
        self._failures += 1
        if kind == "refused":
            longest = LONGEST_PAUSE
        return min(LONGEST_PAUSE, longest) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def _recover(self) -> None:
        """Take note that the connection serves."""
        if self._told is not None:
            _log.info("events are read from the firewall again")
        self._obstacle = self._told = None
        self._failures = 0

    async def _poll(self, now: float) -> None:
        """Look at all paths, and read a batch from each."""
        await self._match(now)
        chains = list(self._chains.values())
        await _all(chain.refresh(self._session, now) for chain in chains)
        room = self._settings.batch_size
        budget = max(READ_BYTES, self._settings.buffer_bytes // 2 // max(1, len(chains)))
        await _all(chain.fill(self._session, room, budget, now) for chain in chains)

    def _batch(self) -> Batch | None:
        """Hand out what was read, without waiting."""
        now, chains = self._clock(), list(self._chains.values())
        lines, origins = self._merge.take(chains, self._settings.batch_size, now)
        for chain in chains:
            last = chain.let_go(now, self._settings.batch_size - len(lines))
            if last:
                lines += last
                origins.append((chain.path, len(last)))
        rejected, samples = self._take_rejected()
        if not lines and not rejected:
            return None
        return Batch(
            lines,
            self.position,
            {"too_long": rejected} if rejected else {},
            [("too_long", sample) for sample in samples],
            origins if self._patterns or len(self._settings.paths) > 1 else (),
        )

    def _take_rejected(self) -> tuple[int, list[bytes]]:
        count, samples = 0, []
        for chain in self._chains.values():
            number, beginnings = chain.take_rejected()
            count += number
            samples += beginnings
        return count, samples[:MOST_SAMPLES]

    async def _match(self, now: float) -> None:
        """Follow what the globs match now; let go of what is gone, and of old files once read."""
        if self._matched_at is not None and now - self._matched_at < GLOB_INTERVAL:
            return
        await self._roster.look(self._session, self._chains)
        self._matched_at = now
        newest = self._roster.newest()
        for path, chain in list(self._chains.items()):
            if not chain.globbed:
                continue
            if path not in self._roster:
                if chain.is_empty:
                    self._drop(path)
            elif path not in newest and chain.may_rest(self._roster.written(path)):
                self._roster.rest(path, chain.position)
                self._drop(path)
                await chain.close()
        self._follow_newest(newest)

    def _drop(self, path: str) -> None:
        self._dropped_rotations += self._chains.pop(path).rotations

    def _follow_newest(self, newest: Sequence[str]) -> None:
        """Follow these paths, as far as those that are not yet read to their end leave room."""
        room = MOST_PATHS - sum(chain.globbed for chain in self._chains.values())
        new = [path for path in newest if path not in self._chains]
        for path in new[: max(0, room)]:
            self._follow(path, self._roster.wake(path), globbed=True)
        unread = self._roster.unread(self._chains)
        if unread and not self._unread:
            _log.warning("too many files match EVE_PATH: some are not read", files=unread)
        self._unread = unread


async def _all(steps: Iterable[Awaitable[None]]) -> None:
    """Take steps side by side: all have ended before the error of one is raised."""
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def _before(stopped: asyncio.Task[bool], step: Coroutine[Any, Any, None]) -> bool:
    """Take a step, which a stop breaks off; return whether it came to its end before."""
    task = asyncio.create_task(step)
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            return False
        task.result()  # a programming error in it is raised here
        return True
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
