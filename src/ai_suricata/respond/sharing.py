"""Keeps the ledgers of several instances alike, through a copy that is never waited for.

Our own ledger is what is durable, and what a restart goes by. What changes in it is written to the
shared copy behind the work; what others write there is adopted. While the copy is away, what waits
for it is coalesced: an entry that changes ten times is still one entry to write.

What one instance alone has reason for stays with it: what it refuses, what its own never-block
spares, and what it releases because it stops.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

import structlog

from ai_suricata.core.cancellation import heed, within
from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.core.precedence import precedence
from ai_suricata.respond.protection import ALLOWED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ai_suricata.respond.adoption import Refusal
    from ai_suricata.respond.ledger import Ledger
    from ai_suricata.state.shared import Notifier

log = structlog.get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
"""Seconds between tries while the copy is away."""
_SOON = 5.0
"""Seconds after a first comparison until the second: by then we hear what others tell."""
_REGULARLY = 60.0
"""Seconds between comparisons: what is told while a connection is lost is missed."""
_LAST_TRY = 3.0
"""Seconds that the last write may take."""
_LOCAL = frozenset({LedgerState.REFUSED, LedgerState.FORGOTTEN})
_OURS_ALONE = ("never blocked", "released at stop")
"""How the notes begin that the enforcer gives to what no other instance has to follow."""
_ALLOWED = f"never blocked: {ALLOWED}"
"""The operator's word is for all: on a firewall that they share, another one would put it back."""


class SharedLedger(Protocol):
    """The copy of the ledger that all instances see."""

    channel: str
    """On which changes are told."""

    async def write(self, entries: Sequence[LedgerEntry]) -> None:
        """Write the entries that go before what is there, and tell all on the channel.

        May be repeated. Raises `StateError` where it is not known that all was written.
        """
        ...

    async def read_all(self) -> list[LedgerEntry]:
        """Return all entries. Raises `StateError`."""
        ...

    def told(self, message: bytes) -> list[LedgerEntry]:
        """Return the entries of a message on the channel."""
        ...


class Sharing:
    """Writes what changes here, adopts what changes elsewhere. Its `run` alone waits."""

    def __init__(  # noqa: PLR0913 - two ledgers, the way between them, and who is asked or told
        self,
        ledger: Ledger,
        shared: SharedLedger,
        notifier: Notifier,
        tell: Callable[[str | None], None],
        *,
        refusal: Refusal,
        adopted: Callable[[Sequence[LedgerEntry]], None],
        every: float = _REGULARLY,
    ) -> None:
        """`tell` hears, once each time, why the copy is away, or None for that it is there.

        `refusal` says why a target is never blocked here; `adopted` is handed what others have
        changed in our ledger, which the enforcer has to be woken for; `every`: seconds between
        comparisons. From now on, what changes in `ledger` is kept to be written.
        """
        self._ledger = ledger
        self._shared = shared
        self._notifier = notifier
        self._tell = tell
        self._refusal = refusal
        self._adopted = adopted
        self._every = every
        self._waiting: dict[tuple[str, Table], LedgerEntry] = {}
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._up: bool | None = None  # None: not known yet
        self._compare_at = 0.0  # seconds of the event loop's clock
        ledger.follow(self.changed)

    @property
    def waiting(self) -> int:
        """How many entries wait to be written."""
        return len(self._waiting)

    def changed(self, entries: Sequence[LedgerEntry]) -> None:
        """Take note of what has changed here and is durable."""
        for entry in entries:
            key = (entry.target, entry.decision.table)
            held = self._waiting.get(key)
            if _is_for_all(entry):
                self._waiting[key] = entry
            elif entry.state is LedgerState.FORGOTTEN or (held and held.decision == entry.decision):
                # Nobody has to hear of a block that is over before it was told.
                self._waiting.pop(key, None)
        self._wake.set()

    async def run(self) -> None:
        """Keep the ledgers alike until `stop`; then write what waits, if that can be done soon."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(), name="listen to other instances")
            await self._keep_alike()
            await self._finish()
            listening.cancel()

    def stop(self) -> None:
        """End `run` after a last try. What the ledger is told later is not written."""
        self._stopping.set()
        self._wake.set()

    async def _keep_alike(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            done = await self._step()
            heed()
            if done:
                pause = _FIRST_PAUSE
                await self._until_due()
            else:
                await within(pause * random.uniform(0.5, 1.0), self._stopping)  # noqa: S311 - spreads retries
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _step(self) -> bool:
        """Compare where that is due, and write what waits; return whether the copy was there."""
        self._wake.clear()
        try:
            if not self._up or asyncio.get_running_loop().time() >= self._compare_at:
                await self._compare()
            await self._write()
        except StateError as error:
            self._told(str(error))
            return False
        self._told(None)
        return True

    async def _compare(self) -> None:
        """Adopt what goes before ours, and let be written what of ours goes before theirs."""
        theirs = await self._shared.read_all()
        self._compare_in(self._every if self._up else min(_SOON, self._every))
        await self._adopt(theirs)
        known = {(e.target, e.decision.table): precedence(e) for e in theirs}
        for entry in self._ledger.standing():
            key = (entry.target, entry.decision.table)
            if _is_for_all(entry) and (key not in known or precedence(entry) > known[key]):
                self._waiting[key] = entry

    async def _write(self) -> None:
        entries = list(self._waiting.values())
        if not entries:
            return
        await self._shared.write(entries)
        for entry in entries:
            key = (entry.target, entry.decision.table)
            if self._waiting.get(key) is entry:  # it has not changed again meanwhile
                del self._waiting[key]

    async def _listen(self) -> None:
        async with aclosing(self._notifier.listen(self._shared.channel)) as messages:
            async for message in messages:
                await self._adopt(self._shared.told(message))

    async def _adopt(self, entries: Sequence[LedgerEntry]) -> None:
        try:
            changed = await self._ledger.adopt(entries, self._refusal)
        except StateError as error:
            # Our disk, not the copy: nothing was adopted that is not durable, and soon all of it
            # is read again.
            log.warning("what others decided can't be kept yet", problem=str(error))
            self._compare_in(min(_SOON, self._every))
            return
        if changed:
            self._adopted(changed)

    def _compare_in(self, seconds: float) -> None:
        self._compare_at = asyncio.get_running_loop().time() + seconds
        self._wake.set()

    async def _until_due(self) -> None:
        left = self._compare_at - asyncio.get_running_loop().time()
        await within(max(0.0, left), self._wake)

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(_LAST_TRY):
                await self._write()
        except (StateError, TimeoutError) as error:
            # The own ledger has all of it: the next start writes it.
            log.warning("decisions were not shared", count=self.waiting, problem=str(error))

    def _told(self, problem: str | None) -> None:
        """Tell that the copy is away, or there, where that has changed."""
        up = problem is None
        if self._up is not up:
            self._up = up
            self._tell(problem)


def _is_for_all(entry: LedgerEntry) -> bool:
    """Say whether other instances have to follow; see the module's description.

    What is forgotten has ended everywhere by its own time, in the copy too.
    """
    ours = entry.note.startswith(_OURS_ALONE) and not entry.note.startswith(_ALLOWED)
    return entry.state not in _LOCAL and not ours
