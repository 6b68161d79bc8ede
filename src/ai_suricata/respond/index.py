"""The ledger's entries, found by what is asked of them in each round: by key, state, end, network.

A round asks what waits, what has ended and when the next one ends. With fifty thousand blocks in
force, going through all of them for each of these questions would cost more than the round itself.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from ai_suricata.core.decision import LedgerEntry, LedgerState, Table
from ai_suricata.respond.cover import Cover

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, ValuesView

    Key = tuple[str, Table]


class Index:
    """The latest entry of each target and table."""

    def __init__(self) -> None:
        """Hold none."""
        self._entries: dict[Key, LedgerEntry] = {}
        self._of: dict[tuple[Table, LedgerState], dict[str, LedgerEntry]] = {}
        self._covers = {table: Cover() for table in Table}
        self._ends: list[tuple[float, Key]] = []
        """A heap; what has changed since stays in it until it comes to the top."""
        self._over: dict[Key, float] = {}
        """The ends that have come off the heap, of entries that have not changed since."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, target: str, table: Table) -> LedgerEntry | None:
        """Return the entry of a target in a table."""
        return self._entries.get((target, table))

    def values(self) -> ValuesView[LedgerEntry]:
        """Return all entries."""
        return self._entries.values()

    def keep(self, entry: LedgerEntry) -> None:
        """Take the entry in the place of the one before; a forgotten one takes that away."""
        key = target, table = entry.target, entry.decision.table
        before = self._entries.get(key)
        if before is not None:
            del self._of[table, before.state][target]
        was_over = self._over.pop(key, None) is not None
        if entry.state is LedgerState.FORGOTTEN:
            self._entries.pop(key, None)
            self._covers[table].discard(target)
            return
        self._entries[key] = entry
        self._of.setdefault((table, entry.state), {})[target] = entry
        if was_over or before is None or before.expires_at != entry.expires_at:
            heapq.heappush(self._ends, (entry.expires_at, key))
        if "/" in target:
            self._covers[table].add(target)

    def of(self, table: Table, states: Collection[LedgerState]) -> Iterator[LedgerEntry]:
        """Yield the entries of a table in the states, whatever their end."""
        for state in states:
            yield from list(self._of.get((table, state), {}).values())

    def count(self, table: Table, states: Collection[LedgerState]) -> int:
        """Return how many entries of a table are in the states."""
        return sum(len(self._of.get((table, state), ())) for state in states)

    def covering(self, target: str, table: Table) -> Iterator[LedgerEntry]:
        """Yield the entries of the networks that hold the target, or are it."""
        return (self._entries[text, table] for text in self._covers[table].holding(target))

    def over(self, now: float) -> list[LedgerEntry]:
        """Return the entries whose present state has ended by `now` (wall-clock seconds)."""
        while self._ends and self._ends[0][0] <= now:
            end, key = heapq.heappop(self._ends)
            if self._ends_at(key) == end:
                self._over[key] = end
        # The clock may have been set back meanwhile.
        return [self._entries[key] for key, end in self._over.items() if end <= now]

    def next_end(self) -> float | None:
        """Return the wall-clock seconds at which the next entry changes by itself."""
        while self._ends and self._ends_at(self._ends[0][1]) != self._ends[0][0]:
            heapq.heappop(self._ends)
        top = [self._ends[0][0]] if self._ends else []
        return min((*self._over.values(), *top), default=None)

    def _ends_at(self, key: Key) -> float | None:
        entry = self._entries.get(key)
        return entry.expires_at if entry is not None else None
