"""What must outlive a restart, as small protocols, one for each need.

What instances share besides is in `state.shared`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import msgspec

from ai_suricata.core.position import Position

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ai_suricata.core.behaviour import BehaviourSummary
    from ai_suricata.core.decision import LedgerEntry
    from ai_suricata.state.row import Rows


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed since an earlier flush, and the position whose events did it."""

    position: Position
    clock: int
    """Number of events that made this state."""
    rows: Rows
    """Whole rows of the addresses that have changed."""
    gone: Sequence[str] = ()
    """Addresses that were evicted; one may have come back since, with a row of its own."""
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Short lists that go with the rows, by name."""
    facts: Sequence[BehaviourSummary] = ()
    """What the rows say, for those who read it elsewhere; empty, or one for each row."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The behaviour of all sources, and the position whose events made it."""

    position: Position
    clock: int
    rows: Rows
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class BehaviourStore(Protocol):
    """Keeps behaviour and position together: after a kill at any moment they still agree."""

    async def load(self) -> Snapshot | None:
        """Return the latest state, or None on a first start.

        Raises `StateError` where one is there and can't be read.
        """
        ...

    async def save(self, changes: Changes) -> None:
        """Store the changes as one. Raises `StateError` where nothing could be stored."""
        ...

    async def close(self) -> None:
        """Finish what is under way."""
        ...


class Mark(msgspec.Struct, frozen=True):
    """How far one instance has come in a shared store."""

    lineage: str
    """Names the local log that this continues: another one must not count on top of it."""
    clock: int
    """Events that made this state."""
    position: Position


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a shared store knows of some addresses."""

    own: Rows
    """This instance's own parts."""
    foreign: Rows
    """The parts of others; an address stands there once for each of them."""


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
