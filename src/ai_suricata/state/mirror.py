"""A shared copy that is written behind, and never waited for.

The local log is what a restart goes by; what Redis holds follows it. At a flush, whatever has
changed since the last one that Redis confirmed is handed over, if nothing is on the way. While
Redis is away nothing piles up: a row that changes ten times is still one row to write.
"""

from __future__ import annotations

import asyncio
import random
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import structlog

from ai_suricata.core.cancellation import heed
from ai_suricata.core.errors import StateError
from ai_suricata.state.base import Mark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.state.base import Changes, Fetched

log = structlog.get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
_LOOK = 5.0  # seconds after which an idle mirror asks whether the copy is still there
_MOST_MISSED = 2000  # addresses that are asked for at once: more would not be answered in time


class SharedBehaviour(Protocol):
    """Behaviour where several instances put theirs together."""

    async def mark(self) -> Mark | None:
        """Return how far this instance has come there, or None. Raises `StateError`."""
        ...

    async def fetch(self, addresses: Sequence[str]) -> Fetched:
        """Return what is known of the addresses, in one round trip. Raises `StateError`."""
        ...

    async def save(self, changes: Changes, before: Mark | None, after: Mark) -> bool:
        """Write the changes if the state is still `before`; return whether it was.

        Raises `StateError` where the outcome is not known: `mark` then tells.
        """
        ...


class Mirror:
    """Keeps a `SharedBehaviour` in step. Its `run` alone waits for it."""

    def __init__(self, shared: SharedBehaviour, tell: Callable[[str | None], None]) -> None:
        """`tell` hears a problem in words, or None when there is none."""
        self._shared = shared
        self._tell = tell
        self._lineage = ""
        self._known: Mark | None = None
        self._certain = False
        self._offer: Changes | None = None
        self._free = asyncio.Event()
        self._free.set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._missed: set[str] = set()
        self._failing = False
        self.up = False

    async def open(self) -> Mark | None:
        """Return how far this instance has come there; None where nobody knows, or answers."""
        try:
            self._known = await self._shared.mark()
        except StateError as error:
            self._lost(error)
            return None
        self._back()
        return self._known

    async def claim(self, mark: Mark, nothing: Changes) -> bool:
        """Take the place of `mark` under the lineage that was named; return whether that is ours.

        A daemon that still writes there then finds out that it is not alone. `nothing`: changes
        without rows, at the position of the mark. To be called before `run`.
        """
        after = Mark(self._lineage, mark.clock, mark.position)
        try:
            if await self._shared.save(nothing, mark, after):
                self._known = after
                return True
            self._known = await self._shared.mark()
        except StateError as error:
            self._lost(error)
        return False

    def continue_as(self, lineage: str) -> None:
        """Name the local log that this goes on from. To be called before `run`."""
        self._lineage = lineage

    @property
    def confirmed(self) -> int:
        """Return the clock up to which the copy has all that happened here."""
        known = self._known
        return known.clock if known is not None and known.lineage == self._lineage else 0

    def wants(self) -> int | None:
        """Return the clock since which changes are to be offered; None while some are under way."""
        if self._offer is not None or not self._certain or self._missed:
            self._wake.set()
            return None
        return 0 if self._known is None else self._known.clock

    def offer(self, changes: Changes) -> None:
        """Hand over what has changed since `wants`."""
        self._offer = changes
        self._free.clear()
        self._wake.set()

    async def free(self) -> None:
        """Wait until what was offered is written, or has failed."""
        await self._free.wait()

    async def fetch(self, addresses: Sequence[str]) -> Fetched | None:
        """Return what is known there of addresses that are new here.

        While nobody answers that is nothing; they are asked for when somebody does (`missed`).
        """
        if not addresses:
            return None
        if self.up:
            try:
                return await self._shared.fetch(addresses)
            except StateError as error:
                self._lost(error)
            finally:
                heed()
        self._missed.update(addresses)
        return None

    async def missed(self, still_here: Callable[[str], bool]) -> Fetched | None:
        """Return what is known there of the addresses that could not be asked for before.

        Where they are many, it takes several calls: nothing is wanted before the last one.
        """
        # Forgotten also while nobody answers, or a flood of forged sources would pile up here.
        self._missed = set(filter(still_here, self._missed))
        if not self.up or not self._missed:
            return None
        wanted = list(islice(self._missed, _MOST_MISSED))
        self._missed.difference_update(wanted)
        return await self.fetch(wanted)

    async def run(self) -> None:
        """Write what is offered, until `stop`; try again with backoff and jitter."""
        pause = _FIRST_PAUSE
        while not self._stopping:
            await self._work_or_look()
            answered = await self._step()
            heed()
            if answered:
                pause = _FIRST_PAUSE
                continue
            await self._rest(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries
            pause = min(2 * pause, _LONGEST_PAUSE)
        await self._step()

    def stop(self) -> None:
        """End `run` after a last try."""
        self._stopping = True
        self._wake.set()

    async def _work_or_look(self) -> None:
        """Wait for work; while there is none, ask now and then whether the copy is still there."""
        try:
            async with asyncio.timeout(_LOOK):
                await self._wake.wait()
        except TimeoutError:
            self._certain = False
        self._wake.clear()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not self._stopping:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            self._wake.set()

    async def _step(self) -> bool:
        """Learn where the copy stands, or write to it; return whether it answered."""
        try:
            if not self._certain:
                self._known = self._ours(await self._shared.mark())
                self._certain = True
            await self._write()
        except StateError as error:
            self._lost(error)
            return False
        self._back()
        return True

    async def _write(self) -> None:
        changes = self._offer
        if changes is None:
            return
        after = Mark(self._lineage, changes.clock, changes.position)
        self._certain = False  # until it is known whether this was written
        saved = await self._shared.save(changes, self._known, after)
        self._known = after if saved else self._ours(await self._shared.mark())
        self._certain = True
        self._done()

    def _done(self) -> None:
        self._offer = None
        self._free.set()

    def _ours(self, mark: Mark | None) -> Mark | None:
        """Refuse to count on top of what another daemon has counted under the same name."""
        if mark is not None and mark.lineage != self._lineage:
            raise StateError(
                "another daemon keeps its state in Redis under this instance's name; "
                "set INSTANCE_NAME to another name here or there"
            )
        return mark

    def _back(self) -> None:
        if self._failing:
            log.info("Redis is back; what it lacks is written")
        self._failing = False
        self.up = True
        self._tell(None)

    def _lost(self, error: StateError) -> None:
        self.up = False
        # Nothing is asked of it again before `_step` has had an answer.
        self._certain = False
        self._done()  # what it held has changed by now; the next one holds it anew
        if not self._failing:
            log.warning("Redis is away; going on without it", problem=str(error))
        self._failing = True
        self._tell(str(error))
