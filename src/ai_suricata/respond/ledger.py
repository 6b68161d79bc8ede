"""Every decision with its state, in memory and on disk: disk first.

A wish is durable before its command goes out. Whatever is in a firewall table because of us is
therefore known here, whenever the daemon was killed, and is taken out again when its time ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from ai_suricata.core.decision import LIVE, Decision, LedgerEntry, LedgerState, Table
from ai_suricata.core.errors import StateError
from ai_suricata.core.precedence import matters_until, precedence
from ai_suricata.respond.adoption import adopted
from ai_suricata.respond.escalation import LIFTED_BY_HAND, REPRIEVE
from ai_suricata.respond.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ai_suricata.core.clock import Clock
    from ai_suricata.respond.adoption import Refusal
    from ai_suricata.state.base import LedgerStore

_UNPROVED = LIVE - {LedgerState.ENFORCED}
_FORGETTABLE = frozenset({LedgerState.WATCHED, LedgerState.REFUSED})


class Ledger:
    """The latest entry of each target and table."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        """`store`: where entries are kept; `clock`: wall clock."""
        self._store = store
        self._clock = clock
        self._index = Index()
        self._writing = asyncio.Lock()
        self._followers: list[Callable[[Sequence[LedgerEntry]], None]] = []
        self.problem: str | None = None
        """Why the latest write failed, or None."""

    async def load(self) -> None:
        """Read what earlier runs left. Raises `StateError`."""
        for entry in await self._store.load():
            self._index.keep(entry)

    def follow(self, follower: Callable[[Sequence[LedgerEntry]], None]) -> None:
        """Tell `follower` of each change of ours once it is durable; not of what is adopted."""
        self._followers.append(follower)

    def latest(self, target: str, table: Table) -> LedgerEntry | None:
        """Return the latest entry of a target in a table."""
        return self._index.get(target, table)

    def covering(self, target: str, table: Table) -> LedgerEntry | None:
        """Return the live entry of a network that holds the target, or is it; None without one."""
        now = self._clock.now()
        held = self._index.covering(target, table)
        return next((e for e in held if e.state in LIVE and e.expires_at > now), None)

    def count(self, table: Table, states: Collection[LedgerState]) -> int:
        """Return how many entries of a table are in one of the states, whatever their end."""
        return self._index.count(table, states)

    def now(self) -> float:
        """Return the wall-clock seconds by which entries end."""
        return self._clock.now()

    def entries(self, table: Table | None = None) -> list[LedgerEntry]:
        """Return all entries, or those of one table."""
        return [e for e in self._index.values() if table is None or e.decision.table is table]

    def live(self, table: Table) -> list[LedgerEntry]:
        """Return the entries of a table that are, or are to be, in it now."""
        return self._until_now(table, LIVE)

    def enforced(self, table: Table) -> list[LedgerEntry]:
        """Return the entries that the firewall has confirmed."""
        return list(self._index.of(table, (LedgerState.ENFORCED,)))

    def pending(self, table: Table) -> list[LedgerEntry]:
        """Return the live entries that the firewall has not confirmed yet."""
        return self._until_now(table, _UNPROVED)

    def ended(self, table: Table) -> list[LedgerEntry]:
        """Return the entries whose time on the firewall is over, confirmed there or not."""
        over = self._index.over(self._clock.now())
        return [e for e in over if e.decision.table is table and e.state in LIVE]

    def standing(self) -> list[LedgerEntry]:
        """Return the entries that another copy of their decision has to be held against."""
        now = self._clock.now()
        return [e for e in self._index.values() if matters_until(e) > now]

    def next_end(self) -> float | None:
        """Return the wall-clock seconds at which the next entry changes by itself."""
        return self._index.next_end()

    async def request(self, decisions: Sequence[Decision]) -> list[LedgerEntry]:
        """Record wishes, before any command goes out. `StateError`: nothing may be sent."""
        now = self._clock.now()
        return await self._write(
            LedgerEntry(d, LedgerState.REQUESTED, now, d.decided_at + d.duration) for d in decisions
        )

    async def refuse(self, refused: Sequence[tuple[Decision, str]]) -> list[LedgerEntry]:
        """Record decisions that are not carried out, and why."""
        now = self._clock.now()
        return await self._write(
            LedgerEntry(d, LedgerState.REFUSED, now, now + d.duration, note) for d, note in refused
        )

    async def confirm(
        self, entries: Iterable[LedgerEntry], foreign: Collection[str] = ()
    ) -> list[LedgerEntry]:
        """Record that the firewall has proved these.

        `foreign`: the targets that somebody else had put into the table before us.
        """
        now = self._clock.now()
        return await self._change(
            entries,
            lambda entry: msgspec.structs.replace(
                entry,
                state=LedgerState.ENFORCED,
                changed_at=now,
                note="",
                foreign=entry.foreign or entry.target in foreign,
            ),
        )

    async def fail(self, entries: Iterable[LedgerEntry], note: str) -> list[LedgerEntry]:
        """Record that the firewall said no, and what it said."""
        return await self._move(entries, LedgerState.FAILED, note)

    async def renew(self, entries: Iterable[LedgerEntry], note: str) -> list[LedgerEntry]:
        """Record that these have to be enforced once more, and why: by us, whoever did before."""
        now = self._clock.now()
        return await self._change(
            entries,
            lambda entry: msgspec.structs.replace(
                entry, state=LedgerState.REQUESTED, changed_at=now, note=note, foreign=False
            ),
        )

    async def end(self, entries: Sequence[LedgerEntry], note: str) -> list[LedgerEntry]:
        """Let the time of these end now, and record why.

        Whatever the firewall confirms or refuses of them meanwhile: it is the decision that ends.
        """
        async with self._writing:
            now = self._clock.now()
            latest = [self.latest(e.target, e.decision.table) for e in entries]
            return self._tell(
                await self._store_all(
                    [
                        msgspec.structs.replace(
                            entry, changed_at=now, expires_at=min(now, entry.expires_at), note=note
                        )
                        for meant, entry in zip(entries, latest, strict=True)
                        if entry is not None
                        and entry.state in LIVE
                        and entry.decision == meant.decision
                    ]
                )
            )

    async def release(self, entries: Iterable[LedgerEntry], note: str = "") -> list[LedgerEntry]:
        """Record that these are off the firewall; they are watched for as long again.

        What was lifted by hand is remembered for the time in which it is not to come back.
        """
        now = self._clock.now()
        least = REPRIEVE if note.startswith(LIFTED_BY_HAND) else 0.0
        return await self._change(
            entries,
            lambda entry: msgspec.structs.replace(
                entry,
                state=LedgerState.WATCHED,
                changed_at=now,
                expires_at=now + max(entry.decision.duration, least),
                note=note,
            ),
        )

    async def forget(self) -> int:
        """Drop the entries whose time of watching, or of refusal, has ended; return how many."""
        now = self._clock.now()
        over = [e for e in self._index.over(now) if e.state in _FORGETTABLE]
        return len(await self._move(over, LedgerState.FORGOTTEN))

    async def adopt(
        self, entries: Iterable[LedgerEntry], refusal: Refusal = lambda _target: None
    ) -> list[LedgerEntry]:
        """Take over what other instances have decided or lifted, where that goes before ours.

        `refusal` says why a target is never blocked here. Returns what has changed here, which is
        durable then. Raises `StateError`; then nothing has changed.
        """
        newest = {(e.target, e.decision.table): e for e in sorted(entries, key=precedence)}
        async with self._writing:
            now = self._clock.now()
            changes = [adopted(self.latest(*key), e, now, refusal) for key, e in newest.items()]
            return await self._store_all([change for change in changes if change is not None])

    async def _move(
        self, entries: Iterable[LedgerEntry], state: LedgerState, note: str = ""
    ) -> list[LedgerEntry]:
        now = self._clock.now()
        return await self._change(
            entries,
            lambda entry: msgspec.structs.replace(entry, state=state, changed_at=now, note=note),
        )

    async def _change(
        self, entries: Iterable[LedgerEntry], change: Callable[[LedgerEntry], LedgerEntry]
    ) -> list[LedgerEntry]:
        """Replace the entries that are still the latest; return what took their place.

        Between the look at an entry and this, a new wish may have come for its target: that one
        stays.
        """
        async with self._writing:
            current = (e for e in entries if self.latest(e.target, e.decision.table) == e)
            return self._tell(await self._store_all([change(entry) for entry in current]))

    async def _write(self, entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
        async with self._writing:
            return self._tell(await self._store_all(list(entries)))

    def _tell(self, changed: list[LedgerEntry]) -> list[LedgerEntry]:
        for follower in self._followers if changed else ():
            follower(changed)
        return changed

    async def _store_all(self, changed: list[LedgerEntry]) -> list[LedgerEntry]:
        if not changed:
            return changed
        try:
            await self._store.append(changed)
        except StateError as error:
            self.problem = str(error)
            raise
        self.problem = None
        for entry in changed:
            self._index.keep(entry)
        return changed

    def _until_now(self, table: Table, states: Collection[LedgerState]) -> list[LedgerEntry]:
        """Return the entries of a table in the states whose time is not over, the oldest first."""
        now = self._clock.now()
        found = (e for e in self._index.of(table, states) if e.expires_at > now)
        return sorted(found, key=lambda entry: entry.decision.decided_at)
