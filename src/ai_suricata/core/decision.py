"""What is to be done about an address, and how far it has come.

A decision is an intent; it becomes a block once the firewall has confirmed it. The ledger holds
every decision with its state.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ai_suricata.core.timestamp import MICROSECONDS


class Table(StrEnum):
    """Which of the two pf tables: one whose addresses are blocked, one whose are rate-limited."""

    BLOCK = "block"
    LIMIT = "limit"


class LedgerState(StrEnum):
    """How far a decision has come."""

    REQUESTED = "requested"
    """Durable, not yet confirmed by the firewall."""
    ENFORCED = "enforced"
    """Proved: the firewall's table has it and a rule refers to the table."""
    WATCHED = "watched"
    """Released, and remembered for as long as it was enforced: a return comes one step higher."""
    RELEASED = "released"
    """Taken off the firewall, confirmed."""
    FORGOTTEN = "forgotten"
    """The time of watching has ended."""
    FAILED = "failed"
    """The firewall said no, with a reason; tried again while the decision lasts."""
    REFUSED = "refused"
    """Not sent: a rule of our own stands before it, or it is older than its own duration."""


LIVE = frozenset({LedgerState.REQUESTED, LedgerState.ENFORCED, LedgerState.FAILED})
"""States in which an address is, or is to be, in the firewall's table."""


class Decision(msgspec.Struct, frozen=True):
    """An intent: one address, one table, for so long, because of these reasons."""

    target: str
    """Canonical text of an address (or a network)."""
    table: Table
    duration: float
    """Seconds."""
    step: int
    """Step of escalation, from 0."""
    decided_at: float
    """Wall-clock seconds since the epoch."""
    event_time: int
    """Event time of the verdict, microseconds since the epoch."""
    score: float
    reasons: tuple[str, ...]
    model_version: str
    written: int = -1
    """When the record of that event was written, microseconds since the epoch; -1: not known."""
    features: dict[str, float] = msgspec.field(default_factory=dict)
    """The feature values that moved the score, by name."""
    members: tuple[str, ...] = ()
    """Where the target is a network that many offenders share: they."""
    instead_of: str = ""
    """The network that was lifted, where this goes on blocking one of its members."""
    by_hand: bool = False
    """Whether the operator decided it."""
    forced: bool = False
    """Whether the operator did so against the list of the never-blocked."""

    @property
    def seen_at(self) -> float:
        """When it could be known at the earliest: seconds since the epoch, by the event's clock."""
        return (self.event_time if self.written < 0 else self.written) / MICROSECONDS


class LedgerEntry(msgspec.Struct, frozen=True):
    """A decision and its state. One entry lives at a time for each target."""

    decision: Decision
    state: LedgerState
    changed_at: float
    """Wall-clock seconds of the latest change of state."""
    expires_at: float
    """Wall-clock seconds at which the present state ends: the block, or the watching."""
    note: str = ""
    """What the firewall said, or why it was refused."""
    foreign: bool = False
    """Whether somebody else had put it into the table before: then it stays there at our end."""

    @property
    def target(self) -> str:
        """Canonical text of the address."""
        return self.decision.target
