"""When a source is scored, and how a batch is cut for it.

A source is scored at points of its own: at so many of its own events, and at its first event in
each slot of event time. Where a batch ends plays no part, so every batch size gives the same
verdicts, to the digit.

A batch is therefore worked in waves. Within a wave each source has at most one point to score at,
its last event, and crosses no border of a window; so a wave is applied at once, for all sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.core.behaviour import Counter
from ai_suricata.features.table import LONGEST_BACK, SLOT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ai_suricata.features.table import Table

_EACH_UNTIL = 8
_FOURTH_UNTIL = 64
_FOURTH, _SIXTEENTH = 4, 16


@dataclass(slots=True)
class Wave:
    """Events that are applied at once."""

    chosen: list[int]
    """Indices of the events, ascending."""
    scored: list[int]
    """Those after which their source is scored: the last of their source in this wave."""


def is_milestone(count: int) -> bool:
    """Whether a source is scored at its `count`-th event: each to 8, then each 4th, 16th."""
    if count <= _EACH_UNTIL:
        return True
    return count % (_FOURTH if count <= _FOURTH_UNTIL else _SIXTEENTH) == 0


def waves(table: Table, rows: NDArray[np.int64], times: NDArray[np.int64]) -> list[Wave]:
    """Cut a batch: `rows` and `times` (microseconds) of its events, in order."""
    known = np.unique(rows)
    columns, keys = table.columns, known.tolist()
    events = columns.counters[known, Counter.TOTAL_EVENTS].tolist()
    counts = dict(zip(keys, events, strict=True))
    slots = dict(zip(keys, columns.slot[known].tolist(), strict=True))
    wave_of = dict.fromkeys(keys, 0)
    begun: set[int] = set()  # sources that have an event in their present wave
    found: list[Wave] = []
    for index, (row, slot) in enumerate(zip(rows.tolist(), (times // SLOT).tolist(), strict=True)):
        counts[row] += 1
        crossing = slot > slots[row] or slot < slots[row] - LONGEST_BACK
        if crossing:
            slots[row] = slot
            wave_of[row] += row in begun
        if len(found) <= wave_of[row]:
            found.append(Wave([], []))
        wave = found[wave_of[row]]
        wave.chosen.append(index)
        begun.add(row)
        if crossing or is_milestone(counts[row]):
            wave.scored.append(index)
            wave_of[row] += 1
            begun.discard(row)
    return found
