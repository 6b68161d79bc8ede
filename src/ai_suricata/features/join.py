"""What two instances know of one address, put together: counts add up, sketches are united.

Windows are put together only where they overlap: of two recent windows that lie apart, the older
one is over. What came from others is remembered, so that an instance can give out its own part
alone, and nothing counts twice when the parts are joined again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.behaviour import (
    DAY_COUNTERS,
    DAY_SKETCHES,
    RECENT_COUNTERS,
    RECENT_SKETCHES,
    Counter,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ai_suricata.features.table import Columns

TOTALS = slice(int(Counter.TOTAL_EVENTS), len(Counter))


@dataclass(frozen=True, slots=True)
class Share:
    """What of a row's counters came from other instances, and the windows that it belongs to."""

    counters: NDArray[np.int64]
    recent_start: int
    day_start: int


def join(  # noqa: PLR0913, PLR0917 - two rows, and what is known of the first
    columns: Columns,
    row: int,
    other: Columns,
    at: int,
    share: Share | None,
    spans: tuple[int, int],
    *,
    foreign: bool,
) -> Share:
    """Add row `at` of `other` to `row`; return all that came from others by now.

    `share`: what came from others before; `spans`: the windows' lengths in slots, recent and day;
    `foreign`: whether `other` came from others, too.
    """
    slot = max(int(columns.slot[row]), int(other.slot[at]))
    total = np.zeros(len(Counter), np.int64)
    if share is not None:
        total[TOTALS] = share.counters[TOTALS]
    total[TOTALS] += foreign * other.counters[at, TOTALS]
    columns.counters[row, TOTALS] += other.counters[at, TOTALS]
    _join_first(columns, row, other, at, slot, spans[0])
    windows = (
        (columns.recent_start, other.recent_start, RECENT_COUNTERS, RECENT_SKETCHES, spans[0]),
        (columns.day_start, other.day_start, DAY_COUNTERS, DAY_SKETCHES, spans[1]),
    )
    before = (-1, -1) if share is None else (share.recent_start, share.day_start)
    for (starts, theirs, counters, sketches, span), start in zip(windows, before, strict=True):
        if starts[row] < 0 or slot - starts[row] >= span:  # ours is over
            columns.counters[row, counters] = 0
            columns.sketches[row, sketches] = 0
            starts[row] = theirs[at]
        elif share is not None and starts[row] == start:
            total[counters] = share.counters[counters]
        if slot - theirs[at] < span:
            total[counters] += foreign * other.counters[at, counters]
            columns.counters[row, counters] += other.counters[at, counters]
            columns.sketches[row, sketches] |= other.sketches[at, sketches]
            starts[row] = min(starts[row], theirs[at])
    if columns.slot[row] < 0 or other.slot[at] > columns.slot[row]:
        columns.score[row] = other.score[at]
        columns.patterns[row] = other.patterns[at]
    columns.slot[row] = slot
    columns.first_seen[row] = min(columns.first_seen[row], other.first_seen[at])
    columns.last_seen[row] = max(columns.last_seen[row], other.last_seen[at])
    columns.last_flow[row] = max(columns.last_flow[row], other.last_flow[at])
    return Share(total, int(columns.recent_start[row]), int(columns.day_start[row]))


def _join_first(  # noqa: PLR0913, PLR0917 - of `join`
    columns: Columns, row: int, other: Columns, at: int, slot: int, span: int
) -> None:
    """Set the earliest event of the recent window; a window that is over has none."""
    firsts = [
        part.recent_first[index]
        for part, index in ((columns, row), (other, at))
        if part.recent_start[index] >= 0 and slot - part.recent_start[index] < span
    ]
    columns.recent_first[row] = min(firsts, default=np.iinfo(np.int64).max)


def own_part(columns: Columns, row: int, share: Share) -> NDArray[np.int64]:
    """Return the counters of `row` less the share of others, as far as its windows still stand."""
    own: NDArray[np.int64] = columns.counters[row].copy()
    own[TOTALS] -= share.counters[TOTALS]
    if columns.recent_start[row] == share.recent_start:
        own[RECENT_COUNTERS] -= share.counters[RECENT_COUNTERS]
    if columns.day_start[row] == share.day_start:
        own[DAY_COUNTERS] -= share.counters[DAY_COUNTERS]
    return own
