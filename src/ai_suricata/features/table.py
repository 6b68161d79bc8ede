"""The behaviour of every known source address: one row each, in arrays side by side.

An address costs the same however much it does (897 bytes and its name), and the table is
bounded: when it is full, the rows that were touched longest ago go, a sixteenth at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.behaviour import (
    DAY_COUNTERS,
    DAY_SECONDS,
    DAY_SKETCHES,
    RECENT_COUNTERS,
    RECENT_SECONDS,
    RECENT_SKETCHES,
    SKETCH_STARTS,
    BehaviourSummary,
    Counter,
    Sketch,
)
from ai_suricata.core.verdict import PATTERN_NAMES
from ai_suricata.features.join import Share, join, own_part
from ai_suricata.features.overflow import Overflow
from ai_suricata.features.sketch import count_distinct
from ai_suricata.state.row import Layout, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ai_suricata.core.verdict import Verdict
    from ai_suricata.features.evidence import Evidence

SLOT = 30 * 1_000_000
"""Microseconds of event time in a slot: windows begin and end on slots, and a source is scored
at its first event in each."""
_RECENT_SLOTS = RECENT_SECONDS * 1_000_000 // SLOT
_DAY_SLOTS = DAY_SECONDS * 1_000_000 // SLOT
LONGEST_BACK = _DAY_SLOTS
"""Slots by which an event may lie before its source's latest: a long connection is told of when it
ends. Where it lies further back, the latest one had a wrong time, and so have the windows."""
_WORDS = SKETCH_STARTS[-1]
_FIRST_ROWS = 1024
_EVICTED_SHARE = 16
_OVERFLOW_SHARE = 4
_NEVER = np.iinfo(np.int64).max


@dataclass(slots=True)
class Columns:
    """The arrays, each with one entry a row. All of them are what a snapshot holds."""

    counters: NDArray[np.int64]
    """(rows, len(Counter))"""
    sketches: NDArray[np.uint64]
    """(rows, words of 64 bits): the sketches side by side."""
    first_seen: NDArray[np.int64]
    """Event time, microseconds."""
    last_seen: NDArray[np.int64]
    slot: NDArray[np.int64]
    """Latest slot of event time; -1 before the first event."""
    recent_start: NDArray[np.int64]
    """Slot in which the recent window began."""
    recent_first: NDArray[np.int64]
    """Earliest event time in the recent window."""
    day_start: NDArray[np.int64]
    last_flow: NDArray[np.int64]
    """Start of the flow that was told of last, microseconds; -1 before the first."""
    touched: NDArray[np.int64]
    """Number of the last event that touched the row, counted over all events."""
    home: NDArray[np.bool_]
    score: NDArray[np.float64]
    """Of the latest verdict, 0..1."""
    patterns: NDArray[np.int64]
    """Of the latest verdict: bit i stands for the i-th pattern."""

    @classmethod
    def empty(cls, rows: int) -> Columns:
        """Return arrays for `rows` rows that nothing is known of."""
        return cls(
            counters=np.zeros((rows, len(Counter)), np.int64),
            sketches=np.zeros((rows, _WORDS), np.uint64),
            first_seen=np.full(rows, _NEVER, np.int64),
            last_seen=np.full(rows, -1, np.int64),
            slot=np.full(rows, -1, np.int64),
            recent_start=np.full(rows, -1, np.int64),
            recent_first=np.full(rows, _NEVER, np.int64),
            day_start=np.full(rows, -1, np.int64),
            last_flow=np.full(rows, -1, np.int64),
            touched=np.zeros(rows, np.int64),
            home=np.zeros(rows, np.bool_),
            score=np.zeros(rows, np.float64),
            patterns=np.zeros(rows, np.int64),
        )

    def items(self) -> list[tuple[str, NDArray[np.generic]]]:
        """Return (name, array) of each column."""
        return [(name, getattr(self, name)) for name in self.__slots__]


LAYOUT = Layout(dict(Columns.empty(0).items()))
"""How a row is stored."""


class Table:
    """Rows by address."""

    def __init__(self, capacity: int) -> None:
        """`capacity`: most rows."""
        self.capacity = capacity
        self.columns = Columns.empty(min(capacity, _FIRST_ROWS))
        self.row_of: dict[str, int] = {}
        self.addresses: list[str] = []
        self.evicted = 0
        self.clock = 0
        """Number of events that were applied so far."""
        self.gone: list[str] = []
        """Addresses that were evicted since somebody last emptied this list."""
        self.overflow: Overflow | None = None
        self._free: list[int] = []
        self._shares: dict[str, Share] = {}

    def __len__(self) -> int:
        return len(self.row_of)

    def find(self, address: str, *, home: bool) -> int | None:
        """Return the row of an address, a new one if need be, or None while the table is full."""
        row = self.row_of.get(address)
        if row is not None:
            self.columns.home[row] = home  # a snapshot may be older than the present HOME_NET
            return row
        if self._free:
            row = self._free.pop()
            self.addresses[row] = address
        elif len(self.addresses) < self.capacity:
            row = len(self.addresses)
            self.addresses.append(address)
            self._grow()
        else:
            return None
        self.row_of[address] = row
        self._bring_back(address, row)
        self.columns.home[row] = home
        return row

    def holds(self, address: str) -> bool:
        """Say whether anything is known of an address here, in the table or beside it."""
        return address in self.row_of or (self.overflow is not None and address in self.overflow)

    def keep_evicted(self) -> None:
        """Keep rows that are evicted until they are settled, a quarter as many as there are."""
        self.overflow = Overflow(self.capacity // _OVERFLOW_SHARE, LAYOUT)

    def settle(self, clock: int) -> None:
        """Take note that the shared store has all rows as they were when the clock stood there."""
        if self.overflow is not None:
            self.gone += self.overflow.settle(clock)

    def warm(self, addresses: Iterable[str]) -> None:
        """Keep addresses from going before those events of theirs that are about to be counted."""
        known = [address for address in addresses if self.holds(address)]
        # Those in the table first: bringing back the others may evict.
        for address in sorted(known, key=self.row_of.__contains__, reverse=True):
            self.columns.touched[self._made(address, home=False)] = self.clock

    def _made(self, address: str, *, home: bool) -> int:
        """Return the row of an address, after evicting others if need be."""
        row = self.row_of.get(address)
        if row is None:
            row = self.find(address, home=home)
        while row is None:
            if self.overflow is not None:
                self.overflow.hold(address)
            self.evict()
            row = self.find(address, home=home)
        return row

    def _bring_back(self, address: str, row: int) -> None:
        stored = None if self.overflow is None else self.overflow.take(address)
        if stored is not None:
            for name, array in self.columns.items():
                array[row] = stored[name][0]

    def _grow(self) -> None:
        have = len(self.columns.slot)
        if len(self.addresses) <= have:
            return
        fresh = Columns.empty(min(self.capacity, 2 * have))
        for name, array in fresh.items():
            array[:have] = getattr(self.columns, name)
        self.columns = fresh

    def evict(self) -> None:
        """Forget the sixteenth of the rows that was touched longest ago."""
        count = max(1, len(self.row_of) // _EVICTED_SHARE)
        rows = np.fromiter(self.row_of.values(), np.int64, len(self.row_of))
        coldest = rows[np.argsort(self.columns.touched[rows], kind="stable")[:count]]
        if self.overflow is None:
            self.gone += [self.addresses[row] for row in coldest.tolist()]
        else:
            self.gone += self.overflow.put(self.export(coldest))
        blank = Columns.empty(1)
        for name, array in self.columns.items():
            array[coldest] = getattr(blank, name)[0]
        for row in coldest.tolist():
            address, self.addresses[row] = self.addresses[row], ""
            del self.row_of[address]
            self._shares.pop(address, None)
            self._free.append(row)
        self.evicted += count

    def apply(
        self,
        rows: NDArray[np.int64],
        times: NDArray[np.int64],
        chosen: NDArray[np.int64],
        evidence: Evidence,
        marks: NDArray[np.int64],
    ) -> None:
        """Add the evidence of the `chosen` events (ascending indices into `rows` and `times`).

        `marks`: those of the chosen events, as (event, bit).
        All chosen events of one row lie in one slot of event time or before it: see `schedule`.
        """
        order = chosen[np.argsort(rows[chosen], kind="stable")]
        touched, starts = np.unique(rows[order], return_index=True)
        column = self.columns
        latest = np.maximum.reduceat(times[order], starts)
        earliest = np.minimum.reduceat(times[order], starts)
        slots = latest // SLOT
        wrong = slots < column.slot[touched] - LONGEST_BACK
        column.slot[touched[wrong]] = column.last_seen[touched[wrong]] = -1
        self._turn(touched, np.maximum(column.slot[touched], slots))
        column.counters[touched] += np.add.reduceat(evidence.added[order], starts, axis=0)
        column.first_seen[touched] = np.minimum(column.first_seen[touched], earliest)
        column.last_seen[touched] = np.maximum(column.last_seen[touched], latest)
        column.recent_first[touched] = np.minimum(column.recent_first[touched], earliest)
        column.touched[touched] = self.clock + np.maximum.reduceat(order, starts)
        self._mark(rows, marks)

    def _turn(self, rows: NDArray[np.int64], slots: NDArray[np.int64]) -> None:
        """Move the rows to their new slots, and begin new windows where the old ones have ended."""
        column = self.columns
        over = rows[(slots - column.recent_start[rows] >= _RECENT_SLOTS) | (column.slot[rows] < 0)]
        column.counters[over, RECENT_COUNTERS] = 0
        column.sketches[over, RECENT_SKETCHES] = 0
        column.recent_first[over] = _NEVER
        day_over = rows[(slots - column.day_start[rows] >= _DAY_SLOTS) | (column.slot[rows] < 0)]
        column.counters[day_over, DAY_COUNTERS] = 0
        column.sketches[day_over, DAY_SKETCHES] = 0
        column.slot[rows] = slots
        column.recent_start[over] = column.slot[over]
        column.day_start[day_over] = column.slot[day_over]

    def _mark(self, rows: NDArray[np.int64], marks: NDArray[np.int64]) -> None:
        """Set bits of the sketches."""
        if len(marks):
            bits = np.left_shift(np.uint64(1), (marks[:, 1] & 63).astype(np.uint64))
            np.bitwise_or.at(self.columns.sketches, (rows[marks[:, 0]], marks[:, 1] >> 6), bits)

    def note(self, verdicts: Iterable[Verdict]) -> None:
        """Keep the score and the patterns of each verdict with its row, for those who show it."""
        for verdict in verdicts:
            row = self.row_of.get(verdict.address)
            if row is not None:
                bits = sum(1 << PATTERN_NAMES.index(name) for name in verdict.patterns)
                self.columns.score[row] = verdict.score
                self.columns.patterns[row] = bits

    def score_of(self, address: str) -> float:
        """Return the latest score of an address, 0 where it has none."""
        row = self.row_of.get(address)
        return 0.0 if row is None else float(self.columns.score[row])

    def summary(self, row: int) -> BehaviourSummary:
        """Return what a list of sources shows of one row."""
        [found] = summaries(self.export(np.array([row], dtype=np.int64)))
        return found

    def top(self, count: int) -> list[tuple[str, int]]:
        """Return the addresses with the most alerts, and how many."""
        alerts = self.columns.counters[: len(self.addresses), Counter.TOTAL_ALERTS]
        order = np.argsort(-alerts, kind="stable")[:count]
        return [
            (self.addresses[row], int(alerts[row])) for row in order.tolist() if alerts[row] > 0
        ]

    def changed(self, since: int) -> NDArray[np.int64]:
        """Return the rows that an event has touched since the clock stood at `since`."""
        rows = np.fromiter(self.row_of.values(), np.int64, len(self.row_of))
        chosen: NDArray[np.int64] = rows[self.columns.touched[rows] >= since]
        return chosen

    def changes(self, since: int, most: int | None = None) -> tuple[Rows, int]:
        """Return what an event has touched since then, and up to which clock that is all.

        It is of here and of what was evicted. `most`: of more rows than that, about so many that
        were touched first are returned.
        """
        rows, border = self.changed(since), self.clock
        touched = self.columns.touched[rows]
        if most is not None and len(rows) > most:
            candidate = int(np.partition(touched, most)[most])
            if candidate > since:
                rows, border = rows[touched < candidate], candidate
        here = self.export(rows)
        more = self.overflow.since(since, border) if self.overflow else None
        return here if more is None else here.with_more(more), border

    def export(self, rows: NDArray[np.int64]) -> Rows:
        """Return copies of rows, without what came from other instances."""
        columns = {name: array[rows] for name, array in self.columns.items()}
        columns["counters"] = self._own_counters(rows)
        return Rows([self.addresses[row] for row in rows.tolist()], columns)

    def _own_counters(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        counters: NDArray[np.int64] = self.columns.counters[rows]
        if self._shares:
            for index, row in enumerate(rows.tolist()):
                share = self._shares.get(self.addresses[row])
                if share is not None:
                    counters[index] = own_part(self.columns, row, share)
        return counters

    def restore(self, rows: Rows, clock: int) -> None:
        """Take over stored rows into an empty table: the latest, where they are too many."""
        order = np.argsort(np.asarray(rows.columns["touched"]), kind="stable")
        keep, rest = order[-self.capacity :], order[: -self.capacity]
        left = rows.take(rest)
        self.gone += left.addresses if self.overflow is None else self.overflow.put(left)
        self.columns = Columns.empty(max(min(self.capacity, _FIRST_ROWS), len(keep)))
        for name, array in self.columns.items():
            array[: len(keep)] = rows.columns[name][keep]
        self.addresses = [rows.addresses[index] for index in keep.tolist()]
        self.row_of = {address: row for row, address in enumerate(self.addresses)}
        self.clock = clock

    def adopt(self, rows: Rows, *, foreign: bool) -> None:
        """Join rows that were stored elsewhere to what is here; the coldest make room for them.

        `foreign`: they are parts of other instances, and stay theirs.
        """
        stored = Columns(**{name: rows.columns[name] for name, _ in self.columns.items()})  # type: ignore[arg-type]
        for at, address in enumerate(rows.addresses):
            row = self._made(address, home=bool(stored.home[at]))
            share = self._shares.get(address)
            spans = (_RECENT_SLOTS, _DAY_SLOTS)
            joined = join(self.columns, row, stored, at, share, spans, foreign=foreign)
            if foreign or share is not None:
                self._shares[address] = joined
            self.columns.touched[row] = self.clock


def summaries(rows: Rows) -> list[BehaviourSummary]:
    """Return what a list of sources shows of rows that a table has exported."""
    column = Columns(**{name: rows.columns[name] for name in Columns.__slots__})  # type: ignore[arg-type]
    distinct = count_distinct(column.sketches)
    fields = (
        column.counters[:, Counter.TOTAL_ALERTS],
        column.counters[:, Counter.TOTAL_EVENTS],
        column.first_seen,
        column.last_seen,
        column.counters[:, Counter.SEVERITY_1],
        column.counters[:, Counter.SEVERITY_2],
        distinct[:, Sketch.PORTS].astype(np.int64),
        distinct[:, Sketch.DESTINATIONS].astype(np.int64),
        column.score,
    )
    values = zip(*(part.tolist() for part in fields), strict=True)
    patterns = map(_names_of, column.patterns.tolist())
    parts = zip(rows.addresses, values, patterns, strict=True)
    return [BehaviourSummary(*(name, *row, found)) for name, row, found in parts]


def _names_of(bits: int) -> tuple[str, ...]:
    return tuple(name for i, name in enumerate(PATTERN_NAMES) if bits >> i & 1)
