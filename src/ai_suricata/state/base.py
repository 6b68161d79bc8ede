"""What must outlive a restart, as small protocols, one for each need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.core.position import Position


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The behaviour of all sources, and the position whose events made it. Stored as one."""

    position: Position
    behaviour: Mapping[str, NDArray[np.generic]]
    """Columns by name, as `features.table` exports them; empty where they could not be kept."""


class BehaviourStore(Protocol):
    """Keeps behaviour and position together: after a kill at any moment they still agree."""

    async def load(self) -> Snapshot | None:
        """Return the latest snapshot, or None on a first start.

        Raises `StateError` where one is there and can't be read.
        """
        ...

    async def save(self, snapshot: Snapshot) -> None:
        """Replace the snapshot in one atomic write. Raises `StateError` where that fails."""
        ...


class LedgerStore(Protocol):
    """Keeps the ledger. What `append` has returned from survives a kill."""

    async def load(self) -> list[LedgerEntry]:
        """Return the latest entry of each target and table. Raises `StateError`."""
        ...

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        """Make the entries durable, before this returns. Raises `StateError` where that fails."""
        ...


class StateBackend(Protocol):
    """All stores of one backend."""

    behaviour: BehaviourStore
    ledger: LedgerStore

    async def open(self) -> None:
        """Connect or make folders. Raises `StateError` naming what is missing."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...
