"""Rows that were evicted before the shared store had their latest state.

Without it, what an address did between the last write to Redis and its eviction would be lost
there. The room is bounded: while Redis is away for long, the rows that came first go.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from ai_suricata.state.row import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ai_suricata.state.row import Layout

    Kept = tuple[int, NDArray[np.uint8]]
    """Number of the last event that touched the row, and the row as bytes."""


class Overflow:
    """Rows by address, until they are settled or come back."""

    def __init__(self, capacity: int, layout: Layout) -> None:
        """`capacity`: most rows; `layout`: of the rows."""
        self._capacity = capacity
        self._layout = layout
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._clock = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, address: str) -> bool:
        return address in self._kept

    def put(self, rows: Rows) -> list[str]:
        """Keep what is not settled; return the addresses that nobody keeps any more."""
        touched: list[int] = np.asarray(rows.columns["touched"]).tolist()
        gone: list[str] = []
        for address, event, row in zip(
            rows.addresses, touched, self._layout.pack(rows.columns), strict=True
        ):
            if event < self._clock:
                gone.append(address)
            else:
                self._kept[address] = (event, row)
        while len(self._kept) > self._capacity:
            gone.append(self._kept.popitem(last=False)[0])
        return gone

    def take(self, address: str) -> Mapping[str, NDArray[np.generic]] | None:
        """Hand back the one row of an address, or None where it is not kept."""
        kept = self._kept.pop(address, None)
        return None if kept is None else self._layout.unpack(kept[1][None, :])

    def hold(self, address: str) -> None:
        """Let the row of an address be the last to go when more come."""
        if address in self._kept:
            self._kept.move_to_end(address)

    def since(self, clock: int, before: int) -> Rows:
        """Return the rows whose latest event has a number from `clock` on, `before` excluded."""
        chosen = {
            address: row for address, (event, row) in self._kept.items() if clock <= event < before
        }
        packed = np.zeros((len(chosen), self._layout.width), np.uint8)
        if chosen:
            packed = np.stack(list(chosen.values()))
        return Rows(list(chosen), self._layout.unpack(packed))

    def settle(self, clock: int) -> list[str]:
        """Let go of what the shared store has: all up to `clock`; return its addresses."""
        if clock == self._clock:
            return []
        self._clock = clock
        gone = [address for address, (event, _) in self._kept.items() if event < clock]
        for address in gone:
            del self._kept[address]
        return gone
